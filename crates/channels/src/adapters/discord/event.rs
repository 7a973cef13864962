//! Events as Discord tells them, as far as they are read here
//! (<https://docs.discord.com/developers/events/gateway-events#receive-events>).
//!
//! Our own structures and not a library's, so that a key or a kind of the future changes nothing: what is not needed is not read,
//! and what may be missing may be missing.

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

/// An event that people cause and that means something here.
#[derive(Debug)]
pub(super) enum Event {
    Wrote(Box<Message>),
    Changed(Box<Message>),
    Deleted(Deleted),
    Reacted(Box<Reacted>, Change),
    Pressed(Box<Interaction>),
}

/// What became of a reaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Added,
    Removed,
}

impl Event {
    /// `None` for events that mean nothing here, and for those that can't be read.
    pub(super) fn read(name: &str, data: &str) -> Option<Self> {
        Some(match name {
            "MESSAGE_CREATE" => Self::Wrote(serde_json::from_str(data).ok()?),
            "MESSAGE_UPDATE" => Self::Changed(serde_json::from_str(data).ok()?),
            "MESSAGE_DELETE" | "MESSAGE_DELETE_BULK" => Self::Deleted(serde_json::from_str(data).ok()?),
            "MESSAGE_REACTION_ADD" => Self::Reacted(serde_json::from_str(data).ok()?, Change::Added),
            "MESSAGE_REACTION_REMOVE" => Self::Reacted(serde_json::from_str(data).ok()?, Change::Removed),
            "INTERACTION_CREATE" => Self::Pressed(serde_json::from_str(data).ok()?),
            _ => return None,
        })
    }

    /// Where it happened: the server, none for direct messages, and the channel or thread.
    pub(super) fn place(&self) -> (Option<&str>, &str) {
        match self {
            Self::Wrote(message) | Self::Changed(message) => {
                (message.guild_id.as_deref(), &message.channel_id)
            }
            Self::Deleted(deleted) => (deleted.guild_id.as_deref(), &deleted.channel_id),
            Self::Reacted(reacted, _) => (reacted.guild_id.as_deref(), &reacted.channel_id),
            Self::Pressed(pressed) => (pressed.guild_id.as_deref(), &pressed.channel_id),
        }
    }

    /// The channel, as far as the event tells: of interactions also its name.
    pub(super) fn channel(&self) -> Option<Channel> {
        match self {
            Self::Wrote(message) | Self::Changed(message) => {
                message.channel_type.map(|r#type| Channel { r#type, parent_id: None, name: None })
            }
            Self::Pressed(pressed) => pressed.channel.clone(),
            Self::Deleted(_) | Self::Reacted(..) => None,
        }
    }
}

/// <https://docs.discord.com/developers/resources/message#message-object>
#[derive(Debug, Deserialize)]
pub(super) struct Message {
    pub(super) id: String,
    pub(super) channel_id: String,
    pub(super) guild_id: Option<String>,
    pub(super) channel_type: Option<u64>,
    pub(super) author: Option<User>,
    pub(super) member: Option<Member>,
    #[serde(default)]
    pub(super) content: String,
    pub(super) timestamp: Option<DateTime<Utc>>,
    pub(super) edited_timestamp: Option<DateTime<Utc>>,
    #[serde(default)]
    pub(super) mentions: Vec<User>,
    #[serde(default)]
    pub(super) mention_roles: Vec<String>,
    #[serde(default)]
    pub(super) attachments: Vec<Attachment>,
    #[serde(default)]
    pub(super) sticker_items: Vec<Sticker>,
    /// As it is, so that no message is lost for what is odd in the preview of a link.
    #[serde(default)]
    pub(super) embeds: Value,
    /// The same.
    #[serde(default)]
    pub(super) components: Value,
    pub(super) poll: Option<Poll>,
    #[serde(default)]
    pub(super) r#type: u64,
    pub(super) webhook_id: Option<String>,
    #[serde(rename = "message_reference")]
    pub(super) reference: Option<Reference>,
    #[serde(rename = "referenced_message")]
    pub(super) answered: Option<Box<Answered>>,
    #[serde(rename = "message_snapshots", default)]
    pub(super) snapshots: Vec<Snapshot>,
}

/// <https://docs.discord.com/developers/resources/user#user-object>
#[derive(Debug, Clone, Deserialize)]
pub(super) struct User {
    pub(super) id: String,
    #[serde(default)]
    pub(super) username: String,
    pub(super) global_name: Option<String>,
    #[serde(default)]
    pub(super) bot: bool,
}

/// A user as one server knows them.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Member {
    pub(super) nick: Option<String>,
    pub(super) user: Option<User>,
}

