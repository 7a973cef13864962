//! What follows when a scheduled run is over: another attempt, or a count of its job's failures, or the end of its job.
//!
//! As with firing, a page is read, what follows is decided in memory, and one statement writes it: about jobs that are as they
//! were read, with the message that tells their owner. So each failure counts once, and each owner is told once.

use chrono::{DateTime, Utc};
use claw_types::{UserId, Work};
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::fire::{bind_made, fired};
use super::{FENCE, GOES_ON, HAD_RUN};
use crate::error::reason;
use crate::events::TELL_ACCEPTED;
use crate::messages::AHEAD;
use crate::{NewMessage, News, Result, RunStatus, Store};

/// Failures in a row after which a job leaves no more dead letters. One that is never paused, because its owner wants it so, would leave
/// one at each of its times, for good; what became of each run is in the job's history all the same.
const DEAD_LETTERS: u32 = 100;
/// Why the later ones are put aside.
const ASIDE: &str = "its job goes on failing: only the dead letters of the first failures in a row are kept";

/// A run that is over.
#[derive(Debug, Clone)]
pub struct EndedRun {
    /// The run.
    pub id: Uuid,
    /// How it ended.
    pub status: RunStatus,
    /// Which attempt it was.
    pub attempt: u32,
    /// When word of its end was left.
    pub told_at: DateTime<Utc>,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// Why it failed.
    pub error: Option<String>,
    /// Whether it failed and that is not counted: a later run of the job ended well, or somebody has set its message back to work. What
    /// people try again says nothing about the job's times, and the failure that they saw was counted before.
    pub uncounted: bool,
    /// Whether its job was not switched off by anybody since it began: it may be tried again.
    pub goes_on: bool,
    /// Whether its job is off without its owner's doing, so that no later run follows: this was the one for its last time, or the job
    /// is paused.
    pub last: bool,
    /// Its job; `None` when that is gone.
    pub job: Option<EndedJob>,
}

/// What of a run's job decides about what follows.
#[derive(Debug, Clone)]
pub struct EndedJob {
    /// Its id.
    pub id: Uuid,
    /// Whose.
    pub user_id: UserId,
    /// The name to show.
    pub name: String,
    /// How it runs, JSON.
    pub options: String,
    /// Whether it is to run.
    pub enabled: bool,
    /// Whether it was switched off without anybody asking for it.
    pub paused: bool,
    /// Runs in a row that failed.
    pub failures: u32,
    /// When the first of them began. Of no meaning without failures, as is the next.
    pub failing_since: Option<DateTime<Utc>>,
    /// Whether the owner was told of them.
    pub alerted: bool,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
    /// After how many the owner wants to be told, if they have set it.
    pub alert_after: Option<u32>,
    /// After how many the owner wants it to be paused, if they have set it.
    pub pause_after: Option<u32>,
    /// Where the owner is told, JSON; `None`: nowhere.
    pub alerts: Option<String>,
}

/// What follows from the end of a run.
#[derive(Debug, Clone)]
pub struct Aftermath {
    /// Of which run.
    pub run: Uuid,
    /// Which attempt of it that was.
    pub attempt: u32,
    /// When word of that end was left. If word was left anew since, it ended otherwise, and nothing follows from this end.
    pub told_at: DateTime<Utc>,
    /// In how many seconds it is tried again. Without it the run stays as it is.
    pub retry_in: Option<f64>,
    /// The job that has to be as it was read; `None` when the run changes nothing about it.
    pub job: Option<Uuid>,
}

/// What becomes of a job some of whose runs are over.
#[derive(Debug, Clone)]
pub struct JobAfter {
    /// Which job.
    pub job: Uuid,
    /// How many of the runs name it.
    pub runs: u32,
    /// When it had last been changed as it was read.
    pub was_changed: DateTime<Utc>,
    /// Its failures as they were read.
    pub was_failures: u32,
    /// Runs in a row that failed by now.
    pub failures: u32,
    /// When the first of them began.
    pub failing_since: Option<DateTime<Utc>>,
    /// Whether the owner was told of them.
    pub alerted: bool,
    /// Why it is switched off, if nobody asked for it.
    pub paused: Option<String>,
    /// Whether it goes when it has no further time, and has had a run.
    pub delete: bool,
    /// What tells the owner.
    pub message: Option<NewMessage>,
    /// What there is to tell others.
    pub news: Vec<News>,
}

