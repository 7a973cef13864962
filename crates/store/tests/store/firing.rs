//! Firing jobs: each scheduled time has one run and one message, whoever fires, and nothing is fired that has changed.

use chrono::{DateTime, TimeDelta, Utc};
use claw_runtime::{OsRandom, SystemClock};
use claw_store::cron::START;
use claw_store::{DueJob, Error, Firing, Job, NewRun, News, Over, RunOf, RunStatus, SaveJob};
use claw_types::{Action, ShardCount, UserId};
use serde_json::json;
use sqlx::Connection as _;

use crate::Bench;
use crate::jobs::{actor, ada, create, every, saved};
use crate::timers::{DUTY, elect};

/// All of these are due since a second ago.
pub async fn make_due(bench: &Bench) {
    let mut admin = bench.database.connect().await;
    let due = "update cron_jobs set next_due_at = date_trunc('second', now()) - interval '1 second'
               where next_due_at is not null";
    sqlx::query(due).execute(&mut admin).await.unwrap();
}

pub async fn due(bench: &Bench) -> Vec<DueJob> {
    bench.store.jobs_due(START, 10_000).await.unwrap().jobs
}

/// A run of this job for its due time, as its action says it.
pub fn run(bench: &Bench, job: &DueJob) -> NewRun {
    let id = bench.ids.next();
    let scheduled_for = job.next_due_at;
    let of = RunOf {
        user: &job.user_id,
        job: job.id,
        job_name: &job.name,
        label: job.label.as_deref(),
        metadata: job.metadata.as_deref(),
        run: id,
        attempt: 1,
        scheduled_for: Some(scheduled_for),
    };
    let Ok(Action::Task(task)) = Action::read(&serde_json::from_str(&job.action).unwrap()) else {
        panic!("no task")
    };
    let shards = ShardCount::new(8).unwrap();
    let message = of.to_agent(task, None, None, shards, &bench.ids, &SystemClock).unwrap();
    NewRun {
        id,
        scheduled_for,
        seconds: 60.0,
        await_completion: false,
        sent: None,
        message: Ok(message),
        wake_at: None,
    }
}

pub fn firing(bench: &Bench, job: &DueJob) -> Firing {
    Firing {
        job: job.id,
        was_due: job.next_due_at,
        was_changed: job.updated_at,
        next_due_at: Some(job.next_due_at + TimeDelta::seconds(60)),
        jitter_ms: 250,
        over: None,
        paused: None,
        delete: false,
        run: Some(run(bench, job)),
        news: None,
    }
}

/// So many jobs of a hundred users, due since a second ago.
pub async fn due_at_once(bench: &Bench, many: i32) {
    let template = create(bench, &ada(), &saved("one", &every(60))).await;
    sqlx::query(
        "insert into cron_jobs (id, user_id, name, enabled, schedule, schedule_type, action, action_type, one_shot,
             next_due_at)
         select gen_random_uuid(), 'user-' || n % 100, 'job ' || n, true, schedule, schedule_type, action, action_type,
                false, date_trunc('second', now()) - interval '1 second'
         from cron_jobs, generate_series(1, $2) n where id = $1",
    )
    .bind(template.id)
    .bind(many)
    .execute(&mut bench.database.connect().await)
    .await
    .unwrap();
}

async fn one_due(bench: &Bench) -> (Job, DueJob) {
    let made = create(bench, &ada(), &saved("one", &every(60))).await;
    make_due(bench).await;
    (made, due(bench).await.remove(0))
}

async fn count(bench: &Bench, table: &str) -> i64 {
    let mut admin = bench.database.connect().await;
    let sql = sqlx::AssertSqlSafe(format!("select count(*) from {table}"));
    sqlx::query_scalar(sql).fetch_one(&mut admin).await.unwrap()
}

async fn timer(bench: &Bench, job: &Job) -> Option<DateTime<Utc>> {
    let mut admin = bench.database.connect().await;
    let due = sqlx::query_scalar("select due_at from timers where id = $1 and kind = 'cron'").bind(job.id);
    due.fetch_optional(&mut admin).await.unwrap()
}

