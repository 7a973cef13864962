//! What follows for jobs whose runs fail: counted, told and paused in one statement, about jobs that are as they were read.

use claw_runtime::OsRandom;
use claw_store::{Actor, Aftermath, Followed, JobAfter, NewMessage, NewRun, News};
use claw_types::{MessageState, Outbound};
use serde_json::{Value, json};

use crate::Bench;
use crate::jobs::{actor, ada};
use crate::run_ends::{Running, counted, fire};
use crate::timers::{DUTY, elect};

/// A message to the owner, as a channel of hers would send it.
async fn message(bench: &Bench) -> NewMessage {
    let save = bench.channel("ada", "one");
    bench.store.channel_save(&bench.vault, &save, &Actor::named("a test")).await.unwrap();
    let channel = bench.store.channel_named(&ada(), "one").await.unwrap();
    let body =
        Outbound { recipient: "chat".to_owned(), text: Some("it fails".to_owned()), ..Outbound::default() };
    let made = NewMessage::outbound(&channel, &body, &bench.ids, None).unwrap();
    NewMessage { source: Some("alert".to_owned()), ..made }
}

/// What was decided about everything that is over.
struct Decided {
    after: Vec<Aftermath>,
    jobs: Vec<JobAfter>,
}

impl Decided {
    async fn of(running: &Running, change: impl Fn(JobAfter) -> JobAfter) -> Self {
        let over = running.over().await;
        let after = |run: &claw_store::EndedRun| Aftermath {
            run: run.id,
            attempt: run.attempt,
            told_at: run.told_at,
            retry_in: None,
            job: run.job.as_ref().map(|job| job.id),
        };
        let after = over.iter().map(after).collect();
        Self { after, jobs: counted(&over, false).map(change).into_iter().collect() }
    }

    async fn write(&self, running: &Running, term: i64) -> Followed {
        running.bench.store.runs_follow(DUTY, term, &self.after, &self.jobs).await.unwrap()
    }
}

fn paused(after: JobAfter) -> JobAfter {
    JobAfter { paused: Some("it failed".to_owned()), alerted: true, ..after }
}

async fn messages(running: &Running) -> i64 {
    let mut conn = running.bench.database.connect().await;
    let alerts = "select count(*) from messages where source = 'alert'";
    sqlx::query_scalar(alerts).fetch_one(&mut conn).await.unwrap()
}

async fn failing() -> Running {
    let running = Running::new(json!({})).await;
    running.settle(&running.work, MessageState::Failed, Some("refused")).await;
    running
}

#[tokio::test]
async fn the_owner_is_told_in_the_statement_that_counts_and_once() {
    let running = failing().await;
    let start = running.bench.store.events_now().await.unwrap();
    let message = message(&running.bench).await;
    let news = News {
        kind: "cron.job_failing",
        channel: Some(message.channel_id),
        message: Some(message.id),
        data: json!({"failures": 1}),
    };
    let decided = Decided::of(&running, |after| JobAfter {
        message: Some(message.clone()),
        news: vec![news.clone()],
        alerted: true,
        ..after
    })
    .await;
    let nothing = decided.write(&running, running.term - 1).await;
    assert_eq!((nothing.runs, messages(&running).await), (0, 0), "a former leader");
    let written = decided.write(&running, running.term).await;
    assert_eq!((written.runs, written.jobs.as_slice()), (1, [running.job.id].as_slice()));
    assert_eq!((written.messages.len(), written.messages[0].id), (1, message.id));
    assert!(written.messages[0].scheduled, "nobody waits for it, and it is no answer");
    let read = running.bench.store.messages_pending(&[(written.messages[0].shard, 0)], 20).await.unwrap();
    let alert = read.iter().find(|(work, _)| work.id == message.id).unwrap();
    assert!(alert.0.scheduled, "whoever reads it from the database knows, too");
    let again = decided.write(&running, running.term).await;
    assert_eq!((again.runs, again.messages.len(), messages(&running).await), (0, 0, 1), "once");
    let job = running.job().await;
    assert_eq!(
        (job.failures, job.enabled, job.failing_since),
        (1, true, Some(running.run().await.started_at))
    );
    let told = claw_testkit::eventually("the events", std::time::Duration::from_secs(20), async || {
        let events = running.bench.store.events_after(Some(&ada()), start, 20).await.unwrap().events;
        events.iter().any(|event| event.kind == "cron.job_failing").then_some(events)
    });
    let told = told.await;
    let event = told.iter().find(|event| event.kind == "cron.job_failing").unwrap();
    assert_eq!(event.message_id, Some(message.id.0));
    assert_eq!(serde_json::from_str::<Value>(event.data.get()).unwrap(), json!({"failures": 1}));
    assert_eq!(told.iter().filter(|event| event.kind == "message.queued").count(), 1);
}

