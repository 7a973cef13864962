//! Waking an agent: what `/hooks/wake`, `/hooks/agent` and users' own hooks have in common.
//!
//! All of them make an event of a body and a chat. The chat is named by a channel's slug, or by its type where the
//! user has one of that type only, as older jobs of the client name it.

use std::sync::Arc;

use axum::Json;
use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use claw_channels::send_body;
use claw_store::{AgentEvent, Chat, Error, NewMessage, Once};
use claw_types::bodies::SESSION_KEYS;
use claw_types::preferences::ChatRef;
use claw_types::{InstanceId, MessageId, UserId, WakeMode};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::app::App;
use crate::auth::Principal;
use crate::body::lenient::Ident;
use crate::channel_cache::Known;
use crate::error::Problem;
use crate::{body, edit, idempotency};

/// Longest text, in characters.
const TEXT_LIMIT: usize = 4_096;
/// Largest `metadata`, in bytes of JSON.
pub const METADATA_LIMIT: usize = 32 * 1024;
/// Longest name of a channel's slug or type.
const CHANNEL_LIMIT: usize = 64;

/// The wake-up is safely stored.
#[derive(Debug, Serialize, ToSchema)]
pub struct Woken {
    #[schema(example = "accepted")]
    status: &'static str,
    mode: WakeMode,
    /// The `webhook-id` under which the backend gets it.
    #[schema(value_type = Uuid)]
    id: MessageId,
    /// The heartbeat that it waits for; absent when it does not wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    due_at: Option<DateTime<Utc>>,
    /// Whether the call repeats an earlier one, whose wake-up this is.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    duplicate: bool,
}

/// A wake-up as its body has it.
pub struct Call {
    /// `wake` or `agent`.
    pub source: &'static str,
    /// The key of the text.
    pub text_key: &'static str,
    /// The text.
    pub text: String,
    /// When.
    pub mode: WakeMode,
    /// Whose agent.
    pub user_id: String,
    /// Which agent.
    pub agent_id: Option<String>,
    /// The chat.
    pub place: Place,
    /// Whether the answer goes there; where there is a chat, it does by default.
    pub deliver: Option<bool>,
    /// The caller's.
    pub metadata: Map<String, Value>,
    /// What makes it the same call again, in the body.
    pub idempotency_key: Option<String>,
}

/// A chat as the caller names it.
#[derive(Debug, Default, Clone)]
pub struct Place {
    /// A channel's slug or type.
    pub channel: Option<String>,
    /// The platform's id of the chat.
    pub recipient: Option<Ident>,
    /// The thread or topic in it.
    pub thread_id: Option<Ident>,
}

/// A chat that is there.
pub struct Found {
    known: Arc<Known>,
    recipient: String,
    thread_id: Option<String>,
}

impl Found {
    /// As it is stored: by the channel's slug.
    pub fn place(self) -> Place {
        Place {
            channel: Some(self.known.channel.instance.to_string()),
            recipient: Some(Ident(self.recipient)),
            thread_id: self.thread_id.map(Ident),
        }
    }

    /// As it is named in a user's settings: by the channel's slug.
    pub fn named(self) -> ChatRef {
        ChatRef {
            channel: self.known.channel.instance.to_string(),
            recipient: Ident(self.recipient),
            thread_id: self.thread_id.map(Ident),
        }
    }

    /// For an event.
    pub fn chat(&self, answer: bool) -> Chat<'_> {
        let (recipient, thread_id) = (self.recipient.clone(), self.thread_id.clone());
        Chat { channel: &self.known.channel, recipient, thread_id, answer }
    }
}

/// Stores the wake-up and tells its owner, when it is to be now.
///
/// # Errors
/// 400 for what makes no sense, 403 for another user, 409 for a channel that is switched off, 422 for a key that came
/// with another body; then nothing was stored.
pub async fn accept(
    app: &App,
    principal: &Principal,
    header_key: Option<String>,
    digest: [u8; 32],
    call: Call,
) -> Result<(StatusCode, Json<Woken>), Problem> {
    let user: UserId =
        call.user_id.parse().map_err(|error| Problem::bad_request(format!("\"user_id\": {error}")))?;
    if !principal.may_act_for(user.as_str()) {
        return Err(Problem::another_users_body());
    }
    let agent_id = call.agent_id.as_deref().map(|agent| edit::label("agent_id", agent)).transpose()?;
    check_text(call.text_key, &call.text)?;
    check_metadata(&call.metadata)?;
    let key = idempotency_key(header_key, call.idempotency_key)?;
    let once = key.as_deref().map(|key| Once { kind: call.source, key, digest });
    // Before anything that may have changed since: what was stored then is stored.
    if let Some(once) = once
        && let Some(before) = app.store.woken(&user, once).await?
    {
        return Ok(answer(call.mode, &before));
    }
    let found = find(app, &user, &call.place).await?;
    if call.deliver == Some(true) && found.is_none() {
        return Err(Problem::bad_request(
            "\"deliver\" needs a chat to deliver to: give \"channel\" and \"recipient\"",
        ));
    }
    let event = AgentEvent {
        user: &user,
        agent_id: agent_id.as_deref().unwrap_or_default(),
        source: call.source,
        session: None,
        text: call.text,
        metadata: call.metadata,
        chat: found.as_ref().map(|found| found.chat(call.deliver != Some(false))),
        key: None,
    };
    let event = NewMessage::event(event, app.shards, &app.ids, &*app.clock)?;
    let woken = app.store.wake(&event, call.mode.into(), once).await?;
    if let Some(work) = &woken.work {
        app.bus.publish_made(std::slice::from_ref(work)).await;
    }
    Ok(answer(call.mode, &woken))
}

