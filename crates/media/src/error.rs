//! What can go wrong. Errors can be cloned, because the callers that share one fetch share its failure.

use std::error::Error as StdError;
use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// Of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why an attachment could not be stored or handed out.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// More bytes than allowed; nothing is kept.
    #[error("the attachment has more than {0} bytes")]
    TooLarge(u64),
    /// Its source was too slow; nothing is kept.
    #[error("the attachment did not arrive within {0:?}")]
    TimedOut(Duration),
    /// Its source failed; nothing is kept. The source's own error is the cause and can be downcast.
    #[error("the attachment could not be read from where it comes from")]
    Source(#[source] Arc<dyn StdError + Send + Sync>),
    /// No room; nothing is kept.
    #[error("the media store is full: make room, or let attachments expire sooner")]
    Full(#[source] Arc<object_store::Error>),
    /// Replaced or removed since it was found.
    #[error("the attachment was replaced or removed while it was read; ask for it again")]
    Changed,
    /// Not written by this program, or damaged since.
    #[error("the media store holds something at {0} that is not an attachment; delete it")]
    Damaged(String),
    /// The folder can't be used.
    #[error("can't use the media folder {}", path.display())]
    Folder {
        /// Which one.
        path: PathBuf,
        /// Why.
        #[source]
        source: Arc<io::Error>,
    },
    /// Any other failure of the store.
    #[error("the media store failed")]
    Store(#[source] Arc<object_store::Error>),
}

impl Error {
    pub(crate) fn folder(path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Folder { path: path.into(), source: Arc::new(source) }
    }

    pub(crate) fn source<E: Into<Box<dyn StdError + Send + Sync>>>(error: E) -> Self {
        Self::Source(Arc::from(error.into()))
    }
}

impl From<object_store::Error> for Error {
    fn from(error: object_store::Error) -> Self {
        if is_full(&error) { Self::Full(Arc::new(error)) } else { Self::Store(Arc::new(error)) }
    }
}

/// A disk, a quota or a limit on file size somewhere down the chain.
fn is_full(error: &object_store::Error) -> bool {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    while let Some(error) = cause {
        let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
        if let Some(ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge) = kind {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store_error(kind: ErrorKind) -> object_store::Error {
        object_store::Error::Generic { store: "test", source: Box::new(io::Error::from(kind)) }
    }

    #[test]
    fn a_full_disk_says_so() {
        for kind in [ErrorKind::StorageFull, ErrorKind::QuotaExceeded, ErrorKind::FileTooLarge] {
            assert!(matches!(Error::from(store_error(kind)), Error::Full(_)), "{kind}");
        }
        assert!(matches!(Error::from(store_error(ErrorKind::PermissionDenied)), Error::Store(_)));
    }
}
