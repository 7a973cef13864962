//! What NATS brings for a shard, at once.

use std::sync::Arc;
use std::time::Duration;

use claw_bus::{Gaps, Numbered, Subscription};
use tracing::warn;

use crate::core::Core;
use crate::shard::Shard;

/// Listens for a shard from now on, and then lets its first sweep begin: what is published before the subscription
/// stands is found by the sweep, what comes after by this.
pub(crate) async fn run(core: Arc<Core>, shard: Arc<Shard>) {
    while !shard.stopping().is_cancelled() {
        match core.bus.subscribe_work(shard.id).await {
            Ok(subscription) => {
                core.bus.flush().await;
                listen(&core, &shard, subscription).await;
            }
            Err(error) => warn!(shard = %shard.id, "can't listen to NATS, sweeping only: {error}"),
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
            () = shard.stopping().cancelled() => {}
        }
    }
}

async fn listen(core: &Arc<Core>, shard: &Arc<Shard>, mut subscription: Subscription) {
    let mut gaps = Gaps::default();
    loop {
        let numbered = tokio::select! {
            numbered = subscription.next() => numbered,
            () = shard.stopping().cancelled() => return,
        };
        let Some(numbered) = numbered else { return };
        take(core, shard, &mut gaps, numbered);
    }
}

fn take(core: &Arc<Core>, shard: &Arc<Shard>, gaps: &mut Gaps, numbered: Numbered) {
    let missed = gaps.missed_before(numbered.publisher, numbered.number);
    match numbered.work {
        // A message for another shard is somebody's mistake; the sweep of its own shard finds it.
        Some(work) if work.shard != shard.id => {}
        Some(work) if !missed => core.offer(shard, work),
        _ => shard.queue().leave_to_sweep(),
    }
    if shard.queue().wants_sweep() {
        core.sweep.notify_one();
    }
}
