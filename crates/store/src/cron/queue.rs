//! When a job is looked at again whose next run waits for an earlier one (`overlap` is `queue`).
//!
//! Its timer alone is moved: the job stays as it is, and its own timer is set anew whenever its row is written. Whoever holds a
//! timer has a job that is being changed or fired; that one is left alone, and looked at again no later than it would be.

use uuid::Uuid;

use super::FENCE;
use crate::{Result, Store};

impl Store {
    /// Looks at these due jobs again in so many seconds, as long as this term of `duty` goes on. For those whose lateness their rows
    /// can't hold; for all others, firing moves the timer with the row. Tells how many there were.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn queued_put_off(&self, duty: &str, term: i64, jobs: &[Uuid], seconds: f64) -> Result<u64> {
        let done = sqlx::query(sqlx::AssertSqlSafe(format!(
            "with {FENCE},
             due as materialized (
                 select id from timers
                 where id = any($3) and kind = 'cron' and due_at <= now() and exists (select 1 from fence)
                 for update skip locked)
             update timers t set due_at = now() + make_interval(secs => $4) from due where t.id = due.id"
        )))
        .bind(duty)
        .bind(term)
        .bind(jobs)
        .bind(seconds)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected())
    }

    /// Looks at those of these jobs at once whose next run waits for an earlier one, as long as this term of `duty` goes on. One that
    /// may still be late by its jitter stays so. Tells how many there were.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn queued_hurry(&self, duty: &str, term: i64, jobs: &[Uuid]) -> Result<u64> {
        let done = sqlx::query(sqlx::AssertSqlSafe(format!(
            "with {FENCE},
             queued as materialized (
                 select t.id from cron_jobs j
                 join timers t on t.id = j.id and t.kind = 'cron' and t.due_at > now()
                 where j.id = any($3) and j.options ->> 'overlap' = 'queue' and exists (select 1 from fence)
                   and j.next_due_at
                       + coalesce((j.options ->> 'jitter_secs')::int, 0) * interval '1 second' < now()
                 for update of t skip locked)
             update timers t set due_at = now() from queued where t.id = queued.id"
        )))
        .bind(duty)
        .bind(term)
        .bind(jobs)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected())
    }
}
