//! What NATS brings for a shard, at once.

use std::sync::Arc;
use std::time::Duration;

use claw_bus::{Gaps, Numbered};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use tracing::warn;

use crate::pipeline::Pipeline;
use crate::shard::Shard;

/// Listens for a shard from now on, and then lets its first sweep begin: what is published before the subscription
/// stands is found by the sweep, what comes after by this.
pub(crate) async fn run(pipeline: Arc<Pipeline>, shard: Arc<Shard>) {
    while !shard.stopping().is_cancelled() {
        match pipeline.road.work(shard.id).await {
            Ok(subscription) => {
                pipeline.road.flush().await;
                listen(&pipeline, &shard, subscription).await;
            }
            Err(error) => warn!(shard.id = %shard.id, "can't listen to NATS, sweeping only: {error}"),
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
            () = shard.stopping().cancelled() => {}
        }
    }
}

async fn listen(
    pipeline: &Arc<Pipeline>,
    shard: &Arc<Shard>,
    mut subscription: BoxStream<'static, Numbered>,
) {
    let mut gaps = Gaps::default();
    loop {
        let numbered = tokio::select! {
            biased;
            () = shard.stopping().cancelled() => return,
            numbered = subscription.next() => numbered,
        };
        let Some(numbered) = numbered else { return };
        take(pipeline, shard, &mut gaps, numbered);
    }
}

fn take(pipeline: &Arc<Pipeline>, shard: &Arc<Shard>, gaps: &mut Gaps, numbered: Numbered) {
    let missed = gaps.missed_before(numbered.publisher, numbered.number);
    match numbered.work {
        // A message for another shard is somebody's mistake; the sweep of its own shard finds it.
        Some(work) if work.shard != shard.id => {}
        Some(work) => {
            if missed {
                shard.queue().leave_to_sweep();
            }
            // Behind a gap, too: catching up, the queue takes what no backlog is ahead of, as the database has it. A worker
            // that was just given the shard misses something of every publisher, and a backlog may be long.
            pipeline.offer(shard, work);
        }
        None => shard.queue().leave_to_sweep(),
    }
    if shard.queue().wants_sweep() {
        pipeline.sweep.notify_one();
    }
}
