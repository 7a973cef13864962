//! `ii-claw up`: all roles in one process, for one machine. The same code, database and broker as in a cluster.
//!
//! What is not set is made: a private Postgres and nats-server, an API key, a backend that echoes, a web chat on the
//! front page. What is set is used.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use claw_channels::registry;
use claw_config::{
    BackendSettings, GatewaySettings, JobSettings, KeySettings, MediaSettings, RetentionSettings,
    RpcSettings, SchedulerSettings, StoreSettings, TlsSettings, TraceSettings, UrlPolicy, WorkerSettings,
};
use claw_devstack::{Nats, Postgres, Service};
use claw_launch::GRACE;
use claw_media::MediaLocation;
use claw_runtime::{Ids, Lifecycle, OsRandom, SystemClock};
use claw_store::{SaveChannel, Store, Vault};
use claw_types::{ChannelId, ShardCount};
use ipnet::IpNet;
use serde_json::Map;
use tokio::task::JoinSet;

use crate::echo;

/// What `up` can be told.
#[derive(Args)]
pub(crate) struct UpSettings {
    /// Where the API, the platform webhooks and the web chat listen
    #[arg(long, env = "II_CLAW_LISTEN", default_value = "0.0.0.0:4200")]
    listen: SocketAddr,
    /// Where private servers, keys and data live
    #[arg(long, env = "II_CLAW_DATA", default_value = ".ii-claw")]
    data: PathBuf,
    #[command(flatten)]
    store: StoreSettings,
    #[command(flatten)]
    keys: KeySettings,
    #[command(flatten)]
    backend: BackendSettings,
    #[command(flatten)]
    urls: UrlPolicy,
    /// Milliseconds that a send waits for the platform before it answers 202 queued
    #[arg(long, env = "II_CLAW_SEND_WAIT_MS", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(0..=25_000))]
    send_wait_ms: u64,
    /// Seconds after which a message to a person that names no `ttl_seconds` is not sent any more
    #[arg(long, env = "II_CLAW_SEND_TTL_SECS", default_value_t = 86_400, value_parser = clap::value_parser!(u32).range(1..=604_800))]
    send_ttl_secs: u32,
    #[command(flatten)]
    jobs: JobSettings,
    /// Networks of load balancers whose X-Forwarded-For is believed: 10.0.0.0/8,192.168.1.5/32
    #[arg(long, env = "II_CLAW_TRUSTED_PROXIES", value_delimiter = ',')]
    trusted_proxies: Vec<IpNet>,
    #[command(flatten)]
    media: MediaSettings,
    #[command(flatten)]
    retention: RetentionSettings,
    #[command(flatten)]
    traces: TraceSettings,
}

/// The user of the front page's chat.
const HOME_USER: &str = "local";

/// The private servers that were started.
#[derive(Default)]
struct Servers {
    postgres: Option<Service>,
    nats: Option<Service>,
}

pub(crate) async fn run(mut settings: UpSettings, lifecycle: Lifecycle) -> anyhow::Result<()> {
    let ids = Ids::new(Arc::new(SystemClock), Arc::new(OsRandom));
    let echoing = settings.backend.ai_webhook_url.is_none();
    if !echoing {
        // Before anything is started: a missing secret is the commonest slip.
        settings.backend.webhook()?;
    }
    make_keys(&mut settings, &ids)?;
    let servers = start_servers(&mut settings).await?;
    let running = serve(&mut settings, echoing, &ids, &lifecycle).await;
    match running {
        Ok(address) => {
            announce(&settings, echoing, address, &servers);
            run_until_end(lifecycle, servers).await
        }
        Err(error) => {
            drop(lifecycle.finish(GRACE).await);
            stop(servers).await;
            Err(error)
        }
    }
}

/// Makes the keys that are not set, once, and keeps them beside the private database.
fn make_keys(settings: &mut UpSettings, ids: &Ids) -> anyhow::Result<()> {
    if settings.keys.api_key.is_none() {
        let made = || format!("claw_{}", ids.token(24));
        settings.keys.api_key = Some(keep(&settings.data, "api-key", made)?.into());
    }
    // With a database of the operator's own, the keys are the operator's too.
    if settings.keys.master_key.is_none() && settings.store.database_url.is_none() {
        use base64::Engine as _;
        let made = || {
            let mut key = [0; 32];
            claw_runtime::Random::fill(&OsRandom, &mut key);
            base64::engine::general_purpose::STANDARD.encode(key)
        };
        settings.keys.master_key = Some(keep(&settings.data, "master-key", made)?.into());
    }
    Ok(())
}

