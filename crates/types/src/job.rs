//! What a scheduled job does.
//!
//! This is the JSON of the `cron_jobs.action` column, kept as its caller sent it: so it is read leniently (ids may be
//! numbers), and what an older version stored must still read.

#![allow(unused_qualifications, reason = "the macro that describes the API writes them")]

pub mod options;
pub mod wake;
pub mod webhook;

use std::fmt;

use serde::de::{Deserializer, Error as _, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::openapi::{OneOfBuilder, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

pub use options::{Misfire, Options, Overlap};
pub use wake::{AgentWake, WakeMode};
pub use webhook::{WebhookCall, WebhookPost};

/// What a job does when it is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Sends a message to a person.
    Message(ChannelMessage),
    /// Gives an agent something to do.
    Task(AssistantTask),
    /// Has an agent hear of something.
    Wake(AgentWake),
    /// Posts to a URL.
    Webhook(WebhookCall),
}

/// The `type` of an action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActionType {
    /// [`Action::Message`].
    ChannelMessage,
    /// [`Action::Task`].
    AssistantTask,
    /// [`Action::Wake`].
    Hook,
    /// [`Action::Webhook`].
    Webhook,
}

/// Always `channel_message`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MessageTag {
    /// The only one.
    #[default]
    ChannelMessage,
}

/// Always `assistant_task`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TaskTag {
    /// The only one.
    #[default]
    AssistantTask,
}

/// A message to a person.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelMessage {
    /// What kind of action.
    pub r#type: MessageTag,
    /// The `instance_name_id` of the channel; or its type, if the user has exactly one channel of that type.
    #[schema(min_length = 1, max_length = 64)]
    pub channel: String,
    /// The platform's id of the chat.
    #[serde(deserialize_with = "text_or_number")]
    #[schema(value_type = TextOrNumber)]
    pub recipient: String,
    /// The text.
    #[schema(min_length = 1, max_length = 20_000)]
    pub message: String,
}

/// Something for an agent to do.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AssistantTask {
    /// What kind of action.
    pub r#type: TaskTag,
    /// The agent; absent for the one that the channel is bound to.
    #[schema(max_length = 200)]
    pub agent_id: Option<String>,
    /// What it is told.
    #[schema(min_length = 1, max_length = 20_000)]
    pub context: String,
    /// Where its answer belongs; absent when it is not to be told to anybody.
    pub delivery: Option<Delivery>,
}

/// Where an agent's answer belongs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Delivery {
    /// How it is delivered.
    pub r#type: Option<MessageTag>,
    /// The channel, as in a `channel_message`.
    #[schema(min_length = 1, max_length = 64)]
    pub channel: String,
    /// The platform's id of the chat.
    #[serde(deserialize_with = "text_or_number")]
    #[schema(value_type = TextOrNumber)]
    pub recipient: String,
}

impl ActionType {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::ChannelMessage, Self::AssistantTask, Self::Hook, Self::Webhook];

    /// As stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ChannelMessage => "channel_message",
            Self::AssistantTask => "assistant_task",
            Self::Hook => "hook",
            Self::Webhook => "webhook",
        }
    }

    /// The type that an action names.
    pub fn of(action: &Map<String, Value>) -> Option<Self> {
        let named = action.get("type")?.as_str()?;
        Self::ALL.into_iter().find(|kind| kind.as_str() == named)
    }
}

impl Action {
    /// Reads a stored action.
    ///
    /// # Errors
    /// When it has no known type or lacks what its type needs.
    pub fn read(action: &Map<String, Value>) -> serde_json::Result<Self> {
        let value = Value::Object(action.clone());
        match ActionType::of(action) {
            Some(ActionType::ChannelMessage) => serde_json::from_value(value).map(Self::Message),
            Some(ActionType::AssistantTask) => serde_json::from_value(value).map(Self::Task),
            Some(ActionType::Hook) => serde_json::from_value(value).map(Self::Wake),
            Some(ActionType::Webhook) => serde_json::from_value(value).map(Self::Webhook),
            None => Err(serde_json::Error::custom("no known type")),
        }
    }

