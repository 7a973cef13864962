//! What a member of the cluster (a worker, a scheduler) does first: its keys, the database, NATS, its listener.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use claw_bus::Bus;
use claw_config::{ConfigError, KeySettings, Keys, RpcSettings, StoreSettings};
use claw_rpc::{Credentials, ServeError, TlsError};
use claw_runtime::{Clock, Ids, Lifecycle, OsRandom, Random, SyncedClock};
use claw_store::{Member, Store};
use claw_telemetry::metrics::Role;
use claw_types::ShardCount;
use tokio::net::TcpListener;

use crate::TraceError;

/// Why a process could not join; each names the setting concerned.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// A setting is missing or wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database.
    #[error("DATABASE_URL")]
    Store(#[from] claw_store::Error),
    /// NATS.
    #[error("NATS_URL")]
    Bus(#[from] claw_bus::Error),
    /// Traces can't be exported.
    #[error(transparent)]
    Traces(#[from] TraceError),
    /// The certificates.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The RPC can't be served.
    #[error(transparent)]
    Serve(#[from] ServeError),
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

/// A process that has what it needs to take part.
pub struct Joined {
    /// The keys.
    pub keys: Keys,
    /// The time, by the database's clock.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub random: Arc<dyn Random>,
    /// New ids.
    pub ids: Ids,
    /// The database, on a schema that this version knows.
    pub store: Store,
    /// The cluster's number of shards.
    pub shards: ShardCount,
    /// NATS.
    pub bus: Arc<Bus>,
    /// What the RPC shows and expects.
    pub credentials: Credentials,
    /// Where the RPC is to be served.
    pub listener: TcpListener,
    /// The address that it listens on.
    pub address: SocketAddr,
    /// What others are to know of this process.
    pub member: Member,
    /// The database for the lease connection.
    pub lease_url: String,
}

/// Connects to everything. `connections` bounds the pool.
///
/// # Errors
/// Naming the setting concerned.
pub async fn join(
    role: Role,
    weight: f64,
    connections: u32,
    store: &StoreSettings,
    keys: &KeySettings,
    rpc: &RpcSettings,
    lifecycle: &Lifecycle,
) -> Result<Joined, JoinError> {
    let synced = Arc::new(SyncedClock::default());
    let clock: Arc<dyn Clock> = Arc::<SyncedClock>::clone(&synced);
    let random: Arc<dyn Random> = Arc::new(OsRandom);
    let ids = Ids::new(Arc::clone(&clock), Arc::clone(&random));
    let name = rpc.member_name(&ids.token(3));
    claw_telemetry::log::speak_as(role, &name);
    let keys = keys.keys()?;
    let credentials = Credentials::new(&keys.master, rpc.tls.files()?, lifecycle).await?;
    let lease_url = store.lease_database()?.to_owned();
    let database = Store::connect_through(store.pooler()?, store.database()?, &name, connections).await?;
    let shards = database.wait_for_schema(store.shards, SCHEMA_LIMIT).await?;
    crate::keep_time(&synced, &database, lifecycle).await?;
    let cluster = database.cluster_id().await?;
    let bus = Arc::new(Bus::connect(store.nats()?, &name, ids.next(), cluster).await?);
    crate::observe(role, &database, &bus, &clock, lifecycle);
    let failed = |source| JoinError::Listen { address: rpc.rpc_listen, source };
    let listener = TcpListener::bind(rpc.rpc_listen).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let rpc_address = rpc.advertised(address);
    let member =
        Member { name, role: role.as_str(), rpc_address, version: env!("CARGO_PKG_VERSION"), weight };
    Ok(Joined {
        keys,
        clock,
        random,
        ids,
        store: database,
        shards,
        bus,
        credentials,
        listener,
        address,
        member,
        lease_url,
    })
}
