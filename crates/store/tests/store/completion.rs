//! Runs that end when somebody says so.

use claw_runtime::OsRandom;
use claw_store::{Completed, Error, Job, RunStatus, SaveJob};
use claw_types::job::Options;
use claw_types::{MessageId, UserId};
use uuid::Uuid;

use crate::Bench;
use crate::jobs::{actor, ada, create, every, saved};

async fn awaiting(bench: &Bench, timeout_secs: u32) -> Job {
    let options = Options { await_completion: true, timeout_secs: Some(timeout_secs), ..Options::default() };
    create(bench, &ada(), &SaveJob { options, ..saved("one", &every(60)) }).await
}

async fn begun(bench: &Bench, job: &Job) -> Uuid {
    let run = bench.ids.next();
    // Seconds of a run that does not await its completion.
    bench.store.run_test(&ada(), job.id, run, 0.0, &actor(), None).await.unwrap();
    run
}

async fn say(bench: &Bench, run: Uuid, said: Result<Option<&str>, &str>) -> Completed {
    bench.store.run_complete(&ada(), run, said).await.unwrap()
}

#[tokio::test]
async fn a_run_ends_once_with_what_was_said_first() {
    let bench = Bench::new().await;
    let job = awaiting(&bench, 60).await;
    let (good, bad) = (begun(&bench, &job).await, begun(&bench, &job).await);
    let first = say(&bench, good, Ok(Some("do\0ne"))).await;
    assert!(first.ended && first.run.finished_at.is_some() && first.run.duration_ms.is_some(), "{first:?}");
    assert_eq!((first.run.status, first.run.error_message.as_deref()), (RunStatus::Ok, None));
    let metadata = first.run.metadata.clone().unwrap();
    assert_eq!((metadata["test"].as_bool(), metadata["message"].as_str()), (Some(true), Some("done")));
    let again = say(&bench, good, Err("no")).await;
    assert_eq!((again.ended, again.run), (false, first.run), "it stays as it is");
    let failed = say(&bench, bad, Err("no way")).await;
    let Completed { run, ended } = &failed;
    assert_eq!((*ended, run.status, run.error_message.as_deref()), (true, RunStatus::Error, Some("no way")));
}

#[tokio::test]
async fn handing_over_does_not_end_it_and_may_come_after_its_end() {
    let bench = Bench::new().await;
    let run = begun(&bench, &awaiting(&bench, 60).await).await;
    let message = MessageId(bench.ids.next());
    bench.store.run_handed(&ada(), run, Some(message)).await.unwrap();
    let going = bench.store.run(&ada(), run).await.unwrap().unwrap();
    assert_eq!((going.status, going.message_id, going.attempt), (RunStatus::Running, Some(message), 1));
    assert!(going.handed_at.is_some());
    let quick = begun(&bench, &awaiting(&bench, 60).await).await;
    say(&bench, quick, Ok(None)).await;
    bench.store.run_handed(&ada(), quick, Some(message)).await.unwrap();
    let over = bench.store.run(&ada(), quick).await.unwrap().unwrap();
    assert_eq!((over.status, over.message_id), (RunStatus::Ok, Some(message)));
}

#[tokio::test]
async fn a_strangers_run_is_not_ended_and_one_whose_time_is_up_only_well() {
    let bench = Bench::new().await;
    let job = awaiting(&bench, 60).await;
    let bob: UserId = "bob".parse().unwrap();
    let run = begun(&bench, &job).await;
    for (user, id) in [(&bob, run), (&ada(), job.id)] {
        let refused = bench.store.run_complete(user, id, Ok(None)).await;
        assert!(matches!(refused, Err(Error::NotFound("run"))), "{refused:?}");
    }
    let ordinary = SaveJob { options: Options::default(), ..saved("one", &every(60)) };
    bench.store.job_replace(&ada(), job.id, &ordinary, &actor(), &OsRandom).await.unwrap();
    let overdue = begun(&bench, &job).await;
    let late = say(&bench, overdue, Err("no way")).await;
    assert_eq!((late.ended, late.run.status), (false, RunStatus::Timeout));
    let late = say(&bench, overdue, Ok(None)).await;
    assert_eq!((late.ended, late.run.status, late.run.error_message), (true, RunStatus::Ok, None));
    assert!(say(&bench, run, Ok(None)).await.ended, "it began while the job awaited it");
}
