//! How runs end, and what follows: in the statement that ends what they wait for, once.

use claw_store::{
    Aftermath, EndedRun, Fired, Firing, Job, JobAfter, Lease, MessageStatus, NewRun, Run, RunStatus, SaveJob,
    Settlement,
};
use claw_types::{Epoch, MessageId, MessageState, ShardId, Work};
use serde_json::{Value, json};

use crate::Bench;
use crate::firing::{due, firing, make_due};
use crate::jobs::{actor, ada, create, every, saved};
use crate::timers::{DUTY, elect};

/// A job whose first run has begun, and who leads.
pub struct Running {
    pub bench: Bench,
    pub term: i64,
    pub job: Job,
    pub work: Work,
    epochs: Vec<Epoch>,
}

impl Running {
    pub async fn new(options: Value) -> Self {
        Self::with(options, |run| run).await
    }

    pub async fn with(options: Value, change: impl Fn(NewRun) -> NewRun) -> Self {
        let bench = Bench::new().await;
        let term = elect(&bench, "clock").await;
        let mut lease = Lease::open(bench.database.url(), Bench::member("worker")).await.unwrap();
        let mut claimed = lease.claim(&(0..8).map(ShardId).collect::<Vec<_>>()).await.unwrap();
        claimed.sort_by_key(|claim| claim.shard);
        let options = serde_json::from_value(options).unwrap();
        let job = create(&bench, &ada(), &SaveJob { options, ..saved("one", &every(60)) }).await;
        let epochs = claimed.into_iter().map(|claim| claim.epoch).collect();
        let fired = fire(&bench, term, change).await;
        Self { term, job, work: fired.messages[0].clone(), epochs, bench }
    }

    pub async fn settle(&self, work: &Work, state: MessageState, error: Option<&str>) {
        let settlement = Settlement {
            id: work.id,
            shard: work.shard,
            epoch: self.epochs[usize::from(work.shard.0)],
            state,
            due_in: 60.0,
            attempts: 1,
            retries: work.retries,
            platform_message_ids: Vec::new(),
            error: error.map(str::to_owned),
            burst: None,
        };
        assert!(self.bench.writer.settle(settlement).await.unwrap());
    }

    pub async fn run(&self) -> Run {
        self.bench.store.runs(&ada(), Some(self.job.id), None, 10).await.unwrap().remove(0)
    }

    pub async fn job(&self) -> Job {
        self.bench.store.job(&ada(), self.job.id).await.unwrap()
    }

    pub async fn over(&self) -> Vec<EndedRun> {
        self.bench.store.runs_over(10).await.unwrap()
    }

    /// What the leader does about the runs that are over; how many.
    pub async fn follow(&self, retry_in: Option<f64>, delete: bool) -> u64 {
        let over = self.over().await;
        let after = |run: &EndedRun| {
            let job = run.job.as_ref().filter(|_| retry_in.is_none()).map(|job| job.id);
            Aftermath { run: run.id, attempt: run.attempt, told_at: run.told_at, retry_in, job }
        };
        let after: Vec<Aftermath> = over.iter().map(after).collect();
        let counted = retry_in.is_none().then(|| counted(&over, delete)).flatten();
        let jobs: Vec<JobAfter> = counted.into_iter().collect();
        self.bench.store.runs_follow(DUTY, self.term, &after, &jobs).await.unwrap().runs
    }

    pub async fn admin(&self, sql: &'static str) {
        sqlx::query(sql).execute(&mut self.bench.database.connect().await).await.unwrap();
    }

    pub async fn status_of_message(&self, work: &Work) -> MessageStatus {
        self.bench.store.message_status(work.id).await.unwrap().unwrap()
    }
}

