//! What can go wrong, worded for the person who has to put it right.

use std::{io, path::PathBuf};

/// Why a server could not be started, kept or stopped.
///
/// Every message says what the reader can do next, because `ii-claw up` prints
/// it as it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No PostgreSQL that is new enough.
    #[error(
        "PostgreSQL 15 or newer is not installed (looked in: {looked}): run `make setup` or \
         `apt-get install postgresql`, or set II_CLAW_POSTGRES_BIN to the directory of `postgres`"
    )]
    PostgresMissing {
        /// Where it was looked for, with what was found there.
        looked: String,
    },

    /// The data needs another major version than the installed ones.
    #[error(
        "the database in {path} was created by PostgreSQL {major}, which is not installed \
         (looked in: {looked}): install postgresql-{major}, or move the directory away to start \
         with an empty database"
    )]
    PostgresVersion {
        /// Where the data is.
        path: PathBuf,
        /// The version it needs.
        major: u32,
        /// Where it was looked for, with what was found there.
        looked: String,
    },

    /// No nats-server.
    #[error(
        "nats-server is not installed: run `make setup` or `apt-get install nats-server`, or set \
         II_CLAW_NATS_BIN to the program"
    )]
    NatsMissing,

    /// Root, and nobody to run PostgreSQL as.
    #[error(
        "PostgreSQL refuses to run as root and there is no `postgres` or `nobody` account to run \
         it as: run as a normal user, or create the account with `useradd --system postgres`"
    )]
    NoAccount,

    /// Data exists where the server's account cannot get at it.
    #[error(
        "the account `{account}`, which PostgreSQL runs as, cannot enter {path}: make every \
         directory above it searchable (`chmod o+x`), or run as a normal user"
    )]
    Unreachable {
        /// Where the data is.
        path: PathBuf,
        /// Who cannot get there.
        account: String,
    },

    /// Somebody else uses this directory.
    #[error(
        "{path} is held by {holder}: stop it first, or use another directory; each directory \
         serves one `ii-claw up` at a time"
    )]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// Who holds it, as far as known.
        holder: String,
    },

    /// The operating system said no.
    #[error("cannot {what}: {error}")]
    Io {
        /// What was attempted, with the path.
        what: String,
        /// What the operating system said.
        error: io::Error,
    },

    /// A helper program of PostgreSQL failed.
    #[error("{program} failed while trying to {what}; it said:\n{output}")]
    Tool {
        /// Which program.
        program: String,
        /// What for.
        what: String,
        /// What it printed.
        output: String,
    },

    /// A server is there but does not take our secret.
    #[error(
        "the server already running as process {pid} does not accept the secret in {path}: stop \
         that process (`kill {pid}`) and try again; it said:\n{output}"
    )]
    Refused {
        /// The running server.
        pid: u32,
        /// The file with our secret.
        path: PathBuf,
        /// What came back.
        output: String,
    },

    /// A server ended while starting.
    #[error("{service} did not start ({status}); the end of {log} says:\n{tail}")]
    Failed {
        /// Which server.
        service: &'static str,
        /// How it ended.
        status: String,
        /// Its log.
        log: PathBuf,
        /// The last lines of its log.
        tail: String,
    },

    /// A server took too long to start.
    #[error("{service} was not ready within {seconds} s; the end of {log} says:\n{tail}")]
    NotReady {
        /// Which server.
        service: &'static str,
        /// How long it was given.
        seconds: u64,
        /// Its log.
        log: PathBuf,
        /// The last lines of its log.
        tail: String,
    },

    /// A server that was ready is gone.
    #[error(
        "{service} (process {pid}) ended by itself ({status}); start again to recover, the data \
         is kept; the end of {log} says:\n{tail}"
    )]
    Died {
        /// Which server.
        service: &'static str,
        /// Its former process.
        pid: u32,
        /// How it ended.
        status: String,
        /// Its log.
        log: PathBuf,
        /// The last lines of its log.
        tail: String,
    },

    /// A server did not stop.
    #[error("{service} (process {pid}) did not stop: end it with `kill -9 {pid}`")]
    StillRunning {
        /// Which server.
        service: &'static str,
        /// Its process.
        pid: u32,
    },
}

impl Error {
    /// An adapter for `map_err` that keeps what was attempted.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |error| Self::Io { what, error }
    }
}