#[tokio::test]
async fn a_due_job_moves_on_and_its_run_and_message_begin() {
    let bench = Bench::new().await;
    let term = elect(&bench, "clock").await;
    let before = create(&bench, &ada(), &saved("one", &every(60))).await;
    assert!(due(&bench).await.is_empty() && !bench.store.timers_waiting().await.unwrap().jobs);
    make_due(&bench).await;
    assert!(bench.store.timers_waiting().await.unwrap().jobs);
    let job = due(&bench).await.remove(0);
    let firing = firing(&bench, &job);
    let fired = bench.store.jobs_fire(DUTY, term, std::slice::from_ref(&firing)).await.unwrap();
    assert_eq!((fired.jobs, fired.runs, fired.messages.len()), (1, 1, 1));
    let run = bench.store.runs(&ada(), Some(job.id), None, 10).await.unwrap().remove(0);
    assert_eq!((run.status, run.scheduled_for), (RunStatus::Running, Some(job.next_due_at)));
    assert_eq!(run.message_id, Some(fired.messages[0].id));
    let stored = bench.store.messages_pending(&[(fired.messages[0].shard, 0)], 10).await.unwrap();
    assert_eq!(stored[0].0.payload.get(), fired.messages[0].payload.get());
    let body: serde_json::Value = serde_json::from_str(stored[0].0.payload.get()).unwrap();
    assert_eq!(body["metadata"]["run_id"], json!(run.id));
    assert!(body["metadata"]["scheduled_for"].as_str().unwrap().ends_with('Z'), "{body}");
    let after = bench.store.job(&ada(), job.id).await.unwrap();
    assert_eq!((after.next_due_at, after.runs), (firing.next_due_at, 1));
    assert_eq!((after.updated_at, after.enabled), (before.updated_at, true), "nobody changed it");
    let later = firing.next_due_at.unwrap() + TimeDelta::milliseconds(250);
    assert_eq!(timer(&bench, &before).await, Some(later), "with its jitter");
    assert!(due(&bench).await.is_empty());
}

#[tokio::test]
async fn a_former_leader_fires_no_job() {
    let bench = Bench::new().await;
    let former = elect(&bench, "one").await;
    let present = elect(&bench, "two").await;
    let (_, job) = one_due(&bench).await;
    let firing = [firing(&bench, &job)];
    assert_eq!(bench.store.jobs_fire(DUTY, former, &firing).await.unwrap().jobs, 0);
    assert_eq!(bench.store.jobs_fire("other", present, &firing).await.unwrap().jobs, 0);
    assert_eq!((count(&bench, "cron_runs").await, count(&bench, "messages").await), (0, 0));
    assert_eq!(bench.store.jobs_fire(DUTY, present, &firing).await.unwrap().jobs, 1);
}

#[tokio::test]
async fn who_fires_what_was_fired_fires_nothing() {
    let bench = Bench::new().await;
    let term = elect(&bench, "clock").await;
    let (_, job) = one_due(&bench).await;
    let (one, two) = ([firing(&bench, &job)], [firing(&bench, &job)]);
    let (one, two) =
        tokio::join!(bench.store.jobs_fire(DUTY, term, &one), bench.store.jobs_fire(DUTY, term, &two));
    assert_eq!(one.unwrap().jobs + two.unwrap().jobs, 1);
    assert_eq!((count(&bench, "cron_runs").await, count(&bench, "messages").await), (1, 1));
}

