//! Runs whose time is up.

use super::FENCE;
use super::settle::RUN_OVER;
use crate::{Result, Store};

/// Why a run `r` has timed out.
pub(crate) const WHY: &str = "case
     when r.handed_at is not null then 'nobody said in time that it is complete'
     when r.scheduled_for is not null or r.message_id is not null then 'its message was not handed over in time'
     else 'it did not finish in time: the process that ran it was stopped or lost its database' end";

impl Store {
    /// Ends up to `limit` runs whose deadline has passed, as long as this term of `duty` goes on. Tells how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn runs_time_out(&self, duty: &str, term: i64, limit: i64) -> Result<u64> {
        let ended: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
            "with {FENCE},
             due as materialized (
                 select id from cron_runs
                 where status = 'running' and deadline_at <= now() and exists (select 1 from fence)
                 order by deadline_at limit $3 for update skip locked),
             ended as (
                 update cron_runs r set status = 'timeout', error_message = {WHY}, finished_at = r.deadline_at,
                     duration_ms = (extract(epoch from r.deadline_at - r.started_at) * 1000)::bigint
                 from due where r.id = due.id
                 returning r.id, r.user_id, r.job_id, r.status, r.scheduled_for),
             owed as ({RUN_OVER})
             select count(*) from ended"
        )))
        .bind(duty)
        .bind(term)
        .bind(limit)
        .fetch_one(&self.pool)
        .await?;
        Ok(ended.unsigned_abs())
    }
}
