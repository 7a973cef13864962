//! When a job begins, and when it is over.

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;

use crate::{Bounds, Cron, Schedule, ScheduleError};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn nine() -> Schedule {
    Schedule::Cron(Box::new(Cron::parse("0 9 * * *", "").unwrap()))
}

fn starting(text: &str) -> Bounds {
    Bounds { starts_at: Some(at(text)), ..Bounds::default() }
}

fn ending(text: &str) -> Bounds {
    Bounds { ends_at: Some(at(text)), ..Bounds::default() }
}

const NOW: &str = "2026-08-22T10:00:00Z";

#[test]
fn the_first_run_may_be_at_the_very_start() {
    let first = |bounds: Bounds, schedule: &Schedule| bounds.next_after(schedule, at(NOW), at(NOW), 0);
    assert_eq!(first(starting("2026-09-01T09:00:00Z"), &nine()), Some(at("2026-09-01T09:00:00Z")));
    assert_eq!(first(starting("2026-09-01T09:00:00.000001Z"), &nine()), Some(at("2026-09-02T09:00:00Z")));
    assert_eq!(first(starting("2020-01-01T00:00:00Z"), &nine()), Some(at("2026-08-23T09:00:00Z")));
    let once = Schedule::At { at: at("2026-09-01T09:00:00Z") };
    assert_eq!(first(starting("2026-09-01T09:00:00Z"), &once), Some(at("2026-09-01T09:00:00Z")));
    assert_eq!(first(starting("2026-09-01T09:00:01Z"), &once), None);
}

#[test]
fn an_interval_is_counted_from_its_start() {
    let (every, bounds) = (Schedule::Every { every_secs: 3_600 }, starting("2026-08-22T12:30:00.5Z"));
    let found = bounds.preview(&every, 3, at(NOW));
    assert_eq!(found, ["12", "13", "14"].map(|hour| at(&format!("2026-08-22T{hour}:30:00.5Z"))));
    let later = bounds.next_after(&every, at("2026-08-30T10:00:00Z"), at(NOW), 7);
    assert_eq!(later, Some(at("2026-08-30T10:30:00.5Z")), "whenever the job was made");
}

#[test]
fn the_last_run_may_be_at_the_very_end() {
    let runs = |bounds: Bounds| bounds.preview(&nine(), 5, at(NOW)).len();
    assert_eq!(runs(ending("2026-08-24T09:00:00Z")), 2);
    assert_eq!(runs(ending("2026-08-24T08:59:59Z")), 1);
    assert_eq!(runs(Bounds { max_runs: Some(2), ..Bounds::default() }), 2);
    assert_eq!(runs(Bounds { max_runs: Some(2), ..ending("2026-08-23T09:00:00Z") }), 1);
    assert_eq!(runs(Bounds::default()), 5);
    let twice = Bounds { max_runs: Some(2), ..Bounds::default() };
    assert!(twice.next_after(&nine(), at(NOW), at(NOW), 1).is_some());
    assert_eq!(twice.next_after(&nine(), at(NOW), at(NOW), 2), None);
}

#[test]
fn what_never_runs_within_its_bounds_is_refused() {
    let check = |bounds: Bounds, runs| bounds.check(&nine(), at(NOW), runs);
    assert_eq!(check(Bounds::default(), u64::MAX), Ok(()));
    assert_eq!(check(ending("2026-08-23T09:00:00Z"), 0), Ok(()));
    assert_eq!(check(ending("2026-08-23T08:00:00Z"), 0), Err(ScheduleError::Outside));
    assert_eq!(check(ending(NOW), 0), Err(ScheduleError::Ended));
    let between = Bounds { ends_at: Some(at("2026-09-02T08:00:00Z")), ..starting("2026-09-01T10:00:00Z") };
    assert_eq!(check(between, 0), Err(ScheduleError::Outside));
    let thrice = Bounds { max_runs: Some(3), ..Bounds::default() };
    assert_eq!((check(thrice, 2), check(thrice, 3)), (Ok(()), Err(ScheduleError::Spent(3))));
    let never = Schedule::Cron(Box::new(Cron::parse("0 0 30 2 *", "").unwrap()));
    assert_eq!(Bounds::default().check(&never, at(NOW), 0), Err(ScheduleError::Never), "and why");
}

proptest! {
    #[test]
    fn every_run_is_after_the_time_given_and_within_the_bounds(
        every_secs in 1_u32..100_000,
        after in 0_i64..4_000_000_000_000,
        starts in 0_i64..4_000_000_000_000,
        length in 1_i64..1_000_000_000,
    ) {
        let time = |millis| DateTime::from_timestamp_millis(millis).unwrap();
        let (after, starts) = (time(after), time(starts));
        let ends = starts + TimeDelta::milliseconds(length);
        let bounds = Bounds { starts_at: Some(starts), ends_at: Some(ends), max_runs: None };
        let next = bounds.next_after(&Schedule::Every { every_secs }, after, after, 0);
        prop_assert!(next.is_none_or(|run| run > after && run >= starts && run <= ends));
        prop_assert!(next.is_some() || after >= starts, "the first run is at the start");
    }
}