/// The clock of a database may go back: the job would be due once more at a time that it has had.
#[tokio::test]
async fn a_scheduled_time_has_one_run_even_if_it_comes_again() {
    let bench = Bench::new().await;
    let term = elect(&bench, "clock").await;
    let (_, job) = one_due(&bench).await;
    let stays = Firing { next_due_at: Some(job.next_due_at), ..firing(&bench, &job) };
    let first = bench.store.jobs_fire(DUTY, term, &[stays]).await.unwrap();
    assert_eq!((first.runs, first.messages.len()), (1, 1));
    let again = bench.store.jobs_fire(DUTY, term, &[firing(&bench, &job)]).await.unwrap();
    assert_eq!((again.jobs, again.runs, again.messages.len()), (1, 0, 0), "it moves on, without another run");
    assert_eq!(bench.store.job(&ada(), job.id).await.unwrap().runs, 1, "and counts none");
    assert_eq!((count(&bench, "cron_runs").await, count(&bench, "messages").await), (1, 1));
}

#[tokio::test]
async fn what_was_edited_or_switched_off_in_between_is_not_fired_as_it_was() {
    let bench = Bench::new().await;
    let term = elect(&bench, "clock").await;
    let (made, job) = one_due(&bench).await;
    let old = [firing(&bench, &job)];
    let renamed = saved("renamed", &every(60));
    bench.store.job_replace(&ada(), made.id, &renamed, &actor(), &OsRandom).await.unwrap();
    assert_eq!(bench.store.jobs_fire(DUTY, term, &old).await.unwrap().jobs, 0);
    make_due(&bench).await;
    let now = due(&bench).await.remove(0);
    assert_eq!(now.name, "renamed");
    let old = [firing(&bench, &now)];
    bench.store.job_enable(&ada(), made.id, false, &actor(), &OsRandom).await.unwrap();
    assert_eq!(bench.store.jobs_fire(DUTY, term, &old).await.unwrap().jobs, 0);
    assert_eq!((count(&bench, "cron_runs").await, timer(&bench, &made).await), (0, None));
    bench.store.job_delete(&ada(), made.id, &actor()).await.unwrap();
    assert_eq!(bench.store.jobs_fire(DUTY, term, &old).await.unwrap().jobs, 0);
}

#[tokio::test]
async fn a_job_that_somebody_holds_makes_no_other_late() {
    let bench = Bench::new().await;
    let term = elect(&bench, "clock").await;
    let (held, _) = one_due(&bench).await;
    create(&bench, &ada(), &saved("two", &every(60))).await;
    make_due(&bench).await;
    let firings: Vec<Firing> = due(&bench).await.iter().map(|job| firing(&bench, job)).collect();
    let mut other = bench.database.connect().await;
    let mut edit = other.begin().await.unwrap();
    let lock = sqlx::query("select 1 from cron_jobs where id = $1 for update").bind(held.id);
    lock.execute(&mut *edit).await.unwrap();
    assert_eq!(bench.store.jobs_fire(DUTY, term, &firings).await.unwrap().jobs, 1, "the other one");
    edit.rollback().await.unwrap();
    assert_eq!(due(&bench).await.into_iter().map(|job| job.id).collect::<Vec<_>>(), [held.id]);
}

#[tokio::test]
async fn what_has_no_further_time_is_switched_off_and_what_is_not_understood_says_why() {
    let bench = Bench::new().await;
    let term = elect(&bench, "clock").await;
    let (made, job) = one_due(&bench).await;
    let mut admin = bench.database.connect().await;
    sqlx::query("update cron_jobs set alerted = true").execute(&mut admin).await.unwrap();
    let news = News {
        kind: "cron.job_paused",
        channel: None,
        message: None,
        data: json!({"job_id": job.id, "why": "schedule"}),
    };
    let paused = Some("because".to_owned());
    let last =
        Firing { next_due_at: None, over: Some(Over::Ran), paused, news: Some(news), ..firing(&bench, &job) };
    assert_eq!(bench.store.jobs_fire(DUTY, term, &[last]).await.unwrap().jobs, 1);
    let over = bench.store.job(&ada(), made.id).await.unwrap();
    assert_eq!((over.enabled, over.next_due_at, over.paused.as_deref()), (false, None, Some("because")));
    assert_eq!((over.updated_at, timer(&bench, &made).await), (made.updated_at, None));
    assert_eq!(over.over, None, "it is paused");
    assert_eq!(told(&bench, "cron.job_paused").await, [json!({"job_id": job.id, "why": "schedule"})]);
    let alerted: bool =
        sqlx::query_scalar("select alerted from cron_jobs").fetch_one(&mut admin).await.unwrap();
    assert!(!alerted, "its owner is to be told of this, too");
}

