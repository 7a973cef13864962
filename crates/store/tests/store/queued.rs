//! A job whose next run waits for an earlier one is looked at when that is over.

use claw_types::MessageState;
use serde_json::{Value, json};

use crate::run_ends::Running;
use crate::timers::DUTY;

/// A job with a run that goes on and another time that waits for it, to be looked at again in a minute.
async fn waiting(options: Value) -> Running {
    let running = Running::new(options).await;
    running.admin("update cron_jobs set next_due_at = now() - interval '1 hour', jitter_ms = 3660000").await;
    assert!(!due(&running).await);
    running
}

async fn due(running: &Running) -> bool {
    running.bench.store.timers_waiting().await.unwrap().jobs
}

async fn hurry(running: &Running) -> u64 {
    running.bench.store.queued_hurry(DUTY, running.term, &[running.job.id]).await.unwrap()
}

#[tokio::test]
async fn the_end_of_a_run_is_told_where_another_one_waits_for_it() {
    let running = waiting(json!({"overlap": "queue"})).await;
    running.settle(&running.work, MessageState::Done, None).await;
    assert_eq!(running.over().await.len(), 1, "though it ended well");
    let plain = waiting(json!({"overlap": "skip"})).await;
    plain.settle(&plain.work, MessageState::Done, None).await;
    assert!(plain.over().await.is_empty());
    let alone = Running::new(json!({"overlap": "queue"})).await;
    alone.settle(&alone.work, MessageState::Done, None).await;
    assert!(alone.over().await.is_empty(), "its next time is still to come");
}

#[tokio::test]
async fn what_waits_is_put_forward_and_off_by_its_timer_alone() {
    let running = waiting(json!({"overlap": "queue"})).await;
    let before = running.job().await;
    let (store, jobs) = (&running.bench.store, [running.job.id]);
    assert_eq!(store.queued_hurry(DUTY, running.term - 1, &jobs).await.unwrap(), 0, "another term");
    assert_eq!(hurry(&running).await, 1);
    assert!(due(&running).await);
    assert_eq!(hurry(&running).await, 0, "it is due already");
    assert_eq!(store.queued_put_off(DUTY, running.term - 1, &jobs, 60.0).await.unwrap(), 0, "another term");
    assert_eq!(store.queued_put_off(DUTY, running.term, &jobs, 60.0).await.unwrap(), 1);
    assert!(!due(&running).await);
    assert_eq!(store.queued_put_off(DUTY, running.term, &jobs, 60.0).await.unwrap(), 0, "it is not due");
    assert_eq!(running.job().await, before);
}

#[tokio::test]
async fn what_is_late_by_its_jitter_or_for_no_run_is_left_alone() {
    let drawn = waiting(json!({"overlap": "queue"})).await;
    drawn.admin(r#"update cron_jobs set options = '{"overlap":"queue","jitter_secs":7200}'"#).await;
    assert_eq!(hurry(&drawn).await, 0);
    let other = waiting(json!({"overlap": "skip"})).await;
    assert_eq!(hurry(&other).await, 0);
    let early = Running::new(json!({"overlap": "queue"})).await;
    assert_eq!(hurry(&early).await, 0, "its time has not come");
}
