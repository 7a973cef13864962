//! What runs: a private Postgres and NATS, a platform and a backend in this process, the roles as processes of the binary,
//! and a fault proxy on every way between them. A process has its own ways to Postgres and NATS, so that one process can
//! be cut off from them while the others see nothing.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use claw_devstack::{Nats, Postgres, Service};
use claw_testkit::{Claw, FaultProxy, Platform};
use reqwest::Url;
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::backend::{self, Witness};
use crate::load::BOTS;

pub(crate) const API_KEY: &str = "chaos-api-key-0123456789";
/// A cluster that is well again takes no longer.
const PATIENCE: Duration = Duration::from_secs(60);
const ROLES: [(&str, usize); 3] = [("gateway", 2), ("worker", 3), ("scheduler", 2)];

/// One place for a process, which is filled again when the process is gone.
pub(crate) struct Slot {
    pub(crate) role: &'static str,
    pub(crate) postgres: FaultProxy,
    pub(crate) nats: FaultProxy,
    pub(crate) process: Claw,
    /// What the process calls itself; the next one in this place has another name.
    pub(crate) name: String,
    /// Where the gateway of this place listens, so that the next one is found there.
    listen: SocketAddr,
}

/// Everything that runs.
pub(crate) struct World {
    pub(crate) witness: Witness,
    pub(crate) platform: Arc<Platform>,
    pub(crate) slots: Vec<Slot>,
    postgres: Option<Service>,
    nats: Option<Service>,
    postgres_url: Url,
    nats_url: Url,
    platform_proxy: FaultProxy,
    backend_proxy: FaultProxy,
    started: u32,
    folder: TempDir,
}

