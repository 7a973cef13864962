//! The directory: who uses it now, what it remembers and what it keeps secret.
//!
//! The lock is advisory and belongs to the open file, so the kernel releases
//! it whatever way its holder ends. The port is remembered so that a URL keeps
//! its meaning from one start to the next, but only as long as it is free: no
//! start may fail because some other program came first.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use tokio::fs;

use crate::Error;

/// Creates the directory when missing and returns its absolute path.
pub(crate) async fn create(dir: &Path) -> Result<PathBuf, Error> {
    make(dir, 0o700)?;
    fs::canonicalize(dir).await.map_err(Error::io(format!("open {}", dir.display())))
}

/// Creates a directory, and those above it, with `mode` where missing.
pub(crate) fn make(dir: &Path, mode: u32) -> Result<(), Error> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(dir)
        .map_err(Error::io(format!("create {}", dir.display())))
}

/// `path` with `suffix` added to its last part.
pub(crate) fn sibling(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// An advisory lock, held until dropped or until the process ends.
#[derive(Debug)]
pub(crate) struct DirLock {
    file: File,
}

impl Drop for DirLock {
    /// Closing the file is not enough: a process that is just being started has a copy of it until it runs its own
    /// program, and the lock would last as long as the last copy.
    fn drop(&mut self) {
        if let Err(error) = self.file.unlock() {
            tracing::warn!(%error, "the lock of a directory goes a moment late: {error}");
        }
    }
}

impl DirLock {
    /// Takes the lock at once or says who has it.
    pub(crate) fn acquire(path: &Path) -> Result<Self, Error> {
        let failed = || Error::io(format!("lock {}", path.display()));
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(path)
            .map_err(failed())?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(held(path, &mut file)),
            Err(TryLockError::Error(source)) => return Err(failed()(source)),
        }
        file.set_len(0).map_err(failed())?;
        write!(file, "{}", std::process::id()).map_err(failed())?;
        Ok(Self { file })
    }
}

fn held(path: &Path, file: &mut File) -> Error {
    let mut text = String::new();
    let holder = match file.read_to_string(&mut text) {
        Ok(_) if !text.is_empty() => format!("process {text}"),
        _ => "another process".to_owned(),
    };
    Error::Locked { path: path.to_owned(), holder }
}

/// The port a server used last time, kept as long as nobody else takes it.
#[derive(Debug)]
pub(crate) struct PortFile(PathBuf);

impl PortFile {
    /// The memory at `path`; it need not exist.
    pub(crate) fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// The remembered port, whatever its state.
    pub(crate) async fn read(&self) -> Option<u16> {
        let text = fs::read_to_string(&self.0).await.ok()?;
        text.trim().parse().ok().filter(|port| *port != 0)
    }

    /// A free port to listen on: the remembered one if possible.
    ///
    /// It can be taken before the server gets to it; the caller then sees the
    /// server fail and asks again.
    pub(crate) async fn claim(&self) -> Result<u16, Error> {
        if let Some(port) = self.read().await {
            if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
                return Ok(port);
            }
            tracing::warn!(port, "the port used last time is taken: choosing another");
        }
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|listener| listener.local_addr())
            .map_err(Error::io("find a free port on 127.0.0.1"))?
            .port();
        fs::write(&self.0, port.to_string())
            .await
            .map_err(Error::io(format!("write {}", self.0.display())))?;
        Ok(port)
    }
}

/// Creates `path` with `text`, readable by its owner only.
pub(crate) fn write_secret(path: &Path, text: &str) -> Result<(), Error> {
    let failed = || Error::io(format!("write {}", path.display()));
    let mut file =
        OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path).map_err(failed())?;
    file.write_all(text.as_bytes()).map_err(failed())?;
    file.sync_all().map_err(failed())
}

/// Makes a rename within `dir` survive a power cut.
pub(crate) async fn sync(dir: &Path) -> Result<(), Error> {
    let failed = || Error::io(format!("sync {}", dir.display()));
    let dir = fs::File::open(dir).await.map_err(failed())?;
    dir.sync_all().await.map_err(failed())
}

/// A new random secret.
pub(crate) fn secret() -> String {
    hex::encode(rand::random::<[u8; 24]>())
}

#[cfg(test)]
mod tests {
    use super::secret;

    #[test]
    fn secrets_are_long_and_differ() {
        assert_eq!(secret().len(), 48);
        assert_ne!(secret(), secret());
    }
}
