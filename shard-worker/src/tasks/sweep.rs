//! The safety net: looks into the database for what was not handled, every second and whenever a shard asks for it.
//!
//! One query serves all shards. A shard that catches up is read page after page without a pause, as long as it has
//! room in memory.

use std::sync::Arc;
use std::time::Duration;

use claw_store::chain;
use claw_types::{ShardId, Work};
use tokio::time::{Instant, MissedTickBehavior};
use tracing::warn;

use crate::deliver::lane;
use crate::pipeline::Pipeline;
use crate::shard::Shard;

/// How often everything is looked through.
const EVERY: Duration = Duration::from_secs(1);
/// Messages of one shard in one query: few enough that all 256 shards at once fit into memory.
const PAGE: usize = 100;

/// Runs until the worker stops.
pub async fn run(pipeline: Arc<Pipeline>) {
    let soft = pipeline.lifecycle.soft();
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let mut all = tokio::select! {
            biased;
            () = soft.cancelled() => return,
            _ = tick.tick() => true,
            () = pipeline.sweep.notified() => false,
        };
        loop {
            let shards = wanting(&pipeline, all);
            if shards.is_empty() || soft.is_cancelled() {
                break;
            }
            if let Err(error) = sweep(&pipeline, &shards).await {
                warn!("sweeping failed, trying again in a second: {}", chain(&error));
                break;
            }
            all = false;
        }
    }
}

fn wanting(pipeline: &Pipeline, all: bool) -> Vec<Arc<Shard>> {
    let mut shards = pipeline.shards();
    shards.retain(|shard| {
        let queue = shard.queue();
        !shard.stopping().is_cancelled() && (queue.wants_sweep() || (all && queue.has_room()))
    });
    shards
}

async fn sweep(pipeline: &Arc<Pipeline>, shards: &[Arc<Shard>]) -> claw_store::Result<()> {
    let high = pipeline.log.high_water().await?;
    let now = Instant::now();
    let after: Vec<(ShardId, i64)> =
        shards.iter().map(|shard| (shard.id, shard.queue().begin_page(high, now))).collect();
    let mut rows = pipeline.log.pending(&after, PAGE).await?;
    // Stable: keeps each shard's rows in their order.
    rows.sort_by_key(|(work, _)| work.shard);
    for shard in shards {
        let from = rows.partition_point(|(work, _)| work.shard < shard.id);
        let to = rows.partition_point(|(work, _)| work.shard <= shard.id);
        take(pipeline, shard, rows[from..to].to_vec());
    }
    Ok(())
}

fn take(pipeline: &Arc<Pipeline>, shard: &Arc<Shard>, rows: Vec<(Work, f64)>) {
    let full = rows.len() >= PAGE;
    let due = |seconds: f64| Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or_default();
    let rows = rows.into_iter().map(|(work, seconds)| (work, due(seconds))).collect();
    let start = shard.queue().end_page(rows, full, Instant::now());
    for key in start {
        lane::start(pipeline, shard, key);
    }
}
