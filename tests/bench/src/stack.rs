//! The system under load: a private Postgres and NATS, and the roles as processes of the release binary.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use claw_devstack::Devstack;
use claw_testkit::machine;
use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Row as _};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::receiver::SECRET;

/// The operator's key of the benchmark.
pub(crate) const API_KEY: &str = "bench-api-key";

/// Everything that runs.
pub(crate) struct Stack {
    servers: Devstack,
    roles: Vec<(&'static str, Child)>,
    gateway: String,
    webhook: String,
    connections: u32,
    _folder: TempDir,
}

/// What each role says when it is ready.
const READY: [(&str, &str); 3] =
    [("gateway", "the gateway listens on"), ("worker", "claimed"), (SCHEDULER, LEADS)];
pub(crate) const SCHEDULER: &str = "scheduler";
const LEADS: &str = "elected";

impl Stack {
    pub(crate) async fn start(webhook: &str, connections: u32) -> anyhow::Result<Self> {
        // Beside the build, not in /tmp, which may be memory: fsync must be real.
        let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
        let folder = tempfile::Builder::new().prefix("bench-").tempdir_in(target)?;
        let servers = Devstack::start(folder.path()).await?;
        let (webhook, gateway) = (webhook.to_owned(), String::new());
        let mut stack = Self { servers, roles: Vec::new(), gateway, webhook, connections, _folder: folder };
        let mut migrate = stack.command("migrate")?.spawn()?;
        ensure!(migrate.wait().await?.success(), "migrating failed");
        for (role, ready) in READY {
            let (child, line) = stack.spawn(role, ready).await?;
            if role == "gateway" {
                let address = line.split_whitespace().find(|word| word.starts_with("127.0.0.1:"));
                stack.gateway = format!("http://{}", address.context("no address in the gateway's log")?);
            }
            stack.roles.push((role, child));
        }
        Ok(stack)
    }

    /// Starts a process and waits for the line that says it is ready.
    async fn spawn(&self, role: &str, ready: &str) -> anyhow::Result<(Child, String)> {
        let mut child = self.command(role)?.stderr(Stdio::piped()).spawn()?;
        let mut log = BufReader::new(child.stderr.take().context("piped")?).lines();
        let line = tokio::time::timeout(Duration::from_secs(30), async {
            while let Some(line) = log.next_line().await? {
                if line.contains(ready) {
                    return Ok(line);
                }
            }
            bail!("the {role} ended before it was ready")
        });
        let line = line.await.with_context(|| format!("the {role} was not ready within 30 s"))??;
        #[expect(clippy::disallowed_methods, reason = "ends with the pipe")]
        tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
        Ok((child, line))
    }

    /// Ends the scheduler and starts another one; tells how long that took from its start to leading.
    pub(crate) async fn restart_scheduler(&mut self) -> anyhow::Result<Duration> {
        let place =
            self.roles.iter().position(|(role, _)| *role == SCHEDULER).context("there is a scheduler")?;
        self.roles[place].1.kill().await?;
        let began = Instant::now();
        let (child, _) = self.spawn(SCHEDULER, LEADS).await?;
        self.roles[place].1 = child;
        Ok(began.elapsed())
    }

    fn command(&self, role: &str) -> anyhow::Result<Command> {
        let binary =
            std::env::var_os("II_CLAW_BIN").context("II_CLAW_BIN names the binary: use `make bench`")?;
        let mut command = Command::new(binary);
        command
            .arg(role)
            .env("DATABASE_URL", self.servers.postgres().url())
            .env("NATS_URL", self.servers.nats().url())
            .env("II_CLAW_API_KEY", API_KEY)
            .env("AI_WEBHOOK_URL", &self.webhook)
            .env("AI_WEBHOOK_SECRET", SECRET)
            .env("II_CLAW_ALLOW_PRIVATE_URLS", "true")
            .env("II_CLAW_LISTEN", "127.0.0.1:0")
            .env("II_CLAW_RPC_LISTEN", "127.0.0.1:0")
            .env("II_CLAW_DATABASE_CONNECTIONS", self.connections.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true);
        Ok(command)
    }

    pub(crate) fn gateway_url(&self) -> &str {
        &self.gateway
    }

    /// Every process by name.
    pub(crate) fn processes(&self) -> Vec<(String, u32)> {
        let roles = self.roles.iter().filter_map(|(name, child)| Some(((*name).to_owned(), child.id()?)));
        let servers = [
            ("postgres".to_owned(), self.servers.postgres().pid()),
            ("nats".to_owned(), self.servers.nats().pid()),
            ("load and receiver".to_owned(), std::process::id()),
        ];
        roles.chain(servers).collect()
    }

    /// Where NATS is, with what it asks for.
    pub(crate) fn nats_url(&self) -> &str {
        self.servers.nats().url()
    }

    /// A connection for looking into the database, and for putting something there.
    pub(crate) async fn database(&self) -> anyhow::Result<PgConnection> {
        Ok(PgConnection::connect(self.servers.postgres().url()).await?)
    }

    /// Resident memory of the scheduler, in KiB.
    pub(crate) fn scheduler_memory(&self) -> anyhow::Result<u64> {
        let scheduler = self.roles.iter().find(|(role, _)| *role == SCHEDULER);
        let pid = scheduler.and_then(|(_, child)| child.id()).context("the scheduler has ended")?;
        machine::resident(pid).context("the scheduler has ended")
    }

    /// Resident memory of each role.
    pub(crate) fn memory(&self) -> String {
        let of = |child: &Child| child.id().and_then(machine::resident).unwrap_or(0);
        let roles: Vec<String> =
            self.roles.iter().map(|(name, child)| format!("{name} {:.1} MB", mebibytes(of(child)))).collect();
        roles.join(", ")
    }

    /// Its version, its durability, and how long a commit takes alone.
    pub(crate) async fn describe_database(&self) -> anyhow::Result<String> {
        let mut database = self.database().await?;
        let settings = sqlx::query(
            "select current_setting('server_version'), current_setting('fsync'),
                    current_setting('synchronous_commit')",
        )
        .fetch_one(&mut database)
        .await?;
        let (version, fsync, commit): (String, String, String) =
            (settings.get(0), settings.get(1), settings.get(2));
        sqlx::query("create table bench_commit (n integer)").execute(&mut database).await?;
        let mut times = Vec::new();
        for n in 0..200 {
            let began = Instant::now();
            sqlx::query("insert into bench_commit values ($1)").bind(n).execute(&mut database).await?;
            times.push(began.elapsed());
        }
        times.sort();
        sqlx::query("drop table bench_commit").execute(&mut database).await?;
        Ok(format!(
            "PostgreSQL {version}, fsync {fsync}, synchronous_commit {commit}, one commit alone p50 {:.1?}, p99 {:.1?}",
            times[100], times[198]
        ))
    }

    /// Transactions and bytes of write-ahead log so far, of the whole server.
    pub(crate) async fn database_work(&self) -> anyhow::Result<(i64, i64)> {
        let mut database = self.database().await?;
        // Backends report what they did about once a second.
        let row = sqlx::query(
            "select (select xact_commit + xact_rollback from pg_stat_database where datname = current_database())::bigint,
                    (select wal_bytes from pg_stat_wal)::bigint",
        )
        .fetch_one(&mut database)
        .await?;
        Ok((row.get(0), row.get(1)))
    }

    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        for (_, child) in &mut self.roles {
            child.kill().await?;
        }
        Ok(self.servers.stop().await?)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a report")]
fn mebibytes(kibibytes: u64) -> f64 {
    kibibytes as f64 / 1024.0
}
