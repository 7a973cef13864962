//! Which shards are ours: membership, claims, hand-over; the owner of the lease connection.
//!
//! Every second (or as soon as somebody says that the membership changed): heartbeat, look who is alive, compute by
//! rendezvous hashing what is ours, give back what is not any more, claim what is free. Nobody assigns.
//!
//! Must hold: whatever goes wrong with the lease connection, everything that runs for our shards stops first, and
//! only then is a new one opened. The local deadline (4 s after the last heartbeat that was answered was *sent*) lies
//! before the moment at which others may take over (6 s), and is asked before every act that others can see; so a
//! process that was frozen finds it expired before it does anything.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use claw_runtime::Backoff;
use claw_store::{Error, Lease, Member, Peer, chain};
use claw_types::{Candidate, ShardCount, ShardId, owner_of};
use tokio::sync::{Notify, mpsc};
use tokio::time::{Instant, MissedTickBehavior};
use tracing::{error, info, warn};

use crate::channels::supervisor;
use crate::core::Core;
use crate::shard::Shard;
use crate::tasks::published;

/// How often the membership is looked at.
const EVERY: Duration = Duration::from_secs(1);
/// The lease is good for this long after a heartbeat was sent.
const GOOD_FOR: Duration = Duration::from_secs(4);
/// A heartbeat that takes longer than this counts as failed, in time to stop before the deadline.
const HEARTBEAT_LIMIT: Duration = Duration::from_millis(2500);
/// What is in flight may finish for this long when a shard is handed over.
const HAND_OVER: Duration = Duration::from_secs(3);
/// The name of a process that crashed is free again within this.
const NAME_LIMIT: Duration = Duration::from_secs(12);

/// Holds the lease until the worker stops; then hands everything over.
pub(crate) async fn run(core: Arc<Core>, url: String, member: Member, shards: ShardCount) {
    let mut failed = 0;
    let mut name_taken: Option<Instant> = None;
    while !core.lifecycle.soft().is_cancelled() {
        match open(&url, &member).await {
            Ok(lease) => {
                (failed, name_taken) = (0, None);
                let mut holder = Holder::new(&core, lease, shards);
                if let Err(error) = holder.hold().await {
                    error!("the lease is lost, stopping everything: {}", chain(&error));
                    holder.drop_everything().await;
                    continue;
                }
                holder.leave().await;
                return;
            }
            Err(error @ Error::NameTaken(_))
                if name_taken.get_or_insert_with(Instant::now).elapsed() > NAME_LIMIT =>
            {
                core.lifecycle.fail(error.to_string());
                return;
            }
            Err(error) => {
                failed += 1;
                warn!("can't take the lease: {}", chain(&error));
                let wait = Backoff::RECONNECT.wait(failed, &*core.random).unwrap_or_default();
                // Ends early when the process stops.
                drop(tokio::time::timeout(wait, core.lifecycle.soft().cancelled()).await);
            }
        }
    }
}

async fn open(url: &str, member: &Member) -> Result<Lease, Error> {
    let opened = tokio::time::timeout(Duration::from_secs(5), Lease::open(url, member.clone())).await;
    opened.unwrap_or_else(|_| Err(Error::NotCommitted("the database did not answer within 5 s".to_owned())))
}

struct Holder<'a> {
    core: &'a Arc<Core>,
    lease: Lease,
    shards: ShardCount,
    held: HashMap<ShardId, Arc<Shard>>,
    /// Being stopped; still locked, so nobody else may begin.
    releasing: HashSet<ShardId>,
    stopped: (mpsc::UnboundedSender<ShardId>, mpsc::UnboundedReceiver<ShardId>),
    look: Arc<Notify>,
}

impl<'a> Holder<'a> {
    fn new(core: &'a Arc<Core>, lease: Lease, shards: ShardCount) -> Self {
        Self {
            core,
            lease,
            shards,
            held: HashMap::new(),
            releasing: HashSet::new(),
            stopped: mpsc::unbounded_channel(),
            look: listen_for_members(core),
        }
    }

