//! The simulation in continuous integration: 200 seeds; that it is the same each time; and that it notices what it is for.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use claw_sim::database::Broken;
use claw_sim::scenario::{self, Outcome};

fn faulty(outcomes: &[Outcome]) -> Vec<&Outcome> {
    outcomes.iter().filter(|outcome| !outcome.faults.is_empty()).collect()
}

#[test]
fn two_hundred_seeds_hold() {
    let outcomes = scenario::run_all(1..201, Broken::Not).unwrap();
    let failed = faulty(&outcomes);
    assert!(failed.is_empty(), "{failed:#?}");
    let sum = |of: fn(&Outcome) -> usize| outcomes.iter().map(of).sum::<usize>();
    let troubles: u32 = outcomes.iter().flat_map(|outcome| outcome.troubles.values()).sum();
    assert!(troubles > 5_000, "too quiet a world: {troubles}");
    assert!(sum(|o| o.joined) > 5_000, "too few bursts: {}", sum(|o| o.joined));
    println!(
        "{} seeds, {} messages accepted and delivered, {troubles} faults made",
        outcomes.len(),
        sum(|o| o.accepted)
    );
}

#[test]
fn a_seed_runs_the_same_way_each_time() {
    for seed in [1, 2, 3] {
        assert_eq!(scenario::run(seed, Broken::Not).unwrap(), scenario::run(seed, Broken::Not).unwrap());
    }
}

/// Whether one of the first seeds finds this when the world is broken in this way.
fn finds(broken: Broken, what: &str) -> bool {
    let told = |seed| scenario::run(seed, broken).unwrap().faults.iter().any(|fault| fault.contains(what));
    (1..31).any(told)
}

#[test]
fn writes_of_old_claims_are_noticed() {
    assert!(finds(Broken::NoFence, "stale write"));
}

#[test]
fn two_holders_are_noticed() {
    assert!(finds(Broken::NoLocks, "held twice"));
    assert!(finds(Broken::NoPatience, "held twice"));
}

#[test]
fn a_takeover_that_never_comes_is_noticed() {
    assert!(finds(Broken::NoTimeouts, "not right again"));
}

#[test]
fn a_burst_that_changes_is_noticed() {
    assert!(finds(Broken::NoSeals, "duplicate"));
}

#[test]
fn overtaking_is_noticed() {
    assert!(finds(Broken::NoAhead, "out of order"));
}
