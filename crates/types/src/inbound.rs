//! What an adapter understood of a person's message, before it is stamped with whose it is.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use crate::{MediaRef, Sender, bodies};

/// A person's message as its platform told it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Inbound {
    /// The platform's id of it, as the backend is told.
    pub platform_message_id: Option<String>,
    /// What is unique within the channel: the same key again is the same message redelivered. By default the
    /// platform's id; platforms that number messages by chat set it.
    pub dedup_key: Option<String>,
    /// The person, never the chat.
    pub sender: Option<Sender>,
    /// `text`, `image`, `voice`, `location`, ...
    pub content_type: String,
    /// What was written; of an attachment, its caption.
    pub text: Option<String>,
    /// The attachment, if any.
    pub media: Option<MediaRef>,
    /// Length of a voice note, sound or video.
    pub media_duration_seconds: Option<u32>,
    /// Whether more than one person can be there.
    pub is_group: bool,
    /// Whether it addresses the bot: by its name, a command, a reply to it. `None` where the platform does not tell, which counts
    /// as yes: what nobody can judge must not be lost.
    pub mentioned: Option<bool>,
    /// Whether a program wrote it.
    pub sender_is_bot: bool,
    /// Whether the channel's own account wrote it: an answer of ours that the platform shows us.
    pub is_own: bool,
    /// The platform's id of the chat: where an answer goes.
    pub recipient: String,
    /// The thread or topic in it.
    pub thread_id: Option<String>,
    /// When it was written, where the platform tells.
    pub timestamp: Option<DateTime<Utc>>,
    /// Session keys (`chat_id`, ...; strings) and what else is worth telling.
    pub metadata: Map<String, Value>,
}

impl Inbound {
    /// The conversation it belongs to.
    pub fn conversation(&self) -> String {
        bodies::conversation(&self.recipient, self.thread_id.as_deref())
    }
}
