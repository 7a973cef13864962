//! Runs of scheduled jobs: begun before anything is done, finished once.
//!
//! A process may die in between. So a run that is still `running` at its deadline is nobody's any more, and is shown as
//! `timeout` by every reader at once, before the leader has written that ([`crate::cron::overdue`]).

use chrono::{DateTime, Utc};
use claw_types::{MessageId, UserId};
use serde_json::{Map, Value, json};
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::cron::overdue::WHY;
use crate::cron::{EarlierAttempt, attempts};
use crate::error::reason;
use crate::jobs::{Job, find};
use crate::{Actor, Change, Error, Once, Result, Store};

/// Of a run, `cron_runs r`, before [`WHY`] it is overdue.
const COLUMNS: &str = "r.id, r.seq, r.job_id, r.job_name, r.status, r.scheduled_for, r.started_at, r.deadline_at, \
     r.finished_at, r.duration_ms, r.error_message, r.action_type, r.schedule_type, r.metadata::text as metadata, \
     r.message_id, r.attempt, r.attempts::text as attempts, r.handed_at, r.sent::text as sent, \
     r.status = 'running' and r.deadline_at <= now() as overdue";

fn columns() -> String {
    format!("{COLUMNS}, {WHY} as overdue_because")
}

/// A run that somebody asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Begun {
    /// The job as it is.
    pub job: Job,
    /// The run's id.
    pub run: Uuid,
    /// Whether an earlier call began it.
    pub duplicate: bool,
}

/// How a run went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunStatus {
    /// It is not over.
    Running,
    /// Its message was handed over; or, where it awaits that, somebody said that it is complete.
    Ok,
    /// It was refused.
    Error,
    /// Nobody finished it.
    Timeout,
}

/// A run.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Its id.
    pub id: Uuid,
    /// Its place; also the cursor.
    pub seq: i64,
    /// Of which job; it may be gone.
    pub job_id: Uuid,
    /// What that job was called then.
    pub job_name: String,
    /// How it went.
    pub status: RunStatus,
    /// The scheduled time that it is for; `None` for one that somebody asked for.
    pub scheduled_for: Option<DateTime<Utc>>,
    /// When it was begun.
    pub started_at: DateTime<Utc>,
    /// When it was over.
    pub finished_at: Option<DateTime<Utc>>,
    /// How long it took.
    pub duration_ms: Option<i64>,
    /// Why it failed.
    pub error_message: Option<String>,
    /// The kind of the job's action then.
    pub action_type: String,
    /// The kind of the job's schedule then.
    pub schedule_type: String,
    /// What is worth keeping of it.
    pub metadata: Option<Map<String, Value>>,
    /// The message that it made.
    pub message_id: Option<MessageId>,
    /// Which attempt this is, or was the last.
    pub attempt: u32,
    /// What the attempts before came to, oldest first.
    pub attempts: Vec<EarlierAttempt>,
    /// When its message was handed over: the platform or the backend has it.
    pub handed_at: Option<DateTime<Utc>>,
    /// What was sent where; `None` when nothing was.
    pub sent: Option<Map<String, Value>>,
}

impl RunStatus {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Running, Self::Ok, Self::Error, Self::Timeout];

    /// As stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Ok => "ok",
            Self::Error => "error",
            Self::Timeout => "timeout",
        }
    }

    /// The status that [`Self::as_str`] names.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }

    pub(crate) fn read(run: Uuid, text: &str) -> Result<Self> {
        let bad = || Error::BadRow {
            table: "cron_runs",
            id: run.to_string(),
            column: "status",
            value: text.to_owned(),
        };
        Self::parse(text).ok_or_else(bad)
    }
}

