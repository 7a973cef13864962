//! Scheduled jobs at work: what of them is due, firing it, and what follows when a run is over.
//!
//! Everything that waits is a row of `timers`, and a leader looks there alone:
//!
//! | kind | id | due | becomes |
//! | --- | --- | --- | --- |
//! | `cron` | the job's | at its next time, or later ([`queue`]) | a run, and the message that it makes ([`fire`]) |
//! | `run_over` | the run's | at once | a `retry`, or a failure that is counted ([`over`]) |
//! | `retry` | the run's | after a pause | another attempt of the same run ([`retry`]) |
//!
//! What a run wakes an agent with may wait for a heartbeat, as a timer of the kind that every wake-up waits as ([`crate::timers`]).
//! That kind is of no job, nor is `heartbeat` ([`crate::heartbeats`]).
//!
//! Nothing is held open while somebody thinks: a page is read, what becomes of it is decided in memory, and one statement
//! writes all of it, if everything still is as it was read and the leader's term has not ended. So each scheduled time has
//! one run, and each run's attempt one message at most, whoever dies when and however many believe that they lead.
//!
//! A run ends in the statement that ends what it waits for: the worker's that settles its message (`settle`), a call that
//! says it is complete, or the leader's when its time is up ([`overdue`]). That statement also leaves a `run_over`, because
//! what follows concerns the job's row, which a worker must not wait for.

use claw_types::UserId;
use uuid::Uuid;

use crate::{Error, Result};

pub mod attempts;
pub mod fire;
pub mod gone;
pub mod message;
pub mod over;
pub mod overdue;
pub mod pages;
pub mod queue;
pub mod retry;
pub(crate) mod settle;
pub mod webhook;

pub use attempts::EarlierAttempt;
pub use fire::{Fired, Firing, NewRun};
pub use message::RunOf;
pub use over::{Aftermath, EndedJob, EndedRun, Followed, JobAfter};
pub use pages::{DueJob, DuePage, RunsWaiting, START, Waiting};
pub use retry::{DueRetry, Retry};

/// Holds the leader's term: `$1` is the duty, `$2` the term. The lock keeps the term from ending between the check and the write; it does
/// not keep it from being renewed ([`crate::leaders`]).
pub(crate) const FENCE: &str = "fence as materialized (
    select 1 from leaders where duty = $1 and term = $2 and leader is not null for key share)";

/// Whether a run `r` of the job `j` may be tried again: nobody switched the job off since it began, and it is not paused. A job that is over
/// is switched off, too, but by nobody: it is not changed by that.
pub(crate) const GOES_ON: &str = "(j.enabled or (j.paused is null and j.updated_at <= r.started_at))";

/// Whether the job `j`, which has no further time, has had a run, as far as is known.
pub(crate) const HAD_RUN: &str = "(j.runs > 0 or j.over is null or j.over = 'ran')";

pub(crate) fn user(table: &'static str, id: Uuid, text: &str) -> Result<UserId> {
    let bad = |_| Error::BadRow { table, id: id.to_string(), column: "user_id", value: text.to_owned() };
    text.parse().map_err(bad)
}
