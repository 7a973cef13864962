//! Runs that are tried again: what of them is handed over, and how often.

use claw_runtime::OsRandom;
use claw_store::{NewRun, Retry, RunStatus};
use claw_types::{MessageState, Work};
use serde_json::json;

use crate::firing::{due, make_due};
use crate::jobs::{actor, ada};
use crate::run_ends::Running;
use crate::timers::DUTY;

impl Running {
    /// The run's time is up, and another attempt is to come.
    async fn time_out(&self) {
        self.admin("update cron_runs set deadline_at = now() where status = 'running'").await;
        assert_eq!(self.bench.store.runs_time_out(DUTY, self.term, 10).await.unwrap(), 1);
        assert_eq!(self.follow(Some(30.0), false).await, 1);
    }

    /// The attempt that is to come, due now, with a message of its own.
    async fn next_attempt(&self) -> Retry {
        self.admin("update timers set due_at = now() where kind = 'retry'").await;
        let retry = self.bench.store.retries_due(10).await.unwrap().remove(0);
        make_due(&self.bench).await;
        let job = due(&self.bench).await.remove(0);
        let run = NewRun { id: retry.run, ..crate::firing::run(&self.bench, &job) };
        Retry { job: retry.job, was_changed: retry.updated_at, attempt: retry.attempt, run }
    }

    /// Begins it; the message that it made, if it made one.
    async fn begin(&self, retry: Retry) -> Option<Work> {
        let begun = self.bench.store.runs_retry(DUTY, self.term, &[retry]).await.unwrap();
        assert_eq!(begun.runs, 1);
        assert!(begun.messages.len() < 2, "{begun:?}");
        begun.messages.into_iter().next()
    }

    async fn messages(&self) -> i64 {
        let count = sqlx::query_scalar("select count(*) from messages");
        count.fetch_one(&mut self.bench.database.connect().await).await.unwrap()
    }
}

