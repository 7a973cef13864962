//! Jobs without a further time: why they have none, and when they go.

use claw_runtime::OsRandom;
use claw_store::{Firing, Job, Over, SaveJob};
use claw_types::MessageState;
use claw_types::job::Options;
use serde_json::{Value, json};

use crate::Bench;
use crate::firing::{due, firing, make_due};
use crate::job_options::{replace, set};
use crate::jobs::{actor, ada, create, every, saved};
use crate::run_ends::Running;
use crate::timers::{DUTY, elect};

fn at(time: &str) -> Value {
    json!({"type": "at", "at": time})
}

/// Fires the one job that there is, as `change` says it.
async fn fire(bench: &Bench, term: i64, change: impl FnOnce(Firing) -> Firing) {
    make_due(bench).await;
    let due = due(bench).await.remove(0);
    let fired = bench.store.jobs_fire(DUTY, term, &[change(firing(bench, &due))]).await.unwrap();
    assert_eq!(fired.jobs, 1);
}

/// Passes over the last time of a job that goes then.
async fn pass_over(bench: &Bench, term: i64, over: Over) {
    let last =
        |firing: Firing| Firing { next_due_at: None, delete: true, run: None, over: Some(over), ..firing };
    fire(bench, term, last).await;
}

async fn gone(running: &Running) -> bool {
    running.bench.store.job(&ada(), running.job.id).await.is_err()
}

async fn stored(bench: &Bench, job: &Job) -> Job {
    bench.store.job(&ada(), job.id).await.unwrap()
}

/// A reminder for which nobody led in time.
#[tokio::test]
async fn one_that_never_ran_stays_says_why_and_goes_on_at_another_time() {
    for over in [Over::Missed, Over::Overlap] {
        let bench = Bench::new().await;
        let term = elect(&bench, "clock").await;
        let options = Options { delete_after_run: true, ..Options::default() };
        let save = SaveJob { options, ..saved("one", &at("2999-01-01T00:00:00Z")) };
        let made = create(&bench, &ada(), &save).await;
        assert_eq!(made.over, None);
        pass_over(&bench, term, over).await;
        let off = stored(&bench, &made).await;
        assert_eq!((off.enabled, off.next_due_at, off.runs, off.over), (false, None, 0, Some(over)));
        assert_eq!((&off.paused, off.updated_at), (&None, made.updated_at), "by nobody's will");
        let renamed = SaveJob { name: "renamed".to_owned(), ..save.clone() };
        assert_eq!(replace(&bench, made.id, &renamed).await.unwrap().over, Some(over), "it is over still");
        let later = SaveJob { options: save.options, ..saved("later", &at("2999-06-01T00:00:00Z")) };
        let on = replace(&bench, made.id, &later).await.unwrap();
        assert_eq!((on.enabled, on.next_due_at.is_some(), on.over), (true, true, None));
    }
}

#[tokio::test]
async fn one_that_had_its_last_run_says_so_and_one_that_goes_on_says_nothing() {
    let bench = Bench::new().await;
    let term = elect(&bench, "clock").await;
    let made = create(&bench, &ada(), &saved("one", &every(60))).await;
    fire(&bench, term, |firing| Firing { over: Some(Over::Ran), ..firing }).await;
    assert_eq!(stored(&bench, &made).await.over, None, "it has a next time");
    let earlier = "update cron_runs set scheduled_for = scheduled_for - interval '1 hour'";
    sqlx::query(earlier).execute(&mut bench.database.connect().await).await.unwrap();
    fire(&bench, term, |firing| Firing { next_due_at: None, over: Some(Over::Ran), ..firing }).await;
    let off = stored(&bench, &made).await;
    assert_eq!((off.enabled, off.runs, off.over), (false, 2, Some(Over::Ran)));
}

