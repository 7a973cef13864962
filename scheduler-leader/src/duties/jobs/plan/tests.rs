//! Every case of a job that is due.

use claw_runtime::SeededRandom;
use claw_schedule::Cron;

use super::*;

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

fn options(json: &str) -> Options {
    serde_json::from_str(json).unwrap()
}

fn cron(expr: &str, tz: &str) -> Schedule {
    Schedule::Cron(Box::new(Cron::parse(expr, tz).unwrap()))
}

const MADE: &str = "2026-03-01T00:00:00Z";

/// Decides about a job of this schedule that was due at `time`, at `now`.
fn verdict_of(due: Due<'_>, now: &str) -> Verdict {
    due.verdict(at(now), &SeededRandom::new(1))
}

fn due<'a>(schedule: &'a Schedule, options: &'a Options, time: &str) -> Due<'a> {
    Due {
        schedule,
        options,
        one_shot: false,
        anchor: at(MADE),
        time: at(time),
        jitter_ms: 0,
        runs: 0,
        busy: false,
    }
}

fn minutely() -> Schedule {
    Schedule::Every { every_secs: 60 }
}

#[test]
fn on_time_it_runs_and_moves_to_the_next() {
    let (schedule, options) = (minutely(), Options::default());
    let verdict = verdict_of(due(&schedule, &options, "2026-03-02T10:00:00Z"), "2026-03-02T10:00:00.04Z");
    let (run, next) = (at("2026-03-02T10:00:00Z"), at("2026-03-02T10:01:00Z"));
    let expected = Verdict { run: Some(run), next: Some(next), jitter_ms: 0, overlapped: false, over: None };
    assert_eq!(verdict, expected);
}

/// The times that it has run for by the time that nothing is due any more, and the next one.
fn after_outage(schedule: &Schedule, json: &str, since: &str, now: &str) -> (Vec<String>, String) {
    let options = options(json);
    let mut ran = Vec::new();
    let mut job = due(schedule, &options, since);
    loop {
        let verdict = job.verdict(at(now), &SeededRandom::new(1));
        ran.extend(verdict.run.map(|run| run.format("%H:%M").to_string()));
        job.time = verdict.next.unwrap();
        job.runs += u64::from(verdict.run.is_some());
        if job.time > at(now) {
            return (ran, job.time.format("%H:%M").to_string());
        }
    }
}

