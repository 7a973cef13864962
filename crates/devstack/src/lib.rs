//! A private PostgreSQL and nats-server for one directory.
//!
//! `ii-claw up` and the tests both need a database and a broker that nobody
//! had to set up by hand. This crate starts the *installed* server programs
//! under a directory of the caller's choice (`.ii-claw/` for `up`, a temporary
//! one for tests) and hands back two connection URLs. Both callers take the
//! same path through the code, so what the tests run is what `up` runs.
//!
//! What must hold:
//!
//! * The data survives `kill -9` of everything. The servers keep their safe
//!   durability settings and a database is created in a scratch directory that
//!   is renamed into place only when complete.
//! * There is never a second server on the same data. A lock file keeps a
//!   second caller out, and a server which outlived its caller is adopted.
//! * Nothing is reachable without a random secret that lives in a file only
//!   its owner can read, and nothing listens beyond 127.0.0.1.
//! * Every wait has a limit, and every error says what the reader can do.
//!
//! Layout of the directory:
//!
//! ```text
//! lock, postgres.lock, nats.lock   held while somebody uses the servers
//! postgres/                        password, and the cluster in data/
//!                                  (a symlink where root has to put it elsewhere)
//! nats/                            token, nats.conf, nats.pid, jetstream/
//! postgres.port, nats.port         the ports used last time
//! postgres.log, nats.log           what the servers said
//! ```
//!
//! A handle belongs to the runtime it was started on. Dropping a handle tells
//! the server to stop without waiting for it; [`Service::stop`]
//! and [`Devstack::stop`] wait.

mod account;
mod binaries;
mod cluster;
mod dir;
mod error;
mod log;
mod nats;
mod postgres;
mod process;
mod service;

use std::path::Path;

pub use error::Error;
pub use nats::Nats;
pub use postgres::Postgres;
pub use service::Service;

use dir::DirLock;

/// Both servers on one directory.
#[derive(Debug)]
pub struct Devstack {
    postgres: Service,
    nats: Service,
    _lock: DirLock,
}

impl Devstack {
    /// Starts both servers under `dir`, or adopts the ones still running there.
    ///
    /// # Errors
    ///
    /// When another process uses `dir`, when a server program is missing, or
    /// when a server does not become ready. See [`Error`].
    pub async fn start(dir: &Path) -> Result<Self, Error> {
        let dir = dir::create(dir).await?;
        let lock = DirLock::acquire(&dir.join("lock"))?;
        let (postgres, nats) = tokio::try_join!(Postgres::start(&dir), Nats::start(&dir))?;
        Ok(Self { postgres, nats, _lock: lock })
    }

    /// The database server.
    #[must_use]
    pub fn postgres(&self) -> &Service {
        &self.postgres
    }

    /// The message broker.
    #[must_use]
    pub fn nats(&self) -> &Service {
        &self.nats
    }

    /// Waits until either server is gone and returns the error to report.
    ///
    /// Servers are meant to outlast their caller, so this resolves only when
    /// something went wrong. It may be dropped and called again.
    pub async fn wait(&mut self) -> Error {
        tokio::select! {
            gone = self.postgres.wait() => gone,
            gone = self.nats.wait() => gone,
        }
    }

    /// Makes both servers stop when this process ends, however it ends.
    ///
    /// # Errors
    ///
    /// See [`Service::tether`].
    pub fn tether(&mut self) -> Result<(), Error> {
        self.postgres.tether()?;
        self.nats.tether()
    }

    /// Stops both servers and waits for them, for a bounded time.
    ///
    /// # Errors
    ///
    /// When a server could not be stopped. The other one is stopped anyway.
    pub async fn stop(self) -> Result<(), Error> {
        let Self { postgres, nats, _lock } = self;
        let (postgres, nats) = tokio::join!(postgres.stop(), nats.stop());
        postgres.and(nats)
    }
}
