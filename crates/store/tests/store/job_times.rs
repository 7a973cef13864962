//! What becomes of a job's times when all of it is written back.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use claw_runtime::OsRandom;
use claw_schedule::ScheduleError;
use claw_store::{Error, Job, SaveJob};
use claw_types::job::Options;
use serde_json::{Value, json};
use sqlx::Connection as _;

use crate::Bench;
use crate::job_options::{replace, set, why};
use crate::jobs::{actor, ada, create, every, saved};

const LATE: &str = "next_due_at = date_trunc('second', now()) - interval '10 minutes', jitter_ms = 900000";

fn jittered(name: &str, jitter_secs: u32) -> SaveJob {
    SaveJob { options: Options { jitter_secs, ..Options::default() }, ..saved(name, &every(3_600)) }
}

fn at(time: &str) -> Value {
    json!({"type": "at", "at": time})
}

async fn jitter(bench: &Bench) -> i32 {
    let mut admin = bench.database.connect().await;
    sqlx::query_scalar("select jitter_ms from cron_jobs").fetch_one(&mut admin).await.unwrap()
}

async fn stored(bench: &Bench, job: &Job) -> Job {
    bench.store.job(&ada(), job.id).await.unwrap()
}

#[tokio::test]
async fn a_time_that_has_come_and_waits_for_its_run_is_kept() {
    let bench = Bench::new().await;
    let made = create(&bench, &ada(), &jittered("one", 1_000)).await;
    set(&bench, LATE).await;
    let due = stored(&bench, &made).await.next_due_at;
    let renamed = replace(&bench, made.id, &jittered("renamed", 1_000)).await.unwrap();
    assert_eq!((renamed.name.as_str(), renamed.next_due_at), ("renamed", due));
    assert_eq!(jitter(&bench).await, 900_000, "as it was drawn");
    let sooner = replace(&bench, made.id, &jittered("sooner", 100)).await.unwrap();
    assert_eq!(sooner.next_due_at, due);
    assert!((0..=100_000).contains(&jitter(&bench).await), "drawn anew");
    let mut bounded = jittered("bounded", 100);
    bounded.options.max_runs = Some(5);
    let bounded = replace(&bench, made.id, &bounded).await.unwrap();
    assert!(bounded.next_due_at > due, "with other bounds it is computed anew");
    let off = SaveJob { enabled: Some(false), ..jittered("off", 100) };
    assert_eq!(replace(&bench, made.id, &off).await.unwrap().next_due_at, None);
}

#[tokio::test]
async fn a_time_at_which_nobody_led_is_kept_and_not_checked_again() {
    let bench = Bench::new().await;
    let made = create(&bench, &ada(), &saved("one", &at("2999-01-01T00:00:00Z"))).await;
    let past =
        r#"schedule = '{"type":"at","at":"2026-01-01T09:00:00Z"}', next_due_at = '2026-01-01T09:00:00Z'"#;
    set(&bench, past).await;
    let renamed = replace(&bench, made.id, &saved("renamed", &at("2026-01-01T09:00:00.000Z"))).await.unwrap();
    let due: DateTime<Utc> = "2026-01-01T09:00:00Z".parse().unwrap();
    assert_eq!((renamed.enabled, renamed.next_due_at), (true, Some(due)));
}

#[tokio::test]
async fn a_schedule_in_other_words_is_the_same() {
    let bench = Bench::new().await;
    let daily = |tz: Option<Value>| {
        let mut schedule = json!({"type": "cron", "expr": "0 9 * * mon-fri"});
        if let Some(tz) = tz {
            schedule["tz"] = tz;
        }
        schedule
    };
    for (before, after) in [
        (every(3_600), json!({"type": "every", "every_secs": "3600"})),
        (daily(None), daily(Some(Value::Null))),
        (daily(None), json!({"type": "cron", "expr": " 0 9 * * 1-5", "tz": "UTC"})),
    ] {
        let made = create(&bench, &ada(), &saved("one", &before)).await;
        set(&bench, "runs = 3").await;
        let kept = replace(&bench, made.id, &saved("renamed", &after)).await.unwrap();
        assert_eq!((kept.runs, kept.anchor_at), (3, made.anchor_at), "{after}");
        assert_eq!(Value::from(kept.schedule), after, "shown as it was sent");
        let other = replace(&bench, made.id, &saved("other", &every(7_200))).await.unwrap();
        assert!(other.runs == 0 && other.anchor_at > made.anchor_at, "{other:?}");
    }
}