/// What was written.
#[derive(Debug, Clone, Default)]
pub struct Followed {
    /// For how many runs. The others are over no more, or somebody holds or has changed their job.
    pub runs: u64,
    /// The jobs that are now as it was decided.
    pub jobs: Vec<Uuid>,
    /// The messages to tell their owners of.
    pub messages: Vec<Work>,
}

impl Store {
    /// Up to `limit` runs that are over and about which nothing was done yet, in the order in which they began.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn runs_over(&self, limit: i64) -> Result<Vec<EndedRun>> {
        // A message is looked up by its id, whatever the planner was told: `offset 0` is a fence.
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "select r.id, r.status, r.attempt, t.due_at as told_at, r.started_at, r.error_message,
                    r.status <> 'ok' and (
                        exists (select 1 from messages m where m.id = r.message_id and m.retries > 0 offset 0)
                        or exists (
                            select 1 from cron_runs l
                            where l.job_id = r.job_id and l.seq > r.seq and l.status = 'ok' and l.scheduled_for is not null)
                    ) as uncounted,
                    {GOES_ON} is true as goes_on,
                    (j.next_due_at is null and (j.paused is not null or (j.updated_at <= r.started_at and not exists (
                        select 1 from cron_runs l
                        where l.job_id = r.job_id and l.seq > r.seq and l.scheduled_for is not null)))) is true as last,
                    j.paused is not null as paused, j.id as job, j.user_id, j.name, j.options::text as options, j.enabled, j.failures, j.failing_since,
                    j.alerted, j.updated_at, s.alert_after, s.pause_after, s.alerts::text as alerts
             from (select id, due_at from timers where kind = 'run_over' and due_at <= now() order by due_at, id limit $1) t
             join cron_runs r on r.id = t.id
             left join cron_jobs j on j.id = r.job_id
             left join user_settings s on s.user_id = j.user_id
             order by r.seq",
        )))
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(ended).collect()
    }

    /// Writes what follows, as long as this term of `duty` goes on.
    ///
    /// # Errors
    /// When the database fails; then nothing was written, or everything and the owners' sweeps will find the messages.
    pub async fn runs_follow(
        &self,
        duty: &str,
        term: i64,
        after: &[Aftermath],
        jobs: &[JobAfter],
    ) -> Result<Followed> {
        let int = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
        let made = || jobs.iter().map(|job| job.message.as_ref());
        let news = || jobs.iter().flat_map(|job| job.news.iter().map(|news| (job.job, news)));
        let query = sqlx::query(sqlx::AssertSqlSafe(follow_sql()))
            .bind(duty)
            .bind(term)
            .bind(after.iter().map(|a| a.run).collect::<Vec<_>>())
            .bind(after.iter().map(|a| int(a.attempt)).collect::<Vec<_>>())
            .bind(after.iter().map(|a| a.retry_in).collect::<Vec<_>>())
            .bind(after.iter().map(|a| a.job).collect::<Vec<_>>())
            .bind(jobs.iter().map(|j| j.job).collect::<Vec<_>>())
            .bind(jobs.iter().map(|j| i64::from(j.runs)).collect::<Vec<_>>())
            .bind(jobs.iter().map(|j| j.was_changed).collect::<Vec<_>>())
            .bind(jobs.iter().map(|j| int(j.was_failures)).collect::<Vec<_>>())
            .bind(jobs.iter().map(|j| int(j.failures)).collect::<Vec<_>>())
            .bind(jobs.iter().map(|j| j.failing_since).collect::<Vec<_>>())
            .bind(jobs.iter().map(|j| j.alerted).collect::<Vec<_>>())
            .bind(jobs.iter().map(|j| j.paused.as_deref().map(reason)).collect::<Vec<_>>())
            .bind(jobs.iter().map(|j| j.delete).collect::<Vec<_>>());
        let rows = bind_made(query, made())
            .bind(news().map(|(job, _)| job).collect::<Vec<_>>())
            .bind(news().map(|(_, news)| news.kind).collect::<Vec<_>>())
            .bind(news().map(|(_, news)| news.channel.map(|channel| channel.0)).collect::<Vec<_>>())
            .bind(news().map(|(_, news)| news.message.map(|message| message.0)).collect::<Vec<_>>())
            .bind(news().map(|(_, news)| news.data.to_string()).collect::<Vec<_>>())
            .bind(after.iter().map(|a| a.told_at).collect::<Vec<_>>())
            .fetch_all(&self.pool)
            .await?;
        let done = rows.first().map(|row| row.try_get("done")).transpose()?.unwrap_or_default();
        let written = fired(&rows, made().flatten())?;
        Ok(Followed { runs: written.runs, jobs: done, messages: written.messages })
    }

    /// Takes away up to `limit` timers of runs that are not there any more: erased, or forgotten. Tells how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn run_timers_prune(&self, limit: i64) -> Result<u64> {
        let done = sqlx::query(
            "delete from timers where id in (
                 select t.id from timers t
                 where t.kind in ('run_over', 'retry') and t.due_at <= now()
                   and not exists (select 1 from cron_runs r where r.id = t.id)
                 order by t.due_at, t.id limit $1)",
        )
        .bind(limit)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected())
    }
}

