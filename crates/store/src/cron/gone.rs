//! A job whose receiver wants no more of it.

use claw_types::{MessageId, UserId};
use serde_json::json;
use sqlx::Row as _;
use uuid::Uuid;

use crate::error::reason;
use crate::{Actor, Change, News, Result, Store};

impl Store {
    /// Switches off the job for whose run this message is, because who received it said so; whether it did. A job that was
    /// changed since the run began stays as it is: it may go elsewhere by now. Its owner is told when the run is over, of this though
    /// they had been told of failures before. A test switches nothing off: whoever asked for it has the answer.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn job_gone(
        &self,
        user: &UserId,
        message: MessageId,
        why: &str,
        actor: &Actor,
    ) -> Result<bool> {
        let mut tenant = self.tenant(user).await?;
        // One that is over is off already; that it is changed now keeps its run from being tried again.
        let row = sqlx::query(
            "update cron_jobs j set enabled = false, next_due_at = null, over = null, paused = $3, alerted = false,
                 updated_at = now()
             from cron_runs r
             where r.user_id = $1 and r.message_id = $2 and r.scheduled_for is not null
               and j.id = r.job_id and j.updated_at <= r.started_at
             returning j.id, j.name",
        )
        .bind(user.as_str())
        .bind(message.0)
        .bind(reason(why))
        .fetch_optional(tenant.conn())
        .await?;
        let Some(row) = row else { return Ok(false) };
        let (id, name): (Uuid, String) = (row.try_get("id")?, row.try_get("name")?);
        let detail = json!({"name": name, "reason": reason(why)});
        tenant.audit(actor, &Change { action: "job.paused", subject: &id.to_string(), detail }).await?;
        let data = json!({"job_id": id, "why": "gone"});
        tenant.tell(&News { kind: "cron.job_paused", channel: None, message: None, data }).await?;
        tenant.commit().await?;
        Ok(true)
    }
}
