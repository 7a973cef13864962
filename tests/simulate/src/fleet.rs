//! Workers, and who of them owns what.

use claw_types::{Candidate, ShardCount, owner_of};

/// How many workers there are to begin with.
pub(crate) const WORKERS: usize = 100;
/// As many fleets of other names are looked at: one could be lucky.
pub(crate) const FLEETS: usize = 10;

/// How weights are given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weights {
    /// All the same.
    Equal,
    /// 1, 2 and 4 in turn.
    Mixed,
}

/// A fleet of so many workers.
pub(crate) fn fleet(number: usize, workers: usize, weights: Weights) -> Vec<Candidate> {
    let weight = |n: usize| match weights {
        Weights::Equal => 1.0,
        Weights::Mixed => [1.0, 2.0, 4.0][n % 3],
    };
    (0..workers).map(|n| Candidate { name: format!("worker-{number}-{n}"), weight: weight(n) }).collect()
}

/// By shard: the index of its owner.
pub(crate) fn owners(shards: ShardCount, fleet: &[Candidate]) -> Vec<usize> {
    let index = |owner: &Candidate| fleet.iter().position(|one| one.name == owner.name);
    shards.all().filter_map(|shard| owner_of(shard, fleet).and_then(index)).collect()
}
