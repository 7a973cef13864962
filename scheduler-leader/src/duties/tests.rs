//! What a leader does about what is due, on a real database and NATS. Days are of a past year: the database's clock is what it is.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use claw_bus::Bus;
use claw_runtime::{Ids, Lifecycle, OsRandom, SystemClock};
use claw_schedule::{Limits, Schedule};
use claw_store::{
    Actor, AgentEvent, Job, Lease, Member, NewMessage, Over, Preferences, Run, RunStatus, SaveJob, Store,
    When,
};
use claw_testkit::TestDatabase;
use claw_types::{Action, ShardCount, UserId};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::jobs::action::Maker;
use super::timers::Timers;
use crate::elector::{DUTY, Leadership};

struct Bench {
    database: TestDatabase,
    timers: Timers,
    user: UserId,
}

impl Bench {
    async fn new() -> Self {
        let database = TestDatabase::create().await;
        let store = Store::connect(database.url(), "test", 6).await.unwrap();
        let shards = store.migrate(ShardCount::new(4)).await.unwrap();
        let cluster = store.cluster_id().await.unwrap();
        let bus = Bus::connect(&claw_testkit::nats_url(), "test", Uuid::from_u128(1), cluster).await.unwrap();
        let member = Member {
            name: "clock".to_owned(),
            role: "scheduler",
            rpc_address: "clock:1".to_owned(),
            version: "test",
            weight: 1.0,
        };
        let mut lease = Lease::open(database.url(), member).await.unwrap();
        let term = lease.elect(DUTY).await.unwrap().unwrap();
        let ids = Ids::new(Arc::new(SystemClock), Arc::new(OsRandom));
        let timers = Timers {
            store,
            bus: Arc::new(bus),
            make: Maker { shards, ids, clock: Arc::new(SystemClock) },
            random: Arc::new(OsRandom),
            leadership: Arc::new(Leadership::of(term)),
            lifecycle: Lifecycle::new(),
        };
        Self { database, timers, user: "ada".parse().unwrap() }
    }

    /// A job that is due since `since`.
    async fn job(&self, schedule: Value, options: Value, since: &str) -> Job {
        let object = |value: Value| value.as_object().unwrap().clone();
        let action = object(json!({"type": "assistant_task", "context": "look"}));
        let future = object(json!({"type": "every", "every_secs": 60}));
        let save = SaveJob {
            name: "a job".to_owned(),
            label: None,
            enabled: None,
            plan: Schedule::parse(&future, Limits::default()).unwrap(),
            schedule: future,
            limits: Limits::default(),
            options: serde_json::from_value(json!({})).unwrap(),
            does: Action::read(&action).unwrap(),
            action,
            one_shot: false,
            channel_type: None,
            metadata: None,
        };
        let id = self.timers.make.ids.next();
        let actor = Actor::named("a test");
        let made = self.timers.store.job_create(&self.user, id, &save, &actor, &OsRandom, None).await;
        sqlx::query(
            "update cron_jobs set schedule = $1::json, options = $2::json, next_due_at = $3::timestamptz,
                 anchor_at = $3::timestamptz",
        )
        .bind(schedule.to_string())
        .bind(options.to_string())
        .bind(since.parse::<DateTime<Utc>>().unwrap())
        .execute(&mut self.database.connect().await)
        .await
        .unwrap();
        made.unwrap().0
    }

    /// A wake-up of the user's that is not stored yet.
    fn wake_up(&self) -> NewMessage {
        let event = AgentEvent {
            user: &self.user,
            agent_id: "",
            source: "wake",
            session: None,
            text: "later".to_owned(),
            metadata: Map::new(),
            chat: None,
            key: None,
        };
        let make = &self.timers.make;
        NewMessage::event(event, make.shards, &make.ids, &SystemClock).unwrap()
    }

    /// Fires all that is due; its runs, oldest first.
    async fn fire(&self) -> Vec<Run> {
        self.timers.fire_all(&CancellationToken::new()).await.unwrap();
        self.timers.follow_runs(&CancellationToken::new()).await.unwrap();
        let mut runs = self.timers.store.runs(&self.user, None, None, 200).await.unwrap();
        runs.reverse();
        runs
    }

