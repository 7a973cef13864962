//! `GET /api/keys/{id}`.

use axum::Json;
use axum::extract::State;

use super::view::KeyView;
use crate::app::Shared;
use crate::error::Problem;
use crate::path::{IdParams, IdPath};

/// Shows one key, but never its secret.
///
/// # Errors
/// 404 when there is none.
#[utoipa::path(
    get, path = "/api/keys/{id}", tag = "keys", operation_id = "get_key", params(IdParams),
    responses((status = 200, description = "The key.", body = KeyView), (status = 404, description = "There is none."))
)]
pub async fn handle(State(app): State<Shared>, IdPath(id): IdPath) -> Result<Json<KeyView>, Problem> {
    Ok(Json(app.store.key(id).await?.into()))
}
