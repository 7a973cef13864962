//! The bodies of messages: the inbound webhook that II-Agent reads, and what it sends back.
//!
//! Field names and shapes of [`WebhookBody`] are the client's (see docs/webhook.md); changing one breaks a user.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::{InstanceId, UserId};

/// The JSON body of the webhook to the backend. Absent fields are left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WebhookBody {
    /// The tenant.
    pub user_id: UserId,
    /// The agent that the channel is bound to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// The platform's type, lower case.
    pub channel: String,
    /// The channel's slug: the client sends its answer to `/channels/{instance_name}/send`.
    pub instance_name: InstanceId,
    /// The platform's id of the message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub platform_message_id: Option<String>,
    /// The person, never the chat.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sender: Option<Sender>,
    /// `text`, `image`, `video`, `audio`, `voice`, `file`, `location`, ...
    pub content_type: String,
    /// What was written; of an attachment, its caption.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// A short-lived signed URL of the gateway's own. Set when the webhook is sent, not when it is stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_url: Option<String>,
    /// The attachment's file name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_filename: Option<String>,
    /// Length of a voice note, sound or video.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub media_duration_seconds: Option<u32>,
    /// Whether more than one person can be there.
    pub is_group: bool,
    /// The platform's thread or topic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread_id: Option<String>,
    /// When the person wrote it, as far as the platform says; else when it was accepted.
    pub timestamp: DateTime<Utc>,
    /// Session keys (`chat_id`, ...; always strings) and what else the platform tells.
    pub metadata: Map<String, Value>,
    /// Where an answer belongs; in a group, the group. Absent when nobody waits for one: the event came from no person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<ReplyTo>,
}

/// Who wrote.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sender {
    /// The platform's id of the person.
    pub platform_id: String,
    /// The name to show.
    pub display_name: String,
    /// The II-Agent user behind the person, where one is linked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub internal_user: Option<String>,
}

/// Where an answer belongs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReplyTo {
    /// The platform's type.
    pub channel: String,
    /// The platform's id of the chat.
    pub recipient: String,
    /// The thread or topic in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thread_id: Option<String>,
}

/// What an attachment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum MediaKind {
    /// A picture.
    Image,
    /// A film.
    Video,
    /// Sound other than a voice note.
    Audio,
    /// A voice note.
    Voice,
    /// Anything else.
    File,
}

impl MediaKind {
    /// The `content_type` of a message that consists of it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Voice => "voice",
            Self::File => "file",
        }
    }
}

/// An outbound attachment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Media {
    /// What it is.
    pub kind: MediaKind,
    /// Where it is fetched, by us or by the platform.
    pub url: String,
    /// Its name, for files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
}

/// How an adapter finds an inbound attachment again. May name things the platform trusts us with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MediaRef {
    /// What it is.
    pub kind: MediaKind,
    /// The adapter's own handle: a file id, a URL.
    pub handle: String,
    /// Its name, where the platform tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// Its media type, where the platform tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mime: Option<String>,
}

/// The conversation key of a chat and the thread in it.
pub fn conversation(recipient: &str, thread_id: Option<&str>) -> String {
    match thread_id {
        Some(thread) => format!("{recipient}:{thread}"),
        None => recipient.to_owned(),
    }
}

/// The keys of `metadata` that name a session, in the order in which the backend looks for them.
pub const SESSION_KEYS: [&str; 4] = ["thread_id", "message_thread_id", "channel_id", "chat_id"];

/// The session that the backend will put a message with this `metadata` into.
pub fn session_key(metadata: &Map<String, Value>) -> Option<&str> {
    SESSION_KEYS
        .into_iter()
        .find_map(|key| metadata.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()))
}

/// What `metadata.event` says of a body that is no message of its own but tells what a person did to one.
pub mod event {
    /// The message `metadata.edited_message_id` reads like this now.
    pub const EDITED: &str = "message_edited";
    /// The message `metadata.deleted_message_id` was taken back.
    pub const DELETED: &str = "message_deleted";
    /// The answer `metadata.answer_id` has other reactions now: `metadata.reaction`.
    pub const REACTION: &str = "message_reaction";
    /// Where the id of an edited message stands.
    pub const EDITED_ID: &str = "edited_message_id";
    /// Where the id of a deleted message stands.
    pub const DELETED_ID: &str = "deleted_message_id";
    /// Where the id of an answer stands that was reacted or replied to.
    pub const ANSWER_ID: &str = "answer_id";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absent_fields_are_left_out() {
        let body = WebhookBody {
            user_id: "u".parse().unwrap(),
            agent_id: None,
            channel: "platform".into(),
            instance_name: "platform_1".parse().unwrap(),
            platform_message_id: None,
            sender: None,
            content_type: "text".into(),
            text: Some("hi".into()),
            media_url: None,
            media_filename: None,
            media_duration_seconds: None,
            is_group: false,
            thread_id: None,
            timestamp: DateTime::UNIX_EPOCH,
            metadata: Map::new(),
            reply_to: Some(ReplyTo { channel: "platform".into(), recipient: "1".into(), thread_id: None }),
        };
        let stored = r#"{"user_id":"u","channel":"platform","instance_name":"platform_1","content_type":"text","text":"hi","is_group":false,"timestamp":"1970-01-01T00:00:00Z","metadata":{},"reply_to":{"channel":"platform","recipient":"1"}}"#;
        assert_eq!(serde_json::to_string(&body).unwrap(), stored);
        assert_eq!(serde_json::from_str::<WebhookBody>(stored).unwrap(), body);
        let event = WebhookBody { reply_to: None, ..body };
        let stored = stored.replace(r#","reply_to":{"channel":"platform","recipient":"1"}"#, "");
        assert_eq!(serde_json::to_string(&event).unwrap(), stored);
        assert_eq!(serde_json::from_str::<WebhookBody>(&stored).unwrap(), event);
    }

    #[test]
    fn the_session_is_the_first_key_that_is_a_text() {
        let metadata = |value: Value| value.as_object().unwrap().clone();
        let table = [
            (serde_json::json!({"chat_id": "c", "thread_id": "t"}), Some("t")),
            (serde_json::json!({"chat_id": "c", "thread_id": "", "channel_id": 5}), Some("c")),
            (serde_json::json!({"chat_title": "c"}), None),
        ];
        for (given, expected) in table {
            assert_eq!(session_key(&metadata(given)), expected);
        }
    }
}
