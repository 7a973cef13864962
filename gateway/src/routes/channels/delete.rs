//! `DELETE /api/users/{user}/channels/{instance}`.

use axum::Json;
use axum::extract::State;
use claw_types::{ChannelId, InstanceId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::Shared;
use crate::auth::Principal;
use crate::edit;
use crate::error::Problem;
use crate::path::{ChannelParams, ChannelPath};

/// A channel that is no more.
#[derive(Debug, Serialize, ToSchema)]
pub struct Deleted {
    #[schema(example = "deleted")]
    status: &'static str,
    #[schema(value_type = Uuid)]
    id: ChannelId,
    #[schema(value_type = String)]
    instance_name_id: InstanceId,
}

/// Deletes a channel and its secrets; its name and its credential are free again when this returns. People's messages
/// that were accepted before still go to the backend; sends that still wait end as failed.
///
/// # Errors
/// 404 when it is not there.
#[utoipa::path(
    delete, path = "/api/users/{user}/channels/{instance}", tag = "channels", operation_id = "delete_channel",
    params(ChannelParams),
    responses((status = 200, description = "Deleted.", body = Deleted), (status = 404, description = "There is none."))
)]
pub async fn handle(
    State(app): State<Shared>,
    principal: Principal,
    path: ChannelPath,
) -> Result<Json<Deleted>, Problem> {
    let (id, _) = app.store.channel_delete(&path.user, &path.instance, &principal.actor()).await?;
    edit::changed(&app, id, &path.user, &path.instance).await;
    // A body, because the client parses one.
    Ok(Json(Deleted { status: "deleted", id, instance_name_id: path.instance }))
}
