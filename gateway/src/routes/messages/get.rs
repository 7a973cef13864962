//! `GET /api/users/{user}/messages/{id}`.

use axum::Json;
use axum::extract::State;
use claw_store::Error;
use claw_types::{Direction, MessageId};

use super::view::DetailView;
use crate::app::Shared;
use crate::error::Problem;
use crate::path::{ItemParams, ItemPath};

/// Shows one message with its body, its attempts and what is known of its way.
///
/// # Errors
/// 404 when the user has no such message.
#[utoipa::path(
    get, path = "/api/users/{user}/messages/{id}", tag = "messages", operation_id = "get_message",
    params(ItemParams),
    responses(
        (status = 200, description = "The message.", body = DetailView),
        (status = 404, description = "The user has no such message."),
    )
)]
pub async fn handle(State(app): State<Shared>, path: ItemPath) -> Result<Json<DetailView>, Problem> {
    let found = app.store.tenant(&path.user).await?.message(MessageId(path.id)).await?;
    let detail = found.ok_or(Error::NotFound("message"))?;
    // Only what its parts are depends on the channel. One that can't be read is as one that is gone: its type is planned for.
    let known = match detail.row.direction {
        Direction::Out => app.channels.get(detail.row.channel_id).await.ok().flatten(),
        Direction::In => None,
    };
    let adapter = known.as_ref().and_then(|known| known.adapter.as_deref().ok());
    Ok(Json(DetailView::of(detail, adapter)))
}
