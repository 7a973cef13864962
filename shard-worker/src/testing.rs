//! What the tests of this crate begin with.

use std::result::Result as StdResult;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use claw_bus::{Bus, Error, Numbered};
use claw_channels::kit::http::{Http, operator_client};
use claw_channels::{Deps, Live, NoMemory};
use claw_runtime::{Backoff, Clock, Ids, Lifecycle, OsRandom, Random, SeededRandom, SystemClock};
use claw_secrets::{KeyRing, MasterKey};
use claw_store::{Pending, SaveChannel, Store, Vault};
use claw_telemetry::metrics::{self, Counter};
use claw_testkit::TestDatabase;
use claw_types::{ChannelId, Direction, Epoch, MessageId, ShardCount, ShardId, Work};
use futures::stream::{self, BoxStream};
use serde_json::Map;
use serde_json::value::RawValue;
use tokio::time::Instant;
use uuid::Uuid;

use crate::core::Core;
use crate::deliver::backend::{Backend, Secrets, Target};
use crate::deliver::stream::Streams;
use crate::ports::Road;
use crate::shard::Shard;

/// A person's message that nothing was done about; a test changes what it is about.
pub(crate) fn work() -> Work {
    Work {
        id: MessageId(Uuid::from_u128(1)),
        seq: 1,
        shard: ShardId(0),
        user_id: "ada".parse().unwrap(),
        channel_id: ChannelId(Uuid::from_u128(2)),
        direction: Direction::In,
        conversation: "chat".to_owned(),
        payload: RawValue::NULL.to_owned(),
        media: None,
        attempts: 0,
        platform_message_ids: Vec::new(),
        accepted_at_ms: 0,
        retries: 0,
        retried_at_ms: 0,
        ahead: Vec::new(),
        debounce_ms: 0,
        burst: None,
        scheduled: false,
    }
}

/// The operator's backend, where nobody answers.
pub(crate) fn backend() -> Backend {
    claw_testkit::install_tls();
    let (limit, secrets) = (Duration::from_secs(1), Secrets::new(vec!["secret".to_owned()]).unwrap());
    let (client, url) = (operator_client(limit).unwrap(), "http://127.0.0.1:1/".parse().unwrap());
    let target = Target { client, url, secrets, limit };
    Backend::new(target, Http::new(false).unwrap(), Arc::new(SeededRandom::new(7)))
}

/// A channel that is still to be saved.
pub(crate) fn channel(core: &Core) -> SaveChannel {
    SaveChannel {
        id: ChannelId(core.ids.next()),
        user_id: "ada".parse().unwrap(),
        instance: "one".parse().unwrap(),
        instance_name: "a name".to_owned(),
        channel_type: "kind".to_owned(),
        config: Map::new(),
        secrets: Map::new(),
        credentials: Vec::new(),
        enabled: true,
        agent_id: String::new(),
        shard: ShardId(3),
        replaces: None,
    }
}

/// How many writes of this kind were refused so far, as it is scraped; nothing is counted before this is asked first. All tests of a
/// process count together, so only one of them may have this kind refused.
pub(crate) fn fenced(write: &str) -> u64 {
    metrics::begin();
    let series = format!("{}{{write=\"{write}\"}} ", Counter::FencedWrites.name());
    let scraped = metrics::scrape();
    let count = scraped.lines().find_map(|line| line.strip_prefix(&series));
    count.map_or(0, |count| count.parse().unwrap())
}

struct NoSockets;

#[async_trait]
impl Live for NoSockets {
    async fn publish(&self, _channel: ChannelId, _conversation: &str, _frame: Bytes) {}
}

/// A worker's insides on a database of their own and the run's NATS. They have a lease and own nothing.
pub(crate) struct Bench {
    pub(crate) core: Arc<Core>,
    database: TestDatabase,
}

impl Bench {
    pub(crate) async fn new() -> Self {
        let database = TestDatabase::create().await;
        let store = Store::connect(database.url(), "test", 4).await.unwrap();
        store.migrate(ShardCount::new(8)).await.unwrap();
        let cluster = store.cluster_id().await.unwrap();
        let bus = Bus::connect(&claw_testkit::nats_url(), "test", Uuid::from_u128(1), cluster).await.unwrap();
        // First: it sees to it that there is TLS.
        let backend = backend();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let random: Arc<dyn Random> = Arc::new(OsRandom);
        let keys = Arc::new(KeyRing::from(MasterKey::from_api_key("test")));
        let vault = Vault::new(keys, Arc::clone(&random));
        let ids = Ids::new(Arc::clone(&clock), Arc::clone(&random));
        let deps = Deps {
            channel_id: ChannelId(Uuid::nil()),
            owner: None,
            public_url: None,
            http: Http::new(false).unwrap(),
            clock,
            ids: ids.clone(),
            random,
            live: Arc::new(NoSockets),
            memory: Arc::new(NoMemory),
        };
        let limit = Duration::from_secs(1);
        let core = Core::new(
            "one".to_owned(),
            store,
            Arc::new(bus),
            vault,
            ids,
            deps,
            backend,
            Backoff::MESSAGE,
            limit,
            "http://127.0.0.1:1".to_owned(),
            limit,
            Streams::new(1, limit),
            &Lifecycle::new(),
        );
        core.lease.renew(Instant::now(), Duration::from_hours(1));
        Self { core, database }
    }

    /// A shard by this claim, which is the newest one from now on.
    pub(crate) async fn claimed(&self, shard: ShardId, epoch: Epoch) -> Arc<Shard> {
        let update = "update shards set epoch = $2 where shard = $1";
        let update = sqlx::query(update).bind(shard.as_i32()).bind(epoch.0);
        update.execute(&mut self.database.connect().await).await.unwrap();
        Arc::new(Shard::new(shard, epoch))
    }
}

/// Where it lies.
pub(crate) fn place(work: &Work) -> Pending {
    Pending {
        id: work.id,
        shard: work.shard,
        seq: work.seq,
        retries: work.retries,
        channel_id: work.channel_id,
        direction: work.direction,
        conversation: work.conversation.clone(),
    }
}

/// A road on which nothing comes.
pub(crate) struct NoRoad;

#[async_trait]
impl Road for NoRoad {
    async fn work(&self, _shard: ShardId) -> StdResult<BoxStream<'static, Numbered>, Error> {
        Ok(Box::pin(stream::pending()))
    }

    async fn members(&self) -> StdResult<BoxStream<'static, ()>, Error> {
        Ok(Box::pin(stream::pending()))
    }

    async fn tell_members(&self) {}

    async fn flush(&self) {}
}
