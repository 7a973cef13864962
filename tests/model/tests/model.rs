//! The rules keep the promises, and each of them is needed.
#![allow(clippy::print_stdout, reason = "the figures are part of the result")]

use claw_model::{Cluster, Property, Rules, WORKERS};
use stateright::{Checker, HasDiscoveries, Model};

/// The promises that some state breaks. What is reachable has to be reached: a model that does nothing breaks nothing.
fn broken(rules: Rules, workers: usize) -> Vec<&'static str> {
    let checked = Cluster { rules, workers }.checker().threads(2).spawn_bfs().join();
    println!("{} states, {} different ones", checked.state_count(), checked.unique_state_count());
    for reachable in [Property::TAKEOVER, Property::SURVIVED] {
        assert!(checked.discovery(reachable).is_some(), "never happens: {reachable}");
    }
    let promises = [Property::WRITES, Property::ONE, Property::RIGHT, Property::UNAWARE];
    promises.into_iter().filter(|promise| checked.discovery(promise).is_some()).collect()
}

/// Whether these rules break this promise; looks no further than the first state that does.
fn breaks(rules: Rules, promise: &'static str) -> bool {
    let first = HasDiscoveries::AnyOf([promise].into());
    let checked =
        Cluster { rules, workers: WORKERS }.checker().threads(2).finish_when(first).spawn_bfs().join();
    checked.discovery(promise).is_some()
}

#[test]
fn the_rules_keep_every_promise() {
    assert_eq!(broken(Rules::REAL, WORKERS), [""; 0]);
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
    assert!(breaks(Rules { good_for: 7, ..Rules::REAL }, Property::ONE));
}

#[test]
fn with_a_deadline_that_counts_from_the_answer_two_act() {
    assert!(breaks(Rules { deadline_from_sending: false, ..Rules::REAL }, Property::ONE));
}

/// What a restart of Postgres or an operator's `pg_terminate_backend` can do: until the holder's next heartbeat,
/// within a second, another may be connected as well. What epochs guard stays safe all the same.
#[test]
fn a_session_that_ends_for_no_reason_can_make_two_act_but_never_write() {
    let broken = broken(Rules { sessions_last: false, ..Rules::REAL }, 2);
    assert_eq!(broken, [Property::ONE, Property::RIGHT, Property::UNAWARE]);
}