#[tokio::test]
async fn what_was_over_goes_on_at_a_new_time_unless_somebody_wants_it_off() {
    let bench = Bench::new().await;
    let over = "enabled = false, next_due_at = null, runs = 1, paused = null";
    let later = || saved("later", &at("2999-06-01T00:00:00Z"));
    for (state, said, on) in [
        (over, None, true),
        (over, Some(false), false),
        ("enabled = false, next_due_at = null, runs = 0", None, false),
        ("enabled = false, next_due_at = null, runs = 0, over = 'missed'", None, true),
        ("enabled = false, next_due_at = null, runs = 0, over = 'missed'", Some(false), false),
        ("enabled = false, next_due_at = null, runs = 1, paused = 'it failed'", None, false),
    ] {
        let made = create(&bench, &ada(), &saved("one", &at("2999-01-01T00:00:00Z"))).await;
        set(&bench, state).await;
        let renamed = replace(&bench, made.id, &saved("renamed", &at("2999-01-01T00:00:00Z"))).await.unwrap();
        assert!(!renamed.enabled, "{state}");
        let moved = replace(&bench, made.id, &SaveJob { enabled: said, ..later() }).await.unwrap();
        assert_eq!((moved.enabled, moved.next_due_at.is_some()), (on, on), "{state}, {said:?}");
    }
    let spent =
        SaveJob { options: Options { max_runs: Some(1), ..Options::default() }, ..saved("one", &every(60)) };
    let made = create(&bench, &ada(), &spent).await;
    set(&bench, over).await;
    assert!(replace(&bench, made.id, &saved("more", &every(120))).await.unwrap().enabled);
}

#[tokio::test]
async fn a_one_shot_that_repeats_is_over_if_it_was_not_changed_since_its_run() {
    let bench = Bench::new().await;
    for (since, on) in [("1 hour", false), ("-1 hour", true)] {
        let once = SaveJob { one_shot: true, ..saved("one", &every(60)) };
        let made = create(&bench, &ada(), &once).await;
        sqlx::query(
            "insert into cron_runs (id, user_id, job_id, job_name, status, scheduled_for, started_at, deadline_at,
                 action_type, schedule_type)
             values (gen_random_uuid(), 'ada', $1, 'one', 'ok', now(), now() - $2::interval, now(), 'a', 'b')",
        )
        .bind(made.id)
        .bind(since)
        .execute(&mut bench.database.connect().await)
        .await
        .unwrap();
        set(&bench, "enabled = false, next_due_at = null, runs = 1").await;
        assert_eq!(
            replace(&bench, made.id, &saved("again", &every(120))).await.unwrap().enabled,
            on,
            "{since}"
        );
    }
}

#[tokio::test]
async fn jitter_that_is_too_long_is_refused_where_it_is_new() {
    let bench = Bench::new().await;
    let id = bench.ids.next();
    let refused =
        bench.store.job_create(&ada(), id, &jittered("one", 3_600), &actor(), &OsRandom, None).await;
    assert_eq!(why(refused.map(|(job, _)| job)), ScheduleError::Jitter { gap: 3_600 });
    let made = create(&bench, &ada(), &jittered("one", 3_599)).await;
    set(&bench, r#"options = '{"jitter_secs":7200}'"#).await;
    assert_eq!(replace(&bench, made.id, &jittered("renamed", 7_200)).await.unwrap().name, "renamed");
    assert_eq!(
        why(replace(&bench, made.id, &jittered("one", 7_201)).await),
        ScheduleError::Jitter { gap: 3_600 }
    );
    let faster = SaveJob { options: jittered("one", 7_200).options, ..saved("one", &every(60)) };
    assert!(matches!(replace(&bench, made.id, &faster).await, Err(Error::Schedule(_))));
}

/// Times are counted from when the row was free, not from when somebody began to wait for it.
#[tokio::test]
async fn who_waits_for_a_job_computes_its_times_after_that() {
    let bench = Bench::new().await;
    let made = create(&bench, &ada(), &saved("one", &every(3_600))).await;
    let mut other = bench.database.connect().await;
    let mut held = other.begin().await.unwrap();
    sqlx::query("select 1 from cron_jobs for update").execute(&mut *held).await.unwrap();
    let mut watch = bench.database.connect().await;
    let freed = async {
        claw_testkit::eventually("somebody waits for the row", Duration::from_secs(20), async || {
            let waits = "select exists (select 1 from pg_stat_activity
                                        where datname = current_database() and wait_event_type = 'Lock')";
            let waits: bool = sqlx::query_scalar(waits).fetch_one(&mut watch).await.unwrap();
            waits.then_some(())
        })
        .await;
        let now: DateTime<Utc> =
            sqlx::query_scalar("select clock_timestamp()").fetch_one(&mut *held).await.unwrap();
        held.commit().await.unwrap();
        now
    };
    let other = saved("other", &every(60));
    let (replaced, freed) = tokio::join!(replace(&bench, made.id, &other), freed);
    let replaced = replaced.unwrap();
    assert!(replaced.anchor_at > freed && replaced.updated_at >= replaced.anchor_at, "{replaced:?}, {freed}");
    assert_eq!(replaced.next_due_at, Some(replaced.anchor_at + TimeDelta::seconds(60)));
}
