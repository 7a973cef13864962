//! `POST /api/users/{user}/channels/{instance}/send`: a message to a person.
//!
//! See [`crate::dispatch`] for what its answers promise.

use axum::extract::State;
use axum::response::Response;
use claw_channels::send_body::{self, SendBody};
use claw_store::error::chain;
use claw_telemetry::trace;
use claw_types::UserId;
use tracing::warn;
use uuid::Uuid;

use crate::app::{App, Shared};
use crate::body::Body;
use crate::dispatch::{self, Once, Sent};
use crate::error::Problem;
use crate::idempotency::{IdempotencyKey, IdempotencyParams};
use crate::path::{ChannelParams, ChannelPath};
use crate::traced::{self, Caller};

/// Sends a message to a person. It is committed first; then the answer waits for the platform, but not for ever. Below
/// 400 always means that the message is safe.
///
/// # Errors
/// 400 for what makes no sense, 404 for a channel that is not there, 409 for one that is switched off; then nothing
/// was stored.
#[utoipa::path(
    post, path = "/api/users/{user}/channels/{instance}/send", tag = "messages", operation_id = "send_message",
    params(ChannelParams, IdempotencyParams), request_body = SendBody,
    responses(
        (status = 200, description = "The platform has it.", body = Sent),
        (status = 202, description = "It is stored and will be sent, or it was handed over without an answer.", body = Sent),
        (status = 404, description = "There is no such channel."),
        (status = 409, description = "The channel is switched off, or the message under this Idempotency-Key was discarded."),
        (status = 422, description = "The platform refused it for good; `id` is the message's. Or the Idempotency-Key came with another body before."),
        (status = 502, description = "It was given up; `id` is the message's."),
    )
)]
pub async fn handle(
    State(app): State<Shared>,
    path: ChannelPath,
    caller: Caller,
    IdempotencyKey(key): IdempotencyKey,
    body: Body<SendBody>,
) -> Result<Response, Problem> {
    let mut span = caller.span("POST /api/users/{user}/channels/{instance}/send", &app.ids);
    let answer = trace::within(span.context(), send(&app, &path, key, body)).await;
    match &answer {
        Ok(response) => traced::answered(&mut span, response),
        Err(_) => span.failed("not_accepted"),
    }
    answer
}

async fn send(
    app: &Shared,
    path: &ChannelPath,
    key: Option<String>,
    body: Body<SendBody>,
) -> Result<Response, Problem> {
    let run = body.value.run();
    let message = send_body::read(body.value, app.allow_private)?;
    let known = dispatch::channel(app, path).await?;
    let once = Once { key: key.as_deref(), digest: body.digest };
    let safe = dispatch::accept(app, &known, Ok(message), once).await?;
    if let Some(run) = run {
        complete(app, &path.user, run).await;
    }
    Ok(safe.wait(app, &known).await.answer())
}

/// Ends the run that the message is the answer of, if it goes on or is still to be tried again. The message is safe, whatever becomes of this.
async fn complete(app: &App, user: &UserId, run: Uuid) {
    match app.store.run_complete(user, run, Ok(None)).await {
        Ok(_) | Err(claw_store::Error::NotFound(_)) => {}
        Err(error) => warn!(run.id = %run, error = chain(&error), "a run that a send names was not ended"),
    }
}
