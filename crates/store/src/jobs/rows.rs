//! Jobs as they are stored: one, a user's, and a row as a [`Job`].

use claw_types::{ActionType, UserId};
use serde_json::{Map, Value};
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use super::{Job, JobFilter, Over, bad};
use crate::{Error, Result, Store, Tenant};

/// What [`job`] reads.
pub(super) const COLUMNS: &str = "id, user_id, name, label, enabled, schedule::text as schedule, schedule_type, \
     action::text as action, action_type, one_shot, channel_type::text as channel_type, \
     metadata::text as metadata, options::text as options, anchor_at, next_due_at, runs, failures, \
     case when failures > 0 then failing_since end as failing_since, paused, over, created_at, updated_at";

impl Store {
    /// A user's jobs, oldest first, of which all of the filter is true.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn jobs(&self, user: &UserId, filter: &JobFilter<'_>) -> Result<Vec<Job>> {
        let sql = format!(
            "select {COLUMNS} from cron_jobs
             where user_id = $1 and ($2::text is null or label = $2)
               and ($3::text is null or position(lower($3) in lower(name || E'\\n' || coalesce(label, ''))) > 0)
               and ($4::bool is null or enabled = $4) and ($5::text is null or action_type = $5)
             order by created_at, id"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(user.as_str())
            .bind(filter.label)
            .bind(filter.text)
            .bind(filter.enabled)
            .bind(filter.action_type.map(ActionType::as_str))
            .fetch_all(self.tenant(user).await?.conn())
            .await?;
        rows.iter().map(job).collect()
    }

    /// One job.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the user has none of that id.
    pub async fn job(&self, user: &UserId, id: Uuid) -> Result<Job> {
        find(&mut self.tenant(user).await?, id, false).await
    }
}

/// One job of the tenant's, its row locked for the rest of the transaction where that is asked for.
pub(crate) async fn find(tenant: &mut Tenant, id: Uuid, lock: bool) -> Result<Job> {
    let lock = if lock { " for update" } else { "" };
    let sql = format!("select {COLUMNS} from cron_jobs where id = $1 and user_id = $2{lock}");
    let user = tenant.user().clone();
    let row = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(id)
        .bind(user.as_str())
        .fetch_optional(tenant.conn())
        .await?;
    job(&row.ok_or(Error::NotFound("job"))?)
}

/// Of [`COLUMNS`].
pub(super) fn job(row: &PgRow) -> Result<Job> {
    let id: Uuid = row.try_get("id")?;
    let user: String = row.try_get("user_id")?;
    let optional = |column: &str| -> Result<Option<Map<String, Value>>> {
        let text: Option<String> = row.try_get(column)?;
        Ok(text.map(|text| serde_json::from_str(&text)).transpose()?)
    };
    let over: Option<String> = row.try_get("over")?;
    Ok(Job {
        id,
        user_id: user.parse().map_err(|_| bad(id, "user_id", &user))?,
        name: row.try_get("name")?,
        label: row.try_get("label")?,
        enabled: row.try_get("enabled")?,
        schedule: serde_json::from_str(row.try_get("schedule")?)?,
        schedule_type: row.try_get("schedule_type")?,
        action: serde_json::from_str(row.try_get("action")?)?,
        action_type: row.try_get("action_type")?,
        one_shot: row.try_get("one_shot")?,
        channel_type: optional("channel_type")?,
        metadata: optional("metadata")?,
        options: serde_json::from_str(row.try_get("options")?)?,
        anchor_at: row.try_get("anchor_at")?,
        next_due_at: row.try_get("next_due_at")?,
        runs: u64::try_from(row.try_get::<i64, _>("runs")?).unwrap_or_default(),
        failures: u32::try_from(row.try_get::<i32, _>("failures")?).unwrap_or_default(),
        failing_since: row.try_get("failing_since")?,
        paused: row.try_get("paused")?,
        over: over.map(|text| Over::read(id, &text)).transpose()?,
        created_at: row.try_get("created_at")?,
        updated_at: row.try_get("updated_at")?,
    })
}