#[tokio::test]
async fn nothing_is_written_about_a_job_that_was_changed_meanwhile() {
    for change in ["update cron_jobs set failures = 7", "update cron_jobs set updated_at = now()"] {
        let running = failing().await;
        let decided = Decided::of(&running, paused).await;
        running.admin(change).await;
        let written = decided.write(&running, running.term).await;
        assert_eq!((written.runs, written.jobs.len()), (0, 0), "{change}");
        assert!(running.job().await.enabled, "{change}");
        assert_eq!(running.over().await.len(), 1, "{change}: it is looked at again");
    }
}

#[tokio::test]
async fn a_job_that_somebody_holds_keeps_no_other_waiting() {
    let running = failing().await;
    let decided = Decided::of(&running, paused).await;
    let mut holder = running.bench.database.connect().await;
    sqlx::raw_sql("begin; select 1 from cron_jobs for update").execute(&mut holder).await.unwrap();
    assert_eq!(decided.write(&running, running.term).await.runs, 0);
    sqlx::raw_sql("commit").execute(&mut holder).await.unwrap();
    assert_eq!(decided.write(&running, running.term).await.runs, 1);
}

#[tokio::test]
async fn a_job_is_judged_with_all_of_its_runs_or_not_at_all() {
    let running = failing().await;
    let refused = |run: NewRun| NewRun { message: Err("no channel".into()), ..run };
    fire(&running.bench, running.term, refused).await;
    let decided = Decided::of(&running, |after| after).await;
    assert_eq!((decided.after.len(), decided.jobs[0].failures), (2, 2));
    let mut lost = Decided { after: decided.after.clone(), jobs: decided.jobs.clone() };
    lost.after[1].attempt = 9;
    assert_eq!(lost.write(&running, running.term).await.runs, 0);
    assert_eq!((running.over().await.len(), running.job().await.failures), (2, 0));
    assert_eq!(decided.write(&running, running.term).await.runs, 2);
    assert_eq!(running.job().await.failures, 2);
}

#[tokio::test]
async fn a_paused_job_runs_no_more_until_it_is_switched_on_and_begins_anew_then() {
    let running = failing().await;
    let again = running.over().await.remove(0);
    // Another run of it waits to be tried again.
    let refused = |run: NewRun| NewRun { message: Err("no channel".into()), ..run };
    fire(&running.bench, running.term, refused).await;
    let waits = "update timers set kind = 'retry' where id <> $1 and kind = 'run_over'";
    let mut admin = running.bench.database.connect().await;
    sqlx::query(waits).bind(again.id).execute(&mut admin).await.unwrap();
    assert_eq!(running.bench.store.retries_due(10).await.unwrap().len(), 1);

    let decided = Decided::of(&running, paused).await;
    assert_eq!(decided.write(&running, running.term).await.runs, 1);
    let job = running.job().await;
    assert_eq!((job.enabled, job.next_due_at, job.failures), (false, None, 1));
    assert_eq!(job.paused.as_deref(), Some("it failed"));
    assert!(running.bench.store.retries_due(10).await.unwrap().is_empty(), "nor what was to be tried again");
    assert_eq!(running.bench.store.retries_drop(DUTY, running.term, 10).await.unwrap(), 1);
    let timers: i64 = sqlx::query_scalar("select count(*) from timers").fetch_one(&mut admin).await.unwrap();
    assert_eq!(timers, 0, "nothing is left that would fire");

    let store = &running.bench.store;
    let on = store.job_enable(&ada(), running.job.id, true, &actor(), &OsRandom).await.unwrap();
    assert_eq!((on.enabled, on.failures, on.paused, on.failing_since), (true, 0, None, None));
    assert!(on.next_due_at.is_some());
}

/// A leader of the version before counts without knowing since when.
#[tokio::test]
async fn failures_of_which_the_beginning_is_not_known_are_shown_without_it() {
    let running = failing().await;
    running.admin("update cron_jobs set failures = 2").await;
    assert_eq!(running.job().await.failing_since, None);
    let term = elect(&running.bench, "other").await;
    let decided = Decided::of(&running, |after| after).await;
    assert_eq!(decided.write(&running, term).await.runs, 1);
    assert_eq!(running.job().await.failures, 3);
}
