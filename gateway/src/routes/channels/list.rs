//! `GET /api/users/{user}/channels`, optionally `?channel_type=`.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::app::Shared;
use crate::error::Problem;
use crate::path::{UserParams, UserPath};
use crate::query::Query;
use crate::view::ChannelView;

/// What to show.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Only channels of this type.
    channel_type: Option<String>,
}

/// The answer.
#[derive(Debug, Serialize, ToSchema)]
pub struct Channels {
    channels: Vec<ChannelView>,
}

/// Lists a user's channels, oldest first. A user that nobody knows has none.
///
/// # Errors
/// When the database fails.
#[utoipa::path(
    get, path = "/api/users/{user}/channels", tag = "channels", operation_id = "list_channels",
    params(UserParams, Filter), responses((status = 200, description = "The user's channels.", body = Channels))
)]
pub async fn handle(
    State(app): State<Shared>,
    UserPath(user): UserPath,
    Query(filter): Query<Filter>,
) -> Result<Json<Channels>, Problem> {
    let wanted = filter.channel_type.as_deref().filter(|text| !text.is_empty());
    // No type is called like this, and the database would refuse some of it.
    let named = |text: &str| {
        text.len() <= 64 && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
    };
    if wanted.is_some_and(|text| !named(text)) {
        return Ok(Json(Channels { channels: Vec::new() }));
    }
    let channels = app.store.channels_of(&user, wanted).await?;
    Ok(Json(Channels { channels: channels.into_iter().map(ChannelView::from).collect() }))
}
