//! What follows when a scheduled run is over: another attempt, or the count of failures, or the end of its job.

use sqlx::Row as _;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::FENCE;
use crate::{Result, RunStatus, Store};

/// A run that is over, and what of its job decides about what follows.
#[derive(Debug, Clone)]
pub struct EndedRun {
    /// The run.
    pub id: Uuid,
    /// How it ended.
    pub status: RunStatus,
    /// Which attempt it was.
    pub attempt: u32,
    /// How its job runs, JSON; `None` when the job is gone, or was switched off since the run began.
    pub options: Option<String>,
}

/// What follows.
#[derive(Debug, Clone)]
pub struct Aftermath {
    /// Of which run.
    pub run: Uuid,
    /// Which attempt of it that was.
    pub attempt: u32,
    /// In how many seconds it is tried again. Without it the run stays as it is and its job hears of it.
    pub retry_in: Option<f64>,
    /// Whether the job goes when it has no further time.
    pub delete: bool,
}

impl Store {
    /// Up to `limit` runs that are over and about which nothing was done yet.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn runs_over(&self, limit: i64) -> Result<Vec<EndedRun>> {
        // A job that is over is switched off, too, but by nobody: it is not changed by that.
        let rows = sqlx::query(
            "select r.id, r.status, r.attempt,
                    case when j.enabled or j.updated_at <= r.started_at then j.options::text end as options
             from (select id from timers where kind = 'run_over' and due_at <= now() order by due_at, id limit $1) t
             join cron_runs r on r.id = t.id
             left join cron_jobs j on j.id = r.job_id",
        )
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(ended).collect()
    }

    /// Writes what follows, as long as this term of `duty` goes on. Tells for how many runs it was written; the others are over no
    /// more, or somebody holds their job.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn runs_follow(&self, duty: &str, term: i64, after: &[Aftermath]) -> Result<u64> {
        let written: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(follow_sql()))
            .bind(duty)
            .bind(term)
            .bind(after.iter().map(|a| a.run).collect::<Vec<_>>())
            .bind(after.iter().map(|a| i32::try_from(a.attempt).unwrap_or(i32::MAX)).collect::<Vec<_>>())
            .bind(after.iter().map(|a| a.retry_in).collect::<Vec<_>>())
            .bind(after.iter().map(|a| a.delete).collect::<Vec<_>>())
            .fetch_one(&self.pool)
            .await?;
        Ok(written.unsigned_abs())
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

/// A run that ended well after this one makes good for it: then there is nothing to count.
fn follow_sql() -> String {
    format!(
        "with {FENCE},
         held as materialized (
             select i.run, i.retry_in, i.del, r.job_id, r.seq, r.status
             from unnest($3::uuid[], $4::int[], $5::float8[], $6::bool[]) as i (run, attempt, retry_in, del)
             join cron_runs r on r.id = i.run and r.status <> 'running' and r.attempt = i.attempt
             join timers t on t.id = i.run and t.kind = 'run_over'
             where exists (select 1 from fence)
             for update of t skip locked),
         again as (
             update timers t set kind = 'retry', due_at = now() + make_interval(secs => h.retry_in)
             from held h where t.id = h.run and h.retry_in is not null
             returning t.id),
         final as (
             delete from timers t using held h where t.id = h.run and h.retry_in is null
             returning h.job_id, h.seq, h.status, h.del),
         jobs as materialized (
             select j.id, sum((f.status <> 'ok')::int) filter (where not exists (
                        select 1 from cron_runs l
                        where l.job_id = f.job_id and l.seq > f.seq and l.status = 'ok' and l.scheduled_for is not null
                    )) as failed,
                    bool_or(f.status = 'ok') as reset, bool_or(f.del) as del
             from final f join cron_jobs j on j.id = f.job_id
             group by j.id),
         gone as (
             delete from cron_jobs j using jobs k
             where j.id = k.id and k.del and j.next_due_at is null
               and not exists (select 1 from cron_runs r where r.job_id = j.id and r.status = 'running')),
         counted as (
             update cron_jobs j set failures = case when k.reset then 0 else j.failures end + coalesce(k.failed, 0)
             from jobs k
             where j.id = k.id and not (k.del and j.next_due_at is null) and (k.reset or k.failed > 0))
         select (select count(*) from again) + (select count(*) from final)"
    )
}

fn ended(row: &PgRow) -> Result<EndedRun> {
    let id: Uuid = row.try_get("id")?;
    let (status, attempt): (String, i32) = (row.try_get("status")?, row.try_get("attempt")?);
    Ok(EndedRun {
        id,
        status: RunStatus::read(id, &status)?,
        attempt: u32::try_from(attempt).unwrap_or(1),
        options: row.try_get("options")?,
    })
}
