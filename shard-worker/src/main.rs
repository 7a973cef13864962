//! The worker alone, for images that carry one role; `ii-claw worker` is the same.

use std::process::ExitCode;

use claw_config::WorkerSettings;

fn main() -> ExitCode {
    let about = "The shard-worker of ii-claw: adapter connections and deliveries";
    claw_launch::role("ii-claw-worker", about, async |settings: WorkerSettings, lifecycle| {
        claw_shard_worker::start(settings, &lifecycle).await?;
        Ok(())
    })
}
