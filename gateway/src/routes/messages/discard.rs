//! `POST /api/users/{user}/messages/{id}/discard`.

use axum::Json;
use axum::extract::State;
use claw_store::{Error, Selection};
use claw_types::MessageId;
use serde::Deserialize;
use utoipa::ToSchema;

use super::retry::refusal;
use super::view::MessageView;
use crate::app::Shared;
use crate::auth::Principal;
use crate::body::{self, Body};
use crate::error::Problem;
use crate::path::{ItemParams, ItemPath};

/// Longest reason, in characters.
const REASON_LIMIT: usize = 500;

/// Why.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DiscardMessage {
    /// Why it is not worth another attempt; kept with the message and in the audit log.
    #[schema(min_length = 1, max_length = 500, example = "the customer was called instead")]
    reason: String,
}

/// Puts a dead letter aside, with a reason. It is kept, and can still be set back to work.
///
/// # Errors
/// 404 when the user has no such message, 409 when it is no dead letter.
#[utoipa::path(
    post, path = "/api/users/{user}/messages/{id}/discard", tag = "messages", operation_id = "discard_message",
    params(ItemParams), request_body = DiscardMessage,
    responses(
        (status = 200, description = "The discarded message.", body = MessageView),
        (status = 404, description = "The user has no such message."),
        (status = 409, description = "It is pending, done or discarded already."),
    )
)]
pub async fn handle(
    State(app): State<Shared>,
    principal: Principal,
    path: ItemPath,
    body: Body<DiscardMessage>,
) -> Result<Json<MessageView>, Problem> {
    let reason = reason(&body.value.reason)?;
    let id = MessageId(path.id);
    let mut tenant = app.store.tenant(&path.user).await?;
    let which = Selection::Ids(vec![id]);
    let (_, unchanged) = tenant.messages_discard(&which, &reason, &principal.actor()).await?;
    if let Some(refused) = unchanged.first() {
        return Err(refusal(refused));
    }
    let message = tenant.message(id).await?.ok_or(Error::NotFound("message"))?;
    tenant.commit().await?;
    Ok(Json(message.row.into()))
}

/// Checks a reason.
///
/// # Errors
/// 400 when it is none or can't be kept.
pub fn reason(given: &str) -> Result<String, Problem> {
    let reason = given.trim();
    body::printable("reason", reason, REASON_LIMIT)?;
    if reason.is_empty() {
        return Err(Problem::bad_request("\"reason\" is empty: say why, for whoever looks at it later"));
    }
    Ok(reason.to_owned())
}