/// A job is written about only with all of its runs, and these only with it: what was decided was decided of all of them.
/// One that is paused counts as changed, so that none of its runs is tried again. A test keeps no job from going: nothing follows from its
/// end that would delete it then.
fn follow_sql() -> String {
    format!(
        "with {FENCE},
         held as materialized (
             select i.run, i.retry_in, i.job
             from unnest($3::uuid[], $4::int[], $5::float8[], $6::uuid[], $28::timestamptz[])
                  as i (run, attempt, retry_in, job, told_at)
             join cron_runs r on r.id = i.run and r.status <> 'running' and r.attempt = i.attempt
             join timers t on t.id = i.run and t.kind = 'run_over' and t.due_at = i.told_at
             where exists (select 1 from fence)
             for update of t skip locked),
         whole as materialized (select job, count(*) as runs from held where job is not null group by job),
         jobs as materialized (
             select i.*, j.user_id
             from unnest($7::uuid[], $8::bigint[], $9::timestamptz[], $10::int[], $11::int[], $12::timestamptz[],
                         $13::bool[], $14::text[], $15::bool[], $16::uuid[], $17::uuid[], $18::int[], $19::text[],
                         $20::text[], $21::text[], $22::text[]) with ordinality
                  as i (job, runs, was_changed, was_failures, failures, failing_since, alerted, paused, del,
                        message, channel_id, shard, direction, conversation, payload, source, n)
             join whole w on w.job = i.job and w.runs = i.runs
             join cron_jobs j on j.id = i.job and j.updated_at = i.was_changed and j.failures = i.was_failures
             for no key update of j skip locked),
         again as (
             update timers t set kind = 'retry', due_at = now() + make_interval(secs => h.retry_in)
             from held h where t.id = h.run and h.retry_in is not null
             returning t.id),
         final as (
             delete from timers t using held h
             where t.id = h.run and h.retry_in is null
               and (h.job is null or (h.job in (select job from jobs)) is true)
             returning t.id),
         gone as (
             delete from cron_jobs j using jobs k
             where j.id = k.job and k.del and j.next_due_at is null and j.paused is null and {HAD_RUN}
               and not exists (select 1 from cron_runs r
                               where r.job_id = j.id and r.scheduled_for is not null and r.status = 'running')
             returning j.id),
         counted as (
             update cron_jobs j set failures = k.failures, failing_since = k.failing_since, alerted = k.alerted,
                 paused = coalesce(k.paused, j.paused), enabled = j.enabled and k.paused is null,
                 next_due_at = case when k.paused is null then j.next_due_at end,
                 over = case when k.paused is null then j.over end,
                 updated_at = case when k.paused is null then j.updated_at else now() end
             from jobs k
             where j.id = k.job and not (k.del and j.next_due_at is null and j.paused is null and {HAD_RUN})),
         accepted as (
             insert into messages (id, user_id, channel_id, shard, direction, conversation, payload, source)
             select message, user_id, channel_id, shard, direction, conversation, payload::json, source
             from jobs where message is not null order by n
             returning id, seq, (extract(epoch from accepted_at) * 1000)::bigint as accepted_at_ms,
                       user_id, channel_id, direction, conversation, source),
         told as ({TELL_ACCEPTED}),
         surplus as materialized (
             select m.id, case when m.expired then 'expired' else m.state end as was
             from held h
             join cron_runs r on r.id = h.run
             join cron_jobs j on j.id = r.job_id and j.failures >= {DEAD_LETTERS}
             join messages m on m.id = r.message_id and m.state in ('dead', 'failed')
             for update of m skip locked),
         aside as (
             update messages m set state = 'discarded', discard_reason = '{ASIDE}'
             from surplus s where m.id = s.id
             returning s.was, m.id, m.seq, m.user_id, m.channel_id, m.direction, m.conversation, m.retries),
         told_aside as (
             insert into events (user_id, type, channel_id, message_id, data)
             select user_id, 'message.discarded', channel_id, id,
                    json_build_object('direction', direction, 'conversation', conversation, 'was', was, 'retries', retries)
             from aside order by seq),
         news as (
             insert into events (user_id, type, channel_id, message_id, data)
             select k.user_id, e.kind, e.channel_id, e.message_id, e.data::json
             from unnest($23::uuid[], $24::text[], $25::uuid[], $26::uuid[], $27::text[]) with ordinality
                  as e (job, kind, channel_id, message_id, data, n)
             join jobs k on k.job = e.job order by e.n)
         select (select count(*) from jobs) as jobs, (select count(*) from again) + (select count(*) from final) as runs,
                array(select job from jobs) as done,
                accepted.id, accepted.seq, accepted.accepted_at_ms, {AHEAD} as ahead
         from (values (1)) one left join accepted on true"
    )
}

