//! `POST /api/users/{user}/channels/reload`.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::Shared;
use crate::edit;
use crate::error::Problem;
use crate::path::{UserParams, UserPath};

/// What was asked for.
#[derive(Debug, Serialize, ToSchema)]
pub struct Reloaded {
    #[schema(example = "ok")]
    status: &'static str,
    /// How many channels are looked at.
    channels: usize,
}

/// Has every channel of the user looked at again. Owners restart only what differs from what they run, or failed.
///
/// # Errors
/// When the database fails.
#[utoipa::path(
    post, path = "/api/users/{user}/channels/reload", tag = "channels", operation_id = "reload_channels",
    params(UserParams), responses((status = 200, description = "Their owners are told.", body = Reloaded))
)]
pub async fn handle(State(app): State<Shared>, UserPath(user): UserPath) -> Result<Json<Reloaded>, Problem> {
    let channels = app.store.channels_of(&user, None).await?;
    for status in &channels {
        edit::changed(&app, status.channel.id, &user, &status.channel.instance).await;
    }
    Ok(Json(Reloaded { status: "ok", channels: channels.len() }))
}
