//! Every query on a real Postgres, each test in a database of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod agent_events;
mod backends;
mod channel_memory;
mod channels;
mod completion;
mod cost;
mod credentials;
mod destinations;
mod erasure;
mod erasure_beside;
mod events;
mod failing;
mod feedback;
mod firing;
mod group_context;
mod heartbeats;
mod held;
mod hooks;
mod job_options;
mod job_over;
mod job_times;
mod job_wakes;
mod job_webhooks;
mod jobs;
mod lease;
mod lost_answer;
mod members;
mod membership_cost;
mod message_log;
mod messages;
mod partitions;
mod placeholders;
mod pooler;
mod queued;
mod receipts;
mod reseal;
mod reshard;
mod retries;
mod run_ends;
mod tenants;
mod timers;

use std::sync::Arc;

use claw_runtime::{Ids, Lifecycle, OsRandom, SystemClock};
use claw_secrets::{KeyRing, MasterKey};
use claw_store::{Member, MessageWriter, SaveChannel, Store, Vault};
use claw_testkit::TestDatabase;
use claw_types::{ChannelId, ShardCount};
use serde_json::{Map, json};

/// A migrated database of 8 shards and what is needed to work with it.
struct Bench {
    database: TestDatabase,
    store: Store,
    writer: MessageWriter,
    vault: Vault,
    ids: Ids,
}

impl Bench {
    async fn new() -> Self {
        let database = TestDatabase::create().await;
        let store = Store::connect(database.url(), "test", 6).await.unwrap();
        store.migrate(ShardCount::new(8)).await.unwrap();
        let key = Arc::new(KeyRing::from(MasterKey::from_api_key("test")));
        Self {
            writer: MessageWriter::start(&store, &Lifecycle::new(), ()),
            vault: Vault::new(key, Arc::new(OsRandom)),
            ids: Ids::new(Arc::new(SystemClock), Arc::new(OsRandom)),
            database,
            store,
        }
    }

    fn channel(&self, user: &str, instance: &str) -> SaveChannel {
        let (user_id, instance) = (user.parse().unwrap(), instance.parse().unwrap());
        SaveChannel {
            id: ChannelId(self.ids.next()),
            shard: ShardCount::new(8).unwrap().shard_of(&user_id, &instance),
            user_id,
            instance,
            instance_name: "a name".to_owned(),
            channel_type: "kind".to_owned(),
            config: Map::from_iter([("open".to_owned(), json!("value"))]),
            secrets: Map::from_iter([("token".to_owned(), json!("hidden"))]),
            credentials: Vec::new(),
            enabled: true,
            agent_id: String::new(),
            replaces: None,
        }
    }

    fn member(name: &str) -> Member {
        Member {
            name: name.to_owned(),
            role: "worker",
            rpc_address: format!("{name}:1"),
            version: "test",
            weight: 1.0,
        }
    }
}
