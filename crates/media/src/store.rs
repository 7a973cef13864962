//! The store: attachments by their key.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::fs::DirBuilder;
use std::io::{Seek as _, SeekFrom};
use std::ops::Range;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path as FilePath, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use claw_runtime::Lifecycle;
use futures::stream::BoxStream;
use futures::{Stream, StreamExt as _, TryStreamExt as _};
use object_store::local::LocalFileSystem;
use object_store::{
    Error as StoreError, GetOptions, GetResult, GetResultPayload, ObjectMeta, ObjectStore,
    ObjectStoreExt as _,
};
use tokio::io::AsyncReadExt as _;
use tokio_util::io::ReaderStream;
use uuid::Uuid;

use crate::flight::Flight;
use crate::upload::Limits;
use crate::{Error, MediaKey, MediaLocation, Result, S3Keys, S3Options, header, s3, upload};

const HEADER: u64 = header::LENGTH as u64;
/// Bytes read from a file at once.
const CHUNK: usize = 64 * 1024;

/// An attachment that is in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its size in bytes.
    pub size: u64,
    /// Its media type, where its source told one.
    pub content_type: Option<String>,
    /// When it was stored.
    pub modified: DateTime<Utc>,
    tag: Option<String>,
}

impl Stored {
    /// Its `ETag`, quotes included: another one when it was replaced.
    pub fn etag(&self) -> String {
        let visible = |c: &char| c.is_ascii_graphic() && *c != '"';
        let tag: String =
            self.tag.iter().flat_map(|tag| tag.trim_start_matches("W/").chars()).filter(visible).collect();
        if tag.is_empty() {
            return format!("\"{:x}-{:x}\"", self.modified.timestamp_micros(), self.size);
        }
        format!("\"{tag}\"")
    }

    fn of(meta: ObjectMeta, content_type: Option<String>) -> Self {
        let ObjectMeta { size, last_modified: modified, e_tag: tag, .. } = meta;
        Self { size: size.saturating_sub(HEADER), content_type, modified, tag }
    }
}

/// Where attachments are kept. Cheap to clone.
#[derive(Clone)]
pub struct MediaStore(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) objects: Arc<dyn ObjectStore>,
    /// Set when it is a folder.
    pub(crate) folder: Option<PathBuf>,
    pub(crate) lifecycle: Lifecycle,
    pub(crate) flights: Mutex<HashMap<MediaKey, Flight>>,
}

impl MediaStore {
    /// The store at a place; `keys` are for a bucket.
    ///
    /// # Errors
    /// When the folder can't be made or the bucket's settings do not fit together. Nothing is sent yet: see
    /// [`MediaStore::check`].
    pub fn open(location: &MediaLocation, keys: S3Keys, lifecycle: Lifecycle) -> Result<Self> {
        match location {
            MediaLocation::Folder(path) => Self::local(path, lifecycle),
            MediaLocation::S3(bucket) => Self::s3(&S3Options { bucket: bucket.clone(), keys }, lifecycle),
        }
    }

