//! One role in a process of its own.

use claw_config::{GatewaySettings, SchedulerSettings, WorkerSettings};
use claw_launch::GRACE;
use claw_runtime::Lifecycle;

pub(crate) async fn gateway(settings: GatewaySettings, lifecycle: Lifecycle) -> anyhow::Result<()> {
    claw_gateway::Gateway::start(settings, None, &lifecycle).await?;
    Ok(lifecycle.run_until_signal(GRACE).await?)
}

pub(crate) async fn worker(settings: WorkerSettings, lifecycle: Lifecycle) -> anyhow::Result<()> {
    claw_shard_worker::start(settings, &lifecycle).await?;
    Ok(lifecycle.run_until_signal(GRACE).await?)
}

pub(crate) async fn scheduler(settings: SchedulerSettings, lifecycle: Lifecycle) -> anyhow::Result<()> {
    claw_scheduler_leader::start(settings, &lifecycle).await?;
    Ok(lifecycle.run_until_signal(GRACE).await?)
}
