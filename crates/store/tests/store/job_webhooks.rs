//! Jobs whose receiver wants no more.

use claw_runtime::OsRandom;
use claw_store::{AuditFilter, Job, SaveJob};
use claw_types::{MessageId, UserId};
use serde_json::json;

use crate::Bench;
use crate::firing::{due, firing, make_due};
use crate::jobs::{actor, ada, create, every, saved};
use crate::timers::{DUTY, elect};

/// A job whose run has begun, and the run's message.
async fn running(bench: &Bench, save: &SaveJob) -> (Job, MessageId, i64) {
    let term = elect(bench, "clock").await;
    let job = create(bench, &ada(), save).await;
    make_due(bench).await;
    let fire: Vec<_> = due(bench).await.iter().map(|due| firing(bench, due)).collect();
    let fired = bench.store.jobs_fire(DUTY, term, &fire).await.unwrap();
    (job, fired.messages[0].id, term)
}

async fn gone(bench: &Bench, user: &UserId, message: MessageId) -> bool {
    bench.store.job_gone(user, message, "it answered 410", &actor()).await.unwrap()
}

#[tokio::test]
async fn its_job_is_switched_off_once_and_says_why() {
    let bench = Bench::new().await;
    let (job, message, term) = running(&bench, &saved("one", &every(60))).await;
    assert!(!gone(&bench, &"eve".parse().unwrap(), message).await, "another user's");
    assert!(!gone(&bench, &ada(), MessageId(bench.ids.next())).await, "no run's");
    assert!(gone(&bench, &ada(), message).await);
    let off = bench.store.job(&ada(), job.id).await.unwrap();
    assert_eq!((off.enabled, off.next_due_at, off.paused.as_deref()), (false, None, Some("it answered 410")));
    assert!(!bench.store.timers_waiting().await.unwrap().jobs);
    assert!(!gone(&bench, &ada(), message).await, "once");
    let entries = bench.store.audit_entries(&AuditFilter::default(), 1).await.unwrap();
    assert_eq!(entries[0].action, "job.paused");
    assert_eq!(entries[0].detail, Some(json!({"name": "one", "reason": "it answered 410"})));
    let mut admin = bench.database.connect().await;
    let told = "select data::text from events where type = 'cron.job_paused'";
    let told: Vec<String> = sqlx::query_scalar(told).fetch_all(&mut admin).await.unwrap();
    let told: Vec<serde_json::Value> = told.iter().map(|data| serde_json::from_str(data).unwrap()).collect();
    assert_eq!(told, [json!({"job_id": job.id, "why": "gone"})]);
    sqlx::query("update cron_runs set deadline_at = now()").execute(&mut admin).await.unwrap();
    assert_eq!(bench.store.runs_time_out(DUTY, term, 10).await.unwrap(), 1);
    let over = bench.store.runs_over(10).await.unwrap();
    assert!(over[0].last && over[0].job.as_ref().unwrap().paused, "so that its owner is told");
}

#[tokio::test]
async fn a_job_that_was_changed_since_its_run_began_stays_on() {
    let bench = Bench::new().await;
    let (job, message, _) = running(&bench, &saved("one", &every(60))).await;
    let elsewhere = saved("elsewhere", &every(60));
    bench.store.job_replace(&ada(), job.id, &elsewhere, &actor(), &OsRandom).await.unwrap();
    assert!(!gone(&bench, &ada(), message).await);
    assert!(bench.store.job(&ada(), job.id).await.unwrap().enabled);
}

/// Whoever asked for it has the answer, and a test is no run of which the owner is told.
#[tokio::test]
async fn a_test_does_not_switch_its_job_off() {
    let bench = Bench::new().await;
    let job = create(&bench, &ada(), &saved("one", &every(60))).await;
    let (run, message) = (bench.ids.next(), MessageId(bench.ids.next()));
    bench.store.run_test(&ada(), job.id, run, 60.0, &actor(), None).await.unwrap();
    bench.store.run_makes(&ada(), run, message, "{}", 60.0).await.unwrap();
    assert!(!gone(&bench, &ada(), message).await);
    assert_eq!(bench.store.job(&ada(), job.id).await.unwrap(), job);
}

/// It would be posted again otherwise.
#[tokio::test]
async fn a_run_that_was_the_last_of_its_job_is_not_tried_again() {
    let bench = Bench::new().await;
    let options = serde_json::from_value(json!({"max_retries": 3, "max_runs": 1})).unwrap();
    let (job, message, term) = running(&bench, &SaveJob { options, ..saved("one", &every(60)) }).await;
    let ended = "update cron_jobs set enabled = false, next_due_at = null, over = 'ran'";
    let mut admin = bench.database.connect().await;
    sqlx::query(ended).execute(&mut admin).await.unwrap();
    assert!(gone(&bench, &ada(), message).await);
    sqlx::query("update cron_runs set deadline_at = now()").execute(&mut admin).await.unwrap();
    assert_eq!(bench.store.runs_time_out(DUTY, term, 10).await.unwrap(), 1);
    let over = bench.store.runs_over(10).await.unwrap();
    assert_eq!((over.len(), over[0].goes_on), (1, false), "it was switched off");
    let off = bench.store.job(&ada(), job.id).await.unwrap();
    assert!(off.paused.is_some() && off.over.is_none(), "{off:?}");
}
