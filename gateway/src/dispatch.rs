//! Handing a message to a person's platform: committed, told to the owner, waited for.
//!
//! Below 400 always means that the message is safe. A caller that goes away while waiting changes nothing.

use std::sync::Arc;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use claw_channels::kit::plan::outcomes;
use claw_channels::{Degraded, PartOutcome, plan};
use claw_store::{Accepted, Channel, MessageStatus, NewMessage};
use claw_telemetry::trace;
use claw_types::{MessageId, MessageState, Outbound, ShardId};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::App;
use crate::channel_cache::Known;
use crate::error::{Kind, Problem};
use crate::intake;
use crate::path::ChannelPath;

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
    /// The platform's ids of its parts: of all that were sent.
    platform_message_ids: Option<Vec<String>>,
    /// Its parts, in order, and what became of each. Absent while it is queued.
    parts: Option<Vec<PartOutcome>>,
    /// Why it is not certain.
    detail: Option<String>,
    /// Whether the call repeats an earlier one, whose message this is.
    duplicate: Option<bool>,
    /// What the platform does not have, and what happens instead. Absent when it has everything.
    degraded: Option<Vec<Degraded>>,
}

/// A message that is safe.
pub struct Safe {
    accepted: Accepted,
    planned: Planned,
}

/// What a message becomes on its platform; nothing is known of one that an earlier call stored and this one could not.
#[derive(Debug, Default)]
pub struct Planned {
    /// The kinds of its parts.
    kinds: Vec<&'static str>,
    /// What the platform does not have.
    pub degraded: Vec<Degraded>,
}

/// A message that is safe, and what became of it so far.
pub struct Dispatched {
    /// Under which id it is stored, and whether it was before.
    pub accepted: Accepted,
    /// Where it stands.
    pub status: MessageStatus,
    /// What it becomes.
    pub planned: Planned,
}

/// What makes a repeated call the same call.
#[derive(Debug, Clone, Copy)]
pub struct Once<'a> {
    /// The caller's key, if any.
    pub key: Option<&'a str>,
    /// Of the request: another one under the same key is a mistake.
    pub digest: [u8; 32],
}

/// The channel of this name.
///
/// # Errors
/// 404 when the user has none.
pub async fn channel(app: &App, path: &ChannelPath) -> Result<Arc<Known>, Problem> {
    let known = app.channels.of_user(&path.user, &path.instance).await?;
    Ok(known.ok_or(claw_store::Error::NoChannel)?)
}

/// Commits a message and waits for its delivery, but not for ever.
///
/// # Errors
/// As [`accept`].
pub async fn dispatch(
    app: &App,
    known: &Known,
    message: Result<Outbound, Problem>,
    once: Once<'_>,
) -> Result<Dispatched, Problem> {
    Ok(accept(app, known, message, once).await?.wait(app, known).await)
}

/// Commits a message. What refuses it, here or while it was made, counts for the first call under its key only: a
/// repeated one hears what became of the message that is stored.
///
/// # Errors
/// Why there is no `message`; 409 for a channel that is switched off, 422 for what its platform can't do at all, 503 when
/// it was not committed; then nothing was stored.
pub async fn accept(
    app: &App,
    known: &Known,
    message: Result<Outbound, Problem>,
    once: Once<'_>,
) -> Result<Safe, Problem> {
    let (accepted, planned) = match message.and_then(|message| prepared(app, known, message, once)) {
        Ok((message, planned)) => (intake::accept_one(app, message).await?, planned),
        Err(refused) => (before(app, known, once).await?.ok_or(refused)?, Planned::default()),
    };
    Ok(Safe { accepted, planned })
}

impl Safe {
    /// Waits for its delivery, but not for ever.
    pub async fn wait(self, app: &App, known: &Known) -> Dispatched {
        let Self { accepted, planned } = self;
        let status = outcome(app, known.channel.shard, &accepted).await;
        Dispatched { accepted, status, planned }
    }
}

/// A message that may be stored, and what it becomes.
///
/// # Errors
/// 409 for a channel that is switched off, 422 for what its platform can't do at all.
pub fn prepared(
    app: &App,
    known: &Known,
    mut message: Outbound,
    once: Once<'_>,
) -> Result<(NewMessage, Planned), Problem> {
    switched_on(&known.channel)?;
    let caps = known.adapter()?.caps_in(&message.recipient);
    let planned = plan(&message, caps).map_err(|error| Problem::of(Kind::Refused, error.to_string()))?;
    // Without threads, a chat is one conversation: its history must have the message.
    if !caps.threads {
        message.thread_id = None;
    }
    message.traceparent = trace::current().map(trace::Context::header);
    let message = NewMessage::outbound(&known.channel, &message, &app.ids, once.key)?;
    let digest = once.key.is_some().then_some(once.digest);
    let planned = Planned { kinds: planned.kinds(), degraded: planned.degraded };
    Ok((NewMessage { digest, ..message }, planned))
}

/// The message that an earlier call stored under this key.
async fn before(app: &App, known: &Known, once: Once<'_>) -> Result<Option<Accepted>, Problem> {
    let Some(key) = once.key else { return Ok(None) };
    let id = app.store.message_of_key(known.channel.id, key, once.digest).await?;
    Ok(id.map(Accepted::Duplicate))
}

