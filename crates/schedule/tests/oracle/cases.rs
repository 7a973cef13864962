//! Schedules over changes of the clocks, and where croniter has another opinion, what that is about.
//!
//! - `gap-named`: a time that the clocks jump over is done when they have jumped; croniter leaves it out when other times
//!   of the day are named, too.
//! - `gap-every`: `*/2` at 02:00 is not run at 03:00 when there is no 02:00; croniter does so.
//! - `overlap-named`: a time that comes twice is done the first time; croniter does it twice.
//! - `overlap-every`: `*/20` runs at both 01:40 of Lord Howe; croniter misses the second, half an hour after the first.

use std::collections::BTreeMap;

use chrono::{DateTime, MappedLocalTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use claw_schedule::{Limits, Schedule};
use serde_json::json;

use crate::{cron, instant, rows};

pub(crate) const TABLE: &str = include_str!("cases.tsv");

struct Case<'a> {
    class: &'a str,
    kind: &'a str,
    schedule: &'a str,
    zone: &'a str,
    after: DateTime<Utc>,
    runs: Vec<DateTime<Utc>>,
    /// Empty where croniter agrees.
    croniter: Vec<DateTime<Utc>>,
}

fn cases() -> Vec<Case<'static>> {
    let times = |text: &str| text.split_whitespace().filter(|time| *time != "=").map(instant).collect();
    let case = |row: Vec<&'static str>| {
        let [class, kind, schedule, zone, after, runs, croniter] = row[..] else { panic!("{row:?}") };
        Case {
            class,
            kind,
            schedule,
            zone,
            after: instant(after),
            runs: times(runs),
            croniter: times(croniter),
        }
    };
    rows(TABLE).into_iter().map(case).collect()
}

impl Case<'_> {
    fn parsed(&self) -> Schedule {
        let object = match self.kind {
            "cron" => return cron(self.schedule, self.zone),
            "every" => json!({"type": "every", "every_secs": self.schedule}),
            "at" => json!({"type": "at", "at": format!("{}Z", self.schedule)}),
            kind => panic!("no kind {kind}"),
        };
        Schedule::parse(object.as_object().unwrap(), Limits::default()).unwrap()
    }

    /// What is in one list only, as far as both go.
    fn differences(&self) -> (Vec<DateTime<Utc>>, Vec<DateTime<Utc>>) {
        let end = self.runs.last().min(self.croniter.last());
        let without = |some: &[DateTime<Utc>], others: &[DateTime<Utc>]| {
            some.iter().filter(|time| Some(*time) <= end && !others.contains(time)).copied().collect()
        };
        (without(&self.runs, &self.croniter), without(&self.croniter, &self.runs))
    }

    /// Checks that a difference is what its class says, to the second.
    fn assert_explained(&self) {
        let zone: Tz = self.zone.parse().unwrap();
        let hours = self.schedule.split_whitespace().nth(1).unwrap();
        let (ours, theirs) = self.differences();
        let (jumped, again) = (|time: &_| has_jumped(zone, *time), |time: &_| is_shown_again(zone, *time));
        let explained = match self.class {
            "gap-named" => !hours.contains('*') && theirs.is_empty() && ours.iter().all(jumped),
            "gap-every" => hours.contains('*') && ours.is_empty() && theirs.iter().all(jumped),
            "overlap-named" => !hours.contains('*') && ours.is_empty() && theirs.iter().all(again),
            "overlap-every" => hours.contains('*') && theirs.is_empty() && ours.iter().all(again),
            _ => false,
        };
        assert!(explained && ours.len() + theirs.len() > 0, "{}: {self}: {ours:?} {theirs:?}", self.class);
    }
}

/// Whether the clocks are put forward at this very second.
fn has_jumped(zone: Tz, time: DateTime<Utc>) -> bool {
    let offset = |at: DateTime<Utc>| zone.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc();
    offset(time) > offset(time - TimeDelta::seconds(1))
}

/// Whether the clock on the wall has shown this time before.
fn is_shown_again(zone: Tz, time: DateTime<Utc>) -> bool {
    let wall = time.with_timezone(&zone).naive_local();
    matches!(zone.from_local_datetime(&wall), MappedLocalTime::Ambiguous(_, second) if second == time)
}

impl std::fmt::Display for Case<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?} in {} after {}", self.kind, self.schedule, self.zone, self.after)
    }
}

#[test]
fn runs_are_those_of_the_oracle() {
    for case in cases() {
        let schedule = case.parsed();
        let found = schedule.preview(case.runs.len(), case.after, case.after);
        assert_eq!(found, case.runs, "{case}");
        if case.kind == "at" {
            assert_eq!(schedule.preview(2, case.after, case.after).len(), case.runs.len(), "{case}");
        }
    }
}

#[test]
fn each_difference_to_croniter_is_explained() {
    for case in cases() {
        match case.class {
            // `parts`: croniter was asked for weekdays like 5#2 and all others one by one.
            "agree" | "parts" | "rule" => assert!(case.croniter.is_empty(), "{case}"),
            _ => case.assert_explained(),
        }
    }
}

/// A table that lost its rows would agree with anything.
#[test]
fn the_table_has_changes_in_both_directions_of_many_zones() {
    let (cases, mut classes, mut zones) = (cases(), BTreeMap::new(), BTreeMap::new());
    for case in &cases {
        *classes.entry(case.class).or_insert(0) += 1;
        *zones.entry(case.zone).or_insert(0) += 1;
    }
    assert!(cases.len() >= 400, "{}", cases.len());
    for class in ["agree", "parts", "rule", "gap-named", "gap-every", "overlap-named", "overlap-every"] {
        assert!(classes.contains_key(class), "no {class} in {classes:?}");
    }
    let many = zones.iter().filter(|(_, count)| **count >= 20).count();
    assert!(many >= 12, "{zones:?}");
    for odd in ["Australia/Lord_Howe", "Africa/Casablanca", "Pacific/Apia", "Antarctica/Troll"] {
        assert!(zones.contains_key(odd), "no {odd}");
    }
}
