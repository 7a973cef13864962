//! What is due becomes messages, and each message's owner is told as a gateway would.
//!
//! The publish comes after the commit. A leader that dies in between has lost nothing: the owner's sweep finds the
//! message. What nobody led for long enough is fired late, but once.
//!
//! Two loops: what is done about runs that are over may wait for somebody who holds a job; nothing that is due waits for it.

use std::sync::Arc;
use std::time::Duration;

use claw_bus::Bus;
use claw_runtime::{Lifecycle, Random};
use claw_store::{Result, Store, chain};
use tokio::time::{Interval, MissedTickBehavior};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::jobs::action::Maker;
use super::{heartbeats, jobs, runs, wakes};
use crate::elector::Leadership;

/// How often the leader looks for what is due: half of what a job may be late, the other half is for firing it.
const EVERY: Duration = Duration::from_millis(100);
/// How often it looks for runs that are over.
const RUNS_EVERY: Duration = Duration::from_millis(500);
/// How long it leaves a database alone that failed.
const PAUSE: Duration = Duration::from_secs(1);

/// Fires what is due whenever this process leads.
pub(crate) struct Timers {
    pub(crate) store: Store,
    pub(crate) bus: Arc<Bus>,
    pub(crate) make: Maker,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) leadership: Arc<Leadership>,
    pub(crate) lifecycle: Lifecycle,
}

impl Timers {
    /// Starts both loops; they run until the process stops.
    pub(crate) fn start(self: &Arc<Self>) {
        self.lifecycle.spawn("timers", Arc::clone(self).fire_on());
        self.lifecycle.spawn("runs", Arc::clone(self).follow_on());
    }

    async fn fire_on(self: Arc<Self>) {
        let mut ticks = Ticks::every(EVERY, self.lifecycle.soft());
        while ticks.next().await {
            let done = self.fire_all(&ticks.stop).await;
            ticks.after(done.map(drop)).await;
        }
    }

    async fn follow_on(self: Arc<Self>) {
        let mut ticks = Ticks::every(RUNS_EVERY, self.lifecycle.soft());
        while ticks.next().await {
            let done = self.follow_runs(&ticks.stop).await;
            ticks.after(done).await;
        }
    }

    /// Fires everything that is due while this process leads, and tells how much that was.
    pub(crate) async fn fire_all(&self, stop: &CancellationToken) -> Result<u64> {
        if self.leadership.term().is_none() {
            return Ok(0);
        }
        let (mut all, waiting) = (0, self.store.timers_waiting().await?);
        if waiting.wakes {
            all += wakes::fire_all(self, stop).await?;
        }
        if waiting.heartbeats {
            all += heartbeats::fire_all(self, stop).await?;
        }
        if waiting.jobs {
            all += jobs::fire_all(self, stop).await?;
        }
        Ok(all)
    }

    /// Does what there is to do about runs while this process leads.
    pub(crate) async fn follow_runs(&self, stop: &CancellationToken) -> Result<()> {
        if self.leadership.term().is_some() { runs::follow_all(self, stop).await } else { Ok(()) }
    }
}

/// The ticks of a loop, until the process stops.
struct Ticks {
    tick: Interval,
    stop: CancellationToken,
}

impl Ticks {
    fn every(period: Duration, stop: CancellationToken) -> Self {
        let mut tick = tokio::time::interval(period);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { tick, stop }
    }

    /// Waits for the next one; `false` when there is none any more.
    async fn next(&mut self) -> bool {
        self.stop.run_until_cancelled(self.tick.tick()).await.is_some()
    }

    /// After something that failed, which is tried again, it makes a pause.
    async fn after(&self, done: Result<()>) {
        if let Err(error) = done {
            warn!("firing what is due failed, trying again in a second: {}", chain(&error));
            // Ends early when the process stops.
            drop(tokio::time::timeout(PAUSE, self.stop.cancelled()).await);
        }
    }
}
