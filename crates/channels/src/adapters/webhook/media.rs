//! Attachments of people's messages: whoever posts a message keeps them, and we fetch them when the backend asks.

use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use futures::stream::{BoxStream, try_unfold};
use http::header::CONTENT_TYPE;
use reqwest::Response;

use super::{header, repeatable};
use crate::kit::http::Http;
use crate::{ChannelError, MediaStream};

const MAX_MEDIA: u64 = 50 * 1024 * 1024;
/// An attachment of the full size over a slow line takes longer than an ordinary call.
const MEDIA_TIMEOUT: Duration = Duration::from_mins(5);

/// Opens the attachment at `url`.
pub async fn open(http: &Http, url: &str) -> Result<MediaStream, ChannelError> {
    let url = http.check(url).map_err(|e| ChannelError::Permanent(format!("media.url {e}")))?;
    let request = http.calls().get(url).timeout(MEDIA_TIMEOUT);
    let response = request.send().await.map_err(|e| repeatable(&e))?;
    let (status, length) = (response.status(), response.content_length());
    let refused = format!("the address of the attachment answered {status}");
    match status.as_u16() {
        200..=299 if length.is_some_and(|length| length > MAX_MEDIA) => Err(too_large()),
        200..=299 => {
            let content_type = header(response.headers(), CONTENT_TYPE.as_str()).map(str::to_owned);
            Ok(MediaStream { content_type, length, bytes: limited(response) })
        }
        408 | 425 | 429 | 500..=599 => Err(ChannelError::Retryable(refused)),
        _ => Err(ChannelError::Permanent(refused)),
    }
}

fn too_large() -> ChannelError {
    ChannelError::Permanent(format!("the attachment has more than {} MiB", MAX_MEDIA / 1024 / 1024))
}

/// The body, ended by an error where it grows past the limit: the length that was announced may be wrong or missing.
fn limited(response: Response) -> BoxStream<'static, Result<Bytes, ChannelError>> {
    let chunks = try_unfold((response, 0_u64), |(mut response, read)| async move {
        let Some(chunk) = response.chunk().await.map_err(|e| repeatable(&e))? else { return Ok(None) };
        let read = read.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        if read > MAX_MEDIA { Err(too_large()) } else { Ok(Some((chunk, (response, read)))) }
    });
    chunks.boxed()
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::get;
    use claw_types::{MediaKind, MediaRef};

    use super::super::testing::{channel, serve};
    use super::*;
    use crate::Channel as _;

    #[tokio::test]
    async fn attachments_are_streamed_up_to_the_limit() {
        let endless = || async {
            let chunk = Bytes::from(vec![0; 1024 * 1024]);
            axum::body::Body::from_stream(futures::stream::repeat_with(move || {
                Ok::<_, String>(chunk.clone())
            }))
        };
        let router = Router::new()
            .route("/ok", get(|| async { ([(CONTENT_TYPE, "image/png")], "bytes") }))
            .route("/endless", get(endless));
        let url = serve(router).await;
        let open = async |path: &str| {
            let handle = format!("{url}{path}");
            let media = MediaRef { kind: MediaKind::Image, handle, filename: None, mime: None };
            channel(None).open_media(&media).await
        };
        let stream = open("/ok").await.unwrap_or_else(|e| panic!("{e}"));
        assert_eq!((stream.content_type.as_deref(), stream.length), (Some("image/png"), Some(5)));
        let chunks: Vec<_> = stream.bytes.map(Result::unwrap).collect().await;
        assert_eq!(chunks.concat(), b"bytes");
        let chunks: Vec<_> = open("/endless").await.unwrap_or_else(|e| panic!("{e}")).bytes.collect().await;
        assert_eq!(chunks.last(), Some(&Err(too_large())));
        assert!(matches!(open("/gone").await.err(), Some(ChannelError::Permanent(_))));
    }
}
