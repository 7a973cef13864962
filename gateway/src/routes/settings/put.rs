//! `PUT /api/users/{user}/settings`.

use axum::Json;
use axum::extract::State;
use claw_types::heartbeat;
use serde::Deserialize;
use utoipa::ToSchema;

use super::SettingsView;
use crate::app::Shared;
use crate::auth::Principal;
use crate::body::Body;
use crate::error::Problem;
use crate::path::{UserParams, UserPath};

/// All of a user's settings.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SetUserSettings)]
pub struct Settings {
    /// Seconds between heartbeats; null or absent for the default, which is 1800.
    #[schema(minimum = 60, maximum = 86400)]
    heartbeat_every_secs: Option<u32>,
}

/// Replaces a user's settings. What waits for the user's next heartbeat waits for the new one.
///
/// # Errors
/// 400 for an interval that is too short or too long.
#[utoipa::path(
    put, path = "/api/users/{user}/settings", tag = "hooks", operation_id = "set_user_settings", params(UserParams),
    request_body = Settings,
    responses((status = 200, description = "The settings as they are now.", body = SettingsView))
)]
pub async fn handle(
    State(app): State<Shared>,
    principal: Principal,
    UserPath(user): UserPath,
    body: Body<Settings>,
) -> Result<Json<SettingsView>, Problem> {
    let every = body.value.heartbeat_every_secs;
    if every.is_some_and(|secs| !(heartbeat::MIN_SECS..=heartbeat::MAX_SECS).contains(&secs)) {
        return Err(Problem::bad_request(format!(
            "\"heartbeat_every_secs\" must be from {} to {}",
            heartbeat::MIN_SECS,
            heartbeat::MAX_SECS
        )));
    }
    Ok(Json(app.store.settings_save(&user, every, &principal.actor()).await?.into()))
}
