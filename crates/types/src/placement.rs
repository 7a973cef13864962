//! Weighted rendezvous hashing: who owns a shard, computed by everyone alike, assigned by nobody.
//!
//! Score of a worker for a shard: `weight / -ln(u)`, with `u` in (0, 1) from the hash of worker and shard
//! (Schindelhauer and Schomaker, "Weighted distributed hash tables", SPAA 2005). The highest score owns. A join or
//! leave moves only the shards that the joining or leaving worker wins; the share of a worker is its weight's.
//!
//! Our own eight lines instead of a crate: crates feed keys through `std::hash::Hash`, whose bytes are not
//! promised across Rust versions, and two versions of ours must agree during a rolling upgrade.

use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::ShardId;

/// How often a worker says that it lives and looks who else does.
pub const HEARTBEAT_EVERY: Duration = Duration::from_millis(500);
/// A worker acts no longer than this after the heartbeat that was answered last was sent, by its own clock.
pub const LEASE_GOOD_FOR: Duration = Duration::from_secs(2);
/// What the owner of a shard was last heard of longer ago than this, by the database's clock, may be taken over once its
/// lock is free. Its lock is free the moment its connection is gone, and that may come to the server's notice first: an
/// owner that lost the connection and lives has to have stopped by itself before.
pub const TAKEN_OVER_AFTER: Duration = Duration::from_millis(2500);
/// The database ends a lease connection that was silent for this long.
pub const LEASE_IDLE: Duration = Duration::from_secs(5);
/// Others may end the session of a worker whose heartbeat is older than this, by the database's clock.
pub const LEASE_STALE: Duration = Duration::from_secs(6);

/// A worker that may own shards.
#[derive(Debug, Clone, PartialEq)]
pub struct Candidate {
    /// Unique among the live workers.
    pub name: String,
    /// Share relative to the others; above zero.
    pub weight: f64,
}

/// The owner of `shard` among `candidates`; `None` when there are none. Ties go to the smaller name.
pub fn owner_of(shard: ShardId, candidates: &[Candidate]) -> Option<&Candidate> {
    let scored = candidates.iter().map(|one| (score(one, shard), one));
    let best = scored.max_by(|(a, one), (b, other)| a.total_cmp(b).then_with(|| other.name.cmp(&one.name)));
    best.map(|(_, owner)| owner)
}

fn score(candidate: &Candidate, shard: ShardId) -> f64 {
    let hash = xxh3_64_with_seed(candidate.name.as_bytes(), u64::from(shard.0));
    // The upper 53 bits fill an f64's mantissa exactly; the half keeps u away from 0 and 1.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    let u = ((hash >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
    candidate.weight / -u.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workers(n: usize) -> Vec<Candidate> {
        (0..n).map(|i| Candidate { name: format!("worker-{i}"), weight: 1.0 }).collect()
    }

    fn owners(shards: u16, among: &[Candidate]) -> Vec<String> {
        (0..shards).map(|s| owner_of(ShardId(s), among).unwrap().name.clone()).collect()
    }

    #[test]
    fn owners_never_change() {
        assert_eq!(owners(8, &workers(3)), VECTOR);
    }

    // Computed in Python over the reference xxhash library, not by this code.
    const VECTOR: [&str; 8] =
        ["worker-2", "worker-0", "worker-1", "worker-2", "worker-1", "worker-2", "worker-2", "worker-1"];

    #[test]
    fn a_join_moves_only_what_the_newcomer_wins() {
        let (before, after) = (owners(4096, &workers(4)), owners(4096, &workers(5)));
        let moved: Vec<_> = before.iter().zip(&after).filter(|(b, a)| b != a).collect();
        assert!(moved.iter().all(|(_, to)| *to == "worker-4"));
        // Ideal: 1/5 of 4096 = 819; 4 sigma of the binomial is about 102.
        assert!((717..=921).contains(&moved.len()), "{}", moved.len());
    }

    #[test]
    fn shares_follow_weights() {
        let mut among = workers(2);
        among[1].weight = 3.0;
        let heavy = owners(4096, &among).iter().filter(|name| *name == "worker-1").count();
        assert!((2961..=3183).contains(&heavy), "{heavy}");
    }

    #[test]
    fn the_order_of_candidates_does_not_matter() {
        let mut reversed = workers(5);
        reversed.reverse();
        assert_eq!(owners(256, &workers(5)), owners(256, &reversed));
    }

    #[test]
    fn nobody_owns_without_workers() {
        assert_eq!(owner_of(ShardId(0), &[]), None);
    }
}
