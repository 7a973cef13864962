//! What every handler works with. No state of its own: any gateway serves any request.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use claw_bus::Bus;
use claw_channels::kit::http::Http;
use claw_channels::kit::transfer;
use claw_channels::{Deps, Live, NoMemory};
use claw_config::{GatewaySettings, Keys, MediaSettings};
use claw_media::{Limits, MediaStore};
use claw_rpc::{Credentials, Owners, Peers, WorkerClients};
use claw_runtime::{Clock, Ids, Lifecycle, OsRandom, Random, SyncedClock};
use claw_schedule::Limits as JobLimits;
use claw_secrets::{Purpose, signature};
use claw_store::{MessageWriter, Store, Vault};
use claw_telemetry::metrics::Role;
use claw_types::{ChannelId, ShardCount};
use tokio::time::Instant;
use uuid::Uuid;

use crate::Error;
use crate::auth::{Proxies, Throttle, Verifier};
use crate::channel_cache::ChannelCache;
use crate::events::feed::Feed;
use crate::events::slots::Slots;
use crate::service::Sockets;
use crate::{intake, memory};

/// How long a gateway that starts beside `ii-claw migrate` waits for it.
const SCHEMA_WAIT: Duration = Duration::from_secs(30);

/// The parts of a gateway.
pub struct App {
    /// This process's name in the cluster, in `pg_stat_activity` and at NATS.
    pub name: String,
    /// When it began to serve.
    pub started: Instant,
    /// The database.
    pub store: Store,
    /// Opens and seals channel secrets.
    pub vault: Vault,
    /// The road to the owners.
    pub bus: Arc<Bus>,
    /// Group commit.
    pub writer: MessageWriter,
    /// Channels in use.
    pub channels: Arc<ChannelCache>,
    /// What this process shows other roles.
    pub credentials: Credentials,
    /// Calls other roles.
    pub peers: Arc<Peers>,
    /// Asks owners about deliveries.
    pub workers: WorkerClients,
    /// New ids.
    pub ids: Ids,
    /// The time, by the database's clock.
    pub clock: Arc<dyn Clock>,
    /// The operator's keys.
    pub keys: Keys,
    /// Tells whose key a token is.
    pub verifier: Arc<Verifier>,
    /// Counts calls without a good key.
    pub throttle: Throttle,
    /// The load balancers that are believed when they say who calls.
    pub proxies: Proxies,
    /// Attachments that were fetched from their platforms.
    pub media: MediaStore,
    /// How large they may be, and how long a fetch may take.
    pub media_limits: Limits,
    /// Whether files of visitors are kept: where attachments are kept was named.
    pub takes_files: bool,
    /// What links to attachments may be signed with.
    pub media_keys: Vec<[u8; 32]>,
    /// What adapters are given; its channel id stands for nothing.
    pub deps: Deps,
    /// Whether users' URLs may point to private addresses.
    pub allow_private: bool,
    /// How long a send waits for its delivery.
    pub send_wait: Duration,
    /// What users' new schedules must keep to.
    pub job_limits: JobLimits,
    /// What tells this cluster from others.
    pub cluster: Uuid,
    /// How many shards the cluster has.
    pub shards: ShardCount,
    /// The channel on the front page.
    pub home: Option<ChannelId>,
    /// New events, for the streams.
    pub feed: Arc<Feed>,
    /// The open event streams.
    pub streams: Arc<Slots>,
    /// The open sockets of web chats.
    pub sockets: Sockets,
    /// Owns the tasks.
    pub lifecycle: Lifecycle,
}

/// A handler's state.
pub type Shared = Arc<App>;

impl App {
    /// A new secret for signatures, as Standard Webhooks writes it; the other schemes take it as it is.
    pub fn new_secret(&self) -> String {
        let mut bytes = [0; 32];
        self.deps.random.fill(&mut bytes);
        signature::standard_secret(&bytes)
    }

