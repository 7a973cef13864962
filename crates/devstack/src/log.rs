//! The file a server writes its messages to.
//!
//! The servers inherit it as their standard error, opened for appending, so
//! that it works whoever they run as and also holds what they say before they
//! have read their own configuration.
//!
//! It is locked when a server is started, and the lock goes with the inherited
//! file to the server and its workers. So the kernel keeps account of whether
//! any of them is left, from before the first instruction of the server to the
//! end of the last worker, which no pid file does.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use crate::Error;

/// Beyond this size a log is set aside at the next start.
const LARGE: u64 = 8 * 1024 * 1024;
/// How much of the end an error looks at.
const TAIL_BYTES: u64 = 16 * 1024;
/// How many lines of the end an error quotes.
const TAIL_LINES: usize = 15;

/// A server's log file.
#[derive(Debug, Clone)]
pub(crate) struct Log(PathBuf);

impl Log {
    /// The log at `path`; it need not exist.
    pub(crate) fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Opens it for a server to append to; `None` while an earlier one is there.
    pub(crate) fn claim(&self) -> Result<Option<File>, Error> {
        let Some(file) = self.lock()? else {
            return Ok(None);
        };
        if self.len() <= LARGE {
            return Ok(Some(file));
        }
        let old = self.0.with_extension("log.old");
        std::fs::rename(&self.0, old).map_err(Error::io(format!("set {} aside", self.0.display())))?;
        self.lock()
    }

    fn lock(&self) -> Result<Option<File>, Error> {
        let failed = || Error::io(format!("open {}", self.0.display()));
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&self.0).map_err(failed())?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(failed()(error)),
        }
    }

    /// Its present length, to read later what was added since.
    pub(crate) fn len(&self) -> u64 {
        std::fs::metadata(&self.0).map_or(0, |meta| meta.len())
    }

    /// What was added after `from`, at most the last few kilobytes of it.
    pub(crate) fn since(&self, from: u64) -> String {
        self.read(from).unwrap_or_default()
    }

    /// The last lines, for an error message.
    pub(crate) fn tail(&self) -> String {
        last_lines(&self.since(0), TAIL_LINES)
    }

    fn read(&self, from: u64) -> io::Result<String> {
        let mut file = File::open(&self.0)?;
        let from = from.max(file.metadata()?.len().saturating_sub(TAIL_BYTES));
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }
}

/// The last `count` lines of `text`.
fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::{LARGE, Log, last_lines};

    #[test]
    fn a_log_in_use_is_not_given_twice_and_a_large_one_is_set_aside() {
        let name = format!("devstack-log-{}.log", std::process::id());
        let log = Log::at(std::env::temp_dir().join(name));
        let file = log.claim().unwrap().unwrap();
        file.set_len(LARGE + 1).unwrap();
        assert!(log.claim().unwrap().is_none());
        drop(file);
        let file = log.claim().unwrap().unwrap();
        assert_eq!(log.len(), 0);
        assert!(log.claim().unwrap().is_none());
        drop(file);
        std::fs::remove_file(log.path()).unwrap();
        std::fs::remove_file(log.path().with_extension("log.old")).unwrap();
    }

    #[test]
    fn last_lines_keeps_the_end_in_order() {
        assert_eq!(last_lines("a\nb\nc\n", 2), "b\nc");
        assert_eq!(last_lines("a", 2), "a");
        assert_eq!(last_lines("", 2), "");
    }
}