/// The text of a private file, made when it is not there.
fn keep(folder: &Path, name: &str, make: impl FnOnce() -> String) -> anyhow::Result<String> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;

    let path = folder.join(name);
    match std::fs::read_to_string(&path) {
        Ok(text) if !text.trim().is_empty() => return Ok(text.trim().to_owned()),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("can't read {}", path.display())),
    }
    std::fs::create_dir_all(folder)
        .with_context(|| format!("II_CLAW_DATA: can't make {}", folder.display()))?;
    let text = make();
    // Written aside and renamed: a half-written key would lock everybody out of what was sealed with it.
    let aside = folder.join(format!("{name}.new"));
    let mut file =
        std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside)?;
    writeln!(file, "{text}")?;
    file.sync_all()?;
    std::fs::rename(&aside, &path)?;
    Ok(text)
}

async fn start_servers(settings: &mut UpSettings) -> anyhow::Result<Servers> {
    let mut servers = Servers::default();
    if settings.store.database_url.is_none() {
        let postgres = Postgres::start(&settings.data).await?;
        settings.store.database_url = Some(postgres.url().into());
        servers.postgres = Some(postgres);
    }
    if settings.store.nats_url.is_none() {
        match Nats::start(&settings.data).await {
            Ok(nats) => {
                settings.store.nats_url = Some(nats.url().into());
                servers.nats = Some(nats);
            }
            Err(error) => {
                stop(servers).await;
                return Err(error.into());
            }
        }
    }
    Ok(servers)
}

/// Starts every role; answers where the gateway listens.
async fn serve(
    settings: &mut UpSettings,
    echoing: bool,
    ids: &Ids,
    lifecycle: &Lifecycle,
) -> anyhow::Result<SocketAddr> {
    let keys = settings.keys.keys()?;
    let store =
        Store::connect(settings.store.lease_database()?, "ii-claw up", 2).await.context("DATABASE_URL")?;
    let shards = store.migrate(settings.store.shards).await.context("DATABASE_URL")?;
    let home = if echoing {
        let vault = Vault::new(Arc::clone(&keys.master), Arc::new(OsRandom));
        Some(home_channel(&store, &vault, ids, shards).await?)
    } else {
        None
    };
    store.close().await;
    // Within one process: on ports that nobody else needs to know.
    let internal = || RpcSettings {
        tls: TlsSettings::default(),
        rpc_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        rpc_advertise: None,
        name: None,
    };
    let mut media = settings.media.clone();
    media.location.get_or_insert_with(|| MediaLocation::Folder(settings.data.join("media")));
    let mut traces = settings.traces.clone();
    // Of several roles, so by no role's name.
    traces.otel_service_name.get_or_insert_with(|| "ii-claw".to_owned());
    let gateway = GatewaySettings {
        listen: settings.listen,
        store: settings.store.clone(),
        keys: settings.keys.clone(),
        urls: settings.urls,
        send_wait_ms: settings.send_wait_ms,
        jobs: settings.jobs,
        trusted_proxies: settings.trusted_proxies.clone(),
        media,
        message_days: settings.retention.message_days,
        rpc: internal(),
        traces: traces.clone(),
    };
    let address = claw_gateway::Gateway::start(gateway, home, lifecycle).await?;
    if settings.backend.public_url.is_none() {
        settings.backend.public_url = Some(format!("http://localhost:{}", address.port()).parse()?);
    }
    if echoing {
        use secrecy::ExposeSecret as _;
        let secret = ids.token(24);
        let url = echo::start(lifecycle, address, keys.api_key.expose_secret(), &secret).await?;
        settings.backend.ai_webhook_url = Some(url.parse()?);
        settings.backend.ai_webhook_secret = Some(secret.into());
    }
    let worker = WorkerSettings {
        store: settings.store.clone(),
        keys: settings.keys.clone(),
        backend: settings.backend.clone(),
        urls: settings.urls,
        send_ttl_secs: settings.send_ttl_secs,
        rpc: internal(),
        traces: traces.clone(),
        weight: 1.0,
    };
    claw_shard_worker::start(worker, lifecycle).await?;
    let scheduler = SchedulerSettings {
        store: settings.store.clone(),
        keys: settings.keys.clone(),
        rpc: internal(),
        traces,
        retention: settings.retention,
    };
    claw_scheduler_leader::start(scheduler, lifecycle).await?;
    Ok(address)
}