    /// Its type.
    pub fn action_type(&self) -> ActionType {
        match self {
            Self::Message(_) => ActionType::ChannelMessage,
            Self::Task(_) => ActionType::AssistantTask,
            Self::Wake(_) => ActionType::Hook,
            Self::Webhook(_) => ActionType::Webhook,
        }
    }

    /// The channel that it needs, as its user named it.
    pub fn channel(&self) -> Option<&str> {
        match self {
            Self::Message(message) => Some(&message.channel),
            Self::Task(task) => task.delivery.as_ref().map(|delivery| delivery.channel.as_str()),
            Self::Wake(wake) => wake.channel.as_deref(),
            Self::Webhook(_) => None,
        }
    }
}

/// A text or a whole number: platforms' ids are numbers in some clients.
struct TextOrNumber;

impl PartialSchema for TextOrNumber {
    fn schema() -> RefOr<Schema> {
        Schema::OneOf(OneOfBuilder::new().item(String::schema()).item(i64::schema()).build()).into()
    }
}

impl ToSchema for TextOrNumber {}

fn text_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    struct Form;

    impl Visitor<'_> for Form {
        type Value = String;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("text or a whole number")
        }

        fn visit_str<E>(self, text: &str) -> Result<String, E> {
            Ok(text.to_owned())
        }

        fn visit_u64<E>(self, number: u64) -> Result<String, E> {
            Ok(number.to_string())
        }

        fn visit_i64<E>(self, number: i64) -> Result<String, E> {
            Ok(number.to_string())
        }
    }

    deserializer.deserialize_any(Form)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: &Value) -> serde_json::Result<Action> {
        Action::read(value.as_object().unwrap())
    }

    #[test]
    fn what_the_client_sends_reads() {
        let message =
            json!({"type": "channel_message", "channel": "chat_1", "recipient": -100, "message": "hi"});
        let Action::Message(message) = read(&message).unwrap() else { panic!("not a message") };
        assert_eq!((message.channel.as_str(), message.recipient.as_str()), ("chat_1", "-100"));
        let task = json!({"type": "assistant_task", "agent_id": "research", "context": "look", "delivery":
            {"type": "channel_message", "channel": "chat", "recipient": "U1"}});
        assert_eq!(read(&task).unwrap().channel(), Some("chat"));
        let bare = json!({"type": "assistant_task", "agent_id": null, "context": "look", "delivery": null});
        assert_eq!(read(&bare).unwrap().channel(), None);
        let wake = json!({"type": "hook", "text": "look", "mode": "next-heartbeat", "channel": "chat", "recipient": 7});
        let Action::Wake(wake) = read(&wake).unwrap() else { panic!("not a wake-up") };
        assert_eq!((wake.when(), wake.recipient.as_deref()), (WakeMode::NextHeartbeat, Some("7")));
        let bare = json!({"type": "hook", "text": "look", "mode": null, "recipient": null});
        let Action::Wake(bare) = read(&bare).unwrap() else { panic!("not a wake-up") };
        assert_eq!((bare.when(), bare.recipient), (WakeMode::Now, None));
        let call = json!({"type": "webhook", "url": "https://example.org/", "body": {"a": 1}});
        let Action::Webhook(call) = read(&call).unwrap() else { panic!("not a webhook") };
        assert_eq!((call.url.as_str(), call.body.unwrap().len()), ("https://example.org/", 1));
    }

    #[test]
    fn anything_else_does_not() {
        for wrong in [
            json!({}),
            json!({"type": "shell", "command": "rm"}),
            json!({"type": "channel_message", "channel": "a", "recipient": "b"}),
            json!({"type": "channel_message", "channel": "a", "recipient": true, "message": "c"}),
            json!({"type": "assistant_task", "context": "a", "delivery": {"type": "mail", "channel": "a", "recipient": "b"}}),
            json!({"type": "hook"}),
            json!({"type": "hook", "text": "a", "mode": "later"}),
            json!({"type": "hook", "text": "a", "recipient": {}}),
            json!({"type": "webhook"}),
            json!({"type": "webhook", "url": "https://example.org/", "headers": {"a": "b"}}),
        ] {
            assert!(read(&wrong).is_err(), "{wrong}");
        }
    }
}
