//! From a claim to a settled message: what is the same whether the database, NATS, the backend and the platforms are real
//! or simulated.
//!
//! Everything outside is behind the traits of [`crate::ports`], time is tokio's, the time of day and randomness are injected. So the whole of
//! it, placement included, runs in the deterministic simulation (`tests/sim`) as it runs in production.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use claw_runtime::{Clock, Lifecycle, Random};
use claw_types::{ShardId, Work};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

use crate::deliver::lane;
use crate::deliver::unsettled::Unsettled;
use crate::outcomes::Outcomes;
use crate::ports::{Acts, Log, Road};
use crate::shard::Shard;
use crate::shard::queue::LaneKey;

/// What every part of it shares.
pub struct Pipeline {
    /// This worker's name in the cluster.
    pub name: String,
    /// The stored messages.
    pub log: Arc<dyn Log>,
    /// What tells of news early.
    pub road: Arc<dyn Road>,
    /// What is done to the outside.
    pub acts: Arc<dyn Acts>,
    /// The database's time of day, by which what was stored is due.
    pub clock: Arc<dyn Clock>,
    /// Jitter.
    pub random: Arc<dyn Random>,
    /// Owns the tasks.
    pub lifecycle: Lifecycle,
    /// Rung when a shard wants a sweep now.
    pub sweep: Notify,
    /// Until when we may act.
    pub lease: Deadline,
    /// Whether this worker gives its shards away, or has.
    pub draining: AtomicBool,
    /// Whether an operator wants this worker to own nothing; `placement` acts on it.
    pub drain_wanted: watch::Sender<bool>,
    pub(crate) outcomes: Outcomes,
    pub(crate) unsettled: Unsettled,
    // In order: what is done shard by shard is then the same in every run of a simulation.
    owned: RwLock<BTreeMap<ShardId, Arc<Shard>>>,
}

/// Until when the lease may be relied on without asking the database.
#[derive(Debug, Default)]
pub struct Deadline(Mutex<Option<Instant>>);

impl Deadline {
    /// Renewed: good for this long after `asked`, the moment *before* the question was sent.
    pub(crate) fn renew(&self, asked: Instant, good_for: Duration) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(asked + good_for);
    }

    /// Until when it is good; `None` without one.
    pub(crate) fn until(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gone.
    pub(crate) fn revoke(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Whether the lease is good right now; asked before everything that others can see.
    pub fn holds(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|until| Instant::now() < until)
    }
}

impl Pipeline {
    /// Owns nothing yet.
    pub fn new(
        name: String,
        log: Arc<dyn Log>,
        road: Arc<dyn Road>,
        acts: Arc<dyn Acts>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        lifecycle: &Lifecycle,
    ) -> Self {
        Self {
            name,
            log,
            road,
            acts,
            clock,
            random,
            lifecycle: lifecycle.clone(),
            sweep: Notify::new(),
            lease: Deadline::default(),
            draining: AtomicBool::new(false),
            drain_wanted: watch::Sender::new(false),
            outcomes: Outcomes::default(),
            unsettled: Unsettled::default(),
            owned: RwLock::default(),
        }
    }

    /// The shard, if it is ours.
    pub fn shard(&self, id: ShardId) -> Option<Arc<Shard>> {
        self.owned.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// Every shard that is ours, in order.
    pub fn shards(&self) -> Vec<Arc<Shard>> {
        self.owned.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    pub(crate) fn own(&self, shard: Arc<Shard>) {
        self.owned.write().unwrap_or_else(PoisonError::into_inner).insert(shard.id, shard);
    }

    pub(crate) fn disown(&self, id: ShardId) {
        self.owned.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Queues a committed message; starts its lane's runner if it has none.
    pub fn offer(self: &Arc<Self>, shard: &Arc<Shard>, work: Work) {
        let start = shard.queue().offer(work);
        self.start(shard, start);
    }

    /// As [`Self::offer`], of a message that may be done already and forgotten: the database is asked before anything is done.
    pub(crate) fn offer_late(self: &Arc<Self>, shard: &Arc<Shard>, work: &Work) {
        let start = shard.queue().offer_late(work);
        self.start(shard, start);
    }

    fn start(self: &Arc<Self>, shard: &Arc<Shard>, lane: Option<LaneKey>) {
        if let Some(key) = lane {
            lane::start(self, shard, key);
        }
    }
}
