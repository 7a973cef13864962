//! Runs that are tried again: what of them is handed over, and how often.

use claw_runtime::OsRandom;
use claw_store::{Aftermath, Completed, EarlierAttempt, NewRun, Retry, Run, RunStatus, Selection};
use claw_types::{MessageState, Work};
use serde_json::json;

use crate::firing::{due, make_due};
use crate::jobs::{actor, ada};
use crate::run_ends::{Running, fire};
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

    /// Somebody says that it is complete.
    async fn complete(&self) -> Completed {
        let run = self.run().await.id;
        self.bench.store.run_complete(&ada(), run, Ok(Some("three reports"))).await.unwrap()
    }

    /// Somebody sets the run's message back to work.
    async fn revive(&self) -> Work {
        let mut tenant = self.bench.store.tenant(&ada()).await.unwrap();
        let which = Selection::Ids(vec![self.work.id]);
        let (revived, _) = tenant.messages_revive(&which, &actor()).await.unwrap();
        tenant.commit().await.unwrap();
        revived.into_iter().next().unwrap().work
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

/// What is kept of this run when another attempt follows.
fn earlier(run: Run) -> EarlierAttempt {
    let Run { attempt: n, status, error_message: error, message_id, finished_at, .. } = run;
    EarlierAttempt { n, status, error, message_id, finished_at }
}

#[tokio::test]
async fn what_the_earlier_attempts_came_to_stays_known() {
    let running = Running::new(json!({"max_retries": 2})).await;
    assert!(running.run().await.attempts.is_empty());
    running.settle(&running.work, MessageState::Failed, Some("refused")).await;
    let first = earlier(running.run().await);
    assert_eq!((first.n, first.error.as_deref()), (1, Some("refused")));
    assert!(first.finished_at.is_some() && first.message_id == Some(running.work.id));
    running.follow(Some(30.0), false).await;
    let retry = running.next_attempt().await;
    let work = running.begin(retry).await.unwrap();
    assert_eq!(running.run().await.attempts, std::slice::from_ref(&first));
    running.time_out().await;
    let second = earlier(running.run().await);
    assert_eq!((second.n, second.status, second.message_id), (2, RunStatus::Timeout, Some(work.id)));
    let retry = running.next_attempt().await;
    assert!(running.begin(retry).await.is_none(), "its message still waits");
    running.settle(&work, MessageState::Done, None).await;
    let run = running.run().await;
    assert_eq!((run.status, run.attempt, run.attempts), (RunStatus::Ok, 3, vec![first, second]));
}

#[tokio::test]
async fn of_very_many_attempts_the_latest_are_kept() {
    let running = Running::new(json!({"max_retries": 10})).await;
    let ten = "update cron_runs set attempt = 11, attempts = (
                   select jsonb_agg(jsonb_build_object('n', n, 'status', 'error')) from generate_series(1, 10) n)";
    running.admin(ten).await;
    running.settle(&running.work, MessageState::Failed, Some("refused")).await;
    running.follow(Some(30.0), false).await;
    let retry = running.next_attempt().await;
    running.begin(retry).await.unwrap();
    let kept: Vec<u32> = running.run().await.attempts.iter().map(|attempt| attempt.n).collect();
    assert_eq!(kept, (2..=11).collect::<Vec<_>>());
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

/// Its agent needed longer than the run may take, and whoever asked for it has the answer.
#[tokio::test]
async fn a_task_that_is_complete_after_all_is_not_handed_over_again() {
    for is_to_be_tried_again in [false, true] {
        let with = Running::with(json!({"max_retries": 1}), |run| NewRun { await_completion: true, ..run });
        let running = with.await;
        running.settle(&running.work, MessageState::Done, None).await;
        if is_to_be_tried_again {
            running.time_out().await;
        } else {
            running.admin("update cron_runs set deadline_at = now()").await;
            assert_eq!(running.bench.store.runs_time_out(DUTY, running.term, 10).await.unwrap(), 1);
        }
        let Completed { run, ended } = running.complete().await;
        assert_eq!((ended, run.status, run.error_message), (true, RunStatus::Ok, None));
        running.admin("update timers set due_at = now() where kind = 'retry'").await;
        assert!(running.bench.store.retries_due(10).await.unwrap().is_empty());
        assert_eq!(running.follow(None, false).await, 1, "what follows from a good end");
        let waiting = running.bench.store.runs_waiting().await.unwrap();
        assert!(!waiting.over && !waiting.retries && !waiting.overdue, "{waiting:?}");
        assert_eq!((running.job().await.failures, running.messages().await), (0, 1));
        assert!(!running.complete().await.ended, "once");
    }
}

#[tokio::test]
async fn a_run_whose_time_is_up_is_complete_until_its_failure_is_counted() {
    let with = Running::with(json!({}), |run| NewRun { await_completion: true, ..run });
    let running = with.await;
    running.admin("update cron_runs set deadline_at = now()").await;
    assert!(running.complete().await.ended, "nobody has written that it timed out");
    assert_eq!(running.bench.store.runs_time_out(DUTY, running.term, 10).await.unwrap(), 0);

    let running = Running::with(json!({}), |run| NewRun { await_completion: true, ..run }).await;
    running.admin("update cron_runs set deadline_at = now()").await;
    assert_eq!(running.bench.store.runs_time_out(DUTY, running.term, 10).await.unwrap(), 1);
    running.follow(None, false).await;
    let Completed { run, ended } = running.complete().await;
    assert_eq!((ended, run.status, running.job().await.failures), (false, RunStatus::Timeout, 1));
}

/// The leader read that the run had timed out, and somebody said that it is complete before it wrote what follows.
#[tokio::test]
async fn what_was_decided_about_another_end_is_not_written() {
    let with = Running::with(json!({"max_retries": 1}), |run| NewRun { await_completion: true, ..run });
    let running = with.await;
    running.admin("update cron_runs set deadline_at = now()").await;
    assert_eq!(running.bench.store.runs_time_out(DUTY, running.term, 10).await.unwrap(), 1);
    let read = running.over().await.remove(0);
    assert!(running.complete().await.ended);
    let (run, attempt, told_at) = (read.id, read.attempt, read.told_at);
    let stale = [Aftermath { run, attempt, told_at, retry_in: Some(30.0), job: None }];
    assert_eq!(running.bench.store.runs_follow(DUTY, running.term, &stale, &[]).await.unwrap().runs, 0);
    assert_eq!(running.over().await[0].status, RunStatus::Ok);
}

#[tokio::test]
async fn a_run_whose_message_is_set_back_to_work_goes_on_and_is_not_tried_again_beside_it() {
    let running = Running::new(json!({"max_retries": 1})).await;
    running.settle(&running.work, MessageState::Dead, Some("away")).await;
    assert_eq!(running.follow(Some(30.0), false).await, 1);
    let work = running.revive().await;
    let run = running.run().await;
    assert_eq!((run.status, run.error_message, run.finished_at), (RunStatus::Running, None, None));
    running.admin("update timers set due_at = now() where kind = 'retry'").await;
    assert!(!running.bench.store.runs_waiting().await.unwrap().retries);
    running.settle(&work, MessageState::Done, None).await;
    let run = running.run().await;
    assert_eq!((run.status, run.attempt, run.handed_at.is_some()), (RunStatus::Ok, 1, true));
    assert_eq!(running.messages().await, 1);
}

#[tokio::test]
async fn a_failure_that_was_counted_is_forgotten_when_its_message_arrives_after_all() {
    let running = Running::new(json!({})).await;
    running.settle(&running.work, MessageState::Dead, Some("away")).await;
    assert_eq!((running.follow(None, false).await, running.job().await.failures), (1, 1));
    let work = running.revive().await;
    running.settle(&work, MessageState::Done, None).await;
    assert_eq!(running.run().await.status, RunStatus::Ok);
    assert_eq!((running.follow(None, false).await, running.job().await.failures), (1, 0));
}

/// Its backend is still away: at its times the job failed once, however often somebody tries that again.
#[tokio::test]
async fn what_was_set_back_to_work_and_fails_again_is_not_counted_again() {
    let running = Running::new(json!({})).await;
    running.settle(&running.work, MessageState::Dead, Some("away")).await;
    assert_eq!((running.follow(None, false).await, running.job().await.failures), (1, 1));
    let work = running.revive().await;
    running.settle(&work, MessageState::Dead, Some("still away")).await;
    assert!(running.over().await[0].uncounted);
    assert_eq!((running.follow(None, false).await, running.job().await.failures), (1, 1));
    let fired = fire(&running.bench, running.term, |run| run).await;
    running.settle(&fired.messages[0], MessageState::Dead, Some("still away")).await;
    assert!(!running.over().await[0].uncounted, "its next time");
    assert_eq!((running.follow(None, false).await, running.job().await.failures), (1, 2));
}

#[tokio::test]
async fn what_was_set_back_to_work_and_still_waits_is_the_next_attempts_too_wherever_it_goes() {
    let running = Running::new(json!({"max_retries": 1})).await;
    running.admin("update messages set direction = 'out'").await;
    running.settle(&running.work, MessageState::Dead, Some("away")).await;
    running.revive().await;
    running.time_out().await;
    let retry = running.next_attempt().await;
    assert!(running.begin(retry).await.is_none());
    assert_eq!((running.run().await.message_id, running.messages().await), (Some(running.work.id), 1));
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

/// Whatever paused it, and whether that counts as a change of it or not.
#[tokio::test]
async fn what_is_paused_is_not_tried_again() {
    let running = Running::new(json!({"max_retries": 1})).await;
    running.settle(&running.work, MessageState::Failed, None).await;
    running.follow(Some(0.0), false).await;
    let store = &running.bench.store;
    running.admin("update cron_jobs set enabled = false, next_due_at = null, updated_at = created_at").await;
    assert_eq!(store.retries_due(10).await.unwrap().len(), 1, "it is over, and nobody switched it off");
    assert_eq!(store.retries_drop(DUTY, running.term, 10).await.unwrap(), 0);
    running.admin("update cron_jobs set paused = 'because'").await;
    assert!(store.retries_due(10).await.unwrap().is_empty());
    assert_eq!(store.retries_drop(DUTY, running.term, 10).await.unwrap(), 1);
}
