//! `GET /api/users/{user}/erasure`.

use axum::Json;
use axum::extract::State;

use super::view::ErasureView;
use crate::app::Shared;
use crate::error::Problem;
use crate::path::{UserParams, UserPath};

/// How far the removal of a user's data is, or what the last one removed.
///
/// # Errors
/// 404 when nobody asked for one.
#[utoipa::path(
    get, path = "/api/users/{user}/erasure", tag = "users", operation_id = "get_erasure", params(UserParams),
    responses(
        (status = 200, description = "The user's last erasure.", body = ErasureView),
        (status = 404, description = "Nobody asked for one."),
    )
)]
pub async fn handle(
    State(app): State<Shared>,
    UserPath(user): UserPath,
) -> Result<Json<ErasureView>, Problem> {
    Ok(Json(app.store.erasure(&user).await?.into()))
}
