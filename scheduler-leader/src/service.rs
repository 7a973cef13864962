//! What the scheduler answers to its peers and to probes.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use claw_bus::Bus;
use claw_rpc::{Health, SchedulerService, SchedulerStatus};
use claw_runtime::Lifecycle;
use claw_store::{Store, chain};

use crate::elector::Leadership;

/// The scheduler's side of the RPC.
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) store: Store,
    pub(crate) bus: Arc<Bus>,
    pub(crate) leadership: Arc<Leadership>,
    pub(crate) lifecycle: Lifecycle,
}

#[async_trait]
impl Health for Service {
    async fn ready(&self) -> Result<(), String> {
        if self.lifecycle.soft().is_cancelled() {
            return Err("draining".to_owned());
        }
        match tokio::time::timeout(Duration::from_secs(1), self.store.ping()).await {
            Err(_) => return Err("the database does not answer".to_owned()),
            Ok(Err(error)) => return Err(chain(&error)),
            Ok(Ok(())) => {}
        }
        if !self.leadership.in_the_running() {
            return Err("not taking part in the election: no lease connection".to_owned());
        }
        if self.bus.connected() { Ok(()) } else { Err("NATS is away".to_owned()) }
    }
}

#[async_trait]
impl SchedulerService for Service {
    async fn status(&self) -> SchedulerStatus {
        SchedulerStatus {
            name: self.name.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            leading: self.leadership.term(),
        }
    }
}
