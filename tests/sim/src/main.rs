//! `make sim`: runs the simulation for many seeds, or one of them with its log.

use std::process::ExitCode;

use clap::Parser;
use claw_sim::database::Broken;
use claw_sim::scenario::{self, Outcome};

#[derive(Parser)]
struct Args {
    /// How many seeds to run
    #[arg(long, default_value_t = 200)]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// Run this one only
    #[arg(long)]
    seed: Option<u64>,
    /// Show what the workers log
    #[arg(long)]
    trace: bool,
}

fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    if args.trace {
        tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG).with_writer(std::io::stderr).init();
    }
    let (from, to) = match args.seed {
        Some(seed) => (seed, seed + 1),
        None => (args.from, args.from + args.seeds),
    };
    let outcomes = scenario::run_all(from..to, Broken::Not)?;
    Ok(report(&outcomes))
}

#[expect(clippy::print_stdout, reason = "the report")]
fn report(outcomes: &[Outcome]) -> ExitCode {
    let failed: Vec<&Outcome> = outcomes.iter().filter(|outcome| !outcome.faults.is_empty()).collect();
    for outcome in failed.iter().take(20) {
        println!("seed {}: {}", outcome.seed, outcome.faults.join("\n  "));
    }
    let sum = |of: fn(&Outcome) -> u64| outcomes.iter().map(of).sum::<u64>();
    let count = |n: usize| u64::try_from(n).unwrap_or(u64::MAX);
    println!(
        "{} seeds: {} messages accepted, {} delivered, {} delivered again under their id, {} faults made, {} seeds failed",
        outcomes.len(),
        sum(|o| u64::try_from(o.accepted).unwrap_or(u64::MAX)),
        sum(|o| u64::try_from(o.delivered).unwrap_or(u64::MAX)),
        sum(|o| u64::try_from(o.again).unwrap_or(u64::MAX)),
        sum(|o| o.troubles.values().map(|n| u64::from(*n)).sum()),
        count(failed.len()),
    );
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
