//! Putting the worker together.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use claw_bus::Bus;
use claw_channels::kit::http::{Http, operator_client};
use claw_channels::{Deps, Live};
use claw_config::{ConfigError, WorkerSettings};
use claw_rpc::ClusterToken;
use claw_runtime::{Clock, Ids, Lifecycle, OsRandom, Random, SystemClock};
use claw_store::{Member, Store, Vault};
use claw_types::ChannelId;
use secrecy::ExposeSecret as _;
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::core::Core;
use crate::deliver::backend::Backend;
use crate::service::Service;
use crate::{placement, tasks};

/// Why the worker could not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting is missing or wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database.
    #[error("DATABASE_URL")]
    Store(#[from] claw_store::Error),
    /// NATS.
    #[error("NATS_URL")]
    Bus(#[from] claw_bus::Error),
    /// TLS.
    #[error("TLS can't be set up")]
    Http(#[from] reqwest::Error),
    /// The RPC's address.
    #[error("II_CLAW_RPC_LISTEN {address}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// How long a start waits for another process to migrate the database.
const SCHEMA_LIMIT: Duration = Duration::from_secs(30);

/// Reaches the gateways' sockets over NATS.
struct BusLive(Arc<Bus>);

#[async_trait]
impl Live for BusLive {
    async fn publish(&self, channel: ChannelId, conversation: &str, frame: Bytes) {
        self.0.publish_live(channel, conversation, frame).await;
    }
}

/// Starts the worker; it runs under `lifecycle`. Answers where its RPC listens.
///
/// # Errors
/// When a setting is wrong, or the database or NATS can't be reached.
pub async fn start(settings: WorkerSettings, lifecycle: &Lifecycle) -> Result<SocketAddr, Error> {
    let keys = settings.keys.keys()?;
    let (webhook, secret) = settings.backend.webhook()?;
    let (clock, random): (Arc<dyn Clock>, Arc<dyn Random>) = (Arc::new(SystemClock), Arc::new(OsRandom));
    let ids = Ids::new(Arc::clone(&clock), Arc::clone(&random));
    let name = settings.rpc.member_name(&ids.token(3));
    let store =
        Store::connect(settings.store.database()?, &name, settings.store.database_connections).await?;
    let shards = store.wait_for_schema(settings.store.shards, SCHEMA_LIMIT).await?;
    let cluster = store.cluster_id().await?;
    let bus = Arc::new(Bus::connect(settings.store.nats()?, &name, ids.next(), cluster).await?);
    let listener = listen(settings.rpc.rpc_listen).await?;
    let address = listener.local_addr().unwrap_or(settings.rpc.rpc_listen);
    let deps = Deps {
        channel_id: ChannelId(Uuid::nil()),
        http: Http::new(settings.urls.allow_private)?,
        clock: Arc::clone(&clock),
        ids: ids.clone(),
        random: Arc::clone(&random),
        live: Arc::new(BusLive(Arc::clone(&bus))),
    };
    let client = operator_client(settings.backend.webhook_timeout())?;
    let backend = Backend::new(client, webhook, secret.expose_secret(), clock);
    let vault = Vault::new(Arc::clone(&keys.master), random);
    let public_url = settings.backend.public_url();
    let core =
        Arc::new(Core::new(name.clone(), store, bus, vault, ids, deps, backend, public_url, lifecycle));
    let member = Member {
        name,
        role: "worker",
        rpc_address: settings.rpc.advertised(address),
        version: env!("CARGO_PKG_VERSION"),
        weight: settings.weight,
    };
    let url = settings.store.lease_database()?.to_owned();
    lifecycle.spawn("placement", placement::run(Arc::clone(&core), url, member, shards));
    lifecycle.spawn("sweep", tasks::sweep::run(Arc::clone(&core)));
    lifecycle.spawn("changes", tasks::changes::listen(Arc::clone(&core)));
    lifecycle.spawn("changed rows", tasks::changes::look(Arc::clone(&core)));
    claw_rpc::serve_worker(lifecycle, listener, &ClusterToken::new(&keys.master), Arc::new(Service(core)));
    tracing::info!(%address, "the worker's RPC listens on {address}");
    Ok(address)
}

async fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    TcpListener::bind(address).await.map_err(|source| Error::Listen { address, source })
}
