//! `DELETE /api/users/{user}/channels/{instance}/messages/{message}`.

use axum::extract::State;
use axum::response::Response;
use claw_types::Act;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Call, Target};
use crate::app::Shared;
use crate::body::lenient::Ident;
use crate::dispatch::Sent;
use crate::error::Problem;
use crate::idempotency::{IdempotencyKey, IdempotencyParams};
use crate::path::{MessageParams, MessagePath};
use crate::query::Query;

/// Where the message is, when it is named by the platform's id.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Place {
    /// The chat; needed with the platform's id of the message.
    recipient: Option<String>,
    /// The thread or topic in it.
    thread_id: Option<String>,
}

/// Takes a sent message back, all of its parts.
///
/// # Errors
/// 404 and 409 for a message that is not there, 422 where the platform can't; then nothing was stored.
#[utoipa::path(
    delete, path = "/api/users/{user}/channels/{instance}/messages/{message}", tag = "messages",
    operation_id = "delete_message", params(MessageParams, Place, IdempotencyParams),
    responses(
        (status = 200, description = "The platform has taken it back.", body = Sent),
        (status = 202, description = "It is stored and will be done, or was handed over without an answer.", body = Sent),
        (status = 404, description = "There is no such channel or message."),
        (status = 409, description = "The channel is switched off, or the platform does not have the message."),
        (status = 422, description = "The platform can't, or refused it for good."),
        (status = 502, description = "It was given up."),
    )
)]
pub async fn handle(
    State(app): State<Shared>,
    path: MessagePath,
    IdempotencyKey(key): IdempotencyKey,
    Query(place): Query<Place>,
) -> Result<Response, Problem> {
    // There is no body; what is asked for is in the path and the query.
    let asked = serde_json::to_vec(&(&place.recipient, &place.thread_id))?;
    let (recipient, thread_id) = (place.recipient.map(Ident), place.thread_id.map(Ident));
    let call = Call {
        path: &path,
        recipient: recipient.as_ref(),
        thread_id: thread_id.as_ref(),
        key: key.as_deref(),
        asked: &asked,
    };
    let delete = |target: Target| {
        let mut target = target.ours()?;
        let message_ids = std::mem::take(&mut target.message_ids);
        Ok(target.with(Act::Delete { message_ids }))
    };
    call.perform(&app, delete).await
}
