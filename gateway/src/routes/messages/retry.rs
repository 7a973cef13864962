//! `POST /api/users/{user}/messages/{id}/retry`: a message that ended without success is worked on once more.
//!
//! Nothing can be done twice by calling twice: the first call makes the message pending, and a pending one is refused.

use axum::Json;
use axum::extract::State;
use claw_store::{Error, Revived, Selection, Unchanged};
use claw_types::{MessageId, MessageState};
use serde::Serialize;
use utoipa::ToSchema;

use super::filter::StateView;
use super::view::MessageView;
use crate::app::{App, Shared};
use crate::auth::Principal;
use crate::error::Problem;
use crate::path::{ItemParams, ItemPath};

/// A message that is back at work.
#[derive(Serialize, ToSchema)]
pub struct Retried {
    #[serde(flatten)]
    message: MessageView,
    /// What it was.
    was: StateView,
    /// What to expect, where that is not plain.
    note: Option<String>,
}

/// Sets a message back to work that ended without success, a discarded one, too. Its owner takes it at once, behind what is
/// under way in its conversation. Parts that were sent are not sent again; attempts and the time to live start anew.
///
/// # Errors
/// 404 when the user has no such message, 409 when it is pending or done.
#[utoipa::path(
    post, path = "/api/users/{user}/messages/{id}/retry", tag = "messages", operation_id = "retry_message",
    params(ItemParams),
    responses(
        (status = 200, description = "It is back at work.", body = Retried),
        (status = 404, description = "The user has no such message."),
        (status = 409, description = "It is pending, or done."),
    )
)]
pub async fn handle(
    State(app): State<Shared>,
    principal: Principal,
    path: ItemPath,
) -> Result<Json<Retried>, Problem> {
    let id = MessageId(path.id);
    let mut tenant = app.store.tenant(&path.user).await?;
    let which = Selection::Ids(vec![id]);
    let (revived, unchanged) = tenant.messages_revive(&which, &principal.actor()).await?;
    if let Some(refused) = unchanged.first() {
        return Err(refusal(refused));
    }
    let message = tenant.message(id).await?.ok_or(Error::NotFound("message"))?;
    tenant.commit().await?;
    announce(&app, &revived).await;
    let was = revived.first().map_or(MessageState::Dead, |revived| revived.was);
    let note = note(was).map(str::to_owned);
    Ok(Json(Retried { message: message.row.into(), was: was.into(), note }))
}

/// Tells the owners, who would otherwise find the messages at their next look.
pub async fn announce(app: &App, revived: &[Revived]) {
    app.bus.publish_works(revived.iter().map(|revived| &revived.work)).await;
}

/// What to expect of a message that was this.
pub fn note(was: MessageState) -> Option<&'static str> {
    let uncertain = "it was handed to the platform before, whose answer never came: the part that was under way then \
         may arrive twice";
    (was == MessageState::Uncertain).then_some(uncertain)
}

/// Why nothing was done about a message.
pub fn why(state: Option<MessageState>) -> &'static str {
    match state {
        None => "there is no such message",
        Some(MessageState::Pending) => "it is pending: it is being worked on",
        Some(MessageState::Done) => "it is done: the backend or the platform has it",
        Some(MessageState::Discarded) => "it is discarded already",
        Some(MessageState::Failed | MessageState::Uncertain | MessageState::Expired | MessageState::Dead) => {
            "it changed at the same moment: look at it again"
        }
    }
}

/// The answer about a single message when nothing was done.
pub fn refusal(unchanged: &Unchanged) -> Problem {
    match unchanged.state {
        None => Error::NotFound("message").into(),
        state => Problem::conflict(format!("the message can't be changed: {}", why(state))),
    }
}
