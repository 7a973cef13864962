//! Jobs and their runs.

use claw_runtime::OsRandom;
use claw_schedule::{Limits, Schedule};
use claw_store::{Actor, Begun, Error, Job, JobFilter, RunStatus, SaveJob};
use claw_types::job::Options;
use claw_types::{Action, ActionType, MessageId, UserId};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::Bench;

pub fn object(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn task() -> Value {
    json!({"type": "assistant_task", "agent_id": null, "context": "\0"})
}

/// To one person through the channel of this name.
fn message(channel: &str) -> SaveJob {
    let action =
        object(&json!({"type": "channel_message", "channel": channel, "recipient": 5, "message": "hi"}));
    SaveJob { does: Action::read(&action).unwrap(), action, ..saved("message", &every(60)) }
}

pub fn saved(name: &str, schedule: &Value) -> SaveJob {
    SaveJob {
        name: name.to_owned(),
        label: None,
        enabled: None,
        plan: Schedule::parse(&object(schedule), Limits::default()).unwrap(),
        schedule: object(schedule),
        limits: Limits::default(),
        options: Options::default(),
        does: Action::read(&object(&task())).unwrap(),
        action: object(&task()),
        one_shot: false,
        channel_type: None,
        metadata: None,
    }
}

pub fn every(seconds: u32) -> Value {
    json!({"type": "every", "every_secs": seconds})
}

pub fn ada() -> UserId {
    "ada".parse().unwrap()
}

pub fn actor() -> Actor {
    Actor::named("a test")
}

pub async fn create(bench: &Bench, user: &UserId, save: &SaveJob) -> Job {
    bench.store.job_create(user, bench.ids.next(), save, &actor(), &OsRandom, None).await.unwrap().0
}

async fn audited(bench: &Bench) -> Vec<String> {
    let found = bench.store.audit_entries(&claw_store::AuditFilter::default(), 100).await.unwrap();
    found.into_iter().rev().map(|entry| entry.action).collect()
}

#[tokio::test]
async fn a_job_is_kept_as_it_was_sent() {
    let bench = Bench::new().await;
    let save = SaveJob {
        label: Some("daily".to_owned()),
        channel_type: Some(object(&json!({"platform": "chat"}))),
        metadata: Some(object(&json!({"a\0": ["b\0"]}))),
        ..saved("one", &every(60))
    };
    let made = create(&bench, &ada(), &save).await;
    assert_eq!((&made.schedule, &made.action), (&save.schedule, &save.action));
    assert_eq!((&made.channel_type, &made.metadata), (&save.channel_type, &save.metadata));
    assert_eq!((made.schedule_type.as_str(), made.action_type.as_str()), ("every", "assistant_task"));
    assert!(made.enabled && !made.one_shot);
    assert_eq!(made.next_due_at, Some(made.created_at + chrono::TimeDelta::seconds(60)));
    assert_eq!(bench.store.job(&ada(), made.id).await.unwrap(), made);
    create(&bench, &ada(), &saved("two", &every(60))).await;
    let names = async |label| {
        let filter = JobFilter { label, ..JobFilter::default() };
        let found = bench.store.jobs(&ada(), &filter).await.unwrap();
        found.into_iter().map(|job| job.name).collect::<Vec<_>>()
    };
    assert_eq!(names(None).await, ["one", "two"]);
    assert_eq!(names(Some("daily")).await, ["one"]);
    assert!(names(Some("weekly")).await.is_empty());
}

#[tokio::test]
async fn jobs_are_found_by_their_text_their_switch_and_what_they_do() {
    let bench = Bench::new().await;
    let team = SaveJob { label: Some("Team".to_owned()), ..saved("100% of it", &every(60)) };
    create(&bench, &ada(), &team).await;
    create(&bench, &ada(), &SaveJob { enabled: Some(false), ..saved("Off", &every(60)) }).await;
    let save = bench.channel("ada", "one");
    bench.store.channel_save(&bench.vault, &save, &actor()).await.unwrap();
    create(&bench, &ada(), &message("one")).await;
    let found = async |filter: JobFilter<'static>| {
        let found = bench.store.jobs(&ada(), &filter).await.unwrap();
        found.into_iter().map(|job| job.name).collect::<Vec<_>>()
    };
    let text = async |text| found(JobFilter { text: Some(text), ..JobFilter::default() }).await;
    assert_eq!(
        (text("tEAM").await, text("off").await),
        (vec!["100% of it".to_owned()], vec!["Off".to_owned()])
    );
    assert_eq!(
        (text("0%").await.len(), text("1%0").await.len(), text("_").await.len()),
        (1, 0, 0),
        "as written"
    );
    assert!(text("itTe").await.is_empty(), "not across name and label");
    assert_eq!(found(JobFilter { enabled: Some(false), ..JobFilter::default() }).await, ["Off"]);
    let action_type = Some(ActionType::ChannelMessage);
    assert_eq!(found(JobFilter { action_type, ..JobFilter::default() }).await, ["message"]);
    assert!(found(JobFilter { action_type, enabled: Some(false), ..JobFilter::default() }).await.is_empty());
}