/// What becomes of the one job of these runs, by their count alone.
pub fn counted(over: &[EndedRun], delete: bool) -> Option<JobAfter> {
    let job = over.first()?.job.as_ref()?;
    let failed = over.iter().filter(|run| run.status != RunStatus::Ok && !run.uncounted).count();
    let before = if over.iter().any(|run| run.status == RunStatus::Ok) { 0 } else { job.failures };
    Some(JobAfter {
        job: job.id,
        runs: u32::try_from(over.len()).unwrap(),
        was_changed: job.updated_at,
        was_failures: job.failures,
        failures: before + u32::try_from(failed).unwrap(),
        failing_since: job.failing_since.or(Some(over[0].started_at)),
        alerted: job.alerted,
        paused: None,
        delete,
        message: None,
        news: Vec::new(),
    })
}

/// Fires what there is for a time that no run is for.
pub async fn fire(bench: &Bench, term: i64, change: impl Fn(NewRun) -> NewRun) -> Fired {
    let earlier = "update cron_runs set scheduled_for = scheduled_for - interval '1 hour'";
    sqlx::query(earlier).execute(&mut bench.database.connect().await).await.unwrap();
    make_due(bench).await;
    let firings: Vec<Firing> = due(bench)
        .await
        .iter()
        .map(|job| firing(bench, job))
        .map(|firing| Firing { run: firing.run.map(&change), ..firing })
        .collect();
    bench.store.jobs_fire(DUTY, term, &firings).await.unwrap()
}

#[tokio::test]
async fn a_run_ends_with_its_message() {
    for (state, error, expected, says) in [
        (MessageState::Done, None, RunStatus::Ok, None),
        (MessageState::Uncertain, Some("no answer"), RunStatus::Ok, None),
        (MessageState::Failed, Some("refused"), RunStatus::Error, Some("refused")),
        (MessageState::Dead, None, RunStatus::Error, Some("its message could not be handed over")),
    ] {
        let running = Running::new(json!({})).await;
        running.settle(&running.work, MessageState::Pending, Some("not yet")).await;
        assert_eq!(running.run().await.status, RunStatus::Running, "another attempt comes");
        running.settle(&running.work, state, error).await;
        let run = running.run().await;
        assert_eq!((run.status, run.error_message.as_deref()), (expected, says), "{state:?}");
        assert!(run.finished_at.is_some() && run.duration_ms.is_some());
        assert_eq!(running.over().await.len(), usize::from(expected != RunStatus::Ok), "{state:?}");
    }
}

