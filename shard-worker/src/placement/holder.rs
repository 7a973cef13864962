//! One lease connection's time: what is held under it, claimed, given back, and dropped when it is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use claw_store::{Error, chain};
use claw_telemetry::metrics::{Counter, Gauge, Histogram};
use claw_types::placement::{HEARTBEAT_EVERY, LEASE_GOOD_FOR};
use claw_types::{ShardCount, ShardId};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::plan::Planner;
use super::{
    CALL_LIMIT, COALESCE, EVERY_SOON, HAND_OVER, IN_MOTION, LEAVE_GENTLY, SENDS, SENDS_AT_EXIT, SOON,
};
use crate::pipeline::Pipeline;
use crate::ports::LeaseConnection;
use crate::shard::Shard;
use crate::tasks::published;

pub(super) struct Holder<'a> {
    pipeline: &'a Arc<Pipeline>,
    lease: Box<dyn LeaseConnection>,
    planner: Planner,
    held: BTreeMap<ShardId, Arc<Shard>>,
    /// Being stopped; still locked, so nobody else may begin.
    releasing: BTreeMap<ShardId, Arc<Shard>>,
    stopped: (mpsc::UnboundedSender<ShardId>, mpsc::UnboundedReceiver<ShardId>),
    look: Arc<Notify>,
    drain_wanted: watch::Receiver<bool>,
    /// Cancelled when the process stops soon: what is sent is not waited for any longer.
    hurry: CancellationToken,
    /// Since when everything is being given away.
    leaving: Option<Instant>,
    /// Since when something that is ours could not be claimed.
    waiting: Option<Instant>,
}

impl<'a> Holder<'a> {
    pub(super) fn new(
        pipeline: &'a Arc<Pipeline>,
        lease: Box<dyn LeaseConnection>,
        shards: ShardCount,
        look: Arc<Notify>,
    ) -> Self {
        let mut drain_wanted = pipeline.drain_wanted.subscribe();
        // What was wanted before counts for this connection, too.
        drain_wanted.mark_changed();
        Self {
            pipeline,
            lease,
            planner: Planner::new(pipeline.name.clone(), shards),
            held: BTreeMap::new(),
            releasing: BTreeMap::new(),
            stopped: mpsc::unbounded_channel(),
            look,
            drain_wanted,
            hurry: CancellationToken::new(),
            leaving: None,
            waiting: None,
        }
    }

    /// Until the worker is to stop (`Ok`) or the lease is lost.
    pub(super) async fn hold(&mut self) -> Result<(), Error> {
        let soft = self.pipeline.lifecycle.soft();
        let mut tick = tokio::time::interval(HEARTBEAT_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let look = Arc::clone(&self.look);
        let mut released = Vec::new();
        self.pipeline.road.tell_members().await;
        loop {
            tokio::select! {
                biased;
                () = soft.cancelled() => return Ok(()),
                _ = self.stopped.1.recv_many(&mut released, usize::MAX) => {
                    self.give_back(std::mem::take(&mut released)).await?;
                }
                Ok(()) = self.drain_wanted.changed() => {
                    let wanted = *self.drain_wanted.borrow_and_update();
                    self.set_leaving(wanted).await?;
                }
                _ = tick.tick() => {}
                () = news(&look) => {}
                () = tokio::time::sleep(EVERY_SOON), if self.is_waiting() => {}
            }
            self.turn().await?;
        }
    }

    async fn set_leaving(&mut self, leaving: bool) -> Result<(), Error> {
        if leaving == self.leaving.is_some() {
            return Ok(());
        }
        in_time(self.limit(), self.lease.set_draining(leaving)).await?;
        self.leaving = leaving.then(Instant::now);
        self.pipeline.draining.store(leaving, Ordering::Relaxed);
        let what = if leaving { "giving every shard away" } else { "taking shards again" };
        info!("draining: {what}");
        self.pipeline.road.tell_members().await;
        Ok(())
    }

    /// Says that we live, and does what follows from who else does.
    async fn turn(&mut self) -> Result<(), Error> {
        // This process may have been frozen: then everything stops before anybody is asked.
        self.not_lapsed()?;
        let asked = Instant::now();
        let peers = in_time(self.limit(), self.lease.heartbeat()).await?;
        Histogram::LeaseRenew.observe(&[], asked.elapsed().as_secs_f64());
        // Whoever asked the deadline meanwhile has stopped for good, so it can't be extended afterwards.
        self.not_lapsed()?;
        self.pipeline.lease.renew(asked, LEASE_GOOD_FOR);
        self.planner.update(peers);
        let followed = self.follow_plan().await;
        self.show();
        followed
    }

    fn show(&self) {
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX).into();
        let wanted = if self.leaving.is_some() { 0 } else { self.planner.ours() };
        Gauge::ShardsOwned.set(&[], number(self.held.len() + self.releasing.len()));
        Gauge::ShardsWanted.set(&[], number(wanted));
        Gauge::LeaseHeld.set(&[], if self.pipeline.lease.holds() { 1.0 } else { 0.0 });
    }

