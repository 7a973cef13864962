//! `POST /api/users/{user}/destinations/{id}/secret` and `POST /api/destinations/{id}/secret`.

use axum::Json;
use axum::extract::State;
use claw_types::UserId;
use uuid::Uuid;

use super::view::DestinationWithSecret;
use crate::app::Shared;
use crate::auth::Principal;
use crate::error::Problem;
use crate::path::{IdParams, IdPath, ItemParams, ItemPath};

/// Gives a user's destination a new secret. What is posted from now on is signed with it; what the receiver refuses until it
/// knows the new one is posted again.
///
/// # Errors
/// 404 when there is none.
#[utoipa::path(
    post, path = "/api/users/{user}/destinations/{id}/secret", tag = "events", operation_id = "rotate_user_destination_secret",
    params(ItemParams),
    responses((status = 200, description = "The destination with its new secret.", body = DestinationWithSecret), (status = 404, description = "There is none."))
)]
pub async fn of_user(
    State(app): State<Shared>,
    principal: Principal,
    ItemPath { user, id }: ItemPath,
) -> Result<Json<DestinationWithSecret>, Problem> {
    rotate(&app, &principal, Some(&user), id).await
}

/// Gives a destination of everybody's events a new secret. What is posted from now on is signed with it; what the receiver
/// refuses until it knows the new one is posted again.
///
/// # Errors
/// 404 when there is none.
#[utoipa::path(
    post, path = "/api/destinations/{id}/secret", tag = "events", operation_id = "rotate_destination_secret",
    params(IdParams),
    responses((status = 200, description = "The destination with its new secret.", body = DestinationWithSecret), (status = 404, description = "There is none."))
)]
pub async fn of_all(
    State(app): State<Shared>,
    principal: Principal,
    IdPath(id): IdPath,
) -> Result<Json<DestinationWithSecret>, Problem> {
    rotate(&app, &principal, None, id).await
}

async fn rotate(
    app: &Shared,
    principal: &Principal,
    owner: Option<&UserId>,
    id: Uuid,
) -> Result<Json<DestinationWithSecret>, Problem> {
    let secret = app.new_secret();
    let changed = app.store.destination_rekey(&app.vault, owner, id, &secret, &principal.actor()).await?;
    Ok(Json(DestinationWithSecret::new(changed, Some(secret))))
}
