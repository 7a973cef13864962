//! What NATS brings for a shard, at once.
//!
//! A word may come long after its message: who committed it may be frozen before it publishes, and goes on where it was. By
//! then the sweep has brought the message, it is done, and that is forgotten. So a word is taken as it is only when, if its message were
//! done, this owner would know: it was accepted since the shard was claimed, and no more than [`LATE`] ago. About any other the
//! database is asked before anything is done, which costs one reading of its conversation, or a turn of the sweep.
//!
//! Must hold: what is done was done by this owner since the message was accepted, or is older than the claim; and [`LATE`] is shorter
//! than what is done is remembered, by much more than clocks differ. A message is dated by the database's clock, and ours is the machine's
//! corrected by that one (`launch/time.rs`), however far the machine's is off: it is wrong by less than [`CLOCK_OFF`]. One
//! that was just set may be wrong by more until the database is asked again, within half a minute. If it is ahead, every word seems
//! late, and the database is asked for nothing: nothing is lost. If it is behind, words seem younger than they are. Up to
//! [`REMEMBER`] less [`LATE`] does no harm; with more, what is late by just as much is done twice in that half minute.

use std::sync::Arc;
use std::time::Duration;

use claw_bus::{Gaps, Numbered};
use claw_types::Work;
use futures::StreamExt as _;
use futures::stream::BoxStream;
use tracing::warn;

use crate::pipeline::Pipeline;
use crate::shard::Shard;
use crate::shard::queue::REMEMBER;

/// A word that comes longer than this after its message was accepted may be of what was done and is forgotten. Who is not frozen
/// publishes within 13 s: a statement takes 10 s at most, and then NATS is waited for.
const LATE: Duration = Duration::from_secs(30);
/// By how much our clock may differ from the database's: it is left alone when it is less than a second apart, as far as an answer that
/// took up to a second can tell.
const CLOCK_OFF: Duration = Duration::from_secs(2);
const _: () = assert!(LATE.as_secs() + CLOCK_OFF.as_secs() < REMEMBER.as_secs());

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
            let now_ms = pipeline.clock.now().timestamp_millis();
            if would_know(&work, now_ms, shard.owned_for()) {
                pipeline.offer(shard, work);
            } else {
                pipeline.offer_late(shard, &work);
            }
        }
        None => shard.queue().leave_to_sweep(),
    }
    if shard.queue().wants_sweep() {
        pipeline.sweep.notify_one();
    }
}

/// Whether the owner of a shard for so long would know if the message were done.
fn would_know(work: &Work, now_ms: i64, owned_for: Duration) -> bool {
    // Of a moment that our clock has not reached: it was accepted just now.
    let age = Duration::from_millis(u64::try_from(now_ms.saturating_sub(work.fresh_at_ms())).unwrap_or(0));
    age <= LATE && age + CLOCK_OFF <= owned_for
}

#[cfg(test)]
mod tests;
