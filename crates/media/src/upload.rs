//! Writing one attachment from a stream, in bounded memory.
//!
//! What fits into one part is written at once; more is a multipart upload, part after part. Must hold: until all of it has
//! arrived nothing can be found under its name, and after a failure nothing is left. Only a process that is killed, or a
//! store that fails the clean-up as well, can leave parts behind; [`crate::MediaStore::expire`] removes those from a folder, a
//! bucket needs a lifecycle rule (`AbortIncompleteMultipartUpload`).

use std::error::Error as StdError;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt as _, PutPayloadMut, PutResult};
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use crate::{Error, Result, header};

/// The smallest part that S3 takes, but for the last one.
const PART: usize = 5 * 1024 * 1024;
/// Memory is taken in pieces of this size, so that a small attachment does not cost a whole part.
const BLOCK: usize = 64 * 1024;

/// How much of an attachment is taken, and how long it may take to arrive.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes at most.
    pub max_bytes: u64,
    /// Time at most, from the first to the last byte: a stalled source must not hold its callers for ever.
    pub timeout: Duration,
}

impl Limits {
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }
}

/// Writes header and bytes; answers the attachment's size and the store's answer.
pub(crate) async fn write<S, E>(
    objects: &dyn ObjectStore,
    path: &Path,
    content_type: Option<&str>,
    (limits, deadline): (Limits, Instant),
    bytes: S,
) -> Result<(u64, PutResult)>
where
    S: Stream<Item = std::result::Result<Bytes, E>>,
    E: Into<Box<dyn StdError + Send + Sync>>,
{
    let mut upload = Upload { objects, path, buffer: empty(), parts: None };
    let filled = async {
        upload.write(&header::encode(content_type)).await?;
        let mut bytes = pin!(bytes);
        let mut size = 0_u64;
        while let Some(chunk) = next(&mut bytes, limits, deadline).await? {
            size = size.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
            if size > limits.max_bytes {
                return Err(Error::TooLarge(limits.max_bytes));
            }
            upload.write(&chunk).await?;
        }
        Ok((size, upload.finish().await?))
    };
    let result = filled.await;
    if result.is_err() {
        upload.abort().await;
    }
    result
}

async fn next<S, E>(bytes: &mut S, limits: Limits, deadline: Instant) -> Result<Option<Bytes>>
where
    S: Stream<Item = std::result::Result<Bytes, E>> + Unpin,
    E: Into<Box<dyn StdError + Send + Sync>>,
{
    let chunk = timeout_at(deadline, bytes.next()).await.map_err(|_| Error::TimedOut(limits.timeout))?;
    chunk.transpose().map_err(Error::source)
}

fn empty() -> PutPayloadMut {
    PutPayloadMut::new().with_block_size(BLOCK)
}

struct Upload<'a> {
    objects: &'a dyn ObjectStore,
    path: &'a Path,
    buffer: PutPayloadMut,
    parts: Option<Box<dyn MultipartUpload>>,
}

impl Upload<'_> {
    /// Copies, because a source that sends byte by byte would make each byte an allocation that is kept.
    async fn write(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let room = PART - self.buffer.content_length();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.buffer.extend_from_slice(now);
            if self.buffer.content_length() == PART {
                self.flush().await?;
            }
            bytes = later;
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<()> {
        let payload = std::mem::replace(&mut self.buffer, empty()).freeze();
        let parts = match &mut self.parts {
            Some(parts) => parts,
            None => self.parts.insert(self.objects.put_multipart(self.path).await?),
        };
        Ok(parts.put_part(payload).await?)
    }

    async fn finish(&mut self) -> Result<PutResult> {
        if self.parts.is_some() && !self.buffer.is_empty() {
            self.flush().await?;
        }
        let Some(parts) = &mut self.parts else {
            let payload = std::mem::take(&mut self.buffer).freeze();
            return Ok(self.objects.put(self.path, payload).await?);
        };
        Ok(parts.complete().await?)
    }

    async fn abort(&mut self) {
        let Some(mut parts) = self.parts.take() else { return };
        if let Err(error) = parts.abort().await {
            warn!(path = %self.path, %error, "could not clean up after a failed upload");
        }
    }
}