#[test]
fn what_was_missed_follows_the_policy() {
    let outage = |json| after_outage(&minutely(), json, "2026-03-02T10:00:00Z", "2026-03-02T10:20:30Z");
    let next = "10:21".to_owned();
    assert_eq!(outage("{}"), (vec!["10:20".to_owned()], next.clone()));
    assert_eq!(outage(r#"{"misfire":"skip"}"#), (vec!["10:20".to_owned()], next.clone()), "within the grace");
    let (all, after) = outage(r#"{"misfire":"all","misfire_limit":3}"#);
    assert_eq!((all, after), (["10:18", "10:19", "10:20"].map(str::to_owned).into(), next));
    assert_eq!(outage(r#"{"misfire":"all"}"#).0.len(), 10, "at most ten if not said");
    let all = r#"{"misfire":"all","misfire_limit":100}"#;
    assert_eq!(outage(all).0.len(), 21, "all that there were");
}

#[test]
fn what_is_older_than_the_grace_is_skipped() {
    let daily = cron("0 9 * * *", "");
    let skip = |now| after_outage(&daily, r#"{"misfire":"skip"}"#, "2026-03-02T09:00:00Z", now).0;
    assert_eq!(skip("2026-03-02T09:01:00Z"), ["09:00"]);
    assert!(skip("2026-03-02T09:01:01Z").is_empty());
    let once = after_outage(&daily, "{}", "2026-03-02T09:00:00Z", "2026-03-05T08:00:00Z");
    assert_eq!(once, (vec!["09:00".to_owned()], "09:00".to_owned()), "yesterday's");
}

#[test]
fn a_long_outage_of_a_fast_job_is_looked_at_in_part() {
    let (schedule, options) = (Schedule::Every { every_secs: 1 }, options(r#"{"misfire":"all"}"#));
    let job = due(&schedule, &options, "2026-03-02T10:00:00Z");
    let verdict = verdict_of(job, "2027-03-02T10:00:00.5Z");
    assert_eq!(verdict.run, Some(at("2027-03-02T09:59:51Z")));
}

#[test]
fn a_time_that_the_schedule_does_not_have_any_more_is_done_all_the_same() {
    let (schedule, options) = (cron("0 9 * * *", ""), Options::default());
    let verdict = verdict_of(due(&schedule, &options, "2026-03-02T10:30:00Z"), "2026-03-02T10:30:01Z");
    assert_eq!(
        (verdict.run, verdict.next),
        (Some(at("2026-03-02T10:30:00Z")), Some(at("2026-03-03T09:00:00Z")))
    );
}

#[test]
fn a_day_with_and_a_day_without_an_hour_have_one_run_each() {
    let options = Options::default();
    let gap = cron("30 2 * * *", "Europe/Berlin");
    let verdict = verdict_of(due(&gap, &options, "2026-03-28T01:30:00Z"), "2026-03-28T01:30:00Z");
    assert_eq!(verdict.next, Some(at("2026-03-29T01:00:00Z")), "when the clocks have jumped");
    let verdict = verdict_of(due(&gap, &options, "2026-03-29T01:00:00Z"), "2026-03-29T01:00:00Z");
    assert_eq!(verdict.next, Some(at("2026-03-30T00:30:00Z")));
    let twice = cron("30 2 * * *", "Europe/Berlin");
    let verdict = verdict_of(due(&twice, &options, "2026-10-25T00:30:00Z"), "2026-10-25T00:30:00Z");
    assert_eq!(verdict.next, Some(at("2026-10-26T01:30:00Z")), "not when it is half past two again");
}

#[test]
fn what_has_no_further_run_is_over() {
    let now = "2026-03-02T10:00:00Z";
    let plain = Options::default();
    let once = Schedule::At { at: at(now) };
    assert_eq!(verdict_of(due(&once, &plain, now), now).next, None);
    let every = minutely();
    let one_shot = Due { one_shot: true, ..due(&every, &plain, now) };
    assert_eq!(verdict_of(one_shot, now).next, None);
    let ends = options(r#"{"ends_at":"2026-03-02T10:00:30Z"}"#);
    assert_eq!(verdict_of(due(&every, &ends, now), now).next, None);
    let thrice = options(r#"{"max_runs":3}"#);
    let third = |runs| verdict_of(Due { runs, ..due(&every, &thrice, now) }, now).next;
    assert!(third(1).is_some() && third(2).is_none());
}

#[test]
fn what_is_over_says_what_became_of_its_last_time() {
    let time = "2026-03-02T10:00:00Z";
    let over = |json: &str, busy: bool, now: &str| {
        let (once, options) = (Schedule::At { at: at(time) }, options(json));
        verdict_of(Due { one_shot: true, busy, ..due(&once, &options, time) }, now).over
    };
    let (on_time, late) = (time, "2026-03-02T10:01:01Z");
    assert_eq!(over("{}", false, late), Some(Over::Ran));
    let skip = r#"{"misfire":"skip","overlap":"skip"}"#;
    assert_eq!(over(skip, false, on_time), Some(Over::Ran));
    assert_eq!(over(skip, false, late), Some(Over::Missed));
    assert_eq!(over(skip, true, on_time), Some(Over::Overlap));
    assert_eq!(over(r#"{"overlap":"queue"}"#, true, late), None, "it waits");
    let (every, ends) = (minutely(), options(r#"{"misfire":"skip","ends_at":"2026-03-02T10:00:30Z"}"#));
    assert_eq!(verdict_of(due(&every, &ends, time), late).over, Some(Over::Missed), "a whole series");
}

#[test]
fn a_one_shot_that_was_skipped_has_not_had_its_run() {
    let (every, skip) = (cron("0 9 * * *", ""), options(r#"{"misfire":"skip"}"#));
    let job = Due { one_shot: true, ..due(&every, &skip, "2026-03-02T09:00:00Z") };
    let verdict = verdict_of(job, "2026-03-02T12:00:00Z");
    assert_eq!((verdict.run, verdict.next), (None, Some(at("2026-03-03T09:00:00Z"))));
}

#[test]
fn jitter_is_no_misfire_and_drawn_anew() {
    let (schedule, options) = (minutely(), options(r#"{"jitter_secs":600,"misfire":"skip"}"#));
    let job = Due { jitter_ms: 300_000, ..due(&schedule, &options, "2026-03-02T10:00:00Z") };
    let verdict = verdict_of(job, "2026-03-02T10:05:00Z");
    assert_eq!(verdict.run, Some(at("2026-03-02T10:00:00Z")), "late, as it was drawn");
    assert_eq!(verdict.next, Some(at("2026-03-02T10:01:00Z")), "which has come meanwhile");
    assert_eq!(verdict.jitter_ms, 0, "so it waits no longer");
    let on_time = verdict_of(due(&schedule, &options, "2026-03-02T10:00:00Z"), "2026-03-02T10:00:00Z");
    assert!((1..=600_000).contains(&on_time.jitter_ms), "{on_time:?}");
}

#[test]
fn an_earlier_run_that_goes_on_is_passed_over_waited_for_or_joined() {
    let (schedule, now) = (minutely(), "2026-03-02T10:02:10Z");
    let busy = |json: &str| {
        let options = options(json);
        verdict_of(Due { busy: true, ..due(&schedule, &options, "2026-03-02T10:00:00Z") }, now)
    };
    let skip = busy(r#"{"overlap":"skip"}"#);
    assert_eq!((skip.run, skip.next, skip.overlapped), (None, Some(at("2026-03-02T10:03:00Z")), true));
    let queue = busy(r#"{"overlap":"queue"}"#);
    assert_eq!((queue.run, queue.next), (None, Some(at("2026-03-02T10:00:00Z"))), "its time stays");
    assert_eq!(queue.jitter_ms, 130_000 + 16_250, "an eighth of the 130 s from now");
    assert_eq!(busy("{}").run, Some(at("2026-03-02T10:02:00Z")));
}

#[test]
fn what_was_queued_is_no_misfire() {
    let (schedule, options) = (cron("0 9 * * *", ""), options(r#"{"overlap":"queue","misfire":"skip"}"#));
    let job = Due { jitter_ms: 7_200_000, ..due(&schedule, &options, "2026-03-02T09:00:00Z") };
    assert_eq!(verdict_of(job, "2026-03-02T11:00:00Z").run, Some(at("2026-03-02T09:00:00Z")));
    let missed = due(&schedule, &options, "2026-03-02T09:00:00Z");
    assert_eq!(verdict_of(missed, "2026-03-02T11:00:00Z").run, None, "nobody led, and nothing was queued");
    let options = Options { jitter_secs: 600, ..options.clone() };
    let drawn = Due { jitter_ms: 600_000, ..due(&schedule, &options, "2026-03-02T09:00:00Z") };
    assert_eq!(verdict_of(drawn, "2026-03-02T11:00:00Z").run, None, "jitter is no queue");
    assert!(verdict_of(drawn, "2026-03-02T09:10:30Z").run.is_some());
}

#[test]
fn what_is_queued_is_looked_at_less_often_the_longer_it_waits() {
    let (schedule, options) = (cron("0 9 1 * *", ""), options(r#"{"overlap":"queue"}"#));
    let more = |now: &str| {
        let job = Due { busy: true, ..due(&schedule, &options, "2026-03-01T09:00:00Z") };
        let verdict = verdict_of(job, now);
        assert_eq!((verdict.run, verdict.next), (None, Some(job.time)));
        let waited = (at(now) - job.time).num_milliseconds();
        (verdict.jitter_ms != LONGEST).then(|| i64::from(verdict.jitter_ms) - waited)
    };
    assert_eq!(more("2026-03-01T09:00:00Z"), Some(1_000));
    assert_eq!(more("2026-03-01T09:00:08.8Z"), Some(1_100));
    assert_eq!(more("2026-03-01T09:08:00Z"), Some(60_000));
    assert_eq!(more("2026-03-25T09:00:00Z"), Some(60_000));
    assert_eq!(more("2026-03-26T09:00:00Z"), None, "its timer is moved by itself");
}
