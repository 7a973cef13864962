//! Firing what is due: each timer becomes a message, and its owner is told as a gateway would.
//!
//! The publish comes after the commit. A leader that dies in between has lost nothing: the owner's sweep finds the
//! message. What nobody led for long enough is fired late, but once.

use std::sync::Arc;
use std::time::Duration;

use claw_bus::Bus;
use claw_runtime::Lifecycle;
use claw_store::{Result, Store, chain};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::elector::{DUTY, Leadership};

/// How often the leader looks.
const EVERY: Duration = Duration::from_secs(1);
/// Timers in one statement; after a full one the leader looks again at once.
const BATCH: i64 = 500;

/// Fires timers whenever this process leads.
pub(crate) struct Timers {
    pub(crate) store: Store,
    pub(crate) bus: Arc<Bus>,
    pub(crate) leadership: Arc<Leadership>,
    pub(crate) lifecycle: Lifecycle,
}

impl Timers {
    /// Runs until the process stops.
    pub(crate) async fn run(self) {
        let soft = self.lifecycle.soft();
        let mut tick = tokio::time::interval(EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                () = soft.cancelled() => return,
            }
            if let Err(error) = fire_all(&self.store, &self.bus, &self.leadership, &soft).await {
                warn!("firing timers failed, trying again in a second: {}", chain(&error));
            }
        }
    }
}

/// Fires everything that is due while this process leads, and tells how much that was.
pub(crate) async fn fire_all(
    store: &Store,
    bus: &Bus,
    leadership: &Leadership,
    stop: &CancellationToken,
) -> Result<usize> {
    let mut all = 0;
    while let Some(term) = leadership.term() {
        let fired = fire(store, bus, term).await?;
        all += fired;
        if i64::try_from(fired).is_ok_and(|fired| fired < BATCH) || stop.is_cancelled() {
            break;
        }
    }
    Ok(all)
}

/// One batch.
async fn fire(store: &Store, bus: &Bus, term: i64) -> Result<usize> {
    let fired = store.timers_fire(DUTY, term, BATCH).await?;
    if !fired.is_empty() {
        info!(fired = fired.len(), "fired {} timers", fired.len());
    }
    for work in &fired {
        bus.publish_work(work).await;
    }
    Ok(fired.len())
}

#[cfg(test)]
mod tests {
    use claw_runtime::{Ids, OsRandom, SystemClock};
    use claw_store::{AgentEvent, Lease, Member, NewMessage, When};
    use claw_testkit::TestDatabase;
    use claw_types::ShardCount;
    use uuid::Uuid;

    use super::*;

    #[tokio::test]
    async fn what_is_due_is_committed_and_told_to_its_owner() {
        let database = TestDatabase::create().await;
        let store = Store::connect(database.url(), "test", 4).await.unwrap();
        let shards = store.migrate(ShardCount::new(4)).await.unwrap();
        let cluster = store.cluster_id().await.unwrap();
        let bus = Bus::connect(&claw_testkit::nats_url(), "test", Uuid::from_u128(1), cluster).await.unwrap();
        let member = Member {
            name: "clock".to_owned(),
            role: "scheduler",
            rpc_address: "clock:1".to_owned(),
            version: "test",
            weight: 1.0,
        };
        let lease = Lease::open(database.url(), member).await.unwrap();
        let term = store.leader_elect(DUTY, &lease).await.unwrap();
        let ids = Ids::new(Arc::new(SystemClock), Arc::new(OsRandom));
        let user = "ada".parse().unwrap();
        let event = AgentEvent {
            user: &user,
            agent_id: "",
            source: "wake",
            session: None,
            text: "later".to_owned(),
            metadata: serde_json::Map::new(),
            chat: None,
            key: None,
        };
        let event = NewMessage::event(event, shards, &ids, &SystemClock).unwrap();
        store.wake(&event, When::NextHeartbeat, None).await.unwrap();
        assert_eq!(fire(&store, &bus, term).await.unwrap(), 0);
        assert_eq!(store.message_status(event.id).await.unwrap(), None, "it is not due yet");

        let mut conn = database.connect().await;
        sqlx::query("update timers set due_at = now()").execute(&mut conn).await.unwrap();
        let mut owner = bus.subscribe_work(event.shard).await.unwrap();
        assert!(bus.flush().await);
        assert_eq!(fire(&store, &bus, term).await.unwrap(), 1);
        let told = owner.next().await.unwrap().work.unwrap();
        assert_eq!((told.id, told.payload.get()), (event.id, event.payload.get()));
        assert!(store.message_status(event.id).await.unwrap().is_some());
    }
}
