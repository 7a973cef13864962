//! Jobs and runs as the API shows them. The keys are the client's (docs: the wire contract).

use chrono::{DateTime, Utc};
use claw_store::{EarlierAttempt, Job, Over, Run};
use claw_types::job::Options;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use uuid::Uuid;

/// A job.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CronJob)]
pub struct JobView {
    id: Uuid,
    name: String,
    label: Option<String>,
    /// Whether it is to run.
    enabled: bool,
    /// `every`, `cron` or `at`.
    schedule_type: String,
    /// As it was sent.
    #[schema(value_type = Object)]
    schedule: Map<String, Value>,
    /// `channel_message`, `assistant_task`, `hook` or `webhook`.
    action_type: String,
    /// As it was sent.
    #[schema(value_type = Object)]
    action: Map<String, Value>,
    /// Whether it is over after one run.
    one_shot: bool,
    /// As it was sent.
    #[schema(value_type = Option<Object>)]
    channel_type: Option<Map<String, Value>>,
    /// As it was sent.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Map<String, Value>>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
    /// The next scheduled time; null when it is switched off or has none any more.
    next_run_at: Option<DateTime<Utc>>,
    /// Scheduled runs since the schedule was last set.
    runs: u64,
    /// Runs in a row that failed.
    failures: u32,
    /// When the first of them began; null when there are none.
    failing_since: Option<DateTime<Utc>>,
    /// Why it was switched off without anybody asking for it; null when it was not.
    paused: Option<String>,
    /// What became of its last time, when it is off because it has no further one: `ran`, `missed` (it was too late for it) or `overlap` (an
    /// earlier run went on); null when it was switched off, is paused, or is not over.
    over: Option<&'static str>,
    /// What was said of how it runs; what was not is absent.
    #[serde(flatten)]
    options: Options,
}

/// A run of a job.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CronRun)]
pub struct RunView {
    id: Uuid,
    /// Of which job; it may have been deleted since.
    job_id: Uuid,
    /// What the job was called then.
    job_name: String,
    /// `running`; `ok`: the message is sent or safely on its way, or waits for a heartbeat; `error`: it was refused; `timeout`: nobody finished it.
    status: &'static str,
    /// The scheduled time that it is for; null for a test.
    scheduled_for: Option<DateTime<Utc>>,
    started_at: DateTime<Utc>,
    finished_at: Option<DateTime<Utc>>,
    duration_ms: Option<i64>,
    /// Why it failed.
    error_message: Option<String>,
    action_type: String,
    schedule_type: String,
    /// `{"test": true}` for a test; `message` is what was said when it was completed.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Map<String, Value>>,
    /// The message that it made.
    message_id: Option<Uuid>,
    /// Which attempt this is, or was the last; more than 1 when it was tried again.
    attempt: u32,
    /// What the attempts before came to, oldest first.
    attempts: Vec<AttemptView>,
    /// When its message was handed over: the platform or the backend has it.
    handed_at: Option<DateTime<Utc>>,
    /// What was sent where; null when nothing was.
    #[schema(value_type = Option<Object>)]
    sent: Option<Map<String, Value>>,
}

/// An attempt of a run that another one followed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CronAttempt)]
pub struct AttemptView {
    /// Which one, from 1.
    n: u32,
    /// `error` or `timeout`.
    status: &'static str,
    /// Why it failed.
    error: Option<String>,
    /// The message that it made; that of the attempt before, where this was the wait for it.
    message_id: Option<Uuid>,
    finished_at: Option<DateTime<Utc>>,
}

/// Runs, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CronRuns)]
pub struct Runs {
    pub runs: Vec<RunView>,
    /// The cursor of the next page; null on the last one.
    pub next_cursor: Option<i64>,
}

impl From<Job> for JobView {
    fn from(job: Job) -> Self {
        Self {
            id: job.id,
            name: job.name,
            label: job.label,
            enabled: job.enabled,
            schedule_type: job.schedule_type,
            schedule: job.schedule,
            action_type: job.action_type,
            action: job.action,
            one_shot: job.one_shot,
            channel_type: job.channel_type,
            metadata: job.metadata,
            created_at: job.created_at,
            updated_at: job.updated_at,
            next_run_at: job.next_due_at,
            runs: job.runs,
            failures: job.failures,
            failing_since: job.failing_since,
            paused: job.paused,
            over: job.over.map(Over::as_str),
            options: job.options,
        }
    }
}

impl From<Run> for RunView {
    fn from(run: Run) -> Self {
        Self {
            id: run.id,
            job_id: run.job_id,
            job_name: run.job_name,
            status: run.status.as_str(),
            scheduled_for: run.scheduled_for,
            started_at: run.started_at,
            finished_at: run.finished_at,
            duration_ms: run.duration_ms,
            error_message: run.error_message,
            action_type: run.action_type,
            schedule_type: run.schedule_type,
            metadata: run.metadata,
            message_id: run.message_id.map(|message| message.0),
            attempt: run.attempt,
            attempts: run.attempts.into_iter().map(AttemptView::from).collect(),
            handed_at: run.handed_at,
            sent: run.sent,
        }
    }
}

impl From<EarlierAttempt> for AttemptView {
    fn from(attempt: EarlierAttempt) -> Self {
        Self {
            n: attempt.n,
            status: attempt.status.as_str(),
            error: attempt.error,
            message_id: attempt.message_id.map(|message| message.0),
            finished_at: attempt.finished_at,
        }
    }
}
