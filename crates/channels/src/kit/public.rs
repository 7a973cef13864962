//! Attachments that lie in the open, at an address that came with a genuine request: whoever knows it may have them, so no token
//! goes there. How large they may be is the gateway's to say.

use tokio::time::timeout;

use super::fetch::{self, FetchError, Limits, Opened};
use super::http::Http;
use super::transfer::{LONGEST, STALL, download};
use crate::{ChannelError, MediaStream};

/// Opens the attachment at `url`; errors begin with `what`, as the caller knows it.
///
/// # Errors
/// [`ChannelError::Retryable`] when the same may work later, [`ChannelError::Permanent`] when it will not.
pub async fn open(http: &Http, url: &str, what: &str) -> Result<MediaStream, ChannelError> {
    let limits = Limits { max_bytes: usize::MAX, allowed: None, timeout: LONGEST };
    let opened = timeout(STALL, fetch::open(http, url, limits)).await;
    match opened.unwrap_or(Err(FetchError::TimedOut(STALL))) {
        Ok(Opened { content_type, response, .. }) => {
            Ok(MediaStream { content_type, bytes: download(response) })
        }
        // Without the address, whose query may be a secret.
        Err(error) if error.is_passing() => Err(ChannelError::Retryable(format!("{what} {error}"))),
        Err(error) => Err(ChannelError::Permanent(format!("{what} {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::response::Redirect;
    use axum::routing::get;
    use bytes::Bytes;
    use claw_types::{MediaKind, MediaRef};
    use futures::StreamExt as _;
    use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};

    use super::*;
    use crate::Channel as _;
    use crate::adapters::webhook::testing::{channel, serve};

    async fn open(url: &str) -> Result<MediaStream, ChannelError> {
        let media = MediaRef { kind: MediaKind::Image, handle: url.to_owned(), filename: None, mime: None };
        channel(None).open_media(&media).await
    }

    fn endless() -> Body {
        Body::from_stream(futures::stream::repeat_with(|| Ok::<_, String>(Bytes::from(vec![0; 1 << 20]))))
    }

    #[tokio::test]
    async fn attachments_are_streamed_however_large_they_are() {
        let plain = async |headers: HeaderMap| {
            assert_eq!(headers[ACCEPT_ENCODING], "identity");
            ([(CONTENT_TYPE, "image/png")], "bytes")
        };
        let router = Router::new()
            .route("/ok", get(plain))
            .route("/moved", get(async || Redirect::temporary("/ok")))
            .route("/endless", get(async || endless()));
        let url = serve(router).await;
        for path in ["/ok", "/moved"] {
            let stream = open(&format!("{url}{path}")).await.unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(stream.content_type.as_deref(), Some("image/png"));
            let chunks: Vec<_> = stream.bytes.map(Result::unwrap).collect().await;
            assert_eq!(chunks.concat(), b"bytes");
        }
        let mut stream = open(&format!("{url}/endless")).await.unwrap_or_else(|e| panic!("{e}")).bytes;
        let mut read = 0;
        while read < 60 << 20 {
            read += stream.next().await.unwrap().unwrap().len();
        }
    }

    #[tokio::test]
    async fn what_is_no_file_as_it_is_is_refused() {
        let packed = async || ([(CONTENT_ENCODING, "gzip")], "bytes");
        let busy = async || http::StatusCode::SERVICE_UNAVAILABLE;
        let url = serve(Router::new().route("/packed", get(packed)).route("/busy", get(busy))).await;
        let told = async |path: &str| open(&format!("{url}{path}")).await.err();
        let packed = told("/packed").await;
        assert!(
            matches!(&packed, Some(ChannelError::Permanent(why)) if why.contains("Content-Encoding")),
            "{packed:?}"
        );
        assert!(matches!(told("/gone").await, Some(ChannelError::Permanent(_))));
        assert!(matches!(told("/busy").await, Some(ChannelError::Retryable(_))));
    }
}