    async fn reread(&self, job: &Job) -> Job {
        self.timers.store.job(&self.user, job.id).await.unwrap()
    }
}

fn times(runs: &[Run]) -> Vec<String> {
    runs.iter().map(|run| run.scheduled_for.unwrap().format("%m-%d %H:%M").to_string()).collect()
}

fn half_past_two() -> Value {
    json!({"type": "cron", "expr": "30 2 * * *", "tz": "Europe/Berlin"})
}

#[tokio::test]
async fn a_wake_up_that_is_due_is_committed_and_told_to_its_owner() {
    let bench = Bench::new().await;
    let Timers { store, bus, .. } = &bench.timers;
    let event = bench.wake_up();
    store.wake(&event, When::NextHeartbeat, None).await.unwrap();
    let fire = async || bench.timers.fire_all(&CancellationToken::new()).await.unwrap();
    assert_eq!(fire().await, 0);
    assert_eq!(store.message_status(event.id).await.unwrap(), None, "it is not due yet");

    let mut conn = bench.database.connect().await;
    sqlx::query("update timers set due_at = now()").execute(&mut conn).await.unwrap();
    let mut owner = bus.subscribe_work(event.shard).await.unwrap();
    assert!(bus.flush().await);
    assert_eq!(fire().await, 1);
    let told = owner.next().await.unwrap().work.unwrap();
    assert_eq!((told.id, told.payload.get()), (event.id, event.payload.get()));
    assert!(store.message_status(event.id).await.unwrap().is_some());
}

#[tokio::test]
async fn a_run_is_told_to_the_owner_of_its_message() {
    let bench = Bench::new().await;
    bench.job(json!({"type": "every", "every_secs": 3600}), json!({}), "2025-03-29T10:00:00Z").await;
    let shards = bench.timers.make.shards;
    let shard = shards.shard_of(&bench.user, &claw_types::InstanceId::hooks());
    let mut owner = bench.timers.bus.subscribe_work(shard).await.unwrap();
    assert!(bench.timers.bus.flush().await);
    let runs = bench.fire().await;
    assert_eq!((runs.len(), runs[0].status), (1, RunStatus::Running), "one for all that was missed");
    let told = owner.next().await.unwrap().work.unwrap();
    assert_eq!(Some(told.id), runs[0].message_id);
}

#[tokio::test]
async fn days_without_an_hour_and_with_it_twice_have_one_run_each() {
    let bench = Bench::new().await;
    let until = |ends: &str| json!({"misfire": "all", "misfire_limit": 100, "ends_at": ends});
    let spring = bench.job(half_past_two(), until("2025-04-01T00:00:00Z"), "2025-03-29T01:30:00Z").await;
    assert_eq!(times(&bench.fire().await), ["03-29 01:30", "03-30 01:00", "03-31 00:30"]);
    let over = bench.reread(&spring).await;
    assert_eq!((over.enabled, over.next_due_at, over.runs), (false, None, 3));
    assert_eq!(bench.fire().await.len(), 3, "nothing more");

    let bench = Bench::new().await;
    bench.job(half_past_two(), until("2025-10-27T12:00:00Z"), "2025-10-25T00:30:00Z").await;
    assert_eq!(times(&bench.fire().await), ["10-25 00:30", "10-26 00:30", "10-27 01:30"]);
}

