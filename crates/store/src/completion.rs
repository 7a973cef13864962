//! The end of a run that somebody tells: who was given the task says what became of it.
//!
//! Must hold: a run ends once. What is said of one that is over for good changes nothing, so saying it again is safe.
//!
//! One that failed or timed out and about which something is still to follow is not over for good: who says then that it went well had the
//! task, and another attempt would have it done twice. So that ends the run, and what follows is what follows a good end.

use claw_types::UserId;
use uuid::Uuid;

use crate::cron::settle::RUN_OVER;
use crate::error::reason;
use crate::{Error, Result, Run, RunStatus, Store};

/// A run of which somebody said that it is over.
#[derive(Debug, Clone, PartialEq)]
pub struct Completed {
    /// The run as it is now.
    pub run: Run,
    /// Whether this ended it; it was over before, else.
    pub ended: bool,
}

impl Store {
    /// Ends a run that goes on: well, with a note if there is one, or with the reason why it failed. It is not too late to say that it
    /// went well until what follows from its end is written, and then for as long as it is still to be tried again.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the user has no such run.
    pub async fn run_complete(
        &self,
        user: &UserId,
        id: Uuid,
        said: std::result::Result<Option<&str>, &str>,
    ) -> Result<Completed> {
        let (status, note, why) = match said {
            Ok(note) => (RunStatus::Ok, note.map(reason), None),
            Err(why) => (RunStatus::Error, None, Some(reason(why))),
        };
        let mut tenant = self.tenant(user).await?;
        // By itself and first: whoever ends the run or tries it again meanwhile has left its word when the next statement looks for it.
        sqlx::query("select 1 from cron_runs where user_id = $1 and id = $2 for update")
            .bind(user.as_str())
            .bind(id)
            .execute(tenant.conn())
            .await?;
        let ended: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
            "with follows as materialized (
                 select t.id from timers t
                 where t.id = $2 and t.kind in ('run_over', 'retry') and $3::text = 'ok'
                 for update of t),
             ended as (
                 update cron_runs r set status = $3::text, error_message = $4, finished_at = clock_timestamp(),
                     duration_ms = (extract(epoch from clock_timestamp() - started_at) * 1000)::bigint,
                     metadata = case when $5::text is null then metadata
                         else (coalesce(metadata::jsonb, '{{}}') || jsonb_build_object('message', $5::text))::json end
                 where user_id = $1 and id = $2
                   and ((status = 'running' and (deadline_at > now() or $3::text = 'ok'))
                        or (status in ('error', 'timeout') and id in (select id from follows)))
                 returning r.id, r.user_id, r.job_id, r.status, r.scheduled_for),
             anew as (
                 update timers t set kind = 'run_over', due_at = now() from ended e where t.id = e.id),
             owed as ({RUN_OVER})
             select count(*) from ended"
        )))
        .bind(user.as_str())
        .bind(id)
        .bind(status.as_str())
        .bind(why)
        .bind(note)
        .fetch_one(tenant.conn())
        .await?;
        tenant.commit().await?;
        let run = self.run(user, id).await?.ok_or(Error::NotFound("run"))?;
        Ok(Completed { run, ended: ended > 0 })
    }
}
