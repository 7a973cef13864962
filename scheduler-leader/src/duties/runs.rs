//! Runs that are over: those whose time is up, those that are tried again, and what follows for their jobs.

use std::time::Duration;

use claw_runtime::{Backoff, Random};
use claw_store::{DueRetry, EndedRun, Result, Retry, RunOf, RunStatus};
use claw_telemetry::metrics::Counter;
use tokio_util::sync::CancellationToken;
use tracing::info;

use super::after;
use super::jobs::action;
use super::timers::Timers;
use crate::elector::DUTY;

/// Runs in one statement.
const BATCH: i64 = 500;

/// The pauses before a run is tried again: 30 s doubling to an hour. How often, its job says.
const AGAIN: Backoff = Backoff {
    first: Duration::from_secs(30),
    factor: 2.0,
    cap: Duration::from_secs(3_600),
    attempts: u32::MAX,
};

/// Does what there is to do about runs, as long as this process leads.
pub(super) async fn follow_all(timers: &Timers, stop: &CancellationToken) -> Result<()> {
    let waiting = timers.store.runs_waiting().await?;
    let goes_on = || timers.leadership.term().filter(|_| !stop.is_cancelled());
    while waiting.overdue
        && let Some(term) = goes_on()
    {
        let ended = timers.store.runs_time_out(DUTY, term, BATCH).await?;
        if ended > 0 {
            Counter::CronTimeouts.add_many(&[], ended);
            info!(ended, "{ended} runs have timed out");
        }
        if ended < BATCH.unsigned_abs() {
            break;
        }
    }
    while waiting.over
        && let Some(term) = goes_on()
    {
        // What could not be written is looked at again with the next tick.
        if after::follow(timers, term, BATCH).await? < BATCH.unsigned_abs() {
            break;
        }
    }
    while waiting.retries
        && let Some(term) = goes_on()
    {
        if retry(timers, term).await? < BATCH.unsigned_abs() {
            break;
        }
    }
    Ok(())
}

/// In how many seconds a run that is over is tried again, if it is.
pub(super) fn retry_in(run: &EndedRun, random: &dyn Random) -> Option<f64> {
    let job = run.job.as_ref().filter(|_| run.goes_on && run.status != RunStatus::Ok)?;
    let (options, _) = action::options(&job.options);
    let wait = AGAIN.wait(run.attempt, random).filter(|_| run.attempt <= options.max_retries);
    wait.map(|wait| wait.as_secs_f64())
}

/// Begins the attempts that are due; tells how many there were.
async fn retry(timers: &Timers, term: i64) -> Result<u64> {
    let due = timers.store.retries_due(BATCH).await?;
    let read: Vec<_> = due.into_iter().map(|due| (action::action(&due.action), due)).collect();
    let actions = read.iter().map(|(action, due)| (&due.user_id, action));
    let found = action::Found::look_up(&timers.store, actions).await?;
    let retries: Vec<Retry> = read
        .into_iter()
        .map(|(action, due)| {
            let (options, readable) = action::options(&due.options);
            let DueRetry { run, job, updated_at, scheduled_for, attempt, .. } = due;
            let of = RunOf {
                user: &due.user_id,
                job,
                job_name: &due.name,
                label: due.label.as_deref(),
                metadata: due.metadata.as_deref(),
                run,
                attempt: attempt + 1,
                scheduled_for: Some(scheduled_for),
            };
            let action = readable.and(action);
            let run = timers.make.run(&of, action, &options, scheduled_for, &found);
            Retry { job, was_changed: updated_at, attempt, run }
        })
        .collect();
    let begun = timers.store.runs_retry(DUTY, term, &retries).await?;
    timers.bus.publish_made(&begun.messages).await;
    if begun.runs > 0 {
        info!(runs = begun.runs, "trying {} runs again", begun.runs);
    }
    let dropped = timers.store.retries_drop(DUTY, term, BATCH).await?;
    Ok(begun.runs + dropped)
}

#[cfg(test)]
mod tests {
    use claw_runtime::SeededRandom;

    use super::super::after::tests::ended;
    use super::*;

    fn after(status: RunStatus, attempt: u32, options: Option<&str>) -> Option<f64> {
        let run = EndedRun { attempt, ..ended(status, options.unwrap_or("{}")) };
        let job = run.job.clone().filter(|_| options.is_some());
        retry_in(&EndedRun { job, ..run }, &SeededRandom::new(1))
    }

    #[test]
    fn a_failed_run_is_tried_again_as_often_as_its_job_says() {
        let twice = Some(r#"{"max_retries":2}"#);
        for status in [RunStatus::Error, RunStatus::Timeout] {
            let first = after(status, 1, twice).unwrap();
            assert!((22.5..=30.0).contains(&first), "{first}");
            let second = after(status, 2, twice).unwrap();
            assert!((45.0..=60.0).contains(&second), "{second}");
            assert_eq!(after(status, 3, twice), None);
        }
        assert!(after(RunStatus::Error, 10, Some(r#"{"max_retries":10}"#)).unwrap() <= 3_600.0);
        assert_eq!(after(RunStatus::Ok, 1, twice), None);
        assert_eq!(after(RunStatus::Error, 1, Some("{}")), None);
        assert_eq!(after(RunStatus::Error, 1, None), None, "its job is gone");
        let off = EndedRun { goes_on: false, ..ended(RunStatus::Error, r#"{"max_retries":2}"#) };
        assert_eq!(retry_in(&off, &SeededRandom::new(1)), None, "its job was switched off");
    }
}