fn ended(row: &PgRow) -> Result<EndedRun> {
    let id: Uuid = row.try_get("id")?;
    let (status, attempt): (String, i32) = (row.try_get("status")?, row.try_get("attempt")?);
    let job: Option<Uuid> = row.try_get("job")?;
    Ok(EndedRun {
        id,
        status: RunStatus::read(id, &status)?,
        attempt: u32::try_from(attempt).unwrap_or(1),
        told_at: row.try_get("told_at")?,
        started_at: row.try_get("started_at")?,
        error: row.try_get("error_message")?,
        uncounted: row.try_get("uncounted")?,
        goes_on: row.try_get("goes_on")?,
        last: row.try_get("last")?,
        job: job.map(|id| ended_job(id, row)).transpose()?,
    })
}

fn ended_job(id: Uuid, row: &PgRow) -> Result<EndedJob> {
    let user: String = row.try_get("user_id")?;
    let number = |column: &str| -> Result<Option<u32>> {
        let stored: Option<i32> = row.try_get(column)?;
        Ok(stored.map(|number| u32::try_from(number).unwrap_or_default()))
    };
    Ok(EndedJob {
        id,
        user_id: super::user("cron_jobs", id, &user)?,
        name: row.try_get("name")?,
        options: row.try_get("options")?,
        enabled: row.try_get("enabled")?,
        paused: row.try_get("paused")?,
        failures: number("failures")?.unwrap_or_default(),
        failing_since: row.try_get("failing_since")?,
        alerted: row.try_get("alerted")?,
        updated_at: row.try_get("updated_at")?,
        alert_after: number("alert_after")?,
        pause_after: number("pause_after")?,
        alerts: row.try_get("alerts")?,
    })
}