fn answer(mode: WakeMode, woken: &claw_store::Woken) -> (StatusCode, Json<Woken>) {
    let &claw_store::Woken { id, due_at, duplicate, .. } = woken;
    (StatusCode::ACCEPTED, Json(Woken { status: "accepted", mode, id, due_at, duplicate }))
}

/// Checks a text, which must say something.
///
/// # Errors
/// 400 naming its key.
pub fn check_text(key: &str, text: &str) -> Result<(), Problem> {
    match text.chars().count() {
        _ if text.trim().is_empty() => Err(Problem::bad_request(format!("{key:?} is empty"))),
        length if length > TEXT_LIMIT => Err(Problem::bad_request(format!(
            "{key:?} has {length} characters; at most {TEXT_LIMIT} are allowed"
        ))),
        _ => Ok(()),
    }
}

fn check_metadata(metadata: &Map<String, Value>) -> Result<(), Problem> {
    let size = serde_json::to_vec(metadata)?.len();
    if size > METADATA_LIMIT {
        return Err(Problem::bad_request(format!(
            "\"metadata\" has {size} bytes; at most {METADATA_LIMIT} are allowed"
        )));
    }
    check_session("metadata", metadata)
}

/// The backend reads its session keys as texts only, and would begin a new session each time otherwise.
///
/// # Errors
/// 400 naming the key, below that of the metadata.
pub fn check_session(key: &str, metadata: &Map<String, Value>) -> Result<(), Problem> {
    let no_text = |name: &&str| metadata.get(*name).is_some_and(|value| !value.is_string());
    match SESSION_KEYS.iter().find(|name| no_text(name)) {
        Some(name) => Err(Problem::bad_request(format!(
            "{:?} must be text: it names the agent's session",
            format!("{key}.{name}")
        ))),
        None => Ok(()),
    }
}

fn idempotency_key(header: Option<String>, body: Option<String>) -> Result<Option<String>, Problem> {
    if let Some(key) = &body
        && !idempotency::is_key(key)
    {
        return Err(Problem::bad_request("\"idempotency_key\" must be 1 to 255 visible ASCII characters"));
    }
    match (header, body) {
        (Some(header), Some(body)) if header != body => Err(Problem::bad_request(
            "\"idempotency_key\" and the header Idempotency-Key differ: send one of them",
        )),
        (header, body) => Ok(header.or(body)),
    }
}

/// The chat that is meant; none when none is.
///
/// # Errors
/// 400 when it can't be found, 409 when its channel is switched off.
pub async fn find(app: &App, user: &UserId, place: &Place) -> Result<Option<Found>, Problem> {
    let recipient = send_body::id("recipient", place.recipient.as_ref())?;
    let thread_id = send_body::id("thread_id", place.thread_id.as_ref())?;
    let channel = place.channel.as_deref().map(str::trim).filter(|channel| !channel.is_empty());
    let (channel, recipient) = match (channel, recipient) {
        (Some(channel), Some(recipient)) => (channel, recipient),
        (None, None) if thread_id.is_none() => return Ok(None),
        (None, _) => {
            return Err(Problem::bad_request("\"channel\" is required with \"recipient\" and \"thread_id\""));
        }
        (Some(_), None) => {
            return Err(Problem::bad_request(
                "\"recipient\" is required with \"channel\": the platform's id of the chat",
            ));
        }
    };
    let known = resolve(app, user, channel).await?;
    if !known.channel.enabled {
        return Err(Problem::conflict("the channel is switched off: enable it first"));
    }
    // Without threads, a chat is one conversation.
    let thread_id = thread_id.filter(|_| known.adapter().is_ok_and(|adapter| adapter.caps().threads));
    Ok(Some(Found { known, recipient, thread_id }))
}

/// A channel by its slug, or by its type when there is one of that type only.
async fn resolve(app: &App, user: &UserId, channel: &str) -> Result<Arc<Known>, Problem> {
    body::printable("channel", channel, CHANNEL_LIMIT)?;
    if let Ok(instance) = channel.parse::<InstanceId>()
        && let Some(known) = app.channels.of_user(user, &instance).await?
    {
        return Ok(known);
    }
    let named = app.store.channel_named(user, channel).await?;
    let known = app.channels.of_user(user, &named.instance).await?;
    // Deleted in between.
    known.ok_or_else(|| Error::NoTarget(channel.to_owned()).into())
}
