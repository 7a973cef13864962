//! A million adapters on a hundred workers: `make simulate`.
//!
//! Placement is not modelled but computed, by the functions that workers use. Times follow from the constants that
//! workers and the database keep, and from costs that were measured (`make cost`).
#![allow(clippy::print_stdout, reason = "printing is what it is for")]

mod balance;
mod cost;
mod fleet;
mod timeline;

use claw_types::ShardCount;

/// Numbers of shards to compare.
const SHARDS: [u16; 4] = [256, 1024, 4096, 16_384];

fn main() {
    let counts = SHARDS.map(|count| ShardCount::new(count).unwrap_or(ShardCount::DEFAULT));
    let worlds = counts.map(balance::World::new);
    balance::print(&worlds);
    balance::print_fleets(&counts);
    cost::print(&counts);
    timeline::print(&counts);
}
