//! Firing: a due job moves on, its run begins, and the message of that run is accepted, in one statement.
//!
//! Must hold: it writes only about jobs that are as they were read (the same next time, not changed since), and only within the
//! term. A job that somebody holds is passed over until the next look instead of waited for, or one user's slow transaction
//! would make a thousand others' jobs late.
//!
//! A message that is to wait for its user's heartbeat becomes a timer instead, and its run is over: what such a run promises is that
//! it is safely stored. The heartbeat is the one that was read with the job; a user who sets another one in that moment has
//! it from the next run on.

use chrono::{DateTime, Utc};
use claw_types::{MessageId, Work};
use sqlx::postgres::{PgArguments, PgRow};
use sqlx::query::Query;
use sqlx::{Postgres, Row as _};
use uuid::Uuid;

use super::FENCE;
use crate::error::reason;
use crate::events::TELL_ACCEPTED;
use crate::messages::{AHEAD, Stored, stored_work};
use crate::{NewMessage, News, Over, Result, Store};

/// What becomes of a job that is due.
#[derive(Debug, Clone)]
pub struct Firing {
    /// Which job.
    pub job: Uuid,
    /// Its next time as it was read.
    pub was_due: DateTime<Utc>,
    /// When it had last been changed as it was read.
    pub was_changed: DateTime<Utc>,
    /// Its next time from now on; none: it is switched off.
    pub next_due_at: Option<DateTime<Utc>>,
    /// By how much its run is later than that.
    pub jitter_ms: i32,
    /// What became of its last time, if it has no next one; not written where it is switched off for another reason.
    pub over: Option<Over>,
    /// Why it is switched off, if nobody asked for it.
    pub paused: Option<String>,
    /// Whether it goes when it has no next time and no run of it goes on or is still to be tried again. One that has a run goes
    /// with its end, see [`super::over`]. One that never had any stays, switched off: its user would not know what became of it.
    pub delete: bool,
    /// The run that begins; none: the time is passed over, or put off.
    pub run: Option<NewRun>,
    /// What there is to tell others beside that.
    pub news: Option<News>,
}

/// A run that begins.
#[derive(Debug, Clone)]
pub struct NewRun {
    /// The id to give it.
    pub id: Uuid,
    /// The time that it is for.
    pub scheduled_for: DateTime<Utc>,
    /// What it may take, in seconds.
    pub seconds: f64,
    /// Whether it is over only when somebody says so.
    pub await_completion: bool,
    /// What is sent where, JSON.
    pub sent: Option<String>,
    /// The message that it makes, or why it makes none.
    pub message: std::result::Result<NewMessage, String>,
    /// The heartbeat that the message waits for, if it does; it is an inbound one then.
    pub wake_at: Option<DateTime<Utc>>,
}

/// What was written.
#[derive(Debug, Clone, Default)]
pub struct Fired {
    /// Jobs that moved on. The others were changed or held by somebody, or the term is over.
    pub jobs: u64,
    /// Runs that began.
    pub runs: u64,
    /// The messages to tell their owners of, in order.
    pub messages: Vec<Work>,
}

impl Firing {
    /// Whether nothing more follows that would delete it, if it has had a run.
    fn ends(&self) -> bool {
        self.delete && self.next_due_at.is_none() && self.run.is_none()
    }
}

impl NewRun {
    pub(crate) fn made(&self) -> Option<&NewMessage> {
        self.message.as_ref().ok()
    }

    /// Of a run that makes no message, none.
    pub(crate) fn waits_until(&self) -> Option<DateTime<Utc>> {
        self.wake_at.filter(|_| self.message.is_ok())
    }

    pub(crate) fn refused(&self) -> Option<String> {
        self.message.as_ref().err().map(|why| reason(why))
    }
}

