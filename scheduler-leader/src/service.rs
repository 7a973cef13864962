//! What the scheduler answers to its peers and to probes.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use claw_config::RetentionSettings;
use claw_rpc::{Health, RanNow, Refused, SchedulerService, SchedulerStatus, SteppedDown};
use claw_store::chain;
use tokio::sync::{mpsc, oneshot};

use crate::duties::retention;
use crate::duties::timers::Timers;
use crate::elector::{STAND_BY, StepDown};

/// The scheduler's side of the RPC.
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) timers: Arc<Timers>,
    pub(crate) retention: RetentionSettings,
    pub(crate) step_down: mpsc::Sender<StepDown>,
}

#[async_trait]
impl Health for Service {
    async fn ready(&self) -> Result<(), String> {
        if self.timers.lifecycle.soft().is_cancelled() {
            return Err("draining".to_owned());
        }
        match tokio::time::timeout(Duration::from_secs(1), self.timers.store.ping()).await {
            Err(_) => return Err("the database does not answer".to_owned()),
            Ok(Err(error)) => return Err(chain(&error)),
            Ok(Ok(())) => {}
        }
        if !self.timers.leadership.in_the_running() {
            return Err("not taking part in the election: no lease connection".to_owned());
        }
        if self.timers.bus.connected() { Ok(()) } else { Err("NATS is away".to_owned()) }
    }
}

#[async_trait]
impl SchedulerService for Service {
    async fn status(&self) -> SchedulerStatus {
        SchedulerStatus {
            name: self.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            leading: self.timers.leadership.term(),
        }
    }

    async fn step_down(&self) -> Result<SteppedDown, Refused> {
        let failed = || Refused::Failed("this scheduler lost its database: it leads no longer".to_owned());
        if !self.timers.leadership.in_the_running() {
            return Err(failed());
        }
        let (asker, ended) = oneshot::channel();
        self.step_down.send(asker).await.map_err(|_| failed())?;
        let term = ended.await.map_err(|_| failed())?.ok_or_else(not_leading)?;
        Ok(SteppedDown { term, stands_by: STAND_BY })
    }

    async fn run_now(&self) -> Result<RanNow, Refused> {
        if self.timers.leadership.term().is_none() {
            return Err(not_leading());
        }
        let stop = self.timers.lifecycle.soft();
        let failed = |error| Refused::Failed(chain(&error));
        let fired = self.timers.fire_all(&stop).await.map_err(failed)?;
        self.timers.follow_runs(&stop).await.map_err(failed)?;
        let forgotten = retention::run(&self.timers.store, self.retention).await;
        Ok(RanNow { fired: u32::try_from(fired).unwrap_or(u32::MAX), forgotten })
    }
}

fn not_leading() -> Refused {
    Refused::NotMine("this scheduler does not lead: ask the one that does".to_owned())
}