impl Dispatched {
    /// 200 sent, 202 queued (or handed over without an answer), 422 refused by the platform or too late, 502 given up.
    pub fn answer(&self) -> Response {
        answer(&self.accepted, &self.status, &self.planned)
    }
}

/// Refuses a channel that is switched off: nobody would send by it.
///
/// # Errors
/// 409.
pub fn switched_on(channel: &Channel) -> Result<(), Problem> {
    if channel.enabled {
        return Ok(());
    }
    Err(Problem::conflict("the channel is switched off: enable it first"))
}

/// Waits for the delivery of a message in this shard, but not for ever.
pub async fn outcome(app: &App, shard: ShardId, accepted: &Accepted) -> MessageStatus {
    let id = accepted.id();
    if let Accepted::Duplicate(_) = accepted
        && let Ok(Some(status)) = app.store.message_status(id).await
        && status.state != MessageState::Pending
    {
        return status;
    }
    let delivered = app.workers.await_delivery(id, shard, app.send_wait);
    // A gateway that drains says at once what is true already.
    let pending =
        || MessageStatus { state: MessageState::Pending, platform_message_ids: Vec::new(), error: None };
    app.lifecycle.soft().run_until_cancelled(delivered).await.unwrap_or_else(pending)
}

fn answer(accepted: &Accepted, status: &MessageStatus, planned: &Planned) -> Response {
    let (id, degraded) = (accepted.id(), &planned.degraded);
    let MessageStatus { state, platform_message_ids, error } = status;
    let parts = || json!(outcomes(&planned.kinds, *state, platform_message_ids, error.as_deref()));
    let reason = |otherwise: &str| status.error.clone().unwrap_or_else(|| otherwise.to_owned());
    let (code, mut body) = match status.state {
        MessageState::Done => {
            let ids = &status.platform_message_ids;
            let first = ids.first();
            let body = json!({"status": "sent", "platform_message_id": first, "platform_message_ids": ids,
                              "parts": parts()});
            (StatusCode::OK, body)
        }
        MessageState::Pending => (StatusCode::ACCEPTED, json!({"status": "queued"})),
        MessageState::Uncertain => {
            let detail = reason("it was handed to the platform, whose answer never came");
            let sent = &status.platform_message_ids;
            (
                StatusCode::ACCEPTED,
                json!({"status": "uncertain", "detail": detail, "platform_message_ids": sent, "parts": parts()}),
            )
        }
        MessageState::Failed => {
            let refused = reason("the platform refused the message");
            return failure(Kind::Refused, refused, accepted, status, parts());
        }
        MessageState::Expired => {
            let late = reason("the message could not be sent within its time to live");
            return failure(Kind::Expired, late, accepted, status, parts());
        }
        MessageState::Dead => {
            let given_up = reason("every attempt to hand the message to the platform failed");
            return failure(Kind::PlatformFailed, given_up, accepted, status, parts());
        }
        MessageState::Discarded => {
            let why = format!("the message was discarded: {}", reason("no reason is known"));
            return failure(Kind::Conflict, why, accepted, status, parts());
        }
    };
    body["id"] = json!(id);
    if matches!(accepted, Accepted::Duplicate(_)) {
        body["duplicate"] = Value::Bool(true);
    }
    if !degraded.is_empty() {
        body["degraded"] = json!(degraded);
    }
    (code, Json(body)).into_response()
}

/// What ended without success; of a message in parts, with the ids of those that the platform has all the same.
fn failure(
    kind: Kind,
    detail: String,
    accepted: &Accepted,
    status: &MessageStatus,
    parts: Value,
) -> Response {
    let MessageId(id) = accepted.id();
    let mut problem = Problem::of(kind, detail).with("id", id.to_string()).with("parts", parts);
    if !status.platform_message_ids.is_empty() {
        problem = problem.with("platform_message_ids", json!(status.platform_message_ids));
    }
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
        let planned = Planned { kinds: vec!["text"; 3], ..Planned::default() };
        let response = answer(&accepted, &status, &planned);
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
            (MessageState::Expired, 422, "type", "/problems/expired"),
            (MessageState::Dead, 502, "error", "because"),
            (MessageState::Discarded, 409, "error", "the message was discarded: because"),
        ];
        for (state, code, key, value) in table {
            let (status, body) = answered(state).await;
            assert_eq!((status, &body[key]), (code, &json!(value)), "{state:?}");
            assert_eq!(body["id"], json!(uuid::Uuid::nil()), "{state:?}");
            assert_eq!(body["duplicate"], json!(true), "{state:?}");
            // Whatever became of the others, the platform has these parts.
            let known = state != MessageState::Pending;
            assert_eq!(body["platform_message_ids"] == json!(["1", "2"]), known, "{state:?}: {body}");
            let third = match state {
                MessageState::Pending | MessageState::Done => Value::Null,
                MessageState::Uncertain => json!("uncertain"),
                _ => json!("failed"),
            };
            assert_eq!(body["parts"][2]["state"], third, "{state:?}: {body}");
            assert_eq!(body["parts"][1]["platform_message_ids"] == json!(["2"]), known, "{state:?}: {body}");
        }
        let (_, sent) = answered(MessageState::Done).await;
        assert_eq!(sent["platform_message_id"], json!("1"));
        assert_eq!(sent["platform_message_ids"], json!(["1", "2"]));
    }
}
