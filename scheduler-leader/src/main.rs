//! The scheduler alone, for images that carry one role; `ii-claw scheduler` is the same.

use std::process::ExitCode;

use claw_config::SchedulerSettings;

fn main() -> ExitCode {
    let about = "The scheduler-leader of ii-claw: one leads, the others stand by";
    claw_launch::role("ii-claw-scheduler", about, async |settings: SchedulerSettings, lifecycle| {
        claw_scheduler_leader::start(settings, &lifecycle).await?;
        Ok(())
    })
}
