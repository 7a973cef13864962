//! What is due, read page by page.

use chrono::{DateTime, Utc};
use claw_types::UserId;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::{Error, Result, Store};

/// What there is to fire. Asked first, because it writes nothing: every other statement of a leader takes a lock.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Wake-ups at their users' heartbeats.
    pub wakes: bool,
    /// Heartbeats of which the agent is told.
    pub heartbeats: bool,
    /// Jobs.
    pub jobs: bool,
}

/// What there is to do about runs; see [`Waiting`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RunsWaiting {
    /// Their time is up.
    pub overdue: bool,
    /// They are over.
    pub over: bool,
    /// They are to be tried again.
    pub retries: bool,
}

/// A job that is due.
#[derive(Debug, Clone)]
pub struct DueJob {
    /// Its id.
    pub id: Uuid,
    /// Whose.
    pub user_id: UserId,
    /// The name to show.
    pub name: String,
    /// What it is grouped by.
    pub label: Option<String>,
    /// Its user's own, JSON; read where a run shows it.
    pub metadata: Option<String>,
    /// When, JSON.
    pub schedule: String,
    /// What, JSON.
    pub action: String,
    /// How it runs, JSON.
    pub options: String,
    /// Whether it is over after one run.
    pub one_shot: bool,
    /// From where the intervals of an `every` are counted.
    pub anchor_at: DateTime<Utc>,
    /// The first scheduled time that nothing was done about.
    pub next_due_at: DateTime<Utc>,
    /// By how much its run is later than that.
    pub jitter_ms: i32,
    /// Scheduled runs so far.
    pub runs: u64,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
    /// Whether an earlier scheduled run goes on or is to be tried again, or failed while its message is still to be handed over. Not
    /// asked for where runs may overlap.
    pub busy: bool,
}

/// Some of the jobs that are due, the earliest first.
#[derive(Debug, Clone)]
pub struct DuePage {
    /// The database's time when they were read; of no jobs, the place where they were looked for.
    pub now: DateTime<Utc>,
    /// The jobs.
    pub jobs: Vec<DueJob>,
    /// Where the next page begins; `None` when this was the last one.
    pub next: Option<(DateTime<Utc>, Uuid)>,
}

/// Where the first page begins.
pub const START: (DateTime<Utc>, Uuid) = (DateTime::UNIX_EPOCH, Uuid::nil());

/// Of a job `j`, what its runs show of its metadata, which may be long: only webhooks have it.
pub(crate) const METADATA: &str = "case when j.action_type = 'webhook' then j.metadata::text end";

/// How many of a job's latest times are looked at for a run that goes on: where none may overlap, it is the last one.
const LATEST: &str = "5";

impl Store {
    /// What there is to fire.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn timers_waiting(&self) -> Result<Waiting> {
        let row = sqlx::query(
            "select exists (select 1 from timers where kind = 'wake' and due_at <= now()) as wakes,
                    exists (select 1 from timers where kind = 'heartbeat' and due_at <= now()) as heartbeats,
                    exists (select 1 from timers where kind = 'cron' and due_at <= now()) as jobs",
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(Waiting {
            wakes: row.try_get("wakes")?,
            heartbeats: row.try_get("heartbeats")?,
            jobs: row.try_get("jobs")?,
        })
    }

    /// What there is to do about runs.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn runs_waiting(&self) -> Result<RunsWaiting> {
        let row = sqlx::query(
            "select exists (select 1 from cron_runs where status = 'running' and deadline_at <= now()) as overdue,
                    exists (select 1 from timers where kind = 'run_over' and due_at <= now()) as over,
                    exists (select 1 from timers where kind = 'retry' and due_at <= now()) as retries",
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(RunsWaiting {
            overdue: row.try_get("overdue")?,
            over: row.try_get("over")?,
            retries: row.try_get("retries")?,
        })
    }

    /// Up to `limit` due jobs behind a place. What is being fired is before it, so pages may be read meanwhile.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn jobs_due(&self, after: (DateTime<Utc>, Uuid), limit: i64) -> Result<DuePage> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(page_sql()))
            .bind(after.0)
            .bind(after.1)
            .bind(limit)
            .fetch_all(&self.pool)
            .await?;
        let now = match rows.first() {
            Some(row) => row.try_get("now")?,
            None => after.0,
        };
        let full = i64::try_from(rows.len()).is_ok_and(|found| found >= limit);
        let last = rows.last().filter(|_| full);
        let next =
            last.map(|row| Ok::<_, Error>((row.try_get("due_at")?, row.try_get("id")?))).transpose()?;
        Ok(DuePage { now, jobs: rows.iter().map(job).collect::<Result<_>>()?, next })
    }
}

