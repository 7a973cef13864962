//! Jobs whose wake-ups wait for their user's heartbeat: a timer in place of a message, in the statement that begins the run.

use chrono::{DateTime, TimeDelta, Utc};
use claw_runtime::SystemClock;
use claw_store::{Aftermath, DueJob, Firing, NewRun, Retry, RunOf, RunStatus};
use claw_types::{Action, MessageId, ShardCount};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::Bench;
use crate::firing::{due, make_due};
use crate::jobs::{ada, create, every, object, saved};
use crate::run_ends::counted;
use crate::timers::{DUTY, elect};

/// A wake-up of this job under the id of a run.
fn wake(bench: &Bench, job: &DueJob, run: Uuid, wake_at: DateTime<Utc>) -> NewRun {
    let Ok(Action::Wake(wake)) = Action::read(&serde_json::from_str(&job.action).unwrap()) else {
        panic!("no wake-up")
    };
    let scheduled_for = job.next_due_at;
    let of = RunOf {
        user: &job.user_id,
        job: job.id,
        job_name: &job.name,
        label: None,
        metadata: None,
        run,
        attempt: 1,
        scheduled_for: Some(scheduled_for),
    };
    let shards = ShardCount::new(8).unwrap();
    let message = of.wake(wake, None, None, shards, &bench.ids, &SystemClock).unwrap();
    NewRun {
        id: run,
        scheduled_for,
        seconds: 60.0,
        await_completion: false,
        sent: None,
        message: Ok(message),
        wake_at: Some(wake_at),
    }
}

/// A job that wakes its user's agent, due.
async fn one_due(bench: &Bench) -> DueJob {
    let action =
        object(&json!({"type": "hook", "text": "look", "mode": "next_heartbeat", "metadata": {"a": 1}}));
    let save =
        claw_store::SaveJob { does: Action::read(&action).unwrap(), action, ..saved("one", &every(60)) };
    create(bench, &ada(), &save).await;
    make_due(bench).await;
    due(bench).await.remove(0)
}

fn in_an_hour() -> DateTime<Utc> {
    claw_runtime::Clock::now(&SystemClock) + TimeDelta::hours(1)
}

/// The wake-ups that wait, and how many messages there are.
async fn stored(bench: &Bench) -> (Vec<Uuid>, i64) {
    let mut admin = bench.database.connect().await;
    let waiting = sqlx::query_scalar("select id from timers where kind = 'wake'");
    let waiting = waiting.fetch_all(&mut admin).await.unwrap();
    let messages = sqlx::query_scalar("select count(*) from messages").fetch_one(&mut admin).await.unwrap();
    (waiting, messages)
}

#[tokio::test]
async fn it_waits_as_one_timer_and_its_run_is_over() {
    let bench = Bench::new().await;
    let (former, term) = (elect(&bench, "one").await, elect(&bench, "two").await);
    let job = one_due(&bench).await;
    let run = wake(&bench, &job, bench.ids.next(), in_an_hour());
    let made = run.message.clone().unwrap();
    let fire = [Firing { run: Some(run), ..plain(&job) }];
    assert_eq!(bench.store.jobs_fire(DUTY, former, &fire).await.unwrap().runs, 0, "a former leader");
    assert_eq!(stored(&bench).await, (vec![], 0));
    let fired = bench.store.jobs_fire(DUTY, term, &fire).await.unwrap();
    assert_eq!((fired.runs, fired.messages.len()), (1, 0));
    assert_eq!(bench.store.jobs_fire(DUTY, term, &fire).await.unwrap().runs, 0, "once");
    assert_eq!(stored(&bench).await, (vec![made.id.0], 0));
    let run = bench.store.runs(&ada(), Some(job.id), None, 10).await.unwrap().remove(0);
    assert_eq!((run.status, run.message_id, run.handed_at), (RunStatus::Ok, Some(made.id), None));
    assert!(run.finished_at.is_some());
    assert!(bench.store.runs_over(10).await.unwrap().is_empty(), "nothing follows from it");

    sqlx::query("update timers set due_at = now() where kind = 'wake'")
        .execute(&mut bench.database.connect().await)
        .await
        .unwrap();
    let woken = bench.store.timers_fire(DUTY, term, 10, &[]).await.unwrap().remove(0);
    assert_eq!((woken.id, woken.payload.get()), (made.id, made.payload.get()));
    let body: Value = serde_json::from_str(woken.payload.get()).unwrap();
    let metadata = &body["metadata"];
    assert_eq!((&metadata["source"], &metadata["a"]), (&json!("wake"), &json!(1)));
    assert_eq!((&metadata["job_id"], &metadata["run_id"]), (&json!(job.id), &json!(run.id)));
    assert_eq!(metadata["chat_id"], "hook:wake:ada", "the session of all wake-ups");
}

