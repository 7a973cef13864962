//! The private PostgreSQL server.
//!
//! A start first looks for a server that outlived its caller. `postmaster.pid`
//! names it; it is adopted when that process works in our data directory and
//! takes our password. Otherwise, once nothing of it is left (see [`Log`]), a
//! server is started, which recovers by itself from whatever state the last
//! one left.

use std::{path::Path, time::Duration};

use nix::sys::signal::Signal;
use tokio::{fs, time::sleep};

use crate::{
    Error,
    account::{self, Account},
    cluster::{Cluster, PidFile},
    dir::{self, DirLock, PortFile},
    log::Log,
    process::{Kind, Server, exists, is_at_work},
    service::Service,
};

/// How long a start may take, recovery included.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often a starting server's status is read.
const LOOK: Duration = Duration::from_millis(25);
/// The pause before a start is tried again.
const PAUSE: Duration = Duration::from_millis(250);
/// First without waiting for clients, then without a checkpoint, then by force.
const STOP: [(Signal, Duration); 3] = [
    (Signal::SIGINT, Duration::from_secs(30)),
    (Signal::SIGQUIT, Duration::from_secs(10)),
    (Signal::SIGKILL, Duration::from_secs(5)),
];
/// What a server says when it will be able to start shortly.
const PASSING: [&str; 2] = ["ddress already in use", "pre-existing shared memory block"];

/// Starts a PostgreSQL server with an empty or kept database `ii_claw`; its URL is
/// `postgres://user:password@127.0.0.1:port/ii_claw`, and the user may do everything.
#[derive(Debug)]
pub struct Postgres;

impl Postgres {
    /// Starts a server on the data under `dir`, or adopts the one running.
    ///
    /// # Errors
    ///
    /// When PostgreSQL is not installed, when `dir` is in use or cannot be
    /// written, or when the server does not become ready in time.
    pub async fn start(dir: &Path) -> Result<Service, Error> {
        let dir = dir::create(dir).await?;
        let wanted = dir.join("postgres");
        let account = Account::for_data(&wanted)?;
        let home = account::place(&wanted, account.as_ref()).await?;
        let lock = DirLock::acquire(&dir::sibling(&home, ".lock"))?;
        let cluster = Cluster::open(home, account).await?;
        let starter = Starter {
            kind: Kind {
                service: "PostgreSQL",
                dir: cluster.data(),
                log: Log::at(dir.join("postgres.log")),
                stop: &STOP,
            },
            ports: PortFile::at(dir.join("postgres.port")),
            cluster,
        };
        let (server, port) = starter.kind.ready_within(PATIENCE, starter.bring_up()).await?;
        Ok(Service::new(server, starter.cluster.url(port), lock))
    }
}

/// What a start needs.
struct Starter {
    kind: Kind,
    ports: PortFile,
    cluster: Cluster,
}

impl Starter {
    /// A ready server with our database in it, and its port.
    async fn bring_up(&self) -> Result<(Server, u16), Error> {
        loop {
            if let Some(adopted) = self.adopt().await? {
                return Ok(adopted);
            }
            let Some(log) = self.kind.log.claim()? else {
                // It is starting, or its workers are ending.
                sleep(LOOK).await;
                continue;
            };
            self.forget().await?;
            let port = self.ports.claim().await?;
            let before = self.kind.log.len();
            let mut server = Server::spawn(self.kind.clone(), self.cluster.server(port), log)?;
            match self.ready(&mut server).await {
                Ok(()) => {
                    self.ensure_database(server.pid(), port).await?;
                    tracing::info!(pid = server.pid(), port, "PostgreSQL is ready");
                    return Ok((server, port));
                }
                Err(error) => {
                    let said = self.kind.log.since(before);
                    if !PASSING.iter().any(|reason| said.contains(reason)) {
                        return Err(error);
                    }
                    tracing::debug!("PostgreSQL cannot start yet: trying again");
                    sleep(PAUSE).await;
                }
            }
        }
    }

    /// The server that already runs on this data, once it is ready.
    async fn adopt(&self) -> Result<Option<(Server, u16)>, Error> {
        let data = self.cluster.data();
        while let Some(found) = PidFile::read(&data).await {
            if !is_at_work(found.pid, &data) {
                break;
            }
            if found.ready {
                match self.ensure_database(found.pid, found.port).await {
                    Ok(()) => {
                        let server = Server::adopt(self.kind.clone(), found.pid);
                        return Ok(Some((server, found.port)));
                    }
                    // It may have begun to stop after we looked.
                    Err(error) if PidFile::read(&data).await.as_ref() == Some(&found) => {
                        return Err(error);
                    }
                    Err(_) => {}
                }
            }
            sleep(LOOK).await;
        }
        Ok(None)
    }

    /// Removes a `postmaster.pid` whose number now belongs to somebody else.
    ///
    /// The server would take that process for a running server and refuse. A
    /// number nobody has is left to the server, which knows what else to check.
    async fn forget(&self) -> Result<(), Error> {
        let data = self.cluster.data();
        let found = PidFile::read(&data).await;
        let Some(stale) = found.filter(|file| exists(file.pid)) else {
            return Ok(());
        };
        let path = PidFile::path(&data);
        tracing::info!(pid = stale.pid, "not our server any more: removing its pid file");
        fs::remove_file(&path).await.map_err(Error::io(format!("remove {}", path.display())))
    }

    async fn ready(&self, server: &mut Server) -> Result<(), Error> {
        loop {
            if let Some(error) = server.failed() {
                return Err(error);
            }
            let status = PidFile::read(&self.kind.dir).await;
            if status.is_some_and(|found| found.ready && found.pid == server.pid()) {
                return Ok(());
            }
            sleep(LOOK).await;
        }
    }

    async fn ensure_database(&self, pid: u32, port: u16) -> Result<(), Error> {
        self.cluster.ensure_database(port).await.map_err(|output| {
            if output.contains("authentication failed") {
                let path = self.cluster.password_file();
                return Error::Refused { pid, path, output };
            }
            Error::Tool { program: "psql".to_owned(), what: "find or create the database".to_owned(), output }
        })
    }
}
