//! Looks at every state of the model and prints the figures: `make model`.
#![allow(clippy::print_stdout, reason = "printing is what it is for")]

use std::process::ExitCode;
use std::time::Instant;

use claw_model::{Cluster, Rules, SHARDS, WORKERS};
use stateright::{Checker as _, Expectation, Model as _};

fn main() -> ExitCode {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let began = Instant::now();
    let checked = Cluster { rules: Rules::REAL, workers: WORKERS, remembers: false }
        .checker()
        .threads(threads)
        .spawn_bfs()
        .join();
    println!(
        "{WORKERS} workers, {SHARDS} shards: {} states, {} different ones, {} steps deep, in {:.1} s",
        checked.state_count(),
        checked.unique_state_count(),
        checked.max_depth(),
        began.elapsed().as_secs_f64()
    );
    let mut good = true;
    for property in checked.model().properties() {
        let found = checked.discovery(property.name);
        let (word, holds) = match property.expectation {
            Expectation::Sometimes => ("reachable", found.is_some()),
            Expectation::Always | Expectation::Eventually => ("always", found.is_none()),
        };
        println!("  {} {word}: {}", if holds { "holds " } else { "BROKEN" }, property.name);
        if let (false, Some(path)) = (holds, found) {
            println!("{path:#?}");
        }
        good &= holds;
    }
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