#[tokio::test]
async fn what_was_missed_in_an_outage_follows_the_policy() {
    for (policy, expected) in [
        (json!({"misfire": "skip"}), vec![]),
        (json!({"misfire": "once"}), vec!["03-31 00:30"]),
        (json!({"misfire": "all", "misfire_limit": 2}), vec!["03-30 01:00", "03-31 00:30"]),
    ] {
        let bench = Bench::new().await;
        let mut options = policy.clone();
        options["ends_at"] = json!("2025-04-01T00:00:00Z");
        let job = bench.job(half_past_two(), options, "2025-03-29T01:30:00Z").await;
        assert_eq!(times(&bench.fire().await), expected, "{policy}");
        let over = bench.reread(&job).await;
        let why = if expected.is_empty() { Over::Missed } else { Over::Ran };
        assert_eq!((over.next_due_at, over.over), (None, Some(why)), "{policy}");
        let told = told(&bench, "cron.time_skipped").await;
        let skipped = json!({"job_id": job.id, "scheduled_for": "2025-03-29T01:30:00Z", "why": "missed"});
        assert_eq!(told, if expected.is_empty() { vec![skipped] } else { vec![] }, "{policy}");
    }
}

/// The data of the events of this kind, in order.
async fn told(bench: &Bench, kind: &str) -> Vec<Value> {
    let events = "select data::text from events where type = $1 order by id";
    let mut conn = bench.database.connect().await;
    let told: Vec<String> = sqlx::query_scalar(events).bind(kind).fetch_all(&mut conn).await.unwrap();
    told.iter().map(|data| serde_json::from_str(data).unwrap()).collect()
}

/// Has all jobs send to a channel that is not there.
async fn fail_all(bench: &Bench) {
    let gone = r#"update cron_jobs set action_type = 'channel_message', action =
                  '{"type":"channel_message","channel":"gone","recipient":"1","message":"hi"}'"#;
    sqlx::query(gone).execute(&mut bench.database.connect().await).await.unwrap();
}

#[tokio::test]
async fn a_time_that_is_passed_over_because_an_earlier_run_goes_on_is_told() {
    let bench = Bench::new().await;
    let options = json!({"overlap": "skip", "misfire": "all", "ends_at": "2025-03-30T12:00:00Z"});
    let job = bench.job(half_past_two(), options, "2025-03-29T01:30:00Z").await;
    assert_eq!(times(&bench.fire().await), ["03-29 01:30"]);
    let skipped = json!({"job_id": job.id, "scheduled_for": "2025-03-30T01:00:00Z", "why": "overlap"});
    assert_eq!(told(&bench, "cron.time_skipped").await, [skipped]);
    assert_eq!(bench.reread(&job).await.over, Some(Over::Overlap));
}

/// Nobody led when its time came: whoever looks for it finds it, and what became of it.
#[tokio::test]
async fn a_reminder_that_was_missed_is_not_gone_without_a_word() {
    let bench = Bench::new().await;
    let at = json!({"type": "at", "at": "2025-03-29T10:00:00Z"});
    let options = json!({"misfire": "skip", "delete_after_run": true});
    let job = bench.job(at, options, "2025-03-29T10:00:00Z").await;
    assert!(bench.fire().await.is_empty());
    let off = bench.reread(&job).await;
    assert_eq!((off.enabled, off.runs, off.paused, off.over), (false, 0, None, Some(Over::Missed)));
}

/// A reminder has one run: nobody would hear of it that it failed.
#[tokio::test]
async fn a_job_that_fails_at_its_last_time_is_told_though_it_is_deleted() {
    for delete in [false, true] {
        let bench = Bench::new().await;
        let at = json!({"type": "at", "at": "2025-03-29T10:00:00Z"});
        let job = bench.job(at, json!({"delete_after_run": delete}), "2025-03-29T10:00:00Z").await;
        fail_all(&bench).await;
        assert_eq!(bench.fire().await[0].status, RunStatus::Error);
        bench.fire().await;
        let told = told(&bench, "cron.job_failing").await;
        assert_eq!(told.len(), 1, "{told:?}");
        let data = (&told[0]["job_id"], &told[0]["failures"], &told[0]["alert"]);
        assert_eq!(data, (&json!(job.id), &json!(1), &json!("not_set")));
        assert_eq!(bench.timers.store.job(&bench.user, job.id).await.is_err(), delete);
    }
}