#[tokio::test]
async fn an_unchanged_interval_goes_on_and_a_new_one_begins_anew() {
    let bench = Bench::new().await;
    let made = create(&bench, &ada(), &saved("one", &every(3_600))).await;
    let kept = bench
        .store
        .job_replace(&ada(), made.id, &saved("renamed", &every(3_600)), &actor(), &OsRandom)
        .await
        .unwrap();
    assert_eq!((kept.name.as_str(), kept.next_due_at), ("renamed", made.next_due_at));
    let off = SaveJob { enabled: Some(false), ..saved("renamed", &every(3_600)) };
    assert_eq!(
        bench.store.job_replace(&ada(), made.id, &off, &actor(), &OsRandom).await.unwrap().next_due_at,
        None
    );
    let still_off =
        bench.store.job_replace(&ada(), made.id, &saved("r", &every(60)), &actor(), &OsRandom).await.unwrap();
    assert!(!still_off.enabled, "what is not said is kept");
    let on = bench.store.job_enable(&ada(), made.id, true, &actor(), &OsRandom).await.unwrap();
    assert!(on.anchor_at > made.anchor_at);
    let elapsed = (on.next_due_at.unwrap() - on.anchor_at).num_milliseconds();
    assert_eq!(elapsed % 60_000, 0, "counted from when the schedule was set");
    let again = bench.store.job_enable(&ada(), made.id, true, &actor(), &OsRandom).await.unwrap();
    assert_eq!(again.updated_at, on.updated_at, "nothing changed");
    let actions = ["job.created", "job.changed", "job.changed", "job.changed", "job.changed"];
    assert_eq!(audited(&bench).await, actions);
}

#[tokio::test]
async fn what_would_never_run_is_refused_but_what_is_over_can_be_renamed() {
    let bench = Bench::new().await;
    let past = saved("past", &json!({"type": "at", "at": "2020-01-01T00:00:00Z"}));
    let refused = bench.store.job_create(&ada(), bench.ids.next(), &past, &actor(), &OsRandom, None).await;
    assert!(matches!(refused, Err(Error::Schedule(_))), "{refused:?}");
    let future = saved("future", &json!({"type": "at", "at": "2999-01-01T00:00:00Z"}));
    let made = create(&bench, &ada(), &future).await;
    assert!(made.one_shot, "whatever it said");
    let mut admin = bench.database.connect().await;
    sqlx::query("update cron_jobs set schedule = $1::json, enabled = false, next_due_at = null")
        .bind(serde_json::to_string(&past.schedule).unwrap())
        .execute(&mut admin)
        .await
        .unwrap();
    let renamed = bench.store.job_replace(&ada(), made.id, &past, &actor(), &OsRandom).await.unwrap();
    assert_eq!((renamed.name.as_str(), renamed.next_due_at), ("past", None));
    let refused = bench.store.job_enable(&ada(), made.id, true, &actor(), &OsRandom).await;
    assert!(matches!(refused, Err(Error::Schedule(_))), "{refused:?}");
    let on = SaveJob { enabled: Some(true), ..past };
    assert!(bench.store.job_replace(&ada(), made.id, &on, &actor(), &OsRandom).await.is_err());
}

