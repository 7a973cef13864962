//! Reading the audit log. Entries are written in the transaction of the change they tell of ([`crate::Tenant::audit`]).

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use crate::tenant::write;
use crate::{Actor, Change, Result, Store};

/// One change.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditEntry {
    /// Its place; also the cursor.
    pub id: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// Who: `operator`, `key <name>`, or one of our processes.
    pub actor: String,
    /// From where.
    pub address: Option<String>,
    /// What was done to what.
    pub action: String,
    /// Whose it is; `None` for the whole cluster's.
    pub user_id: Option<String>,
    /// Which one.
    pub subject: String,
    /// What is worth keeping of it.
    pub detail: Option<Value>,
}

/// Which entries; all of them when nothing is set.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// This user's.
    pub user: Option<String>,
    /// Of this action.
    pub action: Option<String>,
    /// Before this place.
    pub before: Option<i64>,
}

impl Store {
    /// The newest entries first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn audit_entries(&self, filter: &AuditFilter, limit: i64) -> Result<Vec<AuditEntry>> {
        let rows = sqlx::query(
            "select id, at, actor, address, action, user_id, subject, detail::text as detail from audit_log
             where ($1::text is null or user_id = $1) and ($2::text is null or action = $2)
               and ($3::bigint is null or id < $3)
             order by id desc limit $4",
        )
        .bind(filter.user.as_deref())
        .bind(filter.action.as_deref())
        .bind(filter.before)
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(entry).collect()
    }

    /// Notes something that is no tenant's change.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn audit_note(&self, actor: &Actor, change: &Change<'_>) -> Result<()> {
        let mut txn = self.pool.begin().await?;
        write(&mut txn, actor, None, change).await?;
        Ok(txn.commit().await?)
    }
}

fn entry(row: &PgRow) -> Result<AuditEntry> {
    let detail: Option<String> = row.try_get("detail")?;
    Ok(AuditEntry {
        id: row.try_get("id")?,
        at: row.try_get("at")?,
        actor: row.try_get("actor")?,
        address: row.try_get("address")?,
        action: row.try_get("action")?,
        user_id: row.try_get("user_id")?,
        subject: row.try_get("subject")?,
        detail: detail.map(|text| serde_json::from_str(&text)).transpose()?,
    })
}