#[tokio::test]
async fn a_run_that_somebody_asked_for_ends_with_its_message_too() {
    let running = Running::new(json!({})).await;
    running.admin("delete from cron_runs").await;
    let (store, id) = (&running.bench.store, running.bench.ids.next());
    store.run_test(&ada(), running.job.id, id, 0.0, &actor(), None).await.unwrap();
    assert_eq!(running.run().await.status, RunStatus::Timeout, "it made no message in time");
    let sent = |text: &str| format!(r#"{{"recipient":"{text}"}}"#);
    store.run_makes(&ada(), id, running.work.id, &sent("1"), 600.0).await.unwrap();
    running.settle(&running.work, MessageState::Pending, Some("not yet")).await;
    let run = running.run().await;
    assert_eq!((run.status, run.handed_at), (RunStatus::Running, None));
    store.run_makes(&ada(), id, running.work.id, &sent("2"), 600.0).await.unwrap();
    running.settle(&running.work, MessageState::Done, None).await;
    let run = running.run().await;
    assert_eq!((run.status, run.handed_at.is_some()), (RunStatus::Ok, true));
    assert_eq!(run.sent.as_ref().unwrap()["recipient"], "1", "as the message of the first call says it");
    store.run_makes(&ada(), id, MessageId(id), &sent("3"), 600.0).await.unwrap();
    assert_eq!(running.run().await, run, "it stays as it ended");
}

#[tokio::test]
async fn a_run_whose_message_was_not_stored_has_sent_nothing() {
    let running = Running::new(json!({})).await;
    running.admin("delete from cron_runs").await;
    let (store, id) = (&running.bench.store, running.bench.ids.next());
    store.run_test(&ada(), running.job.id, id, 60.0, &actor(), None).await.unwrap();
    store.run_makes(&ada(), id, MessageId(id), "{}", 60.0).await.unwrap();
    assert!(running.run().await.sent.is_some());
    store.run_finish(&ada(), id, None, Some("no room")).await.unwrap();
    let run = running.run().await;
    assert_eq!((run.status, run.sent, run.message_id), (RunStatus::Error, None, None));
}

#[tokio::test]
async fn a_run_from_which_something_follows_is_not_forgotten() {
    let running = Running::new(json!({"max_retries": 1})).await;
    let forget = async || running.bench.store.runs_forget(0, 10).await.unwrap();
    assert_eq!(forget().await, 0, "it goes on");
    running.settle(&running.work, MessageState::Failed, None).await;
    assert_eq!(forget().await, 0, "what follows is still to be done");
    running.follow(Some(30.0), false).await;
    assert_eq!(forget().await, 0, "it is to be tried again");
    running.admin("delete from timers where kind = 'retry'").await;
    assert_eq!(forget().await, 1);
}

#[tokio::test]
async fn a_run_that_awaits_its_completion_goes_on_when_its_message_is_there() {
    let running = Running::with(json!({}), |run| NewRun { await_completion: true, ..run }).await;
    running.settle(&running.work, MessageState::Done, None).await;
    let run = running.run().await;
    assert_eq!((run.status, run.finished_at), (RunStatus::Running, None));
    running.admin("update cron_runs set deadline_at = now()").await;
    let shown = running.run().await;
    assert_eq!(shown.error_message.as_deref(), Some("nobody said in time that it is complete"));
    assert_eq!(running.bench.store.runs_time_out(DUTY, running.term, 10).await.unwrap(), 1);
    let stored = running.run().await;
    assert_eq!((stored.status, stored.error_message), (shown.status, shown.error_message));
}

#[tokio::test]
async fn a_run_whose_time_is_up_times_out_once_and_a_late_message_changes_nothing() {
    let running = Running::new(json!({})).await;
    assert!(!running.bench.store.runs_waiting().await.unwrap().overdue);
    running.admin("update cron_runs set deadline_at = now()").await;
    assert!(running.bench.store.runs_waiting().await.unwrap().overdue);
    let time_out = async |term| running.bench.store.runs_time_out(DUTY, term, 10).await.unwrap();
    assert_eq!(time_out(running.term - 1).await, 0, "a former leader writes nothing");
    assert_eq!(time_out(running.term).await, 1);
    assert_eq!(time_out(running.term).await, 0);
    let run = running.run().await;
    assert_eq!(run.status, RunStatus::Timeout);
    assert_eq!(run.error_message.as_deref(), Some("its message was not handed over in time"));
    running.settle(&running.work, MessageState::Done, None).await;
    assert_eq!(running.run().await.status, RunStatus::Timeout);
    assert_eq!(running.over().await.len(), 1);
}

#[tokio::test]
async fn failures_in_a_row_are_counted_and_forgotten_when_a_run_ends_well() {
    let running = Running::new(json!({})).await;
    running.settle(&running.work, MessageState::Dead, Some("away")).await;
    assert_eq!((running.follow(None, false).await, running.job().await.failures), (1, 1));
    assert_eq!(running.follow(None, false).await, 0, "once");
    let fired =
        fire(&running.bench, running.term, |run| NewRun { message: Err("no channel".into()), ..run }).await;
    assert_eq!(fired.runs, 1);
    running.follow(None, false).await;
    assert_eq!(running.job().await.failures, 2);
    let fired = fire(&running.bench, running.term, |run| run).await;
    running.settle(&fired.messages[0], MessageState::Done, None).await;
    assert_eq!(running.job().await.failures, 2, "the worker leaves the job alone");
    assert_eq!((running.follow(None, false).await, running.job().await.failures), (1, 0));
    assert!(running.over().await.is_empty());
}

#[tokio::test]
async fn the_dead_letters_of_a_job_that_is_never_paused_have_an_end() {
    let running = Running::new(json!({"pause_after": 0})).await;
    running.admin("update cron_jobs set failures = 99").await;
    running.settle(&running.work, MessageState::Dead, Some("away")).await;
    assert_eq!((running.follow(None, false).await, running.job().await.failures), (1, 100));
    assert_eq!(running.status_of_message(&running.work).await.state, MessageState::Dead);
    // Those of attempts that are made again, too.
    for retry_in in [Some(60.0), None] {
        let fired = fire(&running.bench, running.term, |run| run).await;
        running.settle(&fired.messages[0], MessageState::Dead, Some("away")).await;
        assert_eq!(running.follow(retry_in, false).await, 1);
        assert_eq!(running.status_of_message(&fired.messages[0]).await.state, MessageState::Discarded);
    }
    assert!(running.job().await.enabled);
    let told = "select count(*) from events where type = 'message.discarded'";
    let told: i64 =
        sqlx::query_scalar(told).fetch_one(&mut running.bench.database.connect().await).await.unwrap();
    assert_eq!(told, 2);
}

#[tokio::test]
async fn a_job_that_is_over_goes_with_its_last_run_and_the_run_stays() {
    let running = Running::new(json!({"delete_after_run": true})).await;
    running.admin("update cron_jobs set next_due_at = null, enabled = false").await;
    assert!(running.over().await.is_empty(), "its run goes on");
    running.settle(&running.work, MessageState::Done, None).await;
    assert!(running.over().await[0].goes_on, "nobody switched it off");
    assert_eq!(running.follow(None, true).await, 1);
    assert!(running.bench.store.job(&ada(), running.job.id).await.is_err());
    assert_eq!(running.run().await.status, RunStatus::Ok);
}

/// Whoever ends the earlier run at the moment at which the job loses its last time: one of the two deletes it.
#[tokio::test]
async fn a_run_that_ends_while_its_job_is_over_takes_it_along() {
    let running = Running::new(json!({"delete_after_run": true})).await;
    make_due(&running.bench).await;
    let due = due(&running.bench).await.remove(0);
    let mut worker = running.bench.database.connect().await;
    sqlx::raw_sql("begin; update cron_runs set status = 'ok'").execute(&mut worker).await.unwrap();
    let last = [Firing { next_due_at: None, delete: true, run: None, ..firing(&running.bench, &due) }];
    let fire = running.bench.store.jobs_fire(DUTY, running.term, &last);
    tokio::pin!(fire);
    let early = tokio::time::timeout(std::time::Duration::from_millis(300), &mut fire).await;
    assert!(early.is_err(), "it waits for the end of the run");
    sqlx::raw_sql("commit").execute(&mut worker).await.unwrap();
    assert_eq!(fire.await.unwrap().jobs, 1);
    assert!(running.bench.store.job(&ada(), running.job.id).await.is_err());
}

#[tokio::test]
async fn the_run_for_the_last_time_is_known_unless_somebody_switched_its_job_off() {
    let running = Running::new(json!({})).await;
    running.settle(&running.work, MessageState::Failed, Some("refused")).await;
    let last = async || running.over().await.iter().map(|run| run.last).collect::<Vec<_>>();
    assert_eq!(last().await, [false], "its job goes on");
    running.admin("update cron_jobs set enabled = false, next_due_at = null").await;
    assert_eq!(last().await, [true], "it had no further time");
    running.admin("update cron_jobs set updated_at = now() + interval '1 second'").await;
    assert_eq!(last().await, [false], "its user switched it off");
    running.admin("update cron_jobs set paused = 'because'").await;
    let over = running.over().await;
    assert!(over[0].last && over[0].job.as_ref().unwrap().paused && !over[0].goes_on);
    running.admin("update cron_jobs set paused = null, updated_at = created_at, enabled = true").await;
    let refused = |run: NewRun| NewRun { message: Err("no channel".into()), ..run };
    running.admin("update cron_jobs set next_due_at = now()").await;
    fire(&running.bench, running.term, refused).await;
    running.admin("update cron_jobs set enabled = false, next_due_at = null").await;
    assert_eq!(last().await, [false, true], "only the later one");
}