impl World {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        // Beside the build, not in /tmp, which may be memory: a commit must take its real time.
        let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
        let folder = tempfile::Builder::new().prefix("chaos-").tempdir_in(target)?;
        let (mut postgres, mut nats) =
            tokio::try_join!(Postgres::start(folder.path()), Nats::start(folder.path()))?;
        postgres.tether()?;
        nats.tether()?;
        let witness = Witness::default();
        let platform = Arc::new(Platform::start().await);
        let backend = backend::start(witness.clone()).await?;
        let mut world = Self {
            witness,
            platform_proxy: FaultProxy::start(platform.address()).await,
            backend_proxy: FaultProxy::start(backend).await,
            platform,
            slots: Vec::new(),
            postgres_url: postgres.url().parse()?,
            nats_url: nats.url().parse()?,
            postgres: Some(postgres),
            nats: Some(nats),
            started: 0,
            folder,
        };
        let direct = (world.postgres_url.to_string(), world.nats_url.to_string());
        let mut migrate = world.spawn("migrate", "migrate", (&direct.0, &direct.1), None);
        ensure!(migrate.wait().await == Some(0), "migrating failed:\n{}", migrate.output());
        for (role, count) in ROLES {
            for _ in 0..count {
                world.add(role).await?;
            }
        }
        world.ready().await?;
        Ok(world)
    }

    async fn add(&mut self, role: &'static str) -> anyhow::Result<()> {
        let postgres = FaultProxy::start(address(&self.postgres_url)?).await;
        let nats = FaultProxy::start(address(&self.nats_url)?).await;
        let listen = free_port().await?;
        self.started += 1;
        let name = format!("{role}-{}", self.started);
        let ways = self.ways(&postgres, &nats)?;
        let process = self.spawn(role, &name, (&ways.0, &ways.1), Some(listen));
        self.slots.push(Slot { role, postgres, nats, process, name, listen });
        Ok(())
    }

    /// A new process in this place.
    pub(crate) fn restart(&mut self, place: usize) -> anyhow::Result<()> {
        self.started += 1;
        let slot = &self.slots[place];
        let name = format!("{}-{}", slot.role, self.started);
        let ways = self.ways(&slot.postgres, &slot.nats)?;
        let process = self.spawn(slot.role, &name, (&ways.0, &ways.1), Some(slot.listen));
        let slot = &mut self.slots[place];
        (slot.process, slot.name) = (process, name);
        Ok(())
    }

    /// Starts again what has ended by itself, as a supervisor does; answers how many that were.
    pub(crate) fn supervise(&mut self) -> anyhow::Result<usize> {
        let mut ended = 0;
        for place in 0..self.slots.len() {
            if self.slots[place].process.has_ended() {
                self.restart(place)?;
                ended += 1;
            }
        }
        Ok(ended)
    }

    fn ways(&self, postgres: &FaultProxy, nats: &FaultProxy) -> anyhow::Result<(String, String)> {
        Ok((through(&self.postgres_url, postgres.address())?, through(&self.nats_url, nats.address())?))
    }

    fn spawn(&self, role: &str, name: &str, ways: (&str, &str), listen: Option<SocketAddr>) -> Claw {
        let backend = format!("http://{}/hook", self.backend_proxy.address());
        let listen = listen.map_or_else(|| "127.0.0.1:0".to_owned(), |address| address.to_string());
        Claw::start(
            &[role],
            &[
                ("DATABASE_URL", ways.0),
                ("NATS_URL", ways.1),
                ("II_CLAW_API_KEY", API_KEY),
                ("AI_WEBHOOK_URL", &backend),
                ("AI_WEBHOOK_SECRET", backend::SECRET),
                ("II_CLAW_ALLOW_PRIVATE_URLS", "true"),
                ("II_CLAW_LISTEN", &listen),
                ("II_CLAW_RPC_LISTEN", "127.0.0.1:0"),
                ("II_CLAW_NAME", name),
            ],
        )
    }

    /// Waits until every gateway answers.
    pub(crate) async fn ready(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        for place in 0..self.slots.len() {
            while self.slots[place].role == "gateway"
                && tokio::net::TcpStream::connect(self.slots[place].listen).await.is_err()
            {
                self.supervise()?;
                ensure!(Instant::now() < deadline, "a gateway is not ready after {PATIENCE:?}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(())
    }

    /// Waits until every process runs, every bot is polled and every shard has a live owner.
    pub(crate) async fn healthy(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        self.ready().await?;
        while self.platform.polling() < usize::try_from(BOTS)? {
            self.supervise()?;
            ensure!(
                Instant::now() < deadline,
                "{} of {BOTS} bots are polled after {PATIENCE:?}",
                self.platform.polling()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    pub(crate) fn gateways(&self) -> Vec<String> {
        let gateways = self.slots.iter().filter(|slot| slot.role == "gateway");
        gateways.map(|slot| format!("http://{}", slot.listen)).collect()
    }

    /// The places of this role's processes.
    pub(crate) fn places(&self, role: &str) -> Vec<usize> {
        (0..self.slots.len()).filter(|place| self.slots[*place].role == role).collect()
    }

    pub(crate) fn platform_url(&self) -> String {
        format!("http://{}", self.platform_proxy.address())
    }

    /// A connection past the proxies, for looking into the database.
    pub(crate) async fn database(&self) -> anyhow::Result<PgConnection> {
        Ok(PgConnection::connect(self.postgres_url.as_str()).await?)
    }

    pub(crate) async fn stop_nats(&mut self) -> anyhow::Result<()> {
        let nats = self.nats.take().context("NATS runs")?;
        Ok(nats.stop().await?)
    }

    /// Starts NATS where it was; `wiped`: with nothing of what it kept.
    pub(crate) async fn start_nats(&mut self, wiped: bool) -> anyhow::Result<()> {
        let kept: PathBuf = self.folder.path().join("nats/jetstream");
        if wiped && kept.exists() {
            std::fs::remove_dir_all(kept)?;
        }
        let mut nats = Nats::start(self.folder.path()).await?;
        nats.tether()?;
        ensure!(nats.url().parse::<Url>()?.port() == self.nats_url.port(), "NATS came back at another port");
        self.nats = Some(nats);
        Ok(())
    }

    pub(crate) async fn restart_postgres(&mut self) -> anyhow::Result<()> {
        self.postgres.take().context("Postgres runs")?.stop().await?;
        let mut postgres = Postgres::start(self.folder.path()).await?;
        postgres.tether()?;
        let port = postgres.url().parse::<Url>()?.port();
        ensure!(port == self.postgres_url.port(), "Postgres came back at another port");
        self.postgres = Some(postgres);
        Ok(())
    }

    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        for slot in &mut self.slots {
            slot.process.kill().await;
        }
        if let Some(nats) = self.nats {
            nats.stop().await?;
        }
        if let Some(postgres) = self.postgres {
            postgres.stop().await?;
        }
        Ok(())
    }
}

fn address(url: &Url) -> anyhow::Result<SocketAddr> {
    let (host, port) =
        (url.host_str().context("a URL without host")?, url.port().context("a URL without port")?);
    Ok(format!("{host}:{port}").parse()?)
}

/// The same URL by way of a proxy.
fn through(url: &Url, proxy: SocketAddr) -> anyhow::Result<String> {
    let mut url = url.clone();
    ensure!(url.set_port(Some(proxy.port())).is_ok(), "a URL that takes no port");
    Ok(url.into())
}

async fn free_port() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0").await?.local_addr()?)
}