impl Store {
    /// Fires jobs, as long as this term of `duty` goes on.
    ///
    /// # Errors
    /// When the database fails; then nothing was written, or everything and the owners' sweeps will find the messages.
    pub async fn jobs_fire(&self, duty: &str, term: i64, firings: &[Firing]) -> Result<Fired> {
        let runs = || firings.iter().map(|firing| firing.run.as_ref());
        let made = || runs().map(|run| run.and_then(NewRun::made));
        let news = || firings.iter().map(|firing| firing.news.as_ref());
        let query = sqlx::query(sqlx::AssertSqlSafe(fire_sql()))
            .bind(duty)
            .bind(term)
            .bind(firings.iter().map(|f| f.job).collect::<Vec<_>>())
            .bind(firings.iter().map(|f| f.was_due).collect::<Vec<_>>())
            .bind(firings.iter().map(|f| f.was_changed).collect::<Vec<_>>())
            .bind(firings.iter().map(|f| f.next_due_at).collect::<Vec<_>>())
            .bind(firings.iter().map(|f| f.jitter_ms).collect::<Vec<_>>())
            .bind(firings.iter().map(|f| f.paused.as_deref().map(reason)).collect::<Vec<_>>())
            .bind(runs().map(|run| run.map(|run| run.id)).collect::<Vec<_>>())
            .bind(runs().map(|run| run.map(|run| run.scheduled_for)).collect::<Vec<_>>())
            .bind(runs().map(|run| run.map(|run| run.seconds)).collect::<Vec<_>>())
            .bind(runs().map(|run| run.is_some_and(|run| run.await_completion)).collect::<Vec<_>>())
            .bind(runs().map(|run| run.and_then(|run| run.sent.as_deref())).collect::<Vec<_>>())
            .bind(runs().map(|run| run.and_then(NewRun::refused)).collect::<Vec<_>>());
        let rows = bind_made(query, made())
            .bind(runs().map(|run| run.and_then(NewRun::waits_until)).collect::<Vec<_>>())
            .bind(firings.iter().map(Firing::ends).collect::<Vec<_>>())
            .bind(news().map(|news| news.map(|news| news.kind)).collect::<Vec<_>>())
            .bind(news().map(|news| news.map(|news| news.data.to_string())).collect::<Vec<_>>())
            .bind(firings.iter().map(|f| f.over.map(Over::as_str)).collect::<Vec<_>>())
            .fetch_all(&self.pool)
            .await?;
        fired(&rows, made().flatten())
    }
}

/// Binds the messages that a statement accepts, as [`fired`] takes them: seven arrays, with a null for each row without one.
pub(crate) fn bind_made<'q>(
    query: Query<'q, Postgres, PgArguments>,
    made: impl Iterator<Item = Option<&'q NewMessage>> + Clone,
) -> Query<'q, Postgres, PgArguments> {
    query
        .bind(made.clone().map(|message| message.map(|m| m.id.0)).collect::<Vec<_>>())
        .bind(made.clone().map(|message| message.map(|m| m.channel_id.0)).collect::<Vec<_>>())
        .bind(made.clone().map(|message| message.map(|m| m.shard.as_i32())).collect::<Vec<_>>())
        .bind(made.clone().map(|message| message.map(|m| m.direction.as_str())).collect::<Vec<_>>())
        .bind(made.clone().map(|message| message.map(|m| m.conversation.as_str())).collect::<Vec<_>>())
        .bind(made.clone().map(|message| message.map(|m| m.payload.get())).collect::<Vec<_>>())
        .bind(made.map(|message| message.and_then(|m| m.source.as_deref())).collect::<Vec<_>>())
}

/// The messages of these rows, which have the columns of [`Stored`] and an `id` that is null when there are none.
pub(crate) fn fired<'m>(rows: &[PgRow], made: impl Iterator<Item = &'m NewMessage>) -> Result<Fired> {
    let mut fired = Fired::default();
    let mut stored = std::collections::HashMap::with_capacity(rows.len());
    for row in rows {
        let (jobs, runs): (i64, i64) = (row.try_get("jobs")?, row.try_get("runs")?);
        (fired.jobs, fired.runs) = (jobs.unsigned_abs(), runs.unsigned_abs());
        if let Some(id) = row.try_get::<Option<Uuid>, _>("id")? {
            stored.insert(MessageId(id), Stored::of(row)?);
        }
    }
    let works = made.filter_map(|message| Some(stored_work(message, stored.remove(&message.id)?)));
    fired.messages = works.collect();
    fired.messages.sort_by_key(|work| work.seq);
    Ok(fired)
}

/// The status with which a run `i` begins. What waits for a heartbeat is all that its run was to do.
pub(crate) const BEGINS: &str =
    "case when i.refused is not null then 'error' when i.wake_at is not null then 'ok' else 'running' end";