/// The channel of the front page, made at the first start.
async fn home_channel(
    store: &Store,
    vault: &Vault,
    ids: &Ids,
    shards: ShardCount,
) -> anyhow::Result<ChannelId> {
    let (user, instance) = (HOME_USER.parse()?, format!("{}_{HOME_USER}", registry::FRONT_PAGE).parse()?);
    if let Some((channel, _)) = store.channel_find(vault, &user, &instance).await? {
        return Ok(channel.id);
    }
    let save = SaveChannel {
        id: ChannelId(ids.next()),
        shard: shards.shard_of(&user, &instance),
        user_id: user,
        instance,
        instance_name: "ii-claw".to_owned(),
        channel_type: registry::FRONT_PAGE.to_owned(),
        config: Map::new(),
        secrets: Map::new(),
        credentials: Vec::new(),
        enabled: true,
        agent_id: String::new(),
        replaces: None,
    };
    store.channel_save(vault, &save, &claw_store::Actor::named("ii-claw up")).await?;
    Ok(save.id)
}

#[expect(clippy::print_stdout, reason = "the command's answer")]
fn announce(settings: &UpSettings, echoing: bool, address: SocketAddr, servers: &Servers) {
    let base = format!("http://localhost:{}", address.port());
    let data = settings.data.display();
    println!("ii-claw {} is up.", env!("CARGO_PKG_VERSION"));
    if echoing {
        println!("  Web chat  {base}/");
        println!("  Backend   built-in echo; set AI_WEBHOOK_URL and AI_WEBHOOK_SECRET to use yours");
    } else if let Some(url) = &settings.backend.ai_webhook_url {
        println!("  Backend   {url}");
    }
    let key_file = settings.data.join("api-key");
    let key = if std::env::var_os("II_CLAW_API_KEY").is_none() && key_file.exists() {
        format!("bearer token in {}", key_file.display())
    } else {
        "bearer token is II_CLAW_API_KEY".to_owned()
    };
    println!("  API       {base}/api ({key})");
    match &servers.postgres {
        Some(postgres) => println!("  Database  private, process {}, data and log in {data}", postgres.pid()),
        None => println!("  Database  DATABASE_URL"),
    }
    match &servers.nats {
        Some(nats) => println!("  NATS      private, process {}, data and log in {data}", nats.pid()),
        None => println!("  NATS      NATS_URL"),
    }
    println!("Stop with Ctrl-C; nothing accepted is lost.");
}

/// Until a signal, a failure of ours or the end of a private server; then stops everything, servers last.
async fn run_until_end(lifecycle: Lifecycle, mut servers: Servers) -> anyhow::Result<()> {
    let running = lifecycle.clone().run_until_signal(GRACE);
    tokio::pin!(running);
    let ended = tokio::select! {
        ended = &mut running => ended,
        gone = server_gone(&mut servers) => {
            lifecycle.fail(gone);
            running.await
        }
    };
    stop(servers).await;
    Ok(ended?)
}

async fn server_gone(servers: &mut Servers) -> String {
    let postgres = async {
        match &mut servers.postgres {
            Some(postgres) => postgres.wait().await.to_string(),
            None => std::future::pending().await,
        }
    };
    let nats = async {
        match &mut servers.nats {
            Some(nats) => nats.wait().await.to_string(),
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        gone = postgres => gone,
        gone = nats => gone,
    }
}

async fn stop(servers: Servers) {
    let mut stopping = JoinSet::new();
    if let Some(postgres) = servers.postgres {
        stopping.spawn(postgres.stop());
    }
    if let Some(nats) = servers.nats {
        stopping.spawn(nats.stop());
    }
    while let Some(stopped) = stopping.join_next().await {
        if let Ok(Err(error)) = stopped {
            tracing::warn!("stopping a private server: {error}");
        }
    }
}
