//! `GET /api/users/{user}/backend` and `GET /api/users/{user}/channels/{instance}/backend`.

use axum::Json;
use axum::extract::State;
use claw_store::BackendPlace;

use super::place_of;
use super::view::BackendWithState;
use crate::app::Shared;
use crate::error::Problem;
use crate::path::{ChannelParams, ChannelPath, UserParams, UserPath};

/// Shows the backend that gets a user's messages instead of the operator's, and whether it answers. Workers are asked for
/// that, at most 2 s.
///
/// # Errors
/// 404 when the user's messages go to the operator's.
#[utoipa::path(
    get, path = "/api/users/{user}/backend", tag = "backends", operation_id = "get_user_backend", params(UserParams),
    responses((status = 200, description = "The backend.", body = BackendWithState), (status = 404, description = "There is none."))
)]
pub async fn of_user(
    State(app): State<Shared>,
    UserPath(user_id): UserPath,
) -> Result<Json<BackendWithState>, Problem> {
    let backend = app.store.backend(&BackendPlace { user_id, channel: None }).await?;
    Ok(Json(BackendWithState::ask(&app, backend).await?))
}

/// Shows the backend that gets this channel's messages, and whether it answers. Workers are asked for that, at most 2 s.
///
/// # Errors
/// 404 when the channel has none of its own.
#[utoipa::path(
    get, path = "/api/users/{user}/channels/{instance}/backend", tag = "backends", operation_id = "get_channel_backend",
    params(ChannelParams),
    responses((status = 200, description = "The backend.", body = BackendWithState), (status = 404, description = "There is none, or no such channel."))
)]
pub async fn of_channel(
    State(app): State<Shared>,
    path: ChannelPath,
) -> Result<Json<BackendWithState>, Problem> {
    let backend = app.store.backend(&place_of(&app, &path).await?).await?;
    Ok(Json(BackendWithState::ask(&app, backend).await?))
}
