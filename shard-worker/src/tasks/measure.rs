//! Shows every few seconds what this worker has in memory. Nothing is asked of the database.

use std::sync::Arc;
use std::time::Duration;

use claw_telemetry::metrics::Gauge;
use tokio::time::MissedTickBehavior;

use crate::channels;
use crate::core::Core;
use crate::pipeline::Pipeline;
use crate::shard::queue::Census;

/// Looking at everything takes some milliseconds in a worker with 100,000 channels.
const EVERY: Duration = Duration::from_secs(5);

/// Runs until the worker stops.
pub(crate) async fn run(core: Arc<Core>) {
    let soft = core.lifecycle.soft();
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while soft.run_until_cancelled(tick.tick()).await.is_some() {
        queues(&core.pipeline);
        channels::measure::show(&core.shards());
        breakers(&core);
    }
}

fn queues(pipeline: &Pipeline) {
    let each: Vec<Census> = pipeline.shards().iter().map(|shard| shard.queue().census()).collect();
    let all = each.iter().copied().fold(Census::default(), Census::and);
    Gauge::QueueMessages.set(&["ready"], f64::from(all.ready));
    Gauge::QueueMessages.set(&["waiting"], f64::from(all.waiting));
    Gauge::QueueOldest.set(&[], seconds_since(all.oldest_ms, pipeline.clock.now().timestamp_millis()));
    Gauge::ShardsCatchingUp.set(&[], count(each.iter().filter(|census| census.catching_up).count()));
}

fn breakers(core: &Core) {
    let (operator, user): (Vec<_>, Vec<_>) =
        core.backend.away().into_iter().partition(|away| away.tenant.is_none());
    Gauge::BreakersOpen.set(&["operator"], count(operator.len()));
    Gauge::BreakersOpen.set(&["user"], count(user.len() + core.webhooks.away()));
}

fn seconds_since(then_ms: Option<i64>, now_ms: i64) -> f64 {
    let ms = then_ms.map_or(0, |then| now_ms.saturating_sub(then).max(0));
    f64::from(u32::try_from(ms).unwrap_or(u32::MAX)) / 1000.0
}

fn count(number: usize) -> f64 {
    u32::try_from(number).unwrap_or(u32::MAX).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_never_negative() {
        assert!(seconds_since(None, 5_000).abs() < f64::EPSILON);
        assert!((seconds_since(Some(2_500), 5_000) - 2.5).abs() < f64::EPSILON);
        assert!(seconds_since(Some(6_000), 5_000).abs() < f64::EPSILON, "another machine's clock is ahead");
    }
}
