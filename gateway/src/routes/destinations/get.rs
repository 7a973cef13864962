//! `GET /api/users/{user}/destinations/{id}` and `GET /api/destinations/{id}`.

use axum::Json;
use axum::extract::State;

use super::view::DestinationView;
use crate::app::Shared;
use crate::error::Problem;
use crate::path::{IdParams, IdPath, ItemParams, ItemPath};

/// Shows one of a user's destinations and how it fares, but never its secret.
///
/// # Errors
/// 404 when there is none.
#[utoipa::path(
    get, path = "/api/users/{user}/destinations/{id}", tag = "events", operation_id = "get_user_destination",
    params(ItemParams),
    responses((status = 200, description = "The destination.", body = DestinationView), (status = 404, description = "There is none."))
)]
pub async fn of_user(
    State(app): State<Shared>,
    ItemPath { user, id }: ItemPath,
) -> Result<Json<DestinationView>, Problem> {
    Ok(Json(app.store.destination(Some(&user), id).await?.into()))
}

/// Shows one destination of everybody's events and how it fares, but never its secret.
///
/// # Errors
/// 404 when there is none.
#[utoipa::path(
    get, path = "/api/destinations/{id}", tag = "events", operation_id = "get_destination",
    params(IdParams),
    responses((status = 200, description = "The destination.", body = DestinationView), (status = 404, description = "There is none."))
)]
pub async fn of_all(State(app): State<Shared>, IdPath(id): IdPath) -> Result<Json<DestinationView>, Problem> {
    Ok(Json(app.store.destination(None, id).await?.into()))
}
