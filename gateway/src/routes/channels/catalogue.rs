//! `GET /api/channels`.

use axum::Json;
use claw_channels::{TypeInfo, registry};
use serde::Serialize;
use utoipa::ToSchema;

/// The types of channels.
#[derive(Debug, Serialize, ToSchema)]
pub struct Catalogue {
    channels: Vec<TypeInfo>,
}

/// Lists the types of channels that there are: what each is, how it is set up, its fields, and what it can carry.
#[utoipa::path(
    get, path = "/api/channels", tag = "channels", operation_id = "list_channel_types",
    responses((status = 200, description = "Every type.", body = Catalogue))
)]
pub async fn handle() -> Json<Catalogue> {
    Json(Catalogue { channels: registry::catalogue() })
}
