//! Putting the scheduler together.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use claw_bus::Bus;
use claw_config::{ConfigError, SchedulerSettings};
use claw_rpc::ClusterToken;
use claw_runtime::{Ids, Lifecycle, OsRandom, SystemClock};
use claw_store::{Member, Store};
use tokio::net::TcpListener;

use crate::elector::{Elector, Leadership, lead};
use crate::service::Service;

/// Why the scheduler could not start.
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

/// Starts the scheduler; it runs under `lifecycle`. Answers where its RPC listens.
///
/// # Errors
/// When a setting is wrong, or the database or NATS can't be reached.
pub async fn start(settings: SchedulerSettings, lifecycle: &Lifecycle) -> Result<SocketAddr, Error> {
    let keys = settings.keys.keys()?;
    let random = Arc::new(OsRandom);
    let ids = Ids::new(Arc::new(SystemClock), random.clone());
    let name = settings.rpc.member_name(&ids.token(3));
    // It asks little: a few connections are enough whatever the others have.
    let connections = settings.store.database_connections.min(4);
    let store = Store::connect(settings.store.database()?, &name, connections).await?;
    store.wait_for_schema(settings.store.shards, SCHEMA_LIMIT).await?;
    let cluster = store.cluster_id().await?;
    let bus = Arc::new(Bus::connect(settings.store.nats()?, &name, ids.next(), cluster).await?);
    let address = settings.rpc.rpc_listen;
    let listener = TcpListener::bind(address).await.map_err(|source| Error::Listen { address, source })?;
    let address = listener.local_addr().unwrap_or(address);
    let leadership = Arc::new(Leadership::default());
    let elector = Elector {
        store: store.clone(),
        lease_url: settings.store.lease_database()?.to_owned(),
        member: Member {
            name: name.clone(),
            role: "scheduler",
            rpc_address: settings.rpc.advertised(address),
            version: env!("CARGO_PKG_VERSION"),
            weight: 1.0,
        },
        leadership: Arc::clone(&leadership),
        random,
        lifecycle: lifecycle.clone(),
    };
    lifecycle.spawn("elector", elector.run());
    lifecycle.spawn("duties", lead(store.clone(), Arc::clone(&leadership), lifecycle.clone()));
    let service = Service { name, store, bus, leadership, lifecycle: lifecycle.clone() };
    claw_rpc::serve_scheduler(lifecycle, listener, &ClusterToken::new(&keys.master), Arc::new(service));
    tracing::info!(%address, "the scheduler's RPC listens on {address}");
    Ok(address)
}