    /// Until when a call on the lease connection may take. One after the other they must not outlast the lease: what runs for our
    /// shards has to be stopped by then.
    fn limit(&self) -> Instant {
        let limit = Instant::now() + CALL_LIMIT;
        let nothing = self.held.is_empty() && self.releasing.is_empty();
        self.pipeline.lease.until().filter(|_| !nothing).map_or(limit, |until| until.min(limit))
    }

    fn not_lapsed(&self) -> Result<(), Error> {
        let nothing = self.held.is_empty() && self.releasing.is_empty();
        if nothing || self.pipeline.lease.holds() {
            return Ok(());
        }
        Err(Error::NotCommitted("the lease lapsed before it was renewed".to_owned()))
    }

    async fn follow_plan(&mut self) -> Result<(), Error> {
        // A shard that stopped by itself met a newer claim of somebody else's.
        let stopped = self.held.values().filter(|shard| shard.stopping().is_cancelled());
        for shard in stopped.map(|shard| shard.id).collect::<Vec<_>>() {
            self.begin_release(shard);
        }
        let room = match self.leaving {
            Some(since) if since.elapsed() > LEAVE_GENTLY => usize::MAX,
            _ => IN_MOTION.saturating_sub(self.in_motion()),
        };
        let held = self.held.keys().copied();
        let releasing: BTreeSet<ShardId> = self.releasing.keys().copied().collect();
        let plan = self.planner.plan(held, &releasing, self.leaving.is_some(), room);
        for shard in plan.release {
            self.begin_release(shard);
        }
        if plan.claim.is_empty() {
            self.waiting = None;
            return Ok(());
        }
        self.claim(&plan.claim).await
    }

    /// How many are being stopped. One that only waits for a send keeps no other one from moving.
    fn in_motion(&self) -> usize {
        self.releasing.values().filter(|shard| !shard.cutting().is_cancelled()).count()
    }

    fn is_waiting(&self) -> bool {
        self.waiting.is_some_and(|since| since.elapsed() < SOON)
    }

    async fn claim(&mut self, missing: &[ShardId]) -> Result<(), Error> {
        let claimed = in_time(self.limit(), self.lease.claim(missing)).await?;
        self.waiting = (claimed.len() < missing.len()).then(|| self.waiting.unwrap_or_else(Instant::now));
        if self.waiting.is_some() {
            let left: Vec<ShardId> =
                missing.iter().filter(|shard| claimed.iter().all(|c| c.shard != **shard)).copied().collect();
            let broken = in_time(self.limit(), self.lease.break_frozen(&left)).await?;
            if broken > 0 {
                warn!(sessions = broken, "ended {broken} sessions of workers that have not been heard of");
            }
        }
        for claim in &claimed {
            Counter::ShardClaims.add(&[claim.former.as_str()]);
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
            self.pipeline.sweep.notify_one();
        }
        Ok(())
    }