/// A run that goes on is locked before its job is left to it: whoever ends it does so before this, which then sees that it is
/// over, or after this, and leaves word of it; nobody does of a test. A time that had its run before has no other one, and counts as none.
fn fire_sql() -> String {
    // `(... in ...) is true` is looked up in a hash; as a mere condition it would be joined row by row.
    format!(
        "with {FENCE},
         held as materialized (
             select i.*, j.user_id, j.name, j.action_type, j.schedule_type, j.failures, {BEGINS} as status,
                    i.ends and j.runs > 0 as goes
             from unnest($3::uuid[], $4::timestamptz[], $5::timestamptz[], $6::timestamptz[], $7::int[], $8::text[],
                         $9::uuid[], $10::timestamptz[], $11::float8[], $12::bool[], $13::text[], $14::text[],
                         $15::uuid[], $16::uuid[], $17::int[], $18::text[], $19::text[], $20::text[], $21::text[],
                         $22::timestamptz[], $23::bool[], $24::text[], $25::text[], $26::text[]) with ordinality
                  as i (job, was_due, was_changed, next_due_at, jitter_ms, paused,
                        run, scheduled_for, seconds, await_completion, sent, refused,
                        message, channel_id, shard, direction, conversation, payload, source, wake_at, ends, news, data, over, n)
             join cron_jobs j on j.id = i.job
             where j.next_due_at = i.was_due and j.updated_at = i.was_changed and j.enabled
               and exists (select 1 from fence)
             for no key update of j skip locked),
         goes_on as materialized (
             select h.job from held h
             cross join lateral (select 1 from cron_runs x
                                 where x.job_id = h.job and x.scheduled_for is not null and (x.status = 'running') is true
                                 offset 0 for share) r
             where h.goes),
         waits as materialized (
             select h.job from held h
             cross join lateral (select 1 from cron_runs x join timers w on w.id = x.id
                                 where x.job_id = h.job and x.status in ('error', 'timeout') offset 0) r
             where h.goes),
         gone as (
             delete from cron_jobs j using held h
             where j.id = h.job and h.goes and h.job not in (select job from goes_on union all select job from waits)
             returning j.id),
         begun as (
             insert into cron_runs (id, user_id, job_id, job_name, status, scheduled_for, deadline_at, finished_at,
                 duration_ms, error_message, action_type, schedule_type, message_id, await_completion, sent)
             select run, user_id, job, name, status, scheduled_for, now() + make_interval(secs => seconds),
                    case when status <> 'running' then now() end, case when status <> 'running' then 0 end, refused,
                    action_type, schedule_type, message, await_completion, sent::json
             from held where run is not null order by n
             on conflict (job_id, scheduled_for) where scheduled_for is not null do nothing
             returning id),
         moved as (
             update cron_jobs j set next_due_at = h.next_due_at, jitter_ms = h.jitter_ms, paused = h.paused,
                 alerted = j.alerted and h.paused is null, enabled = h.next_due_at is not null,
                 over = case when h.next_due_at is null and h.paused is null then h.over end,
                 runs = j.runs + ((h.run in (select id from begun)) is true)::int
             from held h where j.id = h.job and (h.job in (select id from gone)) is not true
             returning h.*),
         owed as (
             insert into timers (id, user_id, kind, due_at)
             select run, user_id, 'run_over', now() from moved
             where (status = 'error' or (status = 'ok' and (failures > 0 or next_due_at is null)))
               and (run in (select id from begun)) is true),
         later as (
             insert into timers (id, user_id, kind, due_at, shard, channel_id, conversation, payload, source)
             select message, user_id, 'wake', wake_at, shard, channel_id, conversation, payload::json, source
             from moved where wake_at is not null and (run in (select id from begun)) is true),
         accepted as (
             insert into messages (id, user_id, channel_id, shard, direction, conversation, payload, source)
             select message, user_id, channel_id, shard, direction, conversation, payload::json, source
             from moved where message is not null and wake_at is null and (run in (select id from begun)) is true order by n
             returning id, seq, (extract(epoch from accepted_at) * 1000)::bigint as accepted_at_ms,
                       user_id, channel_id, direction, conversation, source),
         told as ({TELL_ACCEPTED}),
         news as (
             insert into events (user_id, type, data)
             select user_id, news, data::json from held where news is not null order by n)
         select (select count(*) from moved) + (select count(*) from gone) as jobs, (select count(*) from begun) as runs,
                accepted.id, accepted.seq, accepted.accepted_at_ms, {AHEAD} as ahead
         from (values (1)) one left join accepted on true"
    )
}
