//! `PUT /api/users/{user}/settings`.

use axum::Json;
use axum::extract::State;
use claw_store::Preferences;
use claw_types::heartbeat;
use claw_types::job::options::within;
use claw_types::preferences::MOST_FAILURES;
use serde::Deserialize;
use utoipa::ToSchema;

use super::SettingsView;
use super::beat::{BeatBody, HoursBody};
use super::chat::ChatBody;
use crate::app::Shared;
use crate::auth::Principal;
use crate::body::Body;
use crate::error::Problem;
use crate::path::{UserParams, UserPath};

/// All of a user's settings. What is null or absent is the default.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SetUserSettings)]
pub struct Settings {
    /// Seconds between heartbeats; 1800 by default.
    #[schema(minimum = 60, maximum = 86400)]
    heartbeat_every_secs: Option<u32>,
    /// After how many failed runs of a job in a row its owner is told, 0 for never; 3 by default. A job may say otherwise.
    #[schema(maximum = 1_000)]
    alert_after: Option<u32>,
    /// After how many it is paused, 0 for never; 10 by default. A job may say otherwise.
    #[schema(maximum = 1_000)]
    pause_after: Option<u32>,
    /// The chat in which the owner is told. Its channel must be there and switched on.
    alerts: Option<ChatBody>,
    /// When heartbeats may be; at any time by default.
    active_hours: Option<HoursBody>,
    /// What the agent is told at each heartbeat, without anything that waits for it; by default nothing.
    heartbeat: Option<BeatBody>,
}

/// Replaces a user's settings. What waits for the user's next heartbeat waits for the new one.
///
/// # Errors
/// 400 for what makes no sense and for a chat that is not there, 409 for one whose channel is switched off.
#[utoipa::path(
    put, path = "/api/users/{user}/settings", tag = "hooks", operation_id = "set_user_settings", params(UserParams),
    request_body = Settings,
    responses(
        (status = 200, description = "The settings as they are now.", body = SettingsView),
        (status = 409, description = "A channel that they name is switched off."),
    )
)]
pub async fn handle(
    State(app): State<Shared>,
    principal: Principal,
    UserPath(user): UserPath,
    body: Body<Settings>,
) -> Result<Json<SettingsView>, Problem> {
    let Settings { heartbeat_every_secs, alert_after, pause_after, alerts, active_hours, heartbeat } =
        body.value;
    within("heartbeat_every_secs", heartbeat_every_secs, heartbeat::MIN_SECS, heartbeat::MAX_SECS)?;
    within("alert_after", alert_after, 0, MOST_FAILURES)?;
    within("pause_after", pause_after, 0, MOST_FAILURES)?;
    let active_hours = active_hours.map(HoursBody::checked).transpose()?;
    let before = app.store.settings_of(&user).await?.set;
    let alerts = match alerts {
        Some(alerts) => Some(alerts.checked(&app, &user, before.alerts.as_ref()).await?),
        None => None,
    };
    let heartbeat = match heartbeat {
        Some(beat) => Some(beat.checked(&app, &user, before.heartbeat.as_ref()).await?),
        None => None,
    };
    let set = Preferences {
        heartbeat_secs: heartbeat_every_secs,
        alert_after,
        pause_after,
        alerts,
        active_hours,
        heartbeat,
    };
    Ok(Json(app.store.settings_save(&user, &set, &principal.actor()).await?.into()))
}
