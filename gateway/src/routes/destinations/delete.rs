//! `DELETE /api/users/{user}/destinations/{id}` and `DELETE /api/destinations/{id}`.

use axum::Json;
use axum::extract::State;

use super::view::DestinationView;
use crate::app::Shared;
use crate::auth::Principal;
use crate::error::Problem;
use crate::path::{IdParams, IdPath, ItemParams, ItemPath};

/// Deletes one of a user's destinations. An event that is under way may still arrive.
///
/// # Errors
/// 404 when there is none.
#[utoipa::path(
    delete, path = "/api/users/{user}/destinations/{id}", tag = "events", operation_id = "delete_user_destination",
    params(ItemParams),
    responses((status = 200, description = "The deleted destination.", body = DestinationView), (status = 404, description = "There is none."))
)]
pub async fn of_user(
    State(app): State<Shared>,
    principal: Principal,
    ItemPath { user, id }: ItemPath,
) -> Result<Json<DestinationView>, Problem> {
    Ok(Json(app.store.destination_delete(Some(&user), id, &principal.actor()).await?.into()))
}

/// Deletes a destination of everybody's events. An event that is under way may still arrive.
///
/// # Errors
/// 404 when there is none.
#[utoipa::path(
    delete, path = "/api/destinations/{id}", tag = "events", operation_id = "delete_destination",
    params(IdParams),
    responses((status = 200, description = "The deleted destination.", body = DestinationView), (status = 404, description = "There is none."))
)]
pub async fn of_all(
    State(app): State<Shared>,
    principal: Principal,
    IdPath(id): IdPath,
) -> Result<Json<DestinationView>, Problem> {
    Ok(Json(app.store.destination_delete(None, id, &principal.actor()).await?.into()))
}