    fn begin(&mut self, shard: &Arc<Shard>) {
        self.held.insert(shard.id, Arc::clone(shard));
        self.pipeline.own(Arc::clone(shard));
        shard.spawn(published::run(Arc::clone(self.pipeline), Arc::clone(shard)));
        let (pipeline, owned) = (Arc::clone(self.pipeline), Arc::clone(shard));
        shard.spawn(async move { pipeline.acts.attend(&pipeline, owned).await });
    }

    /// Stops a shard in the background; its lock is kept until it has stopped.
    fn begin_release(&mut self, id: ShardId) {
        let Some(shard) = self.held.remove(&id) else { return };
        self.releasing.insert(id, Arc::clone(&shard));
        self.pipeline.disown(id);
        let (stopped, hurry) = (self.stopped.0.clone(), self.hurry.clone());
        self.pipeline.lifecycle.spawn("release a shard", async move {
            // Long or not is all the same: what is left is given up either way.
            let patience = async { drop(tokio::time::timeout(SENDS, hurry.cancelled()).await) };
            shard.stop(HAND_OVER, patience).await;
            // The holder is gone only when the lease is, and then there is nothing to give back.
            let _gone = stopped.send(shard.id);
        });
    }

    async fn give_back(&mut self, shards: Vec<ShardId>) -> Result<(), Error> {
        in_time(self.limit(), self.lease.release(&shards)).await?;
        for shard in &shards {
            Counter::ShardReleases.add(&[]);
            self.releasing.remove(shard);
        }
        info!(
            released = shards.len(),
            held = self.held.len(),
            "gave {} shards back, holding {}",
            shards.len(),
            self.held.len()
        );
        self.pipeline.road.tell_members().await;
        Ok(())
    }

    /// The lease is lost: nothing may run for our shards any more.
    pub(super) async fn drop_everything(&mut self) {
        self.pipeline.lease.revoke();
        Counter::LeaseLosses.add(&[]);
        let (held, releasing) = (std::mem::take(&mut self.held), std::mem::take(&mut self.releasing));
        for shard in held.values().chain(releasing.values()) {
            self.pipeline.disown(shard.id);
            shard.abort();
        }
        for shard in held.values().chain(releasing.values()) {
            shard.ended().await;
        }
        self.show();
    }

    /// The worker stops: hand everything over, then go. The heartbeat goes on meanwhile.
    pub(super) async fn leave(mut self) {
        if let Err(error) = self.hand_over().await {
            warn!("leaving without a proper hand-over: {}", chain(&error));
            self.drop_everything().await;
        }
        self.pipeline.lease.revoke();
        self.show();
        if let Err(error) = in_time(self.limit(), self.lease.close()).await {
            warn!("closing the lease failed: {}", chain(&error));
        }
        self.pipeline.road.tell_members().await;
        self.pipeline.road.flush().await;
    }

    async fn hand_over(&mut self) -> Result<(), Error> {
        let hurry_at = Instant::now() + SENDS_AT_EXIT;
        self.set_leaving(true).await?;
        self.turn().await?;
        let mut tick = tokio::time::interval(HEARTBEAT_EVERY);
        let mut released = Vec::new();
        while !(self.held.is_empty() && self.releasing.is_empty()) {
            tokio::select! {
                biased;
                _ = self.stopped.1.recv_many(&mut released, usize::MAX) => {
                    self.give_back(std::mem::take(&mut released)).await?;
                    self.follow_plan().await?;
                }
                () = tokio::time::sleep_until(hurry_at), if !self.hurry.is_cancelled() => self.hurry.cancel(),
                _ = tick.tick() => self.turn().await?,
            }
        }
        Ok(())
    }
}

/// Somebody says that the membership changed; what others say right after it is the same news.
async fn news(bell: &Notify) {
    bell.notified().await;
    tokio::time::sleep(COALESCE).await;
}

async fn in_time<T>(limit: Instant, call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let answered = tokio::time::timeout_at(limit, call).await;
    answered.unwrap_or_else(|_| Err(Error::NotCommitted("the database did not answer in time".to_owned())))
}