#[tokio::test]
async fn a_failed_run_is_tried_again_with_another_message() {
    let running = Running::new(json!({"max_retries": 1})).await;
    running.settle(&running.work, MessageState::Failed, Some("refused")).await;
    let over = running.over().await.remove(0);
    assert_eq!((over.goes_on, over.job.unwrap().options.as_str()), (true, r#"{"max_retries":1}"#));
    assert_eq!(running.follow(Some(30.0), false).await, 1);
    assert_eq!(running.job().await.failures, 0, "it is not over yet");
    let store = &running.bench.store;
    assert!(store.retries_due(10).await.unwrap().is_empty(), "not yet");
    let retry = [running.next_attempt().await];
    assert_eq!((retry[0].attempt, retry[0].job), (1, running.job.id));
    assert_eq!(store.runs_retry(DUTY, running.term - 1, &retry).await.unwrap().runs, 0, "a former leader");
    let begun = store.runs_retry(DUTY, running.term, &retry).await.unwrap();
    assert_eq!((begun.runs, begun.messages.len()), (1, 1));
    assert_eq!(store.runs_retry(DUTY, running.term, &retry).await.unwrap().runs, 0, "once");
    let run = running.run().await;
    assert_eq!((run.status, run.message_id), (RunStatus::Running, Some(begun.messages[0].id)));
    assert_eq!((run.error_message, run.finished_at), (None, None));
    assert_eq!(running.status_of_message(&running.work).await.state, MessageState::Failed, "stays as it was");
    running.settle(&begun.messages[0], MessageState::Failed, Some("again")).await;
    assert_eq!(running.over().await[0].attempt, 2);
    running.follow(None, false).await;
    assert_eq!(running.job().await.failures, 1);
}

/// A backend that is away for longer than a run may take: the message waits for it, whatever becomes of the run meanwhile.
#[tokio::test]
async fn a_message_that_still_waits_is_that_of_the_next_attempt_too() {
    let running = Running::new(json!({"max_retries": 3})).await;
    for attempt in [2, 3, 4] {
        running.time_out().await;
        let mut retry = running.next_attempt().await;
        if attempt == 3 {
            retry.run.message = Err("its channel is away".to_owned());
        }
        if attempt == 4 {
            retry.run.wake_at = Some(retry.run.scheduled_for);
        }
        assert!(running.begin(retry).await.is_none(), "its owner has it");
        let run = running.run().await;
        assert_eq!((run.status, run.attempt), (RunStatus::Running, attempt));
        assert_eq!((run.message_id, run.error_message), (Some(running.work.id), None));
        assert_eq!((run.handed_at, run.finished_at), (None, None));
        assert_eq!(running.messages().await, 1);
    }
    let waits = "select count(*) from timers where kind in ('retry', 'wake', 'run_over')";
    let waits: i64 =
        sqlx::query_scalar(waits).fetch_one(&mut running.bench.database.connect().await).await.unwrap();
    assert_eq!(waits, 0);
    running.settle(&running.work, MessageState::Done, None).await;
    let run = running.run().await;
    assert_eq!((run.status, run.attempt, run.handed_at.is_some()), (RunStatus::Ok, 4, true));
}

#[tokio::test]
async fn a_message_that_waited_and_was_given_up_ends_its_attempt_and_the_next_has_its_own() {
    let running = Running::new(json!({"max_retries": 2})).await;
    running.time_out().await;
    let retry = running.next_attempt().await;
    assert!(running.begin(retry).await.is_none());
    running.settle(&running.work, MessageState::Dead, Some("away")).await;
    assert_eq!(running.run().await.status, RunStatus::Error);
    assert_eq!(running.follow(Some(30.0), false).await, 1);
    let retry = running.next_attempt().await;
    let again = running.begin(retry).await.unwrap();
    assert_eq!(running.run().await.message_id, Some(again.id));
    assert_ne!(again.id, running.work.id);
}

#[tokio::test]
async fn a_message_that_was_handed_over_before_the_next_attempt_is_not_made_again() {
    for awaits in [false, true] {
        let running =
            Running::with(json!({"max_retries": 1}), |run| NewRun { await_completion: awaits, ..run });
        let running = running.await;
        running.time_out().await;
        running.settle(&running.work, MessageState::Done, None).await;
        assert_eq!(running.run().await.status, RunStatus::Timeout, "too late");
        let retry = running.next_attempt().await;
        assert!(running.begin(retry).await.is_none());
        let run = running.run().await;
        let expected = if awaits { RunStatus::Running } else { RunStatus::Ok };
        assert_eq!((run.status, run.attempt, run.finished_at.is_some()), (expected, 2, !awaits));
        assert_eq!((run.message_id, run.error_message), (Some(running.work.id), None));
        assert!(run.handed_at.is_some());
        assert_eq!(running.over().await.len(), usize::from(!awaits), "what follows from a good end");
        assert_eq!(running.messages().await, 1);
    }
}

#[tokio::test]
async fn a_task_that_nobody_completed_in_time_is_handed_over_again() {
    let with = Running::with(json!({"max_retries": 1}), |run| NewRun { await_completion: true, ..run });
    let running = with.await;
    running.settle(&running.work, MessageState::Done, None).await;
    running.time_out().await;
    let retry = running.next_attempt().await;
    let again = running.begin(retry).await.unwrap();
    assert_ne!(again.id, running.work.id);
    let run = running.run().await;
    assert_eq!((run.status, run.message_id, run.handed_at), (RunStatus::Running, Some(again.id), None));
}

/// It has an end of its own, so that no worker sends it any more.
#[tokio::test]
async fn what_was_not_sent_to_a_person_in_time_holds_up_no_attempt() {
    let running = Running::new(json!({"max_retries": 1})).await;
    running.admin("update messages set direction = 'out'").await;
    running.time_out().await;
    let retry = running.next_attempt().await;
    let again = running.begin(retry).await.unwrap();
    assert_eq!(running.run().await.message_id, Some(again.id));
    assert_ne!(again.id, running.work.id);
}

#[tokio::test]
async fn what_was_switched_off_is_not_tried_again() {
    let running = Running::new(json!({"max_retries": 1})).await;
    running.settle(&running.work, MessageState::Failed, None).await;
    running.follow(Some(0.0), false).await;
    let store = &running.bench.store;
    assert_eq!(store.retries_drop(DUTY, running.term, 10).await.unwrap(), 0);
    store.job_enable(&ada(), running.job.id, false, &actor(), &OsRandom).await.unwrap();
    assert!(store.retries_due(10).await.unwrap().is_empty());
    assert_eq!(store.retries_drop(DUTY, running.term, 10).await.unwrap(), 1);
    assert!(!store.runs_waiting().await.unwrap().retries);
}
