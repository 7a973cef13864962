//! `DELETE /api/users/{user}/channels/{instance}`.

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::app::Shared;
use crate::edit;
use crate::error::Problem;
use crate::path::ChannelPath;

/// Deletes a channel and its secrets; its slug and its credential are free again when this returns.
///
/// # Errors
/// 404 when it is not there.
pub async fn handle(State(app): State<Shared>, path: ChannelPath) -> Result<Json<Value>, Problem> {
    let (id, _) = app.store.channel_delete(&path.user, &path.instance).await?;
    edit::changed(&app, id, &path.user, &path.instance).await;
    // A body, because the client parses one.
    Ok(Json(json!({"status": "deleted", "id": id, "instance_name_id": path.instance})))
}
