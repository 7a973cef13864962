//! What a job says beside its schedule: when it begins and is over, and by how much its runs are late.

use chrono::TimeDelta;
use claw_runtime::OsRandom;
use claw_schedule::{Limits, ScheduleError};
use claw_store::{Error, Job, Result, SaveJob};
use claw_types::job::{Misfire, Options};
use serde_json::json;
use uuid::Uuid;

use crate::Bench;
use crate::jobs::{actor, ada, create, every, saved};

fn with(options: Options) -> SaveJob {
    SaveJob { options, ..saved("one", &every(3_600)) }
}

pub async fn replace(bench: &Bench, id: Uuid, save: &SaveJob) -> Result<Job> {
    bench.store.job_replace(&ada(), id, save, &actor(), &OsRandom).await
}

pub async fn set(bench: &Bench, what: &str) {
    let mut admin = bench.database.connect().await;
    let sql = format!("update cron_jobs set {what}");
    sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut admin).await.unwrap();
}

pub fn why(refused: Result<Job>) -> ScheduleError {
    match refused {
        Err(Error::Schedule(why)) => why,
        other => panic!("not refused for its schedule: {other:?}"),
    }
}

#[tokio::test]
async fn options_are_kept_and_a_job_that_is_replaced_has_the_new_ones_only() {
    let bench = Bench::new().await;
    let options = Options {
        misfire: Misfire::All,
        misfire_limit: Some(3),
        max_retries: 2,
        delete_after_run: true,
        ..Options::default()
    };
    let made = create(&bench, &ada(), &with(options.clone())).await;
    assert_eq!((&made.options, made.runs, made.failures, &made.paused), (&options, 0, 0, &None));
    assert_eq!(bench.store.job(&ada(), made.id).await.unwrap(), made);
    let bare = replace(&bench, made.id, &saved("one", &every(3_600))).await.unwrap();
    assert_eq!(bare.options, Options::default());
}

#[tokio::test]
async fn the_next_time_is_within_the_bounds() {
    let bench = Bench::new().await;
    let now = create(&bench, &ada(), &saved("one", &every(3_600))).await.created_at;
    let starts_at = now + TimeDelta::days(2);
    let later = with(Options { starts_at: Some(starts_at), ..Options::default() });
    let made = create(&bench, &ada(), &later).await;
    assert_eq!(made.next_due_at, Some(starts_at), "its first run is at the start");
    let early = with(Options { ends_at: Some(now + TimeDelta::minutes(5)), ..Options::default() });
    let id = bench.ids.next();
    let refused = bench.store.job_create(&ada(), id, &early, &actor(), &OsRandom, None).await;
    assert_eq!(why(refused.map(|(job, _)| job)), ScheduleError::Outside);
    assert_eq!(why(replace(&bench, made.id, &early).await), ScheduleError::Outside);
    let past = with(Options { ends_at: Some(now), ..Options::default() });
    assert_eq!(why(replace(&bench, made.id, &past).await), ScheduleError::Ended);
    assert_eq!(bench.store.job(&ada(), made.id).await.unwrap(), made, "nothing was changed");
}

#[tokio::test]
async fn a_job_that_had_all_its_runs_goes_on_with_more_of_them_or_another_schedule() {
    let bench = Bench::new().await;
    let at_most = |runs| with(Options { max_runs: Some(runs), ..Options::default() });
    let made = create(&bench, &ada(), &at_most(3)).await;
    set(&bench, "runs = 3, enabled = false, next_due_at = null").await;
    let enabled = bench.store.job_enable(&ada(), made.id, true, &actor(), &OsRandom).await;
    assert_eq!(why(enabled), ScheduleError::Spent(3));
    let renamed = SaveJob { name: "over".to_owned(), ..at_most(3) };
    assert_eq!(replace(&bench, made.id, &renamed).await.unwrap().name, "over", "it stays as it is");
    assert_eq!(why(replace(&bench, made.id, &at_most(2)).await), ScheduleError::Spent(2));
    let on = SaveJob { enabled: Some(true), ..at_most(4) };
    let more = replace(&bench, made.id, &on).await.unwrap();
    assert!(more.runs == 3 && more.next_due_at.is_some(), "{more:?}");
    let other = SaveJob { options: at_most(2).options, ..saved("one", &every(60)) };
    let anew = replace(&bench, made.id, &other).await.unwrap();
    assert!(anew.runs == 0 && anew.next_due_at.is_some(), "{anew:?}");
}

#[tokio::test]
async fn who_switches_a_paused_job_on_begins_anew() {
    let bench = Bench::new().await;
    let made = create(&bench, &ada(), &with(Options::default())).await;
    let pause = "failures = 5, paused = 'it failed 5 times', enabled = false, next_due_at = null";
    set(&bench, pause).await;
    let renamed = replace(&bench, made.id, &saved("renamed", &every(3_600))).await.unwrap();
    assert_eq!((renamed.failures, renamed.paused.as_deref()), (5, Some("it failed 5 times")));
    let on = bench.store.job_enable(&ada(), made.id, true, &actor(), &OsRandom).await.unwrap();
    assert_eq!((on.failures, on.paused, on.enabled), (0, None, true));
    set(&bench, pause).await;
    let on = SaveJob { enabled: Some(true), ..with(Options::default()) };
    let on = replace(&bench, made.id, &on).await.unwrap();
    assert_eq!((on.failures, on.paused, on.enabled), (0, None, true));
}

#[tokio::test]
async fn the_timer_is_later_by_the_jitter() {
    let bench = Bench::new().await;
    let made = create(&bench, &ada(), &with(Options { jitter_secs: 1_000, ..Options::default() })).await;
    let mut admin = bench.database.connect().await;
    let mut late = async || -> i64 {
        sqlx::query_scalar(
            "select (extract(epoch from t.due_at - j.next_due_at) * 1000)::bigint
             from timers t join cron_jobs j using (id) where t.due_at - j.next_due_at = j.jitter_ms * interval '1 ms'",
        )
        .fetch_one(&mut admin)
        .await
        .unwrap()
    };
    let mut drawn = vec![late().await];
    for enabled in [false, true, false, true] {
        bench.store.job_enable(&ada(), made.id, enabled, &actor(), &OsRandom).await.unwrap();
        if enabled {
            drawn.push(late().await);
        }
    }
    assert!(drawn.iter().all(|ms| (0..=1_000_000).contains(ms)), "{drawn:?}");
    assert!(drawn.iter().any(|ms| *ms != drawn[0]), "drawn anew: {drawn:?}");
}

#[tokio::test]
async fn a_limit_is_for_new_schedules_only() {
    let bench = Bench::new().await;
    let made = create(&bench, &ada(), &saved("one", &every(5))).await;
    let limited = |name: &str, seconds| SaveJob {
        limits: Limits { min_every_secs: 60 },
        ..saved(name, &every(seconds))
    };
    assert_eq!(replace(&bench, made.id, &limited("renamed", 5)).await.unwrap().name, "renamed");
    let refused = why(replace(&bench, made.id, &limited("renamed", 6)).await);
    assert!(matches!(refused, ScheduleError::Every { min: 60, given: 6, .. }), "{refused:?}");
    assert_eq!(bench.store.job(&ada(), made.id).await.unwrap().schedule["every_secs"], json!(5));
}