#[tokio::test]
async fn one_about_which_nothing_can_be_written_keeps_no_other_waiting() {
    let bench = Bench::new().await;
    let mut jobs = Vec::new();
    for _ in 0..5 {
        let schedule = json!({"type": "every", "every_secs": 3600});
        jobs.push(bench.job(schedule, json!({}), "2025-03-29T10:00:00Z").await);
    }
    fail_all(&bench).await;
    let mut admin = bench.database.connect().await;
    let refuse = "create function refuse() returns trigger language plpgsql as $$
                  begin raise exception 'not this one'; end $$;
                  create trigger refuse before update on cron_jobs for each row
                  when (new.name = 'poison' and new.failures <> old.failures) execute function refuse()";
    sqlx::raw_sql(refuse).execute(&mut admin).await.unwrap();
    let poison = sqlx::query("update cron_jobs set name = 'poison' where id = $1").bind(jobs[2].id);
    poison.execute(&mut admin).await.unwrap();
    bench.fire().await;
    let mut failures = Vec::new();
    for job in &jobs {
        failures.push(bench.reread(job).await.failures);
    }
    assert_eq!(failures, [1, 1, 0, 1, 1]);
    sqlx::raw_sql("drop trigger refuse on cron_jobs").execute(&mut admin).await.unwrap();
    bench.fire().await;
    assert_eq!(bench.reread(&jobs[2]).await.failures, 1, "it is tried again");
}

#[tokio::test]
async fn a_late_wake_up_waits_for_its_users_hours() {
    let bench = Bench::new().await;
    let store = &bench.timers.store;
    // The hours of one begin in two hours, of the other they began two hours ago.
    for (begin, comes) in [(2, false), (-2, true)] {
        let now = store.now().await.unwrap();
        let clock = |hours| (now + TimeDelta::hours(hours)).format("%H:%M").to_string();
        let hours = json!({"from": clock(begin), "to": clock(begin + 4)});
        let active_hours = Some(serde_json::from_value(hours).unwrap());
        let set = Preferences { active_hours, ..Preferences::default() };
        store.settings_save(&bench.user, &set, &Actor::named("a test")).await.unwrap();
        let event = bench.wake_up();
        store.wake(&event, When::NextHeartbeat, None).await.unwrap();
        let late = "update timers set due_at = now() - interval '2 minutes' where id = $1";
        let mut conn = bench.database.connect().await;
        sqlx::query(late).bind(event.id.0).execute(&mut conn).await.unwrap();
        let fired = bench.timers.fire_all(&CancellationToken::new()).await.unwrap();
        assert_eq!(fired, u64::from(comes));
        assert_eq!(store.message_status(event.id).await.unwrap().is_some(), comes);
        let next = store.settings_of(&bench.user).await.unwrap().next_heartbeat_at;
        let waits = store.wake_due(&bench.user, event.id).await.unwrap();
        assert_eq!(waits, (!comes).then_some(next));
    }
}

#[tokio::test]
async fn a_schedule_that_is_not_understood_pauses_the_job_and_says_why() {
    let bench = Bench::new().await;
    let job = bench.job(json!({"type": "moon"}), json!({}), "2025-03-29T01:30:00Z").await;
    let runs = bench.fire().await;
    assert_eq!((runs.len(), runs[0].status), (1, RunStatus::Error));
    let paused = bench.reread(&job).await;
    assert!(
        !paused.enabled && paused.paused.as_ref().is_some_and(|why| why.contains("schedule")),
        "{paused:?}"
    );
    assert_eq!(paused.failures, 1);
    assert_eq!(told(&bench, "cron.job_paused").await, [json!({"job_id": job.id, "why": "schedule"})]);
    let alert = told(&bench, "cron.job_failing").await;
    assert_eq!((alert.len(), &alert[0]["alert"]), (1, &json!("not_set")), "its owner would be told");
}

