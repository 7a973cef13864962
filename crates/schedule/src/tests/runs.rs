//! When schedules run. Every instant in the tables was worked out by hand, from a calendar and the zones' rules.

use crate::{Cron, Schedule};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use proptest::prelude::*;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn cron(expr: &str, tz: &str) -> Schedule {
    Schedule::Cron(Box::new(Cron::parse(expr, tz).unwrap()))
}

/// Asserts the first runs after a time, in UTC.
fn assert_runs(expr: &str, tz: &str, after: &str, runs: &[&str]) {
    let found = cron(expr, tz).preview(runs.len(), at(after), at(after));
    let found: Vec<String> =
        found.iter().map(|run| run.to_rfc3339_opts(SecondsFormat::AutoSi, true)).collect();
    assert_eq!(found, runs, "{expr} in {tz} after {after}");
}

/// What the front end offers, and what its labels promise. 2026-08-22 is a Saturday.
#[test]
fn the_presets_run_when_their_labels_say() {
    let after = "2026-08-22T00:00:00Z";
    // Weekdays at nine.
    let weekdays = ["2026-08-24T13:00:00Z", "2026-08-25T13:00:00Z", "2026-08-26T13:00:00Z"];
    assert_runs("0 9 * * 1-5", "America/New_York", after, &weekdays);
    assert_runs("0 9 * * 1-5", "", "2026-08-28T09:00:00Z", &["2026-08-31T09:00:00Z"]);
    // The last Friday of the month at five in the afternoon.
    let fridays = ["2026-08-28T17:00:00Z", "2026-09-25T17:00:00Z", "2026-10-30T17:00:00Z"];
    assert_runs("0 17 * * 5#L", "", after, &fridays);
    assert_runs("0 17 * * 5L", "", after, &fridays);
    assert_runs("0 17 * * FRI#L", "", after, &fridays);
    // Twice a day.
    let twice = ["2026-08-22T09:00:00Z", "2026-08-22T18:00:00Z", "2026-08-23T09:00:00Z"];
    assert_runs("0 9,18 * * *", "", after, &twice);
    // Every six hours.
    let six =
        ["2026-08-22T06:00:00Z", "2026-08-22T12:00:00Z", "2026-08-22T18:00:00Z", "2026-08-23T00:00:00Z"];
    assert_runs("0 */6 * * *", "", after, &six);
    // The first day of each quarter.
    let quarters =
        ["2026-10-01T09:00:00Z", "2027-01-01T09:00:00Z", "2027-04-01T09:00:00Z", "2027-07-01T09:00:00Z"];
    assert_runs("0 9 1 1,4,7,10 *", "", after, &quarters);
}

