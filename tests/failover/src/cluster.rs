//! The cluster under test: a private Postgres and NATS, a platform and a backend in this process, a gateway and workers as
//! processes of the binary. No scheduler: nothing here is due at a time.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use claw_channels::kit::http::operator_client;
use claw_devstack::Devstack;
use claw_testkit::{Claw, Platform, Receiver, eventually};
use claw_types::{Candidate, ShardCount, owner_of};
use futures::{StreamExt as _, TryStreamExt as _};
use reqwest::Client;
use serde_json::{Value, json};
use tempfile::TempDir;

const API_KEY: &str = "failover-api-key-0123456789";
/// Calls that configure channels at the same time.
const AT_ONCE: usize = 16;
/// Nothing here takes longer.
const PATIENCE: Duration = Duration::from_secs(120);

/// What runs.
pub(crate) struct Cluster {
    pub(crate) platform: Platform,
    servers: Devstack,
    backend: Receiver,
    gateway: Option<Claw>,
    gateway_url: String,
    client: Client,
    _folder: TempDir,
}

impl Cluster {
    /// Everything but workers.
    pub(crate) async fn start() -> anyhow::Result<Self> {
        // Beside the build, not in /tmp, which may be memory: a claim's commit must take its real time.
        let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
        let folder = tempfile::Builder::new().prefix("failover-").tempdir_in(target)?;
        let mut servers = Devstack::start(folder.path()).await?;
        servers.tether()?;
        let mut cluster = Self {
            platform: Platform::start().await,
            servers,
            backend: Receiver::start().await,
            gateway: None,
            gateway_url: String::new(),
            client: operator_client(Duration::from_secs(30))?,
            _folder: folder,
        };
        ensure!(cluster.spawn("migrate", "migrate").wait().await == Some(0), "migrating failed");
        let mut gateway = cluster.spawn("gateway", "gateway-1");
        let line = gateway.wait_for_line("the gateway listens on").await;
        let address = line.split_whitespace().find(|word| word.starts_with("127.0.0.1:"));
        cluster.gateway_url = format!("http://{}", address.context("no address in the gateway's log")?);
        cluster.gateway = Some(gateway);
        Ok(cluster)
    }

    /// Starts a process without waiting for anything.
    pub(crate) fn spawn(&self, role: &str, name: &str) -> Claw {
        let backend = self.backend.url();
        Claw::start(
            &[role],
            &[
                ("DATABASE_URL", self.servers.postgres().url()),
                ("NATS_URL", self.servers.nats().url()),
                ("II_CLAW_API_KEY", API_KEY),
                ("AI_WEBHOOK_URL", &backend),
                ("AI_WEBHOOK_SECRET", "failover-webhook-secret-0123456789"),
                ("II_CLAW_ALLOW_PRIVATE_URLS", "true"),
                ("II_CLAW_LISTEN", "127.0.0.1:0"),
                ("II_CLAW_RPC_LISTEN", "127.0.0.1:0"),
                ("II_CLAW_NAME", name),
            ],
        )
    }

    /// Starts these workers and waits until each owns its share.
    pub(crate) async fn workers<const N: usize>(&self, names: [&str; N]) -> [Claw; N] {
        let workers = names.map(|name| self.spawn("worker", name));
        self.wait_for_shares(&names).await;
        workers
    }

    /// Waits until every shard is where rendezvous hashing over these workers puts it.
    pub(crate) async fn wait_for_shares(&self, names: &[&str]) {
        let candidates: Vec<Candidate> =
            names.iter().map(|name| Candidate { name: (*name).to_owned(), weight: 1.0 }).collect();
        let all = ShardCount::DEFAULT.all();
        let due: BTreeMap<u64, String> = all
            .filter_map(|shard| Some((u64::from(shard.0), owner_of(shard, &candidates)?.name.clone())))
            .collect();
        let arrived = async || (self.owners().await.ok()? == due).then_some(());
        eventually("every shard at its owner", PATIENCE, arrived).await;
    }

    /// The owner of each shard that has one.
    pub(crate) async fn owners(&self) -> anyhow::Result<BTreeMap<u64, String>> {
        let url = format!("{}/api/cluster?shards=true", self.gateway_url);
        let answer = self.client.get(url).bearer_auth(API_KEY).send().await?.error_for_status()?;
        let answer: Value = answer.json().await?;
        let claims = answer["shards"]["claims"].as_array().context("no claims in GET /api/cluster")?;
        let owner = |claim: &Value| Some((claim["shard"].as_u64()?, claim["owner"].as_str()?.to_owned()));
        Ok(claims.iter().filter_map(owner).collect())
    }

    /// Configures a Telegram channel for each of the bots 1 to `count`, each of a user of its own, through the API.
    pub(crate) async fn configure(&self, count: u32) -> anyhow::Result<()> {
        let fields = |n| json!({"bot_token_env": self.platform.bot(n), "api_url": self.platform.url()});
        self.configure_with(count, "telegram", fields).await
    }

    /// The same with channels of another type.
    pub(crate) async fn configure_with(
        &self,
        count: u32,
        channel_type: &str,
        fields: impl Fn(u32) -> Value,
    ) -> anyhow::Result<()> {
        let calls = futures::stream::iter(1..=count).map(|n| self.configure_one(n, channel_type, fields(n)));
        calls.buffer_unordered(AT_ONCE).try_collect().await
    }

    async fn configure_one(&self, n: u32, channel_type: &str, fields: Value) -> anyhow::Result<()> {
        let url = format!("{}/api/users/user-{n}/channels/{channel_type}/configure", self.gateway_url);
        let body = json!({"channel_type": channel_type, "fields": fields});
        let response = self.client.post(url).bearer_auth(API_KEY).json(&body).send().await?;
        let status = response.status();
        ensure!(status.is_success(), "configuring bot {n}: {status} {}", response.text().await?);
        Ok(())
    }

    /// Waits until the bots 1 to `count` have an open poll each.
    pub(crate) async fn all_polling(&self, count: u32) -> anyhow::Result<()> {
        let wanted = usize::try_from(count)?;
        let reached = self.platform.wait_for_polling(wanted, PATIENCE).await;
        ensure!(reached, "{} of {count} bots are polled after {PATIENCE:?}", self.platform.polling());
        Ok(())
    }

    /// Ends what still runs.
    pub(crate) async fn stop(mut self) -> anyhow::Result<()> {
        if let Some(gateway) = &mut self.gateway {
            gateway.kill().await;
        }
        Ok(self.servers.stop().await?)
    }
}
