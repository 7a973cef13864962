//! `GET /api/audit`.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use claw_store::{AuditEntry, AuditFilter};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::app::Shared;
use crate::error::Problem;
use crate::query::{self, Query};

/// Which entries.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Only what concerns this user.
    user: Option<String>,
    /// Only this action, e.g. `key.created`.
    action: Option<String>,
    /// Entries of a page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<i64>,
}

/// One change.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEntry)]
pub struct Entry {
    id: i64,
    at: DateTime<Utc>,
    /// `operator`, `key <name>`, or one of our own processes.
    actor: String,
    /// The caller's address.
    address: Option<String>,
    /// What was done to what.
    action: String,
    /// Whose it is; null for what concerns everybody.
    user_id: Option<String>,
    /// Which one.
    subject: String,
    /// What is worth keeping of it; never a secret.
    #[schema(value_type = Option<Object>)]
    detail: Option<Value>,
}

/// Changes, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct Audit {
    entries: Vec<Entry>,
    /// The cursor of the next page; null on the last one.
    next_cursor: Option<i64>,
}

/// Lists who changed what, newest first.
///
/// # Errors
/// 400 for a filter that makes no sense.
#[utoipa::path(
    get, path = "/api/audit", tag = "keys", operation_id = "list_audit", params(Filter),
    responses((status = 200, description = "A page of changes.", body = Audit))
)]
pub async fn handle(State(app): State<Shared>, Query(given): Query<Filter>) -> Result<Json<Audit>, Problem> {
    let limit = query::limit(given.limit)?;
    let user = query::storable("user", given.user)?;
    let action = query::storable("action", given.action)?;
    let filter = AuditFilter { user, action, before: given.cursor };
    let found = app.store.audit_entries(&filter, limit + 1).await?;
    let (entries, next_cursor) = query::page(found, limit, |entry| entry.id);
    Ok(Json(Audit { entries: entries.into_iter().map(Entry::from).collect(), next_cursor }))
}

impl From<AuditEntry> for Entry {
    fn from(entry: AuditEntry) -> Self {
        let AuditEntry { id, at, actor, address, action, user_id, subject, detail } = entry;
        Self { id, at, actor, address, action, user_id, subject, detail }
    }
}
