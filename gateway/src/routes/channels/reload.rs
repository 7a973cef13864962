//! `POST /api/users/{user}/channels/reload`.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::app::Shared;
use crate::edit;
use crate::error::Problem;
use crate::path::UserPath;

/// Has every channel of the user looked at again. Owners restart only what differs from what they run, or failed.
///
/// # Errors
/// When the database fails.
pub async fn handle(State(app): State<Shared>, UserPath(user): UserPath) -> Result<Json<Value>, Problem> {
    let channels = app.store.channels_of(&user, None).await?;
    for status in &channels {
        edit::changed(&app, status.channel.id, &user, &status.channel.instance).await;
    }
    Ok(Json(json!({"status": "ok", "channels": channels.len()})))
}
