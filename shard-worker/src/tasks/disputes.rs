//! Looks every few seconds whether the database has a newer claim of a shard that this worker holds.
//!
//! Of two workers that hold one shard, one at least has an older claim than the database, so it counts itself; a number of its own, by no
//! shard, is all that takes. It must stay 0: the lease keeps others from claiming what is held, and the first write of an older claim is refused
//! and stops its shard. This is how it would be known that one of these does not hold, also where nothing is written.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use claw_store::{ShardClaim, chain};
use claw_telemetry::metrics::Gauge;
use claw_types::{Epoch, ShardId};
use tokio::time::MissedTickBehavior;
use tracing::debug;

use crate::core::Core;

/// As often as Prometheus looks: one query of a few hundred rows.
const EVERY: Duration = Duration::from_secs(15);

/// Runs until the worker stops.
pub(crate) async fn run(core: Arc<Core>) {
    let soft = core.lifecycle.soft();
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while soft.run_until_cancelled(tick.tick()).await.is_some() {
        // Without the database, the lease ends within seconds, and with it all that is held.
        match core.store.shard_claims().await {
            Ok(claims) => show(&core, &claims),
            Err(error) => debug!("the claims could not be compared: {}", chain(&error)),
        }
    }
}

fn show(core: &Core, claims: &[ShardClaim]) {
    // Read after the claims: what was claimed meanwhile is newer than they are, and counts for nothing.
    let held = core.pipeline.shards();
    let count = disputed(held.iter().map(|shard| (shard.id, shard.epoch)), claims);
    Gauge::ShardsDisputed.set(&[], u32::try_from(count).unwrap_or(u32::MAX).into());
}

/// How many of these are claimed anew.
fn disputed(held: impl Iterator<Item = (ShardId, Epoch)>, claims: &[ShardClaim]) -> usize {
    let newest: HashMap<ShardId, Epoch> = claims.iter().map(|claim| (claim.shard, claim.epoch)).collect();
    held.filter(|(shard, epoch)| newest.get(shard).is_some_and(|newest| newest > epoch)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_newer_claim_disputes_what_is_held() {
        let claim = |shard, epoch| ShardClaim { shard: ShardId(shard), owner: None, epoch: Epoch(epoch) };
        let held = |epoch| [(ShardId(1), Epoch(epoch)), (ShardId(2), Epoch(7))].into_iter();
        // Shard 2 is held twice and shard 3 by nobody: of sums, one would see nothing.
        let claims = [claim(1, 4), claim(2, 8), claim(3, 1)];
        assert_eq!(disputed(held(4), &claims), 1);
        assert_eq!(disputed(held(3), &claims), 2);
        assert_eq!(
            disputed(held(5), &claims[..1]),
            0,
            "what was claimed just now is newer than what was read"
        );
    }
}
