//! Trying a run again: the same run, another attempt, and another message if the former one is done with.
//!
//! Must hold: of a run's messages to an agent at most one is still to be handed over. While a backend is away they wait for it,
//! longer than their runs may take: with a message for each attempt it would be given the same task several times when it is
//! back, under several ids that say that they are different ones. So the next attempt
//!
//! - is the wait for the former message, when that is still to be handed over to an agent: the run goes on, for as long as
//!   an attempt may take, and ends with it as ever;
//! - is none, when the former message was handed over after the run's time was up: the run is over, well; or it goes on until
//!   somebody says that it is complete, if it awaits that;
//! - has a message of its own, else.
//!
//! What goes to a person or a URL has an end of its own, that of its attempt, after which no worker sends it: one that is still
//! pending by then holds nothing up. One that somebody set back to work meanwhile does, as it goes out after all.
//!
//! A worker that settles the message in the very moment in which its run goes on does not see that it does. Then the run's time will
//! be up once more, and the attempt after that finds its message handed over: no message is made twice by it.

use chrono::{DateTime, Utc};
use claw_types::UserId;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::attempts::WITH_LATEST;
use super::fire::{BEGINS, Fired, NewRun, bind_made, fired};
use super::pages::METADATA;
use super::{FENCE, GOES_ON};
use crate::events::TELL_ACCEPTED;
use crate::messages::AHEAD;
use crate::{Result, Store};

/// The message of the attempt before of a run `r`, if the next one is about it, and when it was handed over. It is looked up by its id,
/// whatever the planner was told: `offset 0` is a fence.
///
/// A run that awaits its completion and failed is tried again with another one: who has its message may have said so before it was
/// written that they have it.
const FORMER: &str = "select m.id, m.finished_at as handed_at from messages m
     where m.id = r.message_id
       and ((m.finished_at is null and (m.direction = 'in' or m.retries > 0))
            or (m.state in ('done', 'uncertain') and r.handed_at is null
                and (r.status = 'timeout' or not r.await_completion)))
     offset 0";

/// A run that is to be tried again now, as its job says it by now.
#[derive(Debug, Clone)]
pub struct DueRetry {
    /// The run.
    pub run: Uuid,
    /// Its job.
    pub job: Uuid,
    /// Whose.
    pub user_id: UserId,
    /// What the job is called.
    pub name: String,
    /// What it is grouped by.
    pub label: Option<String>,
    /// Its user's own, JSON; read where a run shows it.
    pub metadata: Option<String>,
    /// What it does, JSON.
    pub action: String,
    /// How it runs, JSON.
    pub options: String,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
    /// The time that the run is for.
    pub scheduled_for: DateTime<Utc>,
    /// Attempts so far.
    pub attempt: u32,
}

/// The next attempt of a run.
#[derive(Debug, Clone)]
pub struct Retry {
    /// Its job.
    pub job: Uuid,
    /// When that had last been changed as it was read.
    pub was_changed: DateTime<Utc>,
    /// Attempts so far.
    pub attempt: u32,
    /// The run, under the id that it has.
    pub run: NewRun,
}

impl Store {
    /// Up to `limit` runs that are to be tried again by now.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn retries_due(&self, limit: i64) -> Result<Vec<DueRetry>> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "select r.id, r.user_id, r.job_id, r.scheduled_for, r.attempt, j.name, j.label, {METADATA} as metadata,
                    j.action::text as action, j.options::text as options, j.updated_at
             from (select id from timers where kind = 'retry' and due_at <= now() order by due_at, id limit $1) t
             join cron_runs r on r.id = t.id
             join cron_jobs j on j.id = r.job_id and {GOES_ON}",
        )))
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(due).collect()
    }

    /// Begins attempts, as long as this term of `duty` goes on. Those whose job was changed meanwhile wait for the next look. What an
    /// attempt would send is dropped where its run's former message is still on its way, or has arrived.
    ///
    /// # Errors
    /// When the database fails; then nothing was written, or everything and the owners' sweeps will find the messages.
    pub async fn runs_retry(&self, duty: &str, term: i64, retries: &[Retry]) -> Result<Fired> {
        let runs = || retries.iter().map(|retry| &retry.run);
        let made = || runs().map(NewRun::made);
        let query = sqlx::query(sqlx::AssertSqlSafe(retry_sql()))
            .bind(duty)
            .bind(term)
            .bind(runs().map(|run| run.id).collect::<Vec<_>>())
            .bind(retries.iter().map(|r| r.job).collect::<Vec<_>>())
            .bind(retries.iter().map(|r| r.was_changed).collect::<Vec<_>>())
            .bind(retries.iter().map(|r| i32::try_from(r.attempt).unwrap_or(i32::MAX)).collect::<Vec<_>>())
            .bind(runs().map(|run| run.seconds).collect::<Vec<_>>())
            .bind(runs().map(|run| run.await_completion).collect::<Vec<_>>())
            .bind(runs().map(|run| run.sent.as_deref()).collect::<Vec<_>>())
            .bind(runs().map(NewRun::refused).collect::<Vec<_>>());
        let rows = bind_made(query, made())
            .bind(runs().map(NewRun::waits_until).collect::<Vec<_>>())
            .fetch_all(&self.pool)
            .await?;
        fired(&rows, made().flatten())
    }

    /// Gives up the attempts that are due for runs of which nothing is left to try: their job is gone, paused, or somebody switched
    /// it off. Tells how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn retries_drop(&self, duty: &str, term: i64, limit: i64) -> Result<u64> {
        let done = sqlx::query(sqlx::AssertSqlSafe(format!(
            "with {FENCE},
             vain as materialized (
                 select t.id from timers t
                 where t.kind = 'retry' and t.due_at <= now() and exists (select 1 from fence)
                   and not exists (
                       select 1 from cron_runs r
                       join cron_jobs j on j.id = r.job_id and {GOES_ON}
                       where r.id = t.id)
                 order by t.due_at, t.id limit $3 for update of t skip locked)
             delete from timers t using vain where t.id = vain.id"
        )))
        .bind(duty)
        .bind(term)
        .bind(limit)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected())
    }
}

