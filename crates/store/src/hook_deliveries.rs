//! The last calls of users' inbound hooks, for their owners to look at.

use chrono::{DateTime, Utc};
use claw_types::MessageId;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::{Hook, Result, Store};

/// Genuine calls of each hook that are kept.
const KEPT: i64 = 100;
/// Strangers' calls of each hook that are kept.
const KEPT_OF_STRANGERS: i64 = 20;

/// What became of a call of a hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookOutcome {
    /// It became a message.
    Accepted(MessageId),
    /// It had become one before.
    Duplicate(MessageId),
    /// The template printed nothing.
    Skipped,
    /// It was refused.
    Refused,
}

impl HookOutcome {
    /// As stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted(_) => "accepted",
            Self::Duplicate(_) => "duplicate",
            Self::Skipped => "skipped",
            Self::Refused => "refused",
        }
    }

    fn message(self) -> Option<Uuid> {
        match self {
            Self::Accepted(MessageId(id)) | Self::Duplicate(MessageId(id)) => Some(id),
            Self::Skipped | Self::Refused => None,
        }
    }
}

/// A call of a hook, to note.
#[derive(Debug, Clone)]
pub struct NewHookDelivery<'a> {
    /// Whether the caller knew the secret.
    pub genuine: bool,
    /// What became of it.
    pub outcome: HookOutcome,
    /// The first characters of the body, without NUL.
    pub excerpt: Option<&'a str>,
    /// Why it was refused.
    pub error: Option<&'a str>,
}

/// A call of a hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookDelivery {
    /// Its place; also the cursor.
    pub id: i64,
    /// When.
    pub received_at: DateTime<Utc>,
    /// Whether the caller knew the secret.
    pub genuine: bool,
    /// [`HookOutcome::as_str`]
    pub status: String,
    /// The message that it became.
    pub message_id: Option<MessageId>,
    /// The first characters of the body.
    pub excerpt: Option<String>,
    /// Why it was refused.
    pub error: Option<String>,
}

impl Store {
    /// Notes a call, and forgets the oldest.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn hook_delivered(&self, hook: &Hook, delivery: &NewHookDelivery<'_>) -> Result<()> {
        let mut txn = self.pool.begin().await?;
        if !delivery.genuine {
            // One after another, or those at the same moment would not see one another when they count.
            sqlx::query("select pg_advisory_xact_lock(hashtextextended('hook_deliveries:' || $1, 0))")
                .bind(hook.id)
                .execute(&mut txn)
                .await?;
        }
        // Deleted meanwhile: there is nobody to tell.
        sqlx::query(
            "insert into hook_deliveries (hook_id, user_id, genuine, status, message_id, excerpt, error)
             select id, user_id, $2, $3, $4, $5, $6 from hooks where id = $1 for key share",
        )
        .bind(hook.id)
        .bind(delivery.genuine)
        .bind(delivery.outcome.as_str())
        .bind(delivery.outcome.message())
        .bind(delivery.excerpt)
        .bind(delivery.error)
        .execute(&mut txn)
        .await?;
        // Skipping what another call is just deleting keeps the two from waiting for one another. The newest that is too
        // many is looked for apart: those that are passed over on the way to it would be locked, too.
        sqlx::query(
            "delete from hook_deliveries where id in (
                 select id from hook_deliveries where hook_id = $1 and genuine = $2
                     and id <= (select id from hook_deliveries where hook_id = $1 and genuine = $2
                                order by id desc offset $3 limit 1)
                 for update skip locked)",
        )
        .bind(hook.id)
        .bind(delivery.genuine)
        .bind(if delivery.genuine { KEPT } else { KEPT_OF_STRANGERS })
        .execute(&mut txn)
        .await?;
        Ok(txn.commit().await?)
    }

    /// The last calls of a hook, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn hook_deliveries(
        &self,
        hook: &Hook,
        before: Option<i64>,
        limit: i64,
    ) -> Result<Vec<HookDelivery>> {
        let rows = sqlx::query(
            "select id, received_at, genuine, status, message_id, excerpt, error from hook_deliveries
             where hook_id = $1 and ($2::bigint is null or id < $2) order by id desc limit $3",
        )
        .bind(hook.id)
        .bind(before)
        .bind(limit)
        .fetch_all(self.tenant(&hook.user_id).await?.conn())
        .await?;
        rows.iter().map(delivery).collect()
    }
}

fn delivery(row: &PgRow) -> Result<HookDelivery> {
    let message: Option<Uuid> = row.try_get("message_id")?;
    Ok(HookDelivery {
        id: row.try_get("id")?,
        received_at: row.try_get("received_at")?,
        genuine: row.try_get("genuine")?,
        status: row.try_get("status")?,
        message_id: message.map(MessageId),
        excerpt: row.try_get("excerpt")?,
        error: row.try_get("error")?,
    })
}