#[tokio::test]
async fn what_is_queued_waits_until_the_earlier_run_is_over() {
    let bench = Bench::new().await;
    let options = json!({"overlap": "queue", "misfire": "all", "ends_at": "2025-03-30T12:00:00Z"});
    let job = bench.job(half_past_two(), options, "2025-03-29T01:30:00Z").await;
    let first = bench.fire().await;
    assert_eq!(times(&first), ["03-29 01:30"], "the second one waits");
    assert_eq!(bench.fire().await.len(), 1);
    let due = bench.reread(&job).await.next_due_at.unwrap();
    assert_eq!(due.format("%m-%d %H:%M").to_string(), "03-30 01:00", "its time stays");
    assert!(!bench.timers.store.timers_waiting().await.unwrap().jobs, "not at each tick, however late it is");
    bench.timers.store.run_complete(&bench.user, first[0].id, Ok(None)).await.unwrap();
    let second = claw_testkit::eventually("the second run", std::time::Duration::from_secs(20), async || {
        let runs = bench.fire().await;
        (runs.len() == 2).then_some(runs)
    });
    assert_eq!(times(&second.await), ["03-29 01:30", "03-30 01:00"]);
}

#[tokio::test]
async fn who_does_not_lead_fires_nothing() {
    let bench = Bench::new().await;
    bench.job(half_past_two(), json!({}), "2025-03-29T01:30:00Z").await;
    let follower = Timers { leadership: Arc::new(Leadership::default()), ..bench.timers };
    assert_eq!(follower.fire_all(&CancellationToken::new()).await.unwrap(), 0);
    assert!(follower.store.timers_waiting().await.unwrap().jobs);
}

/// Puts forward what waits for another attempt.
async fn hurry(bench: &Bench) {
    let now = "update timers set due_at = now() where kind = 'retry'";
    sqlx::query(now).execute(&mut bench.database.connect().await).await.unwrap();
}

#[tokio::test]
async fn a_run_without_a_channel_is_tried_again_and_counted_when_it_has_failed_for_good() {
    let bench = Bench::new().await;
    let schedule = json!({"type": "every", "every_secs": 3600});
    let job = bench.job(schedule, json!({"max_retries": 1}), "2025-03-29T10:00:00Z").await;
    fail_all(&bench).await;
    let first = bench.fire().await.remove(0);
    assert_eq!(first.status, RunStatus::Error);
    assert!(first.error_message.unwrap().contains("no channel \"gone\""));
    assert_eq!(bench.reread(&job).await.failures, 0, "it is tried again");
    hurry(&bench).await;
    // The attempt, and then what follows from its failure.
    bench.fire().await;
    let runs = bench.fire().await;
    assert_eq!((runs.len(), runs[0].id, runs[0].attempt), (1, first.id, 2), "the same run");
    assert_eq!(bench.reread(&job).await.failures, 1);
    hurry(&bench).await;
    assert_eq!(bench.fire().await[0].attempt, 2, "no third one");
}

#[tokio::test]
async fn a_wake_up_waits_for_the_heartbeat_that_its_user_has_set() {
    let bench = Bench::new().await;
    let (store, actor) = (&bench.timers.store, Actor::named("a test"));
    store
        .settings_save(
            &bench.user,
            &Preferences { heartbeat_secs: Some(600), ..Preferences::default() },
            &actor,
        )
        .await
        .unwrap();
    let schedule = json!({"type": "every", "every_secs": 3600});
    bench.job(schedule, json!({"ends_at": "2025-03-29T10:30:00Z"}), "2025-03-29T10:00:00Z").await;
    let hook = r#"update cron_jobs set action_type = 'hook', action =
                  '{"type":"hook","text":"look","mode":"next_heartbeat"}'"#;
    sqlx::query(hook).execute(&mut bench.database.connect().await).await.unwrap();
    let before = store.settings_of(&bench.user).await.unwrap().next_heartbeat_at;
    let run = bench.fire().await.remove(0);
    let after = store.settings_of(&bench.user).await.unwrap().next_heartbeat_at;
    assert_eq!((run.status, run.scheduled_for.is_some()), (RunStatus::Ok, true));
    let due = store.wake_due(&bench.user, run.message_id.unwrap()).await.unwrap().unwrap();
    assert!(due == before || due == after, "{due} is neither {before} nor {after}");
    let sent = run.sent.unwrap()["due_at"].as_str().unwrap().parse::<DateTime<Utc>>();
    assert_eq!(sent, Ok(due), "the history tells when");
    assert_eq!(store.message_status(run.message_id.unwrap()).await.unwrap(), None);
}

