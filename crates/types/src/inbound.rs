//! What an adapter understood of a person's message, or of what a person did to one, before it is stamped with whose it is.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

#[cfg(doc)]
use crate::limits;
use crate::{MediaRef, MessageId, Sender, bodies};

/// A person's message as its platform told it, or what a person did to a message.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Inbound {
    /// Its id, where that had to be known before: the attachment is stored under it. Else it is given one.
    pub id: Option<MessageId>,
    /// What the person did.
    pub deed: Deed,
    /// The message that this one answers, where a person can say so.
    pub answers: Option<Answered>,
    /// The platform's id of it, as the backend is told.
    pub platform_message_id: Option<String>,
    /// What is unique within the channel: the same key again is the same message redelivered. By default the
    /// platform's id; platforms that number messages by chat set it.
    pub dedup_key: Option<String>,
    /// Of a message that its platform shows with others as one, an album of photos for instance: what names all of these within
    /// the conversation. They go to the backend together in channels with `join_albums`; in others it is taken away before the message
    /// is stored ([`crate::album`]).
    pub album: Option<String>,
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

/// What a person did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Deed {
    /// Wrote the message.
    #[default]
    Wrote,
    /// Changed the message that was accepted under this key ([`Inbound::dedup_key`] of then). The rest is the message as it
    /// reads now, under a key of its own, so that every version counts once.
    Edited(String),
    /// Took back the message that was accepted under this key.
    Deleted(String),
    /// Reacted to a message.
    Reacted(Reaction),
    /// Got messages of ours, or read them, or can't get them. Nothing that the person decided to tell, so no policy is asked; the chat is the
    /// [`Inbound::recipient`].
    Received(Receipts),
}

/// A platform's word that messages of ours arrived, or that they did not after all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Receipts {
    /// Which.
    pub messages: Vec<Named>,
    /// Whether the person saw them; else only the person's device has them.
    pub read: bool,
    /// Why they will not arrive although the platform had taken them; for their sender, in a sentence.
    pub failed: Option<String>,
}

/// How a platform names a message of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// By its own id of one of the message's parts.
    Platform(String),
    /// By our id: where the platform is ourselves.
    Ours(MessageId),
    /// By the platform's time: all that the conversation had of ours by then, where it tells only how far a person got.
    UpTo(DateTime<Utc>),
}

/// A reaction to a message, or a change of one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reaction {
    /// The platform's id of the message.
    pub to: String,
    /// The emoji that were put on it. Each passes [`limits::is_emoji`].
    pub added: Vec<String>,
    /// The emoji that were taken off it.
    pub removed: Vec<String>,
    /// How often each is on it now, where the platform counts reactions without telling whose they are.
    pub counts: BTreeMap<String, u64>,
}

/// The message that another one answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// The platform's id of it.
    pub message_id: String,
    /// Whether the channel's own account wrote it; `None` where the platform does not tell.
    pub is_own: Option<bool>,
}

impl Reaction {
    /// Whether it says anything.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.counts.is_empty()
    }
}

impl Inbound {
    /// The conversation it belongs to.
    pub fn conversation(&self) -> String {
        bodies::conversation(&self.recipient, self.thread_id.as_deref())
    }
}
