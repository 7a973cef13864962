//! `POST /api/users/{user}/channels/{instance}/send`: a message to a person.
//!
//! Committed first; then the answer waits for the delivery, but not for ever: below 400 always means that the message
//! is safe. A caller that goes away while waiting changes nothing.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use claw_store::{Accepted, Channel, MessageStatus, NewMessage};
use claw_types::{MessageId, MessageState};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::{App, Shared};
use crate::body::Body;
use crate::error::{Kind, Problem};
use crate::idempotency::{IdempotencyKey, IdempotencyParams};
use crate::intake;
use crate::outbound::{self, SendBody};
use crate::path::{ChannelParams, ChannelPath};

/// What became of a message so far.
#[derive(Serialize, ToSchema)]
pub struct Sent {
    /// Our id of the message.
    id: Uuid,
    /// `sent`: the platform has it. `queued`: it is stored and will be sent. `uncertain`: it was handed to the
    /// platform, whose answer never came.
    #[schema(example = "sent")]
    status: String,
    /// The platform's id of the first part.
    platform_message_id: Option<String>,
    /// The platform's ids of all parts.
    platform_message_ids: Option<Vec<String>>,
    /// Why it is not certain.
    detail: Option<String>,
    /// Whether the call repeats an earlier one, whose message this is.
    duplicate: Option<bool>,
}

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
    IdempotencyKey(key): IdempotencyKey,
    body: Body<SendBody>,
) -> Result<Response, Problem> {
    let digest = key.is_some().then_some(body.digest);
    let mut message = outbound::read(body.value, app.allow_private)?;
    let known = app.channels.of_user(&path.user, &path.instance).await?;
    let known = known.ok_or(claw_store::Error::NoChannel)?;
    if !known.channel.enabled {
        return Err(Problem::conflict("the channel is switched off: enable it first"));
    }
    // Without threads, a chat is one conversation: its history must have the message.
    if !known.adapter()?.caps().threads {
        message.thread_id = None;
    }
    let message = NewMessage::outbound(&known.channel, &message, &app.ids, key.as_deref())?;
    let message = NewMessage { digest, ..message };
    let accepted = intake::accept_one(&app, message).await?;
    let status = outcome(&app, &known.channel, &accepted).await;
    Ok(answer(&accepted, &status))
}

async fn outcome(app: &App, channel: &Channel, accepted: &Accepted) -> MessageStatus {
    let id = accepted.id();
    if let Accepted::Duplicate(_) = accepted
        && let Ok(Some(status)) = app.store.message_status(id).await
        && status.state != MessageState::Pending
    {
        return status;
    }
    let delivered = app.workers.await_delivery(id, channel.shard, app.send_wait);
    // A gateway that drains says at once what is true already.
    let pending =
        || MessageStatus { state: MessageState::Pending, platform_message_ids: Vec::new(), error: None };
    app.lifecycle.soft().run_until_cancelled(delivered).await.unwrap_or_else(pending)
}

fn answer(accepted: &Accepted, status: &MessageStatus) -> Response {
    let id = accepted.id();
    let reason = |otherwise: &str| status.error.clone().unwrap_or_else(|| otherwise.to_owned());
    let (code, mut body) = match status.state {
        MessageState::Done => {
            let ids = &status.platform_message_ids;
            let first = ids.first();
            let body = json!({"status": "sent", "platform_message_id": first, "platform_message_ids": ids});
            (StatusCode::OK, body)
        }
        MessageState::Pending => (StatusCode::ACCEPTED, json!({"status": "queued"})),
        MessageState::Uncertain => {
            let detail = reason("it was handed to the platform, whose answer never came");
            (StatusCode::ACCEPTED, json!({"status": "uncertain", "detail": detail}))
        }
        MessageState::Failed => {
            let refused = reason("the platform refused the message");
            return failure(Kind::Refused, refused, accepted);
        }
        MessageState::Dead => {
            let given_up = reason("every attempt to hand the message to the platform failed");
            return failure(Kind::PlatformFailed, given_up, accepted);
        }
        MessageState::Discarded => {
            let why = format!("the message was discarded: {}", reason("no reason is known"));
            return failure(Kind::Conflict, why, accepted);
        }
    };
    body["id"] = json!(id);
    if matches!(accepted, Accepted::Duplicate(_)) {
        body["duplicate"] = Value::Bool(true);
    }
    (code, Json(body)).into_response()
}

fn failure(kind: Kind, detail: String, accepted: &Accepted) -> Response {
    let MessageId(id) = accepted.id();
    let problem = Problem::of(kind, detail).with("id", id.to_string());
    match accepted {
        Accepted::New(_) => problem.into_response(),
        Accepted::Duplicate(_) => problem.with("duplicate", true).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn answered(state: MessageState) -> (u16, Value) {
        let accepted = Accepted::Duplicate(MessageId(uuid::Uuid::nil()));
        let status = MessageStatus {
            state,
            platform_message_ids: vec!["1".into(), "2".into()],
            error: (state != MessageState::Done).then(|| "because".to_owned()),
        };
        let response = answer(&accepted, &status);
        let code = response.status().as_u16();
        let body = crate::body::read(response.into_body()).await.unwrap();
        (code, serde_json::from_slice(&body).unwrap())
    }

    #[tokio::test]
    async fn every_outcome_has_its_answer() {
        let table = [
            (MessageState::Done, 200, "status", "sent"),
            (MessageState::Pending, 202, "status", "queued"),
            (MessageState::Uncertain, 202, "status", "uncertain"),
            (MessageState::Failed, 422, "error", "because"),
            (MessageState::Dead, 502, "error", "because"),
            (MessageState::Discarded, 409, "error", "the message was discarded: because"),
        ];
        for (state, code, key, value) in table {
            let (status, body) = answered(state).await;
            assert_eq!((status, &body[key]), (code, &json!(value)), "{state:?}");
            assert_eq!(body["id"], json!(uuid::Uuid::nil()), "{state:?}");
            assert_eq!(body["duplicate"], json!(true), "{state:?}");
        }
        let (_, sent) = answered(MessageState::Done).await;
        assert_eq!(sent["platform_message_id"], json!("1"));
        assert_eq!(sent["platform_message_ids"], json!(["1", "2"]));
    }
}
