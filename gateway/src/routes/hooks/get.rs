//! `GET /api/users/{user}/hooks/{name}`.

use axum::Json;
use axum::extract::State;

use super::view::HookView;
use crate::app::Shared;
use crate::error::Problem;
use crate::path::{HookParams, HookPath};

/// Shows one hook, but never its secret.
///
/// # Errors
/// 404 when there is none.
#[utoipa::path(
    get, path = "/api/users/{user}/hooks/{name}", tag = "hooks", operation_id = "get_hook", params(HookParams),
    responses((status = 200, description = "The hook.", body = HookView), (status = 404, description = "There is none."))
)]
pub async fn handle(State(app): State<Shared>, path: HookPath) -> Result<Json<HookView>, Problem> {
    Ok(Json(app.store.hook(&path.user, &path.name).await?.into()))
}