#[tokio::test]
async fn the_same_key_makes_one_job_and_a_deleted_one_is_not_made_again() {
    let bench = Bench::new().await;
    let save = saved("one", &every(60));
    let make = async |digest| {
        let once = Some(("k", [digest; 32]));
        bench.store.job_create(&ada(), bench.ids.next(), &save, &actor(), &OsRandom, once).await
    };
    let (first, fresh) = make(1).await.unwrap();
    assert!(fresh);
    let (again, fresh) = make(1).await.unwrap();
    assert_eq!((again.id, fresh), (first.id, false));
    assert!(matches!(make(2).await, Err(Error::KeyReused)));
    bench.store.job_delete(&ada(), first.id, &actor()).await.unwrap();
    assert!(matches!(make(1).await, Err(Error::NotFound("job"))));
    assert!(bench.store.jobs(&ada(), &JobFilter::default()).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_user_has_room_for_so_many() {
    let bench = Bench::new().await;
    let made = create(&bench, &ada(), &saved("one", &every(60))).await;
    let mut admin = bench.database.connect().await;
    sqlx::query(
        "insert into cron_jobs (id, user_id, name, enabled, schedule, schedule_type, action, action_type, one_shot)
         select gen_random_uuid(), user_id, name, false, schedule, schedule_type, action, action_type, one_shot
         from cron_jobs, generate_series(1, $1) where id = $2",
    )
    .bind(i32::try_from(claw_store::jobs::JOBS).unwrap() - 2)
    .bind(made.id)
    .execute(&mut admin)
    .await
    .unwrap();
    let making =
        (0..4).map(|_| {
            let (store, id) = (bench.store.clone(), bench.ids.next());
            async move {
                store.job_create(&ada(), id, &saved("more", &every(60)), &actor(), &OsRandom, None).await
            }
        });
    let made = futures::future::join_all(making).await;
    assert_eq!(made.iter().filter(|made| made.is_ok()).count(), 1, "one place was free");
    let said = made.into_iter().find_map(Result::err).unwrap().to_string();
    assert_eq!(said, "there are 1000 jobs already, the most that a user may have: delete some first");
    create(&bench, &"bob".parse().unwrap(), &saved("his", &every(60))).await;
}

#[tokio::test]
async fn runs_outlive_their_job_and_their_process() {
    let bench = Bench::new().await;
    let store = &bench.store;
    let job = create(&bench, &ada(), &saved("one", &every(60))).await;
    let other = create(&bench, &ada(), &saved("two", &every(60))).await;
    let [good, bad, lost, fresh]: [Uuid; 4] = std::array::from_fn(|_| bench.ids.next());
    let message = MessageId(bench.ids.next());
    for (run, seconds) in [(good, 60.0), (bad, 60.0), (lost, 0.0)] {
        let begun = store.run_test(&ada(), job.id, run, seconds, &actor(), None).await.unwrap();
        assert_eq!(begun, Begun { job: job.clone(), run, duplicate: false });
    }
    store.run_test(&ada(), other.id, fresh, 60.0, &actor(), None).await.unwrap();
    store.run_finish(&ada(), good, Some(message), None).await.unwrap();
    store.run_finish(&ada(), good, None, Some("too late")).await.unwrap();
    store.run_finish(&ada(), bad, None, Some("no\0 way")).await.unwrap();
    store.job_delete(&ada(), job.id, &actor()).await.unwrap();
    let all = store.runs(&ada(), None, None, 10).await.unwrap();
    let shown: Vec<_> = all.iter().map(|run| (run.id, run.status)).collect();
    let expected = [
        (fresh, RunStatus::Running),
        (lost, RunStatus::Timeout),
        (bad, RunStatus::Error),
        (good, RunStatus::Ok),
    ];
    assert_eq!(shown, expected);
    assert_eq!((all[3].message_id, all[3].error_message.as_deref()), (Some(message), None));
    assert_eq!(
        (all[3].job_name.as_str(), all[3].metadata.clone()),
        ("one", Some(object(&json!({"test": true}))))
    );
    assert_eq!(all[2].error_message.as_deref(), Some("no way"));
    for over in &all[1..] {
        assert!(over.finished_at.is_some() && over.duration_ms.is_some(), "{over:?}");
    }
    assert!(all[1].error_message.as_deref().unwrap().starts_with("it did not finish in time"));
    let page = store.runs(&ada(), Some(job.id), Some(all[1].seq), 1).await.unwrap();
    assert_eq!(page.iter().map(|run| run.id).collect::<Vec<_>>(), [bad]);
    assert!(store.runs(&"bob".parse().unwrap(), Some(job.id), None, 10).await.unwrap().is_empty());
    assert_eq!(store.runs_forget(1, 10).await.unwrap(), 0);
    assert_eq!(store.runs_forget(0, 1).await.unwrap(), 1, "some at a time");
    assert_eq!(store.runs_forget(0, 3).await.unwrap(), 1, "those that go on are kept");
}

#[tokio::test]
async fn a_scheduled_time_has_one_run() {
    let bench = Bench::new().await;
    let mut admin = bench.database.connect().await;
    let mut insert = async |at: &str| {
        sqlx::query(
            "insert into cron_runs (id, user_id, job_id, job_name, status, scheduled_for, deadline_at, action_type,
                 schedule_type)
             values (gen_random_uuid(), 'ada', $1, 'one', 'running', $2::timestamptz, now(), 'a', 'b')",
        )
        .bind(Uuid::from_u128(1))
        .bind(at)
        .execute(&mut admin)
        .await
    };
    insert("2026-01-01T00:00:00Z").await.unwrap();
    insert("2026-01-01T00:01:00Z").await.unwrap();
    let refused = insert("2026-01-01T00:00:00Z").await.unwrap_err().to_string();
    assert!(refused.contains("cron_runs_scheduled"), "{refused}");
}

#[tokio::test]
async fn nobody_else_sees_or_changes_a_job() {
    let bench = Bench::new().await;
    let (store, bob): (_, UserId) = (&bench.store, "bob".parse().unwrap());
    let job = create(&bench, &ada(), &saved("one", &every(60))).await;
    assert!(store.jobs(&bob, &JobFilter::default()).await.unwrap().is_empty());
    let refused = [
        store.job(&bob, job.id).await.unwrap_err(),
        store.job_replace(&bob, job.id, &saved("his", &every(60)), &actor(), &OsRandom).await.unwrap_err(),
        store.job_enable(&bob, job.id, false, &actor(), &OsRandom).await.unwrap_err(),
        store.job_delete(&bob, job.id, &actor()).await.unwrap_err(),
        store.run_test(&bob, job.id, bench.ids.next(), 60.0, &actor(), None).await.unwrap_err(),
    ];
    for error in refused {
        assert!(matches!(error, Error::NotFound("job")), "{error:?}");
    }
    assert_eq!(store.job(&ada(), job.id).await.unwrap(), job);
}

#[tokio::test]
async fn a_channel_is_found_by_its_name_or_as_the_only_one_of_its_type() {
    let bench = Bench::new().await;
    let named = async |name: &str| match bench.store.channel_named(&ada(), name).await {
        Ok(channel) => channel.instance.to_string(),
        Err(error) => error.to_string(),
    };
    let save = async |user: &str, instance: &str| {
        let save = bench.channel(user, instance);
        bench.store.channel_save(&bench.vault, &save, &actor()).await.unwrap();
    };
    save("bob", "his").await;
    save("ada", "one").await;
    assert_eq!((named("one").await, named("kind").await), ("one".to_owned(), "one".to_owned()));
    for name in ["his", "two", "", "a\0", "One"] {
        assert!(named(name).await.starts_with("the user has no channel"), "{name:?}");
    }
    save("ada", "two").await;
    let several =
        "the user has several channels of type \"kind\", such as \"one\" and \"two\": name one of them";
    assert_eq!((named("two").await.as_str(), named("kind").await.as_str()), ("two", several));
    save("ada", "kind").await;
    assert_eq!(named("kind").await, "kind", "a name goes before a type");
    bench.store.channel_delete(&ada(), &"two".parse().unwrap(), &actor()).await.unwrap();
    assert!(named("two").await.starts_with("the user has no channel"));
}

#[tokio::test]
async fn a_new_target_must_be_there_and_an_old_one_may_be_gone() {
    let bench = Bench::new().await;
    let refused =
        bench.store.job_create(&ada(), bench.ids.next(), &message("one"), &actor(), &OsRandom, None).await;
    assert!(matches!(refused, Err(Error::NoTarget(_))), "{refused:?}");
    let save = bench.channel("ada", "one");
    bench.store.channel_save(&bench.vault, &save, &actor()).await.unwrap();
    let by_type = create(&bench, &ada(), &message("kind")).await;
    let made = create(&bench, &ada(), &message("one")).await;
    bench.store.channel_delete(&ada(), &save.instance, &actor()).await.unwrap();
    let renamed = SaveJob { name: "renamed".to_owned(), ..message("one") };
    assert_eq!(
        bench.store.job_replace(&ada(), made.id, &renamed, &actor(), &OsRandom).await.unwrap().name,
        "renamed"
    );
    for (id, other) in [(made.id, "kind"), (made.id, "two"), (by_type.id, "one")] {
        let refused = bench.store.job_replace(&ada(), id, &message(other), &actor(), &OsRandom).await;
        assert!(matches!(refused, Err(Error::NoTarget(_))), "{refused:?}");
    }
}
