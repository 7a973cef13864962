//! `GET /api/users/{user}/channels`, optionally `?channel_type=`.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::{Deserialize, Serialize};

use crate::app::Shared;
use crate::error::Problem;
use crate::path::UserPath;
use crate::view::ChannelView;

/// What to show.
#[derive(Debug, Deserialize)]
pub struct Filter {
    channel_type: Option<String>,
}

/// The answer.
#[derive(Debug, Serialize)]
pub struct Channels {
    channels: Vec<ChannelView>,
}

/// Lists a user's channels, oldest first. A user that nobody knows has none.
///
/// # Errors
/// When the database fails.
pub async fn handle(
    State(app): State<Shared>,
    UserPath(user): UserPath,
    filter: Result<Query<Filter>, QueryRejection>,
) -> Result<Json<Channels>, Problem> {
    let Query(filter) = filter.map_err(|error| Problem::bad_request(error.body_text()))?;
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