/// The data of the events of this kind.
async fn told(bench: &Bench, kind: &str) -> Vec<serde_json::Value> {
    let events = "select data::text from events where type = $1 order by id";
    let mut admin = bench.database.connect().await;
    let told: Vec<String> = sqlx::query_scalar(events).bind(kind).fetch_all(&mut admin).await.unwrap();
    told.iter().map(|data| serde_json::from_str(data).unwrap()).collect()
}

#[tokio::test]
async fn a_time_that_is_passed_over_is_told_once_and_with_a_job_that_goes_for_it() {
    for (delete, runs, goes) in [(false, 1, false), (true, 1, true), (true, 0, false)] {
        let bench = Bench::new().await;
        let term = elect(&bench, "clock").await;
        let (made, job) = one_due(&bench).await;
        crate::job_options::set(&bench, &format!("runs = {runs}")).await;
        let data = json!({"job_id": job.id, "why": "missed"});
        let kind = "cron.time_skipped";
        let news = Some(News { kind, channel: None, message: None, data: data.clone() });
        let passed = [Firing { next_due_at: None, run: None, delete, news, ..firing(&bench, &job) }];
        assert_eq!(bench.store.jobs_fire(DUTY, term, &passed).await.unwrap().jobs, 1);
        assert_eq!(bench.store.jobs_fire(DUTY, term, &passed).await.unwrap().jobs, 0);
        assert_eq!(told(&bench, kind).await, [data]);
        assert_eq!(bench.store.job(&ada(), made.id).await.is_err(), goes, "{delete}, {runs} runs");
    }
}

#[tokio::test]
async fn a_run_that_can_not_begin_is_an_error_that_says_why_and_makes_no_message() {
    let bench = Bench::new().await;
    let term = elect(&bench, "clock").await;
    let (made, job) = one_due(&bench).await;
    let mut refused = firing(&bench, &job);
    refused.run = refused.run.map(|run| NewRun { message: Err("no\0channel".to_owned()), ..run });
    let fired = bench.store.jobs_fire(DUTY, term, &[refused]).await.unwrap();
    assert_eq!((fired.jobs, fired.runs, fired.messages.len()), (1, 1, 0));
    let run = bench.store.runs(&ada(), Some(made.id), None, 10).await.unwrap().remove(0);
    assert_eq!((run.status, run.error_message.as_deref()), (RunStatus::Error, Some("nochannel")));
    assert!(run.finished_at.is_some() && run.message_id.is_none());
    assert!(bench.store.runs_waiting().await.unwrap().over, "what follows is still to be done");
}

#[tokio::test]
async fn five_thousand_at_once_are_fired_once_each_in_pages() {
    let bench = Bench::new().await;
    let term = elect(&bench, "clock").await;
    due_at_once(&bench, 5_000).await;
    let (mut place, mut runs, mut pages) = (Some(START), 0, 0);
    while let Some(after) = place {
        let page = bench.store.jobs_due(after, 700).await.unwrap();
        let firings: Vec<Firing> = page.jobs.iter().map(|job| firing(&bench, job)).collect();
        let fired = bench.store.jobs_fire(DUTY, term, &firings).await.unwrap();
        assert_eq!(fired.messages.len(), firings.len());
        (runs, pages, place) = (runs + fired.runs, pages + 1, page.next);
    }
    assert_eq!((runs, pages), (5_000, 8));
    assert!(due(&bench).await.is_empty());
    let each = "(select job_id from cron_runs group by job_id having count(*) = 1) x";
    assert_eq!((count(&bench, each).await, count(&bench, "messages").await), (5_000, 5_000));
}