/// A run whose time is up may have left its message waiting, for longer than the job's interval: each run that began meanwhile would add
/// another one with the same task. That message, and the run's timer, are looked up by their ids, whatever the planner was told: `offset 0`
/// is a fence without which it may list all timers, and `finished_at is null` would lead it to an index of all messages that wait.
fn page_sql() -> String {
    format!(
        "select j.id, j.user_id, j.name, j.label, {METADATA} as metadata, j.schedule::text as schedule, j.action::text as action,
                j.options::text as options, j.one_shot, j.anchor_at, j.next_due_at, j.jitter_ms, j.runs, j.updated_at,
                t.due_at, now() as now,
                case when j.options ->> 'overlap' is null then false else exists (
                    select 1 from (select r.id, r.status, r.message_id from cron_runs r
                                   where r.job_id = j.id and r.scheduled_for is not null
                                   order by r.scheduled_for desc limit {LATEST}) r
                    where r.status = 'running' or exists (select 1 from timers w where w.id = r.id offset 0)
                       or (r.status <> 'ok'
                           and exists (select 1 from messages m
                                       where m.id = r.message_id and m.state = 'pending' offset 0))) end as busy
         from (select id, due_at from timers
               where kind = 'cron' and due_at <= now() and (due_at, id) > ($1, $2)
               order by due_at, id limit $3) t
         join cron_jobs j on j.id = t.id and j.enabled and j.next_due_at is not null
         order by t.due_at, t.id"
    )
}

fn job(row: &PgRow) -> Result<DueJob> {
    let id: Uuid = row.try_get("id")?;
    let (user, runs): (String, i64) = (row.try_get("user_id")?, row.try_get("runs")?);
    Ok(DueJob {
        id,
        user_id: super::user("cron_jobs", id, &user)?,
        name: row.try_get("name")?,
        label: row.try_get("label")?,
        metadata: row.try_get("metadata")?,
        schedule: row.try_get("schedule")?,
        action: row.try_get("action")?,
        options: row.try_get("options")?,
        one_shot: row.try_get("one_shot")?,
        anchor_at: row.try_get("anchor_at")?,
        next_due_at: row.try_get("next_due_at")?,
        jitter_ms: row.try_get("jitter_ms")?,
        runs: u64::try_from(runs).unwrap_or_default(),
        updated_at: row.try_get("updated_at")?,
        busy: row.try_get("busy")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a run's message still waits costs a look into an index, however many wait and whatever the planner knows of them.
    #[tokio::test]
    async fn a_message_is_looked_up_by_its_id() {
        let db = claw_testkit::TestDatabase::create().await;
        let store = Store::connect(db.url(), "test", 2).await.unwrap();
        store.migrate(None).await.unwrap();
        let page = page_sql()
            .replace("$1", "'epoch'")
            .replace("$2", "'00000000-0000-0000-0000-000000000000'")
            .replace("$3", "10");
        let explain = format!("explain {page}");
        let make =
            "insert into messages (id, user_id, channel_id, shard, direction, conversation, payload, source)
                    select gen_random_uuid(), 'ada', gen_random_uuid(), 0, 'in', 'c', '{}', 'cron'
                    from generate_series(1, 5000)";
        sqlx::query(make).execute(&store.pool).await.unwrap();
        for known in [false, true] {
            if known {
                sqlx::raw_sql("vacuum analyze messages").execute(&store.pool).await.unwrap();
            }
            let plan: Vec<String> =
                sqlx::query_scalar(sqlx::AssertSqlSafe(&*explain)).fetch_all(&store.pool).await.unwrap();
            let plan = plan.join("\n");
            assert!(plan.contains("messages_default_pkey"), "{plan}");
            for whole in ["hashed SubPlan", "Seq Scan on messages_default"] {
                assert!(!plan.contains(whole), "{plan}");
            }
        }
    }
}
