//! `DELETE /api/users/{user}/backend` and `DELETE /api/users/{user}/channels/{instance}/backend`.

use axum::Json;
use axum::extract::State;
use claw_store::BackendPlace;

use super::place_of;
use super::view::BackendView;
use crate::app::Shared;
use crate::auth::Principal;
use crate::error::Problem;
use crate::path::{ChannelParams, ChannelPath, UserParams, UserPath};

/// Has a user's messages go to the operator's backend again, those that wait, too; but not those of channels that have one
/// of their own.
///
/// # Errors
/// 404 when there is none.
#[utoipa::path(
    delete, path = "/api/users/{user}/backend", tag = "backends", operation_id = "delete_user_backend", params(UserParams),
    responses((status = 200, description = "The deleted backend.", body = BackendView), (status = 404, description = "There is none."))
)]
pub async fn of_user(
    State(app): State<Shared>,
    principal: Principal,
    UserPath(user_id): UserPath,
) -> Result<Json<BackendView>, Problem> {
    delete(&app, &principal, BackendPlace { user_id, channel: None }).await
}

/// Has a channel's messages go where the user's others go, those that wait, too.
///
/// # Errors
/// 404 when there is none, or no such channel.
#[utoipa::path(
    delete, path = "/api/users/{user}/channels/{instance}/backend", tag = "backends",
    operation_id = "delete_channel_backend", params(ChannelParams),
    responses((status = 200, description = "The deleted backend.", body = BackendView), (status = 404, description = "There is none, or no such channel."))
)]
pub async fn of_channel(
    State(app): State<Shared>,
    principal: Principal,
    path: ChannelPath,
) -> Result<Json<BackendView>, Problem> {
    let place = place_of(&app, &path).await?;
    delete(&app, &principal, place).await
}

async fn delete(
    app: &Shared,
    principal: &Principal,
    place: BackendPlace,
) -> Result<Json<BackendView>, Problem> {
    let deleted = app.store.backend_delete(&place, &principal.actor()).await?;
    app.bus.publish_backends_changed().await;
    Ok(Json(deleted.into()))
}