#[test]
fn days() {
    let after = "2026-08-22T00:00:00Z";
    let sundays = ["2026-08-23T00:00:00Z", "2026-08-30T00:00:00Z"];
    for sunday in ["0", "7", "SUN"] {
        assert_runs(&format!("0 0 * * {sunday}"), "", after, &sundays);
    }
    assert_runs("0 0 * * SAT-SUN", "", after, &["2026-08-23T00:00:00Z", "2026-08-29T00:00:00Z"]);
    assert_runs("0 0 * * 1#2", "", after, &["2026-09-14T00:00:00Z", "2026-10-12T00:00:00Z"]);
    assert_runs("0 0 L * *", "", after, &["2026-08-31T00:00:00Z", "2026-09-30T00:00:00Z"]);
    assert_runs("0 0 29 2 *", "", after, &["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]);
    // A day of the month and a day of the week: either will do, as in every cron.
    assert_runs(
        "0 0 1 * 1",
        "",
        after,
        &["2026-08-24T00:00:00Z", "2026-08-31T00:00:00Z", "2026-09-01T00:00:00Z"],
    );
}

/// The search gives up after 41 years, so no date may be further away: over a whole cycle of the calendar.
#[test]
fn the_rarest_dates_are_within_the_horizon() {
    let (start, end) = (at("2000-03-01T00:00:00Z"), at("2400-03-01T00:00:00Z"));
    let mut longest = TimeDelta::zero();
    let fifths = (0..7).map(|weekday| format!("0 0 * 2 {weekday}#5"));
    for expr in fifths.chain(["0 0 29 2 *".to_owned()]) {
        let (schedule, mut run) = (cron(&expr, ""), start);
        while run < end {
            let next = schedule.next_after(run, start).unwrap();
            longest = longest.max(next - run);
            run = next;
        }
    }
    assert_eq!(longest, TimeDelta::days(40 * 365 + 9), "the fifth weekdays of a February across 2100");
}

#[test]
fn aliases() {
    let after = "2026-08-22T00:00:00Z";
    for (alias, run) in [
        ("@hourly", "2026-08-22T01:00:00Z"),
        ("@daily", "2026-08-23T00:00:00Z"),
        ("@weekly", "2026-08-23T00:00:00Z"),
        ("@monthly", "2026-09-01T00:00:00Z"),
        ("@yearly", "2027-01-01T00:00:00Z"),
        ("@annually", "2027-01-01T00:00:00Z"),
    ] {
        assert_runs(alias, "", after, &[run]);
    }
}

/// 2026: New York 8 March, Berlin 29 March, Beirut 29 March at midnight; Lord Howe, by half an hour, 4 October.
#[test]
fn a_time_that_the_clocks_jump_over_is_done_once_when_they_have_jumped() {
    let new_york = ["2026-03-07T07:30:00Z", "2026-03-08T07:00:00Z", "2026-03-09T06:30:00Z"];
    assert_runs("30 2 * * *", "America/New_York", "2026-03-07T00:00:00Z", &new_york);
    let berlin = ["2026-03-28T01:30:00Z", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"];
    assert_runs("30 2 * * *", "Europe/Berlin", "2026-03-28T00:00:00Z", &berlin);
    let lord_howe = ["2026-10-02T15:45:00Z", "2026-10-03T15:30:00Z", "2026-10-04T15:15:00Z"];
    assert_runs("15 2 * * *", "Australia/Lord_Howe", "2026-10-02T00:00:00Z", &lord_howe);
    let beirut = ["2026-03-27T22:00:00Z", "2026-03-28T22:00:00Z", "2026-03-29T21:00:00Z"];
    assert_runs("0 0 * * *", "Asia/Beirut", "2026-03-27T00:00:00Z", &beirut);
    // Several that are jumped over, and one at the very end, are still one run.
    let one = ["2026-03-29T01:00:00Z", "2026-03-30T00:00:00Z"];
    assert_runs("0,20,40 2,3 * * *", "Europe/Berlin", "2026-03-29T00:59:00Z", &one[..1]);
    assert_runs("0 2,3 * * *", "Europe/Berlin", "2026-03-28T23:00:00Z", &one);
    let listed = ["2026-03-08T07:00:00Z", "2026-03-08T18:00:00Z", "2026-03-09T06:00:00Z"];
    assert_runs("0 2,14 * * *", "America/New_York", "2026-03-08T00:00:00Z", &listed);
}

/// 2026: New York 1 November, Berlin 25 October; Lord Howe, by half an hour, 5 April.
#[test]
fn a_time_that_comes_twice_is_done_the_first_time() {
    let new_york = ["2026-10-31T05:30:00Z", "2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"];
    assert_runs("30 1 * * *", "America/New_York", "2026-10-31T00:00:00Z", &new_york);
    let berlin = ["2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"];
    assert_runs("30 2 * * *", "Europe/Berlin", "2026-10-24T00:00:00Z", &berlin);
    let lord_howe = ["2026-04-03T14:45:00Z", "2026-04-04T14:45:00Z", "2026-04-05T15:15:00Z"];
    assert_runs("45 1 * * *", "Australia/Lord_Howe", "2026-04-03T00:00:00Z", &lord_howe);
    let listed = ["2026-11-01T05:30:00Z", "2026-11-01T18:30:00Z"];
    assert_runs("30 1,13 * * *", "America/New_York", "2026-11-01T00:00:00Z", &listed);
    // Asked between the two: it has been done.
    assert_runs("30 1 * * *", "America/New_York", "2026-11-01T06:10:00Z", &["2026-11-02T06:30:00Z"]);
    assert_runs(
        "*/30 1 * * *",
        "America/New_York",
        "2026-11-01T05:10:00Z",
        &["2026-11-01T05:30:00Z", "2026-11-02T06:00:00Z"],
    );
}

#[test]
fn a_job_for_every_hour_follows_the_clock_on_the_wall() {
    let spring = ["2026-03-08T06:30:00Z", "2026-03-08T07:30:00Z"];
    assert_runs("30 * * * *", "America/New_York", "2026-03-08T06:00:00Z", &spring);
    let autumn = ["2026-11-01T05:30:00Z", "2026-11-01T06:30:00Z", "2026-11-01T07:30:00Z"];
    assert_runs("30 * * * *", "America/New_York", "2026-11-01T05:00:00Z", &autumn);
    let day = TimeDelta::hours(25);
    let (start, quarters) = (at("2026-11-01T04:00:00Z"), cron("*/15 * * * *", "America/New_York"));
    let runs = quarters.preview(100, start, start);
    assert_eq!((runs.len(), runs.last().copied()), (100, Some(start + day)));
}

#[test]
fn every_counts_from_the_jobs_creation() {
    let (every, made) = (Schedule::Every { every_secs: 300 }, at("2026-08-22T10:00:01.5Z"));
    let next = |after: &str| every.next_after(at(after), made).unwrap();
    assert_eq!(next("2026-08-22T10:00:01.5Z"), at("2026-08-22T10:05:01.5Z"));
    assert_eq!(next("2026-08-22T10:05:01.499Z"), at("2026-08-22T10:05:01.5Z"));
    assert_eq!(next("2026-08-22T10:05:01.5Z"), at("2026-08-22T10:10:01.5Z"));
    // After days of nobody leading, the runs are where they would have been.
    assert_eq!(next("2026-08-25T07:02:00Z"), at("2026-08-25T07:05:01.5Z"));
    // A clock behind the creator's does not run the job before its time.
    assert_eq!(next("2026-08-22T09:00:00Z"), at("2026-08-22T10:05:01.5Z"));
}

#[test]
fn at_is_once() {
    let (once, after) = (Schedule::At { at: at("2026-12-01T09:00:00Z") }, at("2026-08-22T00:00:00Z"));
    assert_eq!(once.preview(5, after, after), [at("2026-12-01T09:00:00Z")]);
    assert_eq!(once.next_after(at("2026-12-01T09:00:00Z"), after), None);
}

#[test]
fn times_at_the_end_of_the_calendar_have_no_next_run() {
    let ends = [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC];
    for after in ends {
        assert_eq!(cron("* * * * *", "Pacific/Kiritimati").next_after(after, after), None);
    }
    assert_eq!(Schedule::Every { every_secs: 1 }.next_after(ends[1], ends[0]), None);
}

proptest! {
    #[test]
    fn the_next_run_is_strictly_after_and_nothing_lies_between(
        expr in "([0-9]|\\*|\\*/[1-9]|0,30) ([0-9]|\\*|\\*/[1-9]|[1-3],1[0-9]) (\\*|L|1|1[0-9]) (\\*|[1-9]) (\\*|[0-7]|5#L)",
        tz in prop::sample::select(vec!["UTC", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Asia/Beirut", "Pacific/Apia"]),
        // 2001 to 2065, and fractions of seconds.
        millis in 1_000_000_000_000_i64..3_000_000_000_000,
        back in 1_i64..100_000_000,
    ) {
        let after = DateTime::from_timestamp_millis(millis).unwrap();
        let schedule = cron(&expr, tz);
        if let Some(next) = schedule.next_after(after, after) {
            prop_assert!(next > after);
            // Whoever asks a little later, still before the run, is told the same run.
            let later = (next - TimeDelta::milliseconds(back)).max(after);
            prop_assert_eq!(schedule.next_after(later, later), Some(next));
        }
    }

    #[test]
    fn every_is_strictly_after(
        every_secs in 1_u32..31_622_400,
        after in 0_i64..4_000_000_000_000,
        anchor in 0_i64..4_000_000_000_000,
    ) {
        let time = |millis| DateTime::from_timestamp_millis(millis).unwrap();
        let next = Schedule::Every { every_secs }.next_after(time(after), time(anchor)).unwrap();
        prop_assert!(next > time(after) && next > time(anchor));
        prop_assert_eq!((next - time(anchor)).num_milliseconds() % (i64::from(every_secs) * 1_000), 0);
        prop_assert!(after < anchor || next - time(after) <= TimeDelta::seconds(every_secs.into()));
    }
}