impl Store {
    /// Begins a run that somebody asked for; it has so many seconds to make a message ([`Self::run_makes`]), or what its job allows if
    /// it awaits its completion. A repeated call begins none.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the user has no such job, [`Error::KeyReused`] when the key came with another one.
    pub async fn run_test(
        &self,
        user: &UserId,
        job: Uuid,
        run: Uuid,
        seconds: f64,
        actor: &Actor,
        once: Option<Once<'_>>,
    ) -> Result<Begun> {
        let mut tenant = self.tenant(user).await?;
        let job = find(&mut tenant, job, false).await?;
        if let Some(once) = once
            && let Some(before) = tenant.once(once.kind, once.key, once.digest, run).await?
        {
            return Ok(Begun { job, run: before, duplicate: true });
        }
        let awaits = job.awaits_completion();
        let seconds = if awaits { job.options.timeout().as_secs_f64() } else { seconds };
        sqlx::query(
            "insert into cron_runs (id, user_id, job_id, job_name, status, deadline_at, action_type, schedule_type,
                 metadata, await_completion)
             values ($1, $2, $3, $4, 'running', now() + make_interval(secs => $5), $6, $7, $8::json, $9)",
        )
        .bind(run)
        .bind(user.as_str())
        .bind(job.id)
        .bind(&job.name)
        .bind(seconds)
        .bind(&job.action_type)
        .bind(&job.schedule_type)
        .bind(json!({"test": true}).to_string())
        .bind(awaits)
        .execute(tenant.conn())
        .await?;
        let detail = json!({"name": job.name, "run": run});
        let change = Change { action: "job.tested", subject: &job.id.to_string(), detail };
        tenant.audit(actor, &change).await?;
        tenant.commit().await?;
        Ok(Begun { job, run, duplicate: false })
    }

    /// One of a user's runs; `None` when it is not there, or not any more.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn run(&self, user: &UserId, id: Uuid) -> Result<Option<Run>> {
        let sql = format!("select {} from cron_runs r where r.user_id = $1 and r.id = $2", columns());
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(user.as_str())
            .bind(id)
            .fetch_optional(self.tenant(user).await?.conn())
            .await?;
        row.as_ref().map(run).transpose()
    }

    /// Notes which message a run that goes on makes and what is sent where, JSON, and gives it so many seconds since its start, if it has
    /// fewer. Whoever settles the message then ends the run, so this comes before the message is there. Of calls that are repeated the
    /// first says what is sent, as it does with the message.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn run_makes(
        &self,
        user: &UserId,
        run: Uuid,
        message: MessageId,
        sent: &str,
        seconds: f64,
    ) -> Result<()> {
        let mut tenant = self.tenant(user).await?;
        sqlx::query(
            "update cron_runs set message_id = $3, sent = coalesce(sent, $5::json),
                 deadline_at = greatest(deadline_at, started_at + make_interval(secs => $4))
             where user_id = $1 and id = $2 and status = 'running'",
        )
        .bind(user.as_str())
        .bind(run)
        .bind(message.0)
        .bind(seconds)
        .bind(sent)
        .execute(tenant.conn())
        .await?;
        tenant.commit().await
    }

    /// Finishes a run with the message it made or the reason why it failed. One that is finished stays as it is.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn run_finish(
        &self,
        user: &UserId,
        run: Uuid,
        message: Option<MessageId>,
        error: Option<&str>,
    ) -> Result<()> {
        let mut tenant = self.tenant(user).await?;
        let status = if error.is_none() { RunStatus::Ok } else { RunStatus::Error };
        sqlx::query(
            "update cron_runs set status = $2, error_message = $3, message_id = $4::uuid,
                 sent = case when $4::uuid is not null then sent end, finished_at = clock_timestamp(),
                 duration_ms = (extract(epoch from clock_timestamp() - started_at) * 1000)::bigint
             where id = $1 and status = 'running'",
        )
        .bind(run)
        .bind(status.as_str())
        .bind(error.map(reason))
        .bind(message.map(|message| message.0))
        .execute(tenant.conn())
        .await?;
        tenant.commit().await
    }

    /// The message of a run that awaits its completion was handed over. It may be over by now.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn run_handed(&self, user: &UserId, run: Uuid, message: Option<MessageId>) -> Result<()> {
        let mut tenant = self.tenant(user).await?;
        sqlx::query(
            "update cron_runs set message_id = coalesce(message_id, $3), handed_at = coalesce(handed_at, now())
             where user_id = $1 and id = $2",
        )
        .bind(user.as_str())
        .bind(run)
        .bind(message.map(|message| message.0))
        .execute(tenant.conn())
        .await?;
        tenant.commit().await
    }

    /// A user's runs, of one job or of all, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn runs(
        &self,
        user: &UserId,
        job: Option<Uuid>,
        before: Option<i64>,
        limit: i64,
    ) -> Result<Vec<Run>> {
        // Two statements, so that each has its index.
        let whose = if job.is_some() { "r.job_id = $2" } else { "$2::uuid is null" };
        let sql = format!(
            "select {} from cron_runs r
             where r.user_id = $1 and {whose} and r.seq < $3
             order by r.seq desc limit $4",
            columns()
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(user.as_str())
            .bind(job)
            .bind(before.unwrap_or(i64::MAX))
            .bind(limit)
            .fetch_all(self.tenant(user).await?.conn())
            .await?;
        rows.iter().map(run).collect()
    }

    /// Forgets up to `limit` runs older than `days` that are over and from which nothing more follows. Tells how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn runs_forget(&self, days: i32, limit: i64) -> Result<u64> {
        // `offset 0` is a fence: one look for each run, instead of a list of all timers.
        let done = sqlx::query(
            "delete from cron_runs where id in (
                 select r.id from cron_runs r
                 where r.started_at < now() - make_interval(days => $1) and r.status <> 'running'
                   and not exists (select 1 from timers t where t.id = r.id offset 0)
                 limit $2)",
        )
        .bind(days)
        .bind(limit)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected())
    }
}

fn run(row: &PgRow) -> Result<Run> {
    let id: Uuid = row.try_get("id")?;
    let (status, overdue): (String, bool) = (row.try_get("status")?, row.try_get("overdue")?);
    let metadata: Option<String> = row.try_get("metadata")?;
    let sent: Option<String> = row.try_get("sent")?;
    let message: Option<Uuid> = row.try_get("message_id")?;
    let mut run = Run {
        id,
        seq: row.try_get("seq")?,
        job_id: row.try_get("job_id")?,
        job_name: row.try_get("job_name")?,
        status: RunStatus::read(id, &status)?,
        scheduled_for: row.try_get("scheduled_for")?,
        started_at: row.try_get("started_at")?,
        finished_at: row.try_get("finished_at")?,
        duration_ms: row.try_get("duration_ms")?,
        error_message: row.try_get("error_message")?,
        action_type: row.try_get("action_type")?,
        schedule_type: row.try_get("schedule_type")?,
        metadata: metadata.map(|text| serde_json::from_str(&text)).transpose()?,
        message_id: message.map(MessageId),
        attempt: u32::try_from(row.try_get::<i32, _>("attempt")?).unwrap_or_default(),
        attempts: attempts::read(id, row.try_get("attempts")?)?,
        handed_at: row.try_get("handed_at")?,
        sent: sent.map(|text| serde_json::from_str(&text)).transpose()?,
    };
    if overdue {
        let deadline: DateTime<Utc> = row.try_get("deadline_at")?;
        run.status = RunStatus::Timeout;
        run.finished_at = Some(deadline);
        run.duration_ms = Some((deadline - run.started_at).num_milliseconds());
        run.error_message = row.try_get("overdue_because")?;
    }
    Ok(run)
}