    /// Connects everything.
    ///
    /// # Errors
    /// Naming the setting concerned.
    pub async fn connect(
        settings: &GatewaySettings,
        home: Option<ChannelId>,
        lifecycle: &Lifecycle,
    ) -> Result<Shared, Error> {
        let synced = Arc::new(SyncedClock::default());
        let clock: Arc<dyn Clock> = Arc::<SyncedClock>::clone(&synced);
        let random: Arc<dyn Random> = Arc::new(OsRandom);
        let ids = Ids::new(Arc::clone(&clock), Arc::clone(&random));
        let name = settings.rpc.member_name(&ids.token(3));
        claw_telemetry::log::speak_as(Role::Gateway, &name);
        let keys = settings.keys.keys()?;
        let credentials = Credentials::new(&keys.master, settings.rpc.tls.files()?, lifecycle).await?;
        let (database, nats) = (settings.store.database()?, settings.store.nats()?);
        let connections = settings.store.database_connections;
        let store = Store::connect_through(settings.store.pooler()?, database, &name, connections).await;
        let store = store.map_err(Error::Database)?;
        let shards =
            store.wait_for_schema(settings.store.shards, SCHEMA_WAIT).await.map_err(Error::Schema)?;
        claw_launch::keep_time(&synced, &store, lifecycle).await.map_err(Error::Database)?;
        claw_launch::warn_of_unknown_keys(&store, &keys.master).await.map_err(Error::Database)?;
        let cluster = store.cluster_id().await.map_err(Error::Schema)?;
        let bus = Bus::connect(nats, &name, ids.next(), cluster).await.map_err(Error::Bus)?;
        let bus = Arc::new(bus);
        let allow_private = settings.urls.allow_private;
        let http = Http::new(allow_private).map_err(|error| Error::Http(Box::new(error)))?;
        let deps = Deps {
            channel_id: ChannelId(Uuid::nil()),
            owner: None,
            public_url: None,
            http,
            clock: Arc::clone(&clock),
            ids: ids.clone(),
            random: Arc::clone(&random),
            live: Arc::new(BusLive(Arc::clone(&bus))),
            memory: Arc::new(NoMemory),
        };
        let vault = Vault::new(Arc::clone(&keys.master), Arc::clone(&random));
        let channels = Arc::new(ChannelCache::new(store.clone(), vault.clone(), deps.clone()));
        channels.watch(&bus, lifecycle);
        let verifier = Arc::new(Verifier::default());
        verifier.watch(&bus, lifecycle);
        let media = media(&settings.media, lifecycle).await.map_err(Error::Media)?;
        let peers = Arc::new(Peers::new(credentials.clone(), Arc::clone(&random)));
        Ok(Arc::new(Self {
            writer: MessageWriter::start(&store, lifecycle, intake::Owners(Arc::clone(&bus))),
            feed: Arc::new(Feed::new(&store, lifecycle)),
            streams: Arc::default(),
            sockets: Sockets::default(),
            workers: WorkerClients::new(Owners::new(store.clone()), Arc::clone(&peers), random),
            peers,
            credentials,
            started: Instant::now(),
            name,
            media_keys: keys.master.derive(Purpose::MediaUrl),
            job_limits: JobLimits { min_every_secs: settings.jobs.min_every_secs },
            send_wait: Duration::from_millis(settings.send_wait_ms),
            lifecycle: lifecycle.clone(),
            media_limits: media_limits(settings.media.max_mib),
            takes_files: settings.media.is_named(),
            media,
            throttle: Throttle::default(),
            proxies: Proxies::new(settings.trusted_proxies.clone()),
            verifier,
            store,
            vault,
            bus,
            channels,
            ids,
            clock,
            keys,
            deps,
            allow_private,
            cluster,
            shards,
            home,
        }))
    }

    /// What the adapter of this channel is given.
    pub fn deps_for(&self, channel_id: ChannelId) -> Deps {
        memory::deps_for(&self.deps, &self.store, &self.vault, channel_id)
    }
}

/// Opens the media store, and sees that it can be written: a gateway that can't hand out attachments must not pass as
/// healthy.
async fn media(settings: &MediaSettings, lifecycle: &Lifecycle) -> claw_media::Result<MediaStore> {
    let store = MediaStore::open(&settings.location(), settings.keys(), lifecycle.clone())?;
    store.check().await?;
    Ok(store)
}

/// Within this, the adapter's own limits tell a slow source from one that stands still.
fn media_limits(max_mib: u64) -> Limits {
    let max_bytes = max_mib << 20;
    Limits { max_bytes, timeout: transfer::limit(max_bytes) }
}

/// Reaches the sockets that any gateway holds.
struct BusLive(Arc<Bus>);

#[async_trait]
impl Live for BusLive {
    async fn publish(&self, channel: ChannelId, conversation: &str, frame: Bytes) {
        self.0.publish_live(channel, conversation, frame).await;
    }
}