    /// Until the worker is to stop (`Ok`) or the lease is lost.
    async fn hold(&mut self) -> Result<(), Error> {
        let soft = self.core.lifecycle.soft();
        let mut tick = tokio::time::interval(EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let look = Arc::clone(&self.look);
        let mut released = Vec::new();
        self.core.bus.publish_members_changed().await;
        loop {
            tokio::select! {
                () = soft.cancelled() => return Ok(()),
                _ = tick.tick() => self.tick().await?,
                () = look.notified() => self.tick().await?,
                _ = self.stopped.1.recv_many(&mut released, usize::MAX) => {
                    self.give_back(std::mem::take(&mut released)).await?;
                }
            }
        }
    }

    async fn heartbeat(&mut self) -> Result<Vec<Peer>, Error> {
        let asked = Instant::now();
        let peers = in_time(self.lease.heartbeat()).await?;
        // Whoever asked the deadline meanwhile has stopped for good, so it can't be extended afterwards.
        if !self.held.is_empty() && !self.core.lease.holds() {
            return Err(Error::NotCommitted(
                "the heartbeat was answered after the lease had lapsed".to_owned(),
            ));
        }
        self.core.lease.renew(asked, GOOD_FOR);
        Ok(peers)
    }

    async fn tick(&mut self) -> Result<(), Error> {
        let peers = self.heartbeat().await?;
        let candidates: Vec<Candidate> =
            peers.into_iter().map(|peer| Candidate { name: peer.name, weight: peer.weight }).collect();
        let ours = |shard: ShardId| owner_of(shard, &candidates).is_some_and(|c| c.name == self.core.name);
        let (wanted, foreign): (Vec<_>, Vec<_>) = self.shards.all().partition(|shard| ours(*shard));
        // A shard that stopped by itself met a newer claim of somebody else's.
        let stopped =
            self.held.values().filter(|shard| shard.stopping().is_cancelled()).map(|shard| shard.id);
        for shard in stopped.chain(foreign).collect::<Vec<_>>() {
            self.begin_release(shard);
        }
        let missing: Vec<ShardId> = wanted
            .into_iter()
            .filter(|shard| !self.held.contains_key(shard) && !self.releasing.contains(shard))
            .collect();
        if missing.is_empty() { Ok(()) } else { self.claim(&missing).await }
    }

    async fn claim(&mut self, missing: &[ShardId]) -> Result<(), Error> {
        let claimed = in_time(self.lease.claim(missing)).await?;
        if claimed.len() < missing.len() {
            let left: Vec<ShardId> =
                missing.iter().filter(|shard| claimed.iter().all(|c| c.shard != **shard)).copied().collect();
            let broken = in_time(self.lease.break_frozen(&left)).await?;
            if broken > 0 {
                warn!(sessions = broken, "ended {broken} sessions of workers that have not been heard of");
            }
        }
        for claim in &claimed {
            self.begin(&Arc::new(Shard::new(claim.shard, claim.epoch)));
        }
        if !claimed.is_empty() {
            info!(
                claimed = claimed.len(),
                held = self.held.len(),
                "claimed {} shards, holding {}",
                claimed.len(),
                self.held.len()
            );
            self.core.sweep.notify_one();
        }
        Ok(())
    }

    fn begin(&mut self, shard: &Arc<Shard>) {
        self.held.insert(shard.id, Arc::clone(shard));
        self.core.own(Arc::clone(shard));
        shard.spawn(published::run(Arc::clone(self.core), Arc::clone(shard)));
        shard.spawn(supervisor::run(Arc::clone(self.core), Arc::clone(shard)));
    }

    /// Stops a shard in the background; its lock is kept until it has stopped.
    fn begin_release(&mut self, id: ShardId) {
        let Some(shard) = self.held.remove(&id) else { return };
        self.releasing.insert(id);
        self.core.disown(id);
        let stopped = self.stopped.0.clone();
        self.core.lifecycle.spawn("release a shard", async move {
            shard.stop(HAND_OVER).await;
            // The holder is gone only when the lease is, and then there is nothing to give back.
            let _gone = stopped.send(shard.id);
        });
    }

    async fn give_back(&mut self, shards: Vec<ShardId>) -> Result<(), Error> {
        in_time(self.lease.release(&shards)).await?;
        for shard in &shards {
            self.releasing.remove(shard);
        }
        info!(
            released = shards.len(),
            held = self.held.len(),
            "gave {} shards back, holding {}",
            shards.len(),
            self.held.len()
        );
        self.core.bus.publish_members_changed().await;
        Ok(())
    }

    /// The lease is lost: nothing may run for our shards any more.
    async fn drop_everything(&mut self) {
        self.core.lease.revoke();
        for shard in self.held.values() {
            self.core.disown(shard.id);
            shard.abort();
        }
        for (_, shard) in self.held.drain() {
            shard.stop(Duration::ZERO).await;
        }
        while !self.releasing.is_empty() {
            let Some(shard) = self.stopped.1.recv().await else { return };
            self.releasing.remove(&shard);
        }
    }

    /// The worker stops: hand everything over, then go. The heartbeat goes on meanwhile.
    async fn leave(mut self) {
        self.core.draining.store(true, Ordering::Relaxed);
        if let Err(error) = self.hand_over().await {
            warn!("leaving without a proper hand-over: {}", chain(&error));
            self.drop_everything().await;
        }
        self.core.lease.revoke();
        if let Err(error) = in_time(self.lease.close()).await {
            warn!("closing the lease failed: {}", chain(&error));
        }
        self.core.bus.publish_members_changed().await;
        self.core.bus.flush().await;
    }

    async fn hand_over(&mut self) -> Result<(), Error> {
        in_time(self.lease.drain()).await?;
        for id in self.held.keys().copied().collect::<Vec<_>>() {
            self.begin_release(id);
        }
        let mut tick = tokio::time::interval(EVERY);
        let mut released = Vec::new();
        while !self.releasing.is_empty() {
            tokio::select! {
                _ = tick.tick() => { self.heartbeat().await?; }
                _ = self.stopped.1.recv_many(&mut released, usize::MAX) => {
                    self.give_back(std::mem::take(&mut released)).await?;
                }
            }
        }
        Ok(())
    }
}

async fn in_time<T>(call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let answered = tokio::time::timeout(HEARTBEAT_LIMIT, call).await;
    answered.unwrap_or_else(|_| Err(Error::NotCommitted("the database did not answer in time".to_owned())))
}

/// Rings when a member says that something changed; the returned bell outlives a NATS that is away.
fn listen_for_members(core: &Arc<Core>) -> Arc<Notify> {
    let bell = Arc::new(Notify::new());
    let (weak, bus, soft) = (Arc::downgrade(&bell), Arc::clone(&core.bus), core.lifecycle.soft());
    core.lifecycle.spawn("members", async move {
        while let Ok(mut members) = bus.subscribe_members().await {
            loop {
                let frame = tokio::select! {
                    frame = members.next() => frame,
                    () = soft.cancelled() => return,
                };
                let Some(bell) = weak.upgrade() else { return };
                bell.notify_one();
                if frame.is_none() {
                    break;
                }
            }
        }
    });
    bell
}
