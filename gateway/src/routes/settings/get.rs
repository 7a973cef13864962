//! `GET /api/users/{user}/settings`.

use axum::Json;
use axum::extract::State;

use super::SettingsView;
use crate::app::Shared;
use crate::error::Problem;
use crate::path::{UserParams, UserPath};

/// Shows a user's settings; those of a user who never set any are the defaults.
///
/// # Errors
/// None of its own.
#[utoipa::path(
    get, path = "/api/users/{user}/settings", tag = "hooks", operation_id = "get_user_settings", params(UserParams),
    responses((status = 200, description = "The settings.", body = SettingsView))
)]
pub async fn handle(
    State(app): State<Shared>,
    UserPath(user): UserPath,
) -> Result<Json<SettingsView>, Problem> {
    Ok(Json(app.store.settings_of(&user).await?.into()))
}
