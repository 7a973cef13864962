//! The end of old attachments.
//!
//! Days that are too young are not even listed, because a message's day is in its key and an attachment is never stored
//! before its message. What is in the same folder or bucket and not ours is not touched.

use std::io::ErrorKind;
use std::path::{Path as FilePath, PathBuf};
use std::time::SystemTime;

use chrono::{DateTime, Utc};
use futures::future::ready;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStore as _};

use crate::key::{self, Day, MediaKey};
use crate::{Error, MediaStore, Result};

/// What one step of housekeeping did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expired {
    /// Attachments removed.
    pub removed: usize,
    /// Whether there may be more: call again.
    pub more: bool,
}

impl MediaStore {
    /// Removes attachments stored before `older_than`, at most `limit` of them, the oldest messages' first. In a folder, what
    /// killed processes left half-written before then goes, too; so `older_than` must lie further back than
    /// any upload takes.
    ///
    /// # Errors
    /// When the store fails. What was removed until then stays removed.
    pub async fn expire(&self, older_than: DateTime<Utc>, limit: usize) -> Result<Expired> {
        let mut removed = 0;
        for day in self.days_until(key::day_of(older_than)).await? {
            removed += self.expire_day(&day, older_than, limit - removed).await?;
            if removed >= limit {
                return Ok(Expired { removed, more: true });
            }
        }
        Ok(Expired { removed, more: false })
    }

    /// The places of these days, oldest first.
    async fn days_until(&self, last: Day) -> Result<Vec<Path>> {
        let mut level: Vec<Path> = vec![Path::default()];
        for depth in 1..=last.len() {
            let mut next = Vec::new();
            for parent in level {
                let listed = self.0.objects.list_with_delimiter(Some(&parent)).await?;
                let until = |path: &Path| numbers(path).is_some_and(|parts| parts[..] <= last[..depth]);
                next.extend(listed.common_prefixes.into_iter().filter(until));
            }
            level = next;
        }
        Ok(level)
    }

    async fn expire_day(&self, day: &Path, older_than: DateTime<Utc>, limit: usize) -> Result<usize> {
        let old = self.0.objects.list(Some(day)).try_filter_map(move |meta| {
            let expired = meta.last_modified < older_than && MediaKey::at(&meta.location).is_some();
            ready(Ok(expired.then_some(meta.location)))
        });
        let mut deleted = self.0.objects.delete_stream(old.take(limit).boxed());
        let mut removed = 0;
        while let Some(result) = deleted.next().await {
            match result {
                Ok(_) => removed += 1,
                // Somebody else was faster.
                Err(StoreError::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        if let Some(folder) = &self.0.folder {
            remove_torn(folder.join(day.as_ref()), older_than.into()).await?;
        }
        Ok(removed)
    }
}

/// `2026/11/23` as numbers; nothing else that may lie beside our folders.
fn numbers(path: &Path) -> Option<Vec<u32>> {
    path.parts().map(|part| part.as_ref().parse().ok()).collect()
}

/// `object_store` writes to `<name>#<number>` and renames; such a file of a killed process can't be seen through it.
async fn remove_torn(day: PathBuf, older_than: SystemTime) -> Result<()> {
    let at = day.clone();
    let work = tokio::task::spawn_blocking(move || {
        for entry in std::fs::read_dir(&day)? {
            let entry = entry?;
            if is_staged(&entry.file_name().to_string_lossy()) && entry.metadata()?.modified()? < older_than {
                std::fs::remove_file(entry.path())?;
            }
        }
        remove_empty(&day)
    });
    match work.await.map_err(std::io::Error::other).flatten() {
        // The folder went with its last attachment, or another process cleans up as well.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        result => result.map_err(|error| Error::folder(at, error)),
    }
}

fn is_staged(name: &str) -> bool {
    name.split_once('#').is_some_and(|(key, number)| {
        uuid::Uuid::try_parse(key).is_ok() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

fn remove_empty(day: &FilePath) -> std::io::Result<()> {
    match std::fs::remove_dir(day) {
        Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => Ok(()),
        result => result,
    }
}