#[tokio::test]
async fn a_job_is_busy_while_a_run_goes_on_or_is_to_be_tried_again() {
    let bench = Bench::new().await;
    let term = elect(&bench, "clock").await;
    let skip = serde_json::from_value(json!({"overlap": "skip"})).unwrap();
    create(&bench, &ada(), &SaveJob { options: skip, ..saved("skips", &every(60)) }).await;
    let plain = create(&bench, &ada(), &saved("plain", &every(60))).await;
    let busy = async || {
        make_due(&bench).await;
        let due = due(&bench).await;
        assert!(!due.iter().find(|job| job.id == plain.id).unwrap().busy, "not asked for");
        due.into_iter().find(|job| job.id != plain.id).unwrap()
    };
    let job = busy().await;
    assert!(!job.busy);
    bench.store.jobs_fire(DUTY, term, &[firing(&bench, &job)]).await.unwrap();
    assert!(busy().await.busy);
    let mut admin = bench.database.connect().await;
    let mut set = async |sql: &'static str| sqlx::query(sql).execute(&mut admin).await.unwrap();
    set("update cron_runs set status = 'timeout'").await;
    assert!(busy().await.busy, "its message still waits");
    set("update cron_runs set status = 'ok'").await;
    assert!(!busy().await.busy, "somebody said that it is complete");
    set("update cron_runs set status = 'error'").await;
    set("update messages set state = 'dead', finished_at = now()").await;
    assert!(!busy().await.busy);
    set("insert into timers (id, user_id, kind, due_at) select id, user_id, 'retry', now() from cron_runs")
        .await;
    assert!(busy().await.busy);
}

#[tokio::test]
async fn channels_are_found_for_many_at_once_as_for_one() {
    let bench = Bench::new().await;
    let bob: UserId = "bob".parse().unwrap();
    for (user, instance) in [("ada", "one"), ("ada", "two"), ("bob", "one")] {
        let save = bench.channel(user, instance);
        bench.store.channel_save(&bench.vault, &save, &actor()).await.unwrap();
    }
    let targets = [(ada(), "one"), (ada(), "kind"), (bob.clone(), "kind"), (bob, "two"), (ada(), "a\0")]
        .map(|(user, name)| (user, name.to_owned()));
    let found = bench.store.channels_meant(targets.clone().into()).await.unwrap();
    let found = targets.each_ref().map(|target| &found[target]);
    let slug = |n: usize| found[n].as_ref().unwrap().instance.to_string();
    assert_eq!((slug(0), slug(2)), ("one".to_owned(), "one".to_owned()));
    assert!(matches!(found[1], Err(Error::ManyTargets { .. })), "{:?}", found[1]);
    assert!(matches!(found[3], Err(Error::NoTarget(_))) && matches!(found[4], Err(Error::NoTarget(_))));
}

/// What is due costs the same however much is not.
#[tokio::test]
async fn a_page_is_read_off_an_index() {
    let bench = Bench::new().await;
    let mut admin = bench.database.connect().await;
    sqlx::query(
        "insert into timers (id, user_id, kind, due_at)
         select gen_random_uuid(), 'u', 'cron', now() + n * interval '1 second' from generate_series(1, 5000) n",
    )
    .execute(&mut admin)
    .await
    .unwrap();
    sqlx::raw_sql("analyze timers; set enable_seqscan = off").execute(&mut admin).await.unwrap();
    let plan: Vec<String> = sqlx::query_scalar(
        "explain select id, due_at from timers where kind = 'cron' and due_at <= now()
             and (due_at, id) > ('epoch', '00000000-0000-0000-0000-000000000000') order by due_at, id limit 10",
    )
    .fetch_all(&mut admin)
    .await
    .unwrap();
    let plan = plan.join("\n");
    assert!(plan.contains("using timers_next") && !plan.contains("Sort"), "{plan}");
}
