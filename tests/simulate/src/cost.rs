//! What it takes a worker to compute who owns what.

use std::hint::black_box;
use std::time::Instant;

use claw_types::{ShardCount, owner_of};

use crate::fleet::{WORKERS, Weights, fleet};

const ROUNDS: u32 = 5;

/// Prints the time of one computation of all owners.
pub(crate) fn print(counts: &[ShardCount]) {
    println!(
        "\nComputing every shard's owner among {WORKERS} workers, once for each change of the membership\n"
    );
    println!("| N | ms |\n| --- | --- |");
    let fleet = fleet(0, WORKERS, Weights::Equal);
    for shards in counts {
        let best = (0..ROUNDS)
            .map(|_| {
                let began = Instant::now();
                for shard in shards.all() {
                    black_box(owner_of(black_box(shard), &fleet));
                }
                began.elapsed()
            })
            .min();
        println!("| {} | {:.2} |", shards.get(), best.unwrap_or_default().as_secs_f64() * 1e3);
    }
}
