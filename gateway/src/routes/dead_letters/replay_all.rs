//! `POST /api/dead-letters/replay`.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::replay::ReplayAnswer;
use super::which::{DeadLetterFilter, selection};
use crate::app::Shared;
use crate::auth::Principal;
use crate::body::Body;
use crate::error::Problem;
use crate::routes::messages::filter::user;
use crate::routes::messages::retry::announce;

/// Which dead letters of all users to set back to work: some by id, or the oldest that match a filter.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayAllDeadLetters {
    /// Only this user's.
    #[schema(min_length = 1, max_length = 128, pattern = r"^[^\s/\x00-\x1f\x7f]+$", example = "ada")]
    user_id: Option<String>,
    /// These; discarded ones, too.
    #[schema(min_items = 1, max_items = 500)]
    ids: Option<Vec<Uuid>>,
    /// The oldest that match.
    filter: Option<DeadLetterFilter>,
    /// How many at most, with `filter`; 100 when absent.
    #[schema(minimum = 1, maximum = 500)]
    limit: Option<u32>,
}

/// Sets dead letters of all users back to work, older ones first.
///
/// # Errors
/// 400 for what makes no sense; then nothing was done.
#[utoipa::path(
    post, path = "/api/dead-letters/replay", tag = "messages", operation_id = "replay_all_dead_letters",
    request_body = ReplayAllDeadLetters,
    responses((status = 200, description = "What was set back to work, and what not.", body = ReplayAnswer))
)]
pub async fn handle(
    State(app): State<Shared>,
    principal: Principal,
    body: Body<ReplayAllDeadLetters>,
) -> Result<Json<ReplayAnswer>, Problem> {
    let ReplayAllDeadLetters { user_id, ids, filter, limit } = body.value;
    let user = user("user_id", user_id)?;
    let which = selection(ids, filter, limit)?;
    let done = app.store.messages_revive_of_all(user.as_ref(), &which, &principal.actor()).await;
    let (revived, unchanged) = done?;
    announce(&app, &revived).await;
    Ok(Json(ReplayAnswer::of(&revived, &unchanged)))
}
