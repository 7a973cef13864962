//! `GET /api/users/{user}/hooks/{name}/deliveries`.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use claw_store::HookDelivery;
use claw_types::MessageId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::app::Shared;
use crate::error::Problem;
use crate::path::{HookParams, HookPath};
use crate::query::{self, Query};

/// Which page.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// Entries of a page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<i64>,
}

/// One call of a hook.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HookDelivery)]
pub struct DeliveryView {
    id: i64,
    received_at: DateTime<Utc>,
    /// Whether the caller knew the secret.
    genuine: bool,
    /// `accepted`, `duplicate` (it had come before), `skipped` (the template printed nothing) or `refused`.
    #[schema(example = "accepted")]
    status: String,
    /// The message that it became.
    #[schema(value_type = Option<Uuid>)]
    message_id: Option<MessageId>,
    /// The first characters of the body; null for a stranger's.
    body: Option<String>,
    /// Why it was refused.
    error: Option<String>,
}

/// Calls, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct HookDeliveries {
    deliveries: Vec<DeliveryView>,
    /// The cursor of the next page; null on the last one.
    next_cursor: Option<i64>,
}

/// Lists the last calls of a hook, newest first: 100 that were genuine, and 20 that were not.
///
/// # Errors
/// 404 when there is no such hook.
#[utoipa::path(
    get, path = "/api/users/{user}/hooks/{name}/deliveries", tag = "hooks", operation_id = "list_hook_deliveries",
    params(HookParams, Page),
    responses(
        (status = 200, description = "A page of calls.", body = HookDeliveries),
        (status = 404, description = "There is no such hook."),
    )
)]
pub async fn handle(
    State(app): State<Shared>,
    path: HookPath,
    Query(page): Query<Page>,
) -> Result<Json<HookDeliveries>, Problem> {
    let limit = query::limit(page.limit)?;
    let hook = app.store.hook(&path.user, &path.name).await?;
    let found = app.store.hook_deliveries(&hook, page.cursor, limit + 1).await?;
    let (deliveries, next_cursor) = query::page(found, limit, |delivery| delivery.id);
    Ok(Json(HookDeliveries {
        deliveries: deliveries.into_iter().map(DeliveryView::from).collect(),
        next_cursor,
    }))
}

impl From<HookDelivery> for DeliveryView {
    fn from(delivery: HookDelivery) -> Self {
        let HookDelivery { id, received_at, genuine, status, message_id, excerpt, error } = delivery;
        Self { id, received_at, genuine, status, message_id, body: excerpt, error }
    }
}
