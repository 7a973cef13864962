//! The rules keep the promises, and each of them is needed.
#![allow(clippy::print_stdout, reason = "the figures are part of the result")]

use claw_model::{Cluster, Property, Rules, WORKERS};
use stateright::{Checker, HasDiscoveries, Model};

/// The promises that some state breaks. What is reachable has to be reached: a model that does nothing breaks nothing.
fn broken(cluster: Cluster) -> Vec<&'static str> {
    let checked = cluster.checker().threads(2).spawn_bfs().join();
    println!("{} states, {} different ones", checked.state_count(), checked.unique_state_count());
    let reachable = [Some(Property::TAKEOVER), cluster.remembers.then_some(Property::SURVIVED)];
    for reachable in reachable.into_iter().flatten() {
        assert!(checked.discovery(reachable).is_some(), "never happens: {reachable}");
    }
    let promises = [Property::WRITES, Property::ONE, Property::RIGHT];
    promises.into_iter().filter(|promise| checked.discovery(promise).is_some()).collect()
}

/// Whether these rules break this promise; looks no further than the first state that does.
fn breaks(rules: Rules, promise: &'static str) -> bool {
    let first = HasDiscoveries::AnyOf([promise].into());
    let checked = Cluster { rules, workers: WORKERS, remembers: false }
        .checker()
        .threads(2)
        .finish_when(first)
        .spawn_bfs()
        .join();
    checked.discovery(promise).is_some()
}

#[test]
fn the_rules_keep_every_promise() {
    let all = Cluster { rules: Rules::REAL, workers: WORKERS, remembers: false };
    assert_eq!(broken(all), [""; 0]);
}

#[test]
fn a_worker_that_was_frozen_and_replaced_serves_again() {
    let two = Cluster { rules: Rules::REAL, workers: 2, remembers: true };
    assert_eq!(broken(two), [""; 0]);
}

#[test]
fn without_the_check_of_epochs_an_old_write_commits() {
    assert!(breaks(Rules { writes_check_epoch: false, ..Rules::REAL }, Property::WRITES));
}

#[test]
fn without_the_lock_on_the_row_a_claim_overtakes_a_checked_write() {
    assert!(breaks(Rules { writes_lock_row: false, ..Rules::REAL }, Property::WRITES));
}

#[test]
fn with_a_deadline_after_others_may_take_over_two_act() {
    assert!(breaks(Rules { good_for: 6, ..Rules::REAL }, Property::ONE));
}

#[test]
fn with_a_deadline_that_counts_from_the_answer_two_act() {
    assert!(breaks(Rules { deadline_from_sending: false, ..Rules::REAL }, Property::ONE));
}

/// The lock is free the moment the session ends, which its owner may learn later. What epochs guard stays safe.
#[test]
fn where_a_free_lock_is_enough_two_act_but_only_one_writes() {
    let rules = Rules { claims_wait: false, ..Rules::REAL };
    assert_eq!(broken(Cluster { rules, workers: 2, remembers: false }), [Property::ONE, Property::RIGHT]);
}