/// The first attempt of a task whose time is up, after `before`, and the second one.
async fn timed_out(options: Value, before: &'static str) -> (Run, Run) {
    let bench = Bench::new().await;
    bench.job(json!({"type": "every", "every_secs": 3600}), options, "2025-03-29T10:00:00Z").await;
    let first = bench.fire().await.remove(0);
    let mut admin = bench.database.connect().await;
    sqlx::raw_sql(before).execute(&mut admin).await.unwrap();
    sqlx::raw_sql("update cron_runs set deadline_at = now()").execute(&mut admin).await.unwrap();
    assert_eq!(bench.fire().await[0].status, RunStatus::Timeout);
    // What follows from it.
    bench.fire().await;
    hurry(&bench).await;
    let again = bench.fire().await.remove(0);
    assert_eq!((again.id, again.status, again.attempt), (first.id, RunStatus::Running, 2));
    let made: i64 = sqlx::query_scalar("select count(*) from messages").fetch_one(&mut admin).await.unwrap();
    assert_eq!(made, 1 + i64::from(again.message_id != first.message_id));
    (first, again)
}

#[tokio::test]
async fn a_task_that_still_waits_for_its_backend_is_handed_over_once() {
    let (first, again) = timed_out(json!({"max_retries": 1, "timeout_secs": 60}), "select 1").await;
    assert_eq!(again.message_id, first.message_id);
}

#[tokio::test]
async fn a_task_that_timed_out_is_handed_over_again() {
    let options = json!({"max_retries": 1, "timeout_secs": 60, "await_completion": true});
    let handed = "update messages set state = 'done', finished_at = now();
                  update cron_runs set handed_at = now()";
    let (first, again) = timed_out(options, handed).await;
    assert_ne!(again.message_id, first.message_id);
}

/// The numbers are read from the settings and the job, and what follows is written by the leader's own road.
#[tokio::test]
async fn a_job_that_goes_on_failing_is_told_once_and_then_paused() {
    let bench = Bench::new().await;
    let store = &bench.timers.store;
    let alerts = Some(serde_json::from_value(json!({"channel": "gone", "recipient": "1"})).unwrap());
    let set = Preferences { alert_after: Some(2), alerts, ..Preferences::default() };
    store.settings_save(&bench.user, &set, &Actor::named("a test")).await.unwrap();
    let job = bench.job(
        json!({"type": "every", "every_secs": 3600}),
        json!({"pause_after": 3}),
        "2025-03-29T10:00:00Z",
    );
    let job = job.await;
    fail_all(&bench).await;
    let start = store.events_now().await.unwrap();
    let mut seen = Vec::new();
    for n in 1..=5 {
        let due = "update cron_jobs set next_due_at = date_trunc('second', now()) - make_interval(secs => $1)
                   where next_due_at is not null";
        sqlx::query(due).bind(f64::from(10 - n)).execute(&mut bench.database.connect().await).await.unwrap();
        bench.fire().await;
        bench.fire().await;
        let job = bench.reread(&job).await;
        seen.push((job.failures, job.enabled, job.paused.is_some()));
    }
    assert_eq!(
        seen,
        [(1, true, false), (2, true, false), (3, false, true), (3, false, true), (3, false, true)]
    );
    let told = claw_testkit::eventually("both events", std::time::Duration::from_secs(20), async || {
        let mut page = store.events_after(Some(&bench.user), start, 50).await.unwrap().events;
        page.retain(|event| event.kind.starts_with("cron."));
        (page.len() >= 2).then_some(page)
    });
    let told = told.await;
    let kinds: Vec<_> = told.iter().map(|event| event.kind.as_str()).collect();
    assert_eq!(kinds, ["cron.job_failing", "cron.job_paused"]);
    assert!(told.iter().all(|event| event.data.get().contains("no_channel")), "{told:?}");
}
