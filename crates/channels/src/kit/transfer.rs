//! Attachments on their way, down and up: a transfer may take as long as its size needs, but not stand still.
//!
//! An ordinary call ends within half a minute; 50 MB over a slow line take minutes. So a transfer has two limits: [`STALL`]
//! without a byte ends it, and so does [`limit`] of its size, by which a server that sends or takes a byte now and then
//! is told from a slow one.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, BoxStream, Stream, StreamExt as _};
use reqwest::{Body, Response};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::http::repeatable;
use crate::ChannelError;

/// How long nothing may happen.
pub const STALL: Duration = Duration::from_secs(30);
/// The longest [`limit`]: of the largest attachment that an operator can allow, and for one of unknown size.
pub const LONGEST: Duration = limit(2000 << 20);
/// Bytes in a second of the slowest line that is waited for.
const SLOWEST: u64 = 256 * 1024;
/// Bytes handed to the connection at once.
const CHUNK: usize = 64 * 1024;

/// How long so many bytes may take: a minute, and a second for every 256 KiB.
pub const fn limit(bytes: u64) -> Duration {
    Duration::from_secs(60 + bytes / SLOWEST)
}

/// The bytes of an answer. How many there may be is the reader's to say, and how long all of it may take the request's.
pub fn download(response: Response) -> BoxStream<'static, Result<Bytes, ChannelError>> {
    let chunks = stream::try_unfold(response, |mut response| async move {
        match timeout(STALL, response.chunk()).await {
            Ok(Ok(chunk)) => Ok(chunk.map(|chunk| (chunk, response))),
            Ok(Err(error)) => Err(repeatable(&error.without_url())),
            Err(_) => {
                let reason = format!("no byte of the attachment came for {} s", STALL.as_secs());
                Err(ChannelError::Retryable(reason))
            }
        }
    });
    chunks.boxed()
}

/// Watches uploads of one request.
#[derive(Debug, Default)]
pub struct Upload(Arc<Notify>);

impl Upload {
    /// A body that tells when something of it goes out.
    pub fn body(&self, bytes: Bytes) -> Body {
        Body::wrap_stream(self.pieces(bytes).map(Ok::<_, Infallible>))
    }

    fn pieces(&self, bytes: Bytes) -> impl Stream<Item = Bytes> + Send + 'static {
        let moving = Arc::clone(&self.0);
        stream::unfold(bytes, move |mut left| {
            moving.notify_one();
            let piece = left.split_to(CHUNK.min(left.len()));
            std::future::ready((!piece.is_empty()).then_some((piece, left)))
        })
    }

    /// What the request came to; `None` when nothing went out and no answer came for [`STALL`].
    pub async fn watch<T>(&self, request: impl Future<Output = T>) -> Option<T> {
        let mut request = std::pin::pin!(request);
        loop {
            tokio::select! {
                done = &mut request => return Some(done),
                moved = timeout(STALL, self.0.notified()) => moved.ok()?,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use futures::FutureExt as _;

    use super::*;

    #[test]
    fn the_limit_fits_the_size() {
        assert_eq!(limit(0), Duration::from_secs(60));
        assert_eq!(limit(50_000_000), Duration::from_secs(60 + 190));
        assert_eq!(LONGEST, Duration::from_secs(60 + 8000));
    }

    #[tokio::test(start_paused = true)]
    async fn an_upload_may_be_slow_but_not_stand_still() {
        let upload = Upload::default();
        assert_eq!(upload.watch(pending::<()>()).await, None);
        let slow = async {
            for _ in 0..10 {
                tokio::time::sleep(STALL.mul_f64(0.9)).await;
                upload.0.notify_one();
            }
            "done"
        };
        assert_eq!(upload.watch(slow).await, Some("done"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_download_that_stands_still_ends() {
        let sent = Bytes::from_static(b"some");
        let body = stream::iter([Ok::<_, Infallible>(sent.clone())]).chain(stream::pending());
        let mut bytes = download(http::Response::new(Body::wrap_stream(body)).into());
        assert_eq!(bytes.next().await, Some(Ok(sent)));
        assert!(matches!(bytes.next().await, Some(Err(ChannelError::Retryable(_)))));
    }

    #[tokio::test(start_paused = true)]
    async fn every_piece_that_goes_out_counts() {
        let upload = Upload::default();
        let bytes = Bytes::from(vec![7; 2 * CHUNK + 1]);
        let mut pieces = std::pin::pin!(upload.pieces(bytes.clone()));
        let mut read = Vec::new();
        while let Some(piece) = pieces.next().await {
            assert!(upload.0.notified().now_or_never().is_some(), "it is noted");
            read.extend_from_slice(&piece);
        }
        assert_eq!(read, bytes);
    }
}