fn retry_sql() -> String {
    format!(
        "with {FENCE},
         held as materialized (
             select i.*, r.user_id, f.id as former, f.handed_at,
                    case when f.id is null then {BEGINS}
                         when f.handed_at is null or r.await_completion then 'running' else 'ok' end as becomes
             from unnest($3::uuid[], $4::uuid[], $5::timestamptz[], $6::int[], $7::float8[], $8::bool[], $9::text[],
                         $10::text[], $11::uuid[], $12::uuid[], $13::int[], $14::text[], $15::text[], $16::text[],
                         $17::text[], $18::timestamptz[]) with ordinality
                  as i (run, job, was_changed, attempt, seconds, await_completion, sent, refused,
                        message, channel_id, shard, direction, conversation, payload, source, wake_at, n)
             join cron_runs r on r.id = i.run and r.attempt = i.attempt and r.status in ('error', 'timeout')
             join timers t on t.id = i.run and t.kind = 'retry'
             join cron_jobs j on j.id = i.job and j.updated_at = i.was_changed
             left join lateral ({FORMER}) f on true
             where exists (select 1 from fence)
             for update of r, t skip locked),
         begun as (
             update cron_runs r set status = h.becomes, attempts = {WITH_LATEST},
                 attempt = r.attempt + 1, message_id = coalesce(h.former, h.message),
                 await_completion = case when h.former is null then h.await_completion else r.await_completion end,
                 deadline_at = now() + make_interval(secs => h.seconds), handed_at = h.handed_at,
                 sent = case when h.former is null then h.sent::json else r.sent end,
                 finished_at = case when h.becomes <> 'running' then coalesce(h.handed_at, now()) end,
                 duration_ms = case when h.becomes <> 'running' then
                     (extract(epoch from coalesce(h.handed_at, now()) - r.started_at) * 1000)::bigint end,
                 error_message = case when h.former is null then h.refused end
             from held h where r.id = h.run
             returning r.id),
         owed as (
             update timers t set kind = 'run_over', due_at = now() from held h
             where t.id = h.run and h.becomes <> 'running'),
         done as (delete from timers t using held h where t.id = h.run and h.becomes = 'running'),
         waits as (
             insert into timers (id, user_id, kind, due_at, shard, channel_id, conversation, payload, source)
             select message, user_id, 'wake', wake_at, shard, channel_id, conversation, payload::json, source
             from held where wake_at is not null and former is null),
         accepted as (
             insert into messages (id, user_id, channel_id, shard, direction, conversation, payload, source)
             select message, user_id, channel_id, shard, direction, conversation, payload::json, source
             from held where message is not null and wake_at is null and former is null order by n
             returning id, seq, (extract(epoch from accepted_at) * 1000)::bigint as accepted_at_ms,
                       user_id, channel_id, direction, conversation, source),
         told as ({TELL_ACCEPTED})
         select (select count(*) from held) as jobs, (select count(*) from begun) as runs,
                accepted.id, accepted.seq, accepted.accepted_at_ms, {AHEAD} as ahead
         from (values (1)) one left join accepted on true"
    )
}

fn due(row: &PgRow) -> Result<DueRetry> {
    let run: Uuid = row.try_get("id")?;
    let (user, attempt): (String, i32) = (row.try_get("user_id")?, row.try_get("attempt")?);
    Ok(DueRetry {
        run,
        job: row.try_get("job_id")?,
        user_id: super::user("cron_runs", run, &user)?,
        name: row.try_get("name")?,
        label: row.try_get("label")?,
        metadata: row.try_get("metadata")?,
        action: row.try_get("action")?,
        options: row.try_get("options")?,
        updated_at: row.try_get("updated_at")?,
        scheduled_for: row.try_get("scheduled_for")?,
        attempt: u32::try_from(attempt).unwrap_or(1),
    })
}