#[tokio::test]
async fn whoever_gives_it_times_or_switches_it_makes_it_no_longer_over() {
    let bench = Bench::new().await;
    let made = create(&bench, &ada(), &saved("one", &every(60))).await;
    let over = "enabled = false, next_due_at = null, over = 'ran'";
    set(&bench, over).await;
    let still = bench.store.job_enable(&ada(), made.id, false, &actor(), &OsRandom).await.unwrap();
    assert_eq!(still.over, Some(Over::Ran), "it was off");
    let on = bench.store.job_enable(&ada(), made.id, true, &actor(), &OsRandom).await.unwrap();
    assert_eq!((on.enabled, on.over), (true, None));
    let off = bench.store.job_enable(&ada(), made.id, false, &actor(), &OsRandom).await.unwrap();
    assert_eq!((off.enabled, off.over), (false, None));
    set(&bench, over).await;
    let unwanted = SaveJob { enabled: Some(false), ..saved("one", &every(120)) };
    assert_eq!(replace(&bench, made.id, &unwanted).await.unwrap().over, None, "somebody wants it off");
    let other = replace(&bench, made.id, &saved("one", &every(180))).await.unwrap();
    assert_eq!((other.enabled, other.over), (false, None));
}

/// It writes the row without a word of this.
#[tokio::test]
async fn one_that_the_version_before_switches_on_or_pauses_is_no_longer_over() {
    let bench = Bench::new().await;
    let made = create(&bench, &ada(), &saved("one", &every(60))).await;
    for change in ["enabled = true, next_due_at = now()", "paused = 'it failed'"] {
        set(&bench, "enabled = false, next_due_at = null, paused = null, over = 'missed'").await;
        assert_eq!(stored(&bench, &made).await.over, Some(Over::Missed));
        set(&bench, change).await;
        assert_eq!(stored(&bench, &made).await.over, None, "{change}");
    }
}

/// A job whose last time is passed over has no run that it would go with.
#[tokio::test]
async fn one_that_is_over_without_a_run_goes_at_once_unless_an_earlier_one_goes_on() {
    let pass_over = async |running: &Running| pass_over(&running.bench, running.term, Over::Missed).await;

    let running = Running::new(json!({"delete_after_run": true})).await;
    running.settle(&running.work, MessageState::Done, None).await;
    pass_over(&running).await;
    assert!(gone(&running).await);
    assert_eq!(running.follow(None, true).await, 1, "what was left of its run");

    let running = Running::new(json!({"delete_after_run": true})).await;
    pass_over(&running).await;
    assert!(!gone(&running).await, "its run goes on");
    running.settle(&running.work, MessageState::Done, None).await;
    assert_eq!((running.follow(None, true).await, gone(&running).await), (1, true));

    let running = Running::new(json!({"delete_after_run": true, "max_retries": 1})).await;
    running.settle(&running.work, MessageState::Failed, None).await;
    running.follow(Some(30.0), true).await;
    pass_over(&running).await;
    assert!(!gone(&running).await, "it is tried again");
}

/// Nothing follows from the end of a test: nobody would delete the job then.
#[tokio::test]
async fn a_test_that_goes_on_keeps_none_from_going() {
    for without_a_run in [false, true] {
        let running = Running::new(json!({"delete_after_run": true})).await;
        let (store, test) = (&running.bench.store, running.bench.ids.next());
        store.run_test(&ada(), running.job.id, test, 600.0, &actor(), None).await.unwrap();
        running.settle(&running.work, MessageState::Done, None).await;
        if without_a_run {
            pass_over(&running.bench, running.term, Over::Missed).await;
        } else {
            running.admin("update cron_jobs set next_due_at = null, enabled = false, over = 'ran'").await;
            assert_eq!(running.follow(None, true).await, 1);
        }
        assert!(gone(&running).await, "{without_a_run}");
    }
}

/// What was decided about a run of an earlier schedule, before the one time of the new one was missed.
#[tokio::test]
async fn one_that_never_ran_does_not_go_with_a_run_of_an_earlier_schedule() {
    let running = Running::new(json!({"delete_after_run": true})).await;
    running.settle(&running.work, MessageState::Done, None).await;
    let missed = "update cron_jobs set next_due_at = null, enabled = false, runs = 0, over = 'missed'";
    running.admin(missed).await;
    assert_eq!((running.follow(None, true).await, gone(&running).await), (1, false));
}
