//! `POST /api/users/{user}/dead-letters/discard`.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::which::{DeadLetterFilter, Refused, selection};
use crate::app::Shared;
use crate::auth::Principal;
use crate::body::Body;
use crate::error::Problem;
use crate::path::{UserParams, UserPath};
use crate::routes::messages::discard::reason;

/// Which dead letters to put aside, and why: some by id, or the oldest that match a filter.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DiscardDeadLetters {
    /// Why they are not worth another attempt; kept with each message and in the audit log.
    #[schema(min_length = 1, max_length = 500, example = "a test run")]
    reason: String,
    /// These.
    #[schema(min_items = 1, max_items = 500)]
    ids: Option<Vec<Uuid>>,
    /// The oldest that match.
    filter: Option<DeadLetterFilter>,
    /// How many at most, with `filter`; 100 when absent.
    #[schema(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// What was put aside, and what not.
#[derive(Debug, Serialize, ToSchema)]
pub struct DiscardAnswer {
    /// How many were put aside.
    discarded: usize,
    /// Those.
    ids: Vec<Uuid>,
    /// Of the body's `ids`, those about which nothing was done.
    refused: Vec<Refused>,
}

/// Puts dead letters aside, with a reason. They are kept, and can still be set back to work.
///
/// # Errors
/// 400 for what makes no sense; then nothing was done.
#[utoipa::path(
    post, path = "/api/users/{user}/dead-letters/discard", tag = "messages", operation_id = "discard_dead_letters",
    params(UserParams), request_body = DiscardDeadLetters,
    responses((status = 200, description = "What was put aside, and what not.", body = DiscardAnswer))
)]
pub async fn handle(
    State(app): State<Shared>,
    principal: Principal,
    UserPath(user): UserPath,
    body: Body<DiscardDeadLetters>,
) -> Result<Json<DiscardAnswer>, Problem> {
    let DiscardDeadLetters { reason: why, ids, filter, limit } = body.value;
    let reason = reason(&why)?;
    let which = selection(ids, filter, limit)?;
    let mut tenant = app.store.tenant(&user).await?;
    let (discarded, unchanged) = tenant.messages_discard(&which, &reason, &principal.actor()).await?;
    tenant.commit().await?;
    Ok(Json(DiscardAnswer {
        discarded: discarded.len(),
        ids: discarded.into_iter().map(|id| id.0).collect(),
        refused: unchanged.iter().map(Refused::from).collect(),
    }))
}
