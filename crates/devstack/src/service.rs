//! A running server, whichever it is.

use std::fmt;

use crate::{Error, dir::DirLock, process::Server};

/// A server that was started or adopted. Dropping it tells the server to stop
/// without waiting for it.
pub struct Service {
    server: Server,
    url: String,
    _lock: DirLock,
}

impl Service {
    pub(crate) fn new(server: Server, url: String, lock: DirLock) -> Self {
        Self { server, url, _lock: lock }
    }

    /// How to reach it, with the secret that it takes.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The server's process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// Waits until the server is gone and returns the error to report.
    ///
    /// It may be dropped and called again.
    pub async fn wait(&mut self) -> Error {
        self.server.wait().await
    }

    /// Makes the server stop when this process ends, however it ends.
    ///
    /// For tests that share a server and have no last moment to stop it in.
    ///
    /// # Errors
    ///
    /// When no shell can be started to watch over it.
    pub fn tether(&mut self) -> Result<(), Error> {
        self.server.tether()
    }

    /// Stops the server and waits for its end.
    ///
    /// # Errors
    ///
    /// When it is still there after having been told in every way.
    pub async fn stop(self) -> Result<(), Error> {
        self.server.stop().await
    }
}

impl fmt::Debug for Service {
    /// Leaves out the URL, which holds a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("server", &self.server).finish_non_exhaustive()
    }
}
