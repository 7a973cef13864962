//! What people and conversations are called (<https://docs.slack.dev/reference/methods/users.info>,
//! <https://docs.slack.dev/reference/methods/conversations.info>). Slack's events name both by their ids.

use std::sync::atomic::{AtomicI64, Ordering};

use claw_types::Inbound;
use serde::Deserialize;
use serde_json::json;
use tracing::warn;

use super::api::{Api, Call, is_person, said};
use crate::ChannelError;
use crate::kit::names::{Names, matters};

/// Seconds before anybody is asked for again where the app may not ask.
const NO_SCOPE: i64 = 3600;

/// A person (<https://docs.slack.dev/reference/objects/user-object>).
#[derive(Deserialize)]
struct Answer {
    user: User,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct User {
    name: String,
    real_name: String,
    profile: Profile,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Profile {
    display_name: String,
    real_name: String,
}

impl User {
    /// As Slack shows them: the name that they chose, else their own.
    fn shown(self) -> Option<String> {
        let names = [self.profile.display_name, self.profile.real_name, self.real_name, self.name];
        names.into_iter().find(|name| !name.is_empty())
    }
}

#[derive(Deserialize)]
struct Told {
    channel: Conversation,
}

/// A conversation (<https://docs.slack.dev/reference/objects/conversation-object>).
#[derive(Default, Deserialize)]
#[serde(default)]
struct Conversation {
    name: String,
    /// Direct messages of several people, which nobody gave the name that they have.
    is_mpim: bool,
}

/// The key of a conversation's name.
const CHANNEL_NAME: &str = "channel_name";

/// Those who write to a bot, and where.
#[derive(Default)]
pub(super) struct People {
    names: Names,
    /// Until when nobody is asked for, in seconds since 1970.
    pause: AtomicI64,
    /// The same of conversations.
    conversations_pause: AtomicI64,
}

impl People {
    /// Calls those by their names whom Slack's events name by their ids only, and tells those of conversations as `channel_name`, by
    /// which an agent can be chosen.
    pub(super) async fn complete(&self, api: &Api, messages: &mut [Inbound]) {
        let now = api.deps.clock.now();
        let may_ask = |pause: &AtomicI64| now.timestamp() >= pause.load(Ordering::Relaxed);
        let mut ids = Vec::new();
        for message in messages.iter().filter(|message| matters(message)) {
            ids.extend(nameless(message).filter(|_| may_ask(&self.pause)));
            ids.extend(unnamed(message).filter(|_| may_ask(&self.conversations_pause)));
        }
        self.names.learn(ids, now, |id: String| async move { self.ask(api, &id).await }).await;
        self.names.call(messages, nameless);
        for message in messages {
            if let Some(name) = unnamed(message).and_then(|id| self.names.of(&id)) {
                message.metadata.insert(CHANNEL_NAME.to_owned(), json!(name));
            }
        }
    }

    async fn ask(&self, api: &Api, id: &str) -> Result<Option<String>, ChannelError> {
        if is_person(id) {
            let told = of(api, id).await;
            if let Err(error) = &told
                && lacks_scope(error)
            {
                warn!(channel.id = %api.deps.channel_id, "people are known by their ids only: {error}");
                self.pause.store(api.deps.clock.now().timestamp() + NO_SCOPE, Ordering::Relaxed);
            }
            return slowed(api, &self.pause, told);
        }
        let told = conversation(api, id).await;
        // Which scope is needed depends on the conversation, so the others are asked for all the same; this one in an hour.
        if let Err(error) = &told
            && lacks_scope(error)
        {
            warn!(channel.id = %api.deps.channel_id, "messages of {id} come without channel_name: {error}");
        }
        slowed(api, &self.conversations_pause, told)
    }
}

/// What was told; nothing more is asked for as long as Slack wants to be left alone.
fn slowed<T>(api: &Api, pause: &AtomicI64, told: Result<T, ChannelError>) -> Result<T, ChannelError> {
    if let Err(ChannelError::RateLimited(wait)) = &told {
        let wait = i64::try_from(wait.as_secs()).unwrap_or(NO_SCOPE).min(NO_SCOPE);
        pause.store(api.deps.clock.now().timestamp() + wait, Ordering::Relaxed);
    }
    told
}

/// The id of somebody of whom no name was told.
fn nameless(message: &Inbound) -> Option<String> {
    let sender = message.sender.as_ref()?;
    let is_nameless = sender.display_name == sender.platform_id && is_person(&sender.platform_id);
    is_nameless.then(|| sender.platform_id.clone())
}

/// The id of a conversation of several of which no name was told.
fn unnamed(message: &Inbound) -> Option<String> {
    let is_unnamed = message.is_group && !message.metadata.contains_key(CHANNEL_NAME);
    is_unnamed.then(|| message.recipient.clone())
}

/// What Slack calls a conversation. The scope is `channels:read`, and of a private one `groups:read`.
async fn conversation(api: &Api, id: &str) -> Result<Option<String>, ChannelError> {
    let channel = api.call::<Told>(&Call::form("conversations.info").with("channel", id)).await?.channel;
    Ok((!channel.is_mpim && !channel.name.is_empty()).then_some(channel.name))
}

/// What Slack calls somebody.
pub(super) async fn of(api: &Api, id: &str) -> Result<Option<String>, ChannelError> {
    Ok(api.call::<Answer>(&Call::form("users.info").with("user", id)).await?.user.shown())
}

/// Whether an answer says that the app may not ask for names.
pub(super) fn lacks_scope(error: &ChannelError) -> bool {
    said(error, "missing_scope")
}