#[tokio::test]
async fn the_last_one_of_a_job_ends_it() {
    let bench = Bench::new().await;
    let term = elect(&bench, "clock").await;
    let job = one_due(&bench).await;
    let run = wake(&bench, &job, bench.ids.next(), in_an_hour());
    let last = [Firing { run: Some(run), next_due_at: None, ..plain(&job) }];
    assert_eq!(bench.store.jobs_fire(DUTY, term, &last).await.unwrap().runs, 1);
    let over = bench.store.runs_over(10).await.unwrap();
    assert_eq!(over[0].status, RunStatus::Ok);
    let told_at = over[0].told_at;
    let after = [Aftermath { run: over[0].id, attempt: 1, told_at, retry_in: None, job: Some(job.id) }];
    let gone = [counted(&over, true).unwrap()];
    assert_eq!(bench.store.runs_follow(DUTY, term, &after, &gone).await.unwrap().runs, 1);
    assert!(bench.store.jobs(&ada(), &claw_store::JobFilter::default()).await.unwrap().is_empty());
    assert_eq!(stored(&bench).await.0.len(), 1, "what was stored stays");
}

#[tokio::test]
async fn another_attempt_stores_it_once_and_makes_good_for_the_first() {
    let bench = Bench::new().await;
    let term = elect(&bench, "clock").await;
    let job = one_due(&bench).await;
    let failed = NewRun {
        message: Err("its channel is away".to_owned()),
        ..wake(&bench, &job, bench.ids.next(), in_an_hour())
    };
    let id = failed.id;
    let fire = [Firing { run: Some(failed), ..plain(&job) }];
    assert_eq!(bench.store.jobs_fire(DUTY, term, &fire).await.unwrap().runs, 1);
    assert_eq!(stored(&bench).await, (vec![], 0));
    let told_at = bench.store.runs_over(10).await.unwrap()[0].told_at;
    let again = [Aftermath { run: id, attempt: 1, told_at, retry_in: Some(0.0), job: None }];
    assert_eq!(bench.store.runs_follow(DUTY, term, &again, &[]).await.unwrap().runs, 1);
    let due = bench.store.retries_due(10).await.unwrap().remove(0);
    let run = wake(&bench, &job, id, in_an_hour());
    let message: MessageId = run.message.as_ref().unwrap().id;
    let retry = [Retry { job: due.job, was_changed: due.updated_at, attempt: due.attempt, run }];
    assert_eq!(bench.store.runs_retry(DUTY, term - 1, &retry).await.unwrap().runs, 0, "a former leader");
    let begun = bench.store.runs_retry(DUTY, term, &retry).await.unwrap();
    assert_eq!((begun.runs, begun.messages.len()), (1, 0));
    assert_eq!(bench.store.runs_retry(DUTY, term, &retry).await.unwrap().runs, 0, "once");
    assert_eq!(stored(&bench).await, (vec![message.0], 0));
    let run = bench.store.runs(&ada(), Some(job.id), None, 10).await.unwrap().remove(0);
    assert_eq!((run.status, run.attempt, run.message_id), (RunStatus::Ok, 2, Some(message)));
    assert_eq!(run.error_message, None);
    let over = bench.store.runs_over(10).await.unwrap().remove(0);
    assert_eq!((over.id, over.status, over.attempt), (id, RunStatus::Ok, 2));
}

/// A firing of this job whose run is still to be put in.
fn plain(job: &DueJob) -> Firing {
    Firing {
        job: job.id,
        was_due: job.next_due_at,
        was_changed: job.updated_at,
        next_due_at: Some(job.next_due_at + TimeDelta::hours(1)),
        jitter_ms: 0,
        over: None,
        paused: None,
        delete: false,
        run: None,
        news: None,
    }
}
