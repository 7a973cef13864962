//! `PATCH /api/users/{user}/channels/{instance}/messages/{message}`.

use axum::extract::State;
use axum::response::Response;
use claw_channels::send_body;
use claw_types::outbound::{Button, Format};
use claw_types::{Act, Outbound};
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

/// What a sent message is to say instead.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EditMessage {
    /// The new text.
    #[schema(max_length = 100_000)]
    message: Option<String>,
    /// How it is written; Markdown if not given.
    format: Option<Format>,
    /// The new buttons; without them, the message has none afterwards.
    buttons: Option<Vec<Vec<Button>>>,
    /// The chat; needed with the platform's id of the message.
    recipient: Option<Ident>,
    /// The thread or topic in it.
    thread_id: Option<Ident>,
}

/// Changes a sent message. It is in order with what was sent to the chat before and after.
///
/// # Errors
/// 404 and 409 for a message that is not there, 422 where the platform can't; then nothing was stored.
#[utoipa::path(
    patch, path = "/api/users/{user}/channels/{instance}/messages/{message}", tag = "messages",
    operation_id = "edit_message", params(MessageParams, IdempotencyParams), request_body = EditMessage,
    responses(
        (status = 200, description = "The platform has changed it.", body = Sent),
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
    body: Body<EditMessage>,
) -> Result<Response, Problem> {
    let EditMessage { message, format, buttons, recipient, thread_id } = body.value;
    let text = send_body::text("message", message.as_deref())?;
    let call = Call {
        path: &path,
        recipient: recipient.as_ref(),
        thread_id: thread_id.as_ref(),
        key: key.as_deref(),
        asked: &body.digest,
    };
    let edit = |target: Target| {
        let target = target.ours()?;
        let message_id = target.single()?;
        let (format, buttons) = (format.unwrap_or_default(), buttons.unwrap_or_default());
        Ok(Outbound { text, format, buttons, ..target.with(Act::Edit { message_id }) })
    };
    call.perform(&app, edit).await
}