    /// A folder, made if it is missing, closed to other users of the machine.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn local(path: &FilePath, lifecycle: Lifecycle) -> Result<Self> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(|error| Error::folder(path, error))?;
        let folder = path.canonicalize().map_err(|error| Error::folder(path, error))?;
        // Without syncing, a power cut could leave an attachment under its name with nothing in it.
        let files = LocalFileSystem::new_with_prefix(&folder)?.with_fsync(true).with_automatic_cleanup(true);
        Ok(Self::new(Arc::new(files), Some(folder), lifecycle))
    }

    /// A bucket. The process must have installed its TLS provider.
    ///
    /// # Errors
    /// When the settings do not fit together.
    pub fn s3(options: &S3Options, lifecycle: Lifecycle) -> Result<Self> {
        Ok(Self::new(s3::open(options)?, None, lifecycle))
    }

    pub(crate) fn new(objects: Arc<dyn ObjectStore>, folder: Option<PathBuf>, lifecycle: Lifecycle) -> Self {
        Self(Arc::new(Inner { objects, folder, lifecycle, flights: Mutex::default() }))
    }

    /// Writes, reads and removes something small, so that a wrong key or bucket shows at the start.
    ///
    /// # Errors
    /// When one of these fails.
    pub async fn check(&self) -> Result<()> {
        let key = MediaKey::new(Uuid::nil());
        self.0.objects.put(&key.path(), header::encode(None).to_vec().into()).await?;
        self.find(&key).await?;
        self.delete(&key).await
    }

    /// Stores an attachment, in the place of one that is there already.
    ///
    /// # Errors
    /// When the source fails, is too slow or has too much, or the store fails; then nothing of it is kept, and what was
    /// there before still is.
    pub async fn put<S, E>(
        &self,
        key: &MediaKey,
        content_type: Option<&str>,
        limits: Limits,
        bytes: S,
    ) -> Result<Stored>
    where
        S: Stream<Item = std::result::Result<Bytes, E>>,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        let until = (limits, limits.deadline());
        upload::write(&*self.0.objects, &key.path(), content_type, until, bytes).await?;
        // Another process may have replaced it since, or removed it: then its caller asks again.
        self.find(key).await?.ok_or(Error::Changed)
    }

    /// Looks for an attachment.
    ///
    /// # Errors
    /// When the store fails or holds something else under this name.
    pub async fn find(&self, key: &MediaKey) -> Result<Option<Stored>> {
        let options = GetOptions::new().with_range(Some(0..HEADER));
        let found = match self.0.objects.get_opts(&key.path(), options).await {
            Ok(found) => found,
            Err(StoreError::NotFound { .. }) => return Ok(None),
            Err(_) if self.is_empty_file(key) => return Err(Error::Damaged(key.to_string())),
            Err(error) => return Err(error.into()),
        };
        let meta = found.meta.clone();
        let header = found.bytes().await?;
        let content_type = header::decode(&header).ok_or_else(|| Error::Damaged(key.to_string()))?;
        Ok(Some(Stored::of(meta, content_type)))
    }

    /// A file system that lost its last writes has files of no length, for which any range is an error.
    fn is_empty_file(&self, key: &MediaKey) -> bool {
        let file = self.0.folder.as_ref().map(|folder| folder.join(key.to_string()));
        file.and_then(|file| file.metadata().ok()).is_some_and(|meta| meta.is_file() && meta.len() == 0)
    }

    /// The bytes of an attachment that was found, or those of a range of it; what lies beyond its end is left out.
    ///
    /// # Errors
    /// [`Error::Changed`] when it is not the one that was found any more; or when the store fails, then or on the way.
    pub async fn read(
        &self,
        key: &MediaKey,
        stored: &Stored,
        range: Option<Range<u64>>,
    ) -> Result<BoxStream<'static, Result<Bytes>>> {
        let range = range.unwrap_or(0..stored.size);
        let (start, end) = (range.start, range.end.min(stored.size));
        if start >= end {
            return Ok(futures::stream::empty().boxed());
        }
        let options = GetOptions::new()
            .with_range(Some(start + HEADER..end + HEADER))
            .with_if_match(stored.tag.clone());
        match self.0.objects.get_opts(&key.path(), options).await {
            Ok(found) => stream(found),
            Err(StoreError::NotFound { .. } | StoreError::Precondition { .. }) => Err(Error::Changed),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes an attachment, if it is there.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn delete(&self, key: &MediaKey) -> Result<()> {
        match self.0.objects.delete(&key.path()).await {
            Ok(()) | Err(StoreError::NotFound { .. }) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// `object_store` would read a file in pieces of 8 KiB, each with a trip to another thread.
fn stream(found: GetResult) -> Result<BoxStream<'static, Result<Bytes>>> {
    match found.payload {
        GetResultPayload::File(mut file, path) => {
            file.seek(SeekFrom::Start(found.range.start)).map_err(|error| Error::folder(&path, error))?;
            let part = tokio::fs::File::from_std(file).take(found.range.end - found.range.start);
            let chunks = ReaderStream::with_capacity(part, CHUNK);
            Ok(chunks.map_err(move |error| Error::folder(&path, error)).boxed())
        }
        GetResultPayload::Stream(chunks) => Ok(chunks.map_err(Error::from).boxed()),
    }
}
