//! `PUT /api/users/{user}/channels/{instance}/messages/{message}/reaction`.

use axum::extract::State;
use axum::response::Response;
use claw_types::Act;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{Call, Target};
use crate::app::Shared;
use crate::body::Body;
use crate::body::lenient::Ident;
use crate::dispatch::Sent;
use crate::error::Problem;
use crate::idempotency::{IdempotencyKey, IdempotencyParams};
use crate::path::{MessageParams, MessagePath};

/// A reaction.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct React {
    /// The emoji; null or absent takes ours away.
    #[schema(max_length = 64)]
    emoji: Option<String>,
    /// The chat; needed with the platform's id of the message.
    recipient: Option<Ident>,
    /// The thread or topic in it.
    thread_id: Option<Ident>,
}

/// Reacts to a message, a person's or one that was sent; of one that was sent in parts, to the last.
///
/// # Errors
/// 404 and 409 for a message that is not there, 422 where the platform can't; then nothing was stored.
#[utoipa::path(
    put, path = "/api/users/{user}/channels/{instance}/messages/{message}/reaction", tag = "messages",
    operation_id = "react_to_message", params(MessageParams, IdempotencyParams), request_body = React,
    responses(
        (status = 200, description = "The platform shows it.", body = Sent),
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
    body: Body<React>,
) -> Result<Response, Problem> {
    let React { emoji, recipient, thread_id } = body.value;
    let call = Call {
        path: &path,
        recipient: recipient.as_ref(),
        thread_id: thread_id.as_ref(),
        key: key.as_deref(),
        asked: &body.digest,
    };
    let react = |target: Target| {
        let message_id = target.message_ids.last().cloned().unwrap_or_default();
        Ok(target.with(Act::React { message_id, emoji }))
    };
    call.perform(&app, react).await
}