/// <https://docs.discord.com/developers/resources/message#attachment-object>
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Attachment {
    pub(super) id: String,
    pub(super) filename: Option<String>,
    pub(super) content_type: Option<String>,
    pub(super) url: String,
    /// Only of a voice message.
    pub(super) duration_secs: Option<f64>,
}

/// <https://docs.discord.com/developers/resources/sticker#sticker-item-object>
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Sticker {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) format_type: u64,
}

/// <https://docs.discord.com/developers/resources/poll#poll-object>
#[derive(Debug, Deserialize)]
pub(super) struct Poll {
    pub(super) question: PollText,
    #[serde(default)]
    pub(super) answers: Vec<PollAnswer>,
}

#[derive(Debug, Deserialize)]
pub(super) struct PollAnswer {
    pub(super) poll_media: PollText,
}

#[derive(Debug, Deserialize)]
pub(super) struct PollText {
    pub(super) text: Option<String>,
}

/// <https://docs.discord.com/developers/resources/message#message-reference-structure>
#[derive(Debug, Deserialize)]
pub(super) struct Reference {
    /// 0 answers, 1 forwards.
    #[serde(default)]
    pub(super) r#type: u64,
    pub(super) message_id: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Answered {
    pub(super) author: Option<User>,
}

/// A forwarded message.
#[derive(Debug, Deserialize)]
pub(super) struct Snapshot {
    pub(super) message: Forwarded,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Forwarded {
    pub(super) content: String,
    pub(super) mentions: Vec<User>,
    pub(super) attachments: Vec<Attachment>,
    pub(super) sticker_items: Vec<Sticker>,
    pub(super) embeds: Value,
    pub(super) components: Value,
}

/// One message, or many at once.
#[derive(Debug, Deserialize)]
pub(super) struct Deleted {
    pub(super) id: Option<String>,
    #[serde(default)]
    pub(super) ids: Vec<String>,
    pub(super) channel_id: String,
    pub(super) guild_id: Option<String>,
}

/// <https://docs.discord.com/developers/events/gateway-events#message-reaction-add>
#[derive(Debug, Deserialize)]
pub(super) struct Reacted {
    pub(super) user_id: String,
    pub(super) channel_id: String,
    pub(super) message_id: String,
    pub(super) guild_id: Option<String>,
    pub(super) member: Option<Member>,
    pub(super) emoji: Emoji,
}

/// An emoji: a character, or a picture of a server's own, which has a number.
#[derive(Debug, Deserialize)]
pub(super) struct Emoji {
    pub(super) id: Option<String>,
    pub(super) name: Option<String>,
}

/// <https://docs.discord.com/developers/interactions/receiving-and-responding#interaction-object>
#[derive(Debug, Deserialize)]
pub(super) struct Interaction {
    pub(super) id: String,
    pub(super) token: String,
    pub(super) r#type: u64,
    pub(super) channel_id: String,
    pub(super) guild_id: Option<String>,
    pub(super) channel: Option<Channel>,
    pub(super) member: Option<Member>,
    pub(super) user: Option<User>,
    #[serde(default)]
    pub(super) data: Value,
    #[serde(default)]
    pub(super) message: Value,
}

/// A channel or thread (<https://docs.discord.com/developers/resources/channel#channel-object>).
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Channel {
    pub(super) r#type: u64,
    pub(super) parent_id: Option<String>,
    /// Direct messages have none.
    pub(super) name: Option<String>,
}

impl Message {
    /// What it carries on.
    pub(super) fn forwarded(&self) -> impl Iterator<Item = &Forwarded> {
        self.snapshots.iter().map(|snapshot| &snapshot.message)
    }

    /// Its own stickers and those of what it carries on.
    pub(super) fn stickers(&self) -> impl Iterator<Item = &Sticker> {
        self.sticker_items.iter().chain(self.forwarded().flat_map(|one| &one.sticker_items))
    }
}

impl User {
    /// The name that people see, in a server the one that they have there.
    pub(super) fn shown(&self, member: Option<&Member>) -> String {
        let nick = member.and_then(|member| member.nick.clone());
        nick.or_else(|| self.global_name.clone()).unwrap_or_else(|| self.username.clone())
    }
}
