//! What a user may set for all of their jobs and agents.
//!
//! Parts of this are the JSON of columns of `user_settings`. It is checked when it is stored; keys that a later version added
//! are passed over when it is read, because two versions run side by side during an upgrade.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Ident;

/// After how many failed runs of a job in a row its owner is told, unless somebody has set something else.
pub const ALERT_AFTER: u32 = 3;
/// After how many it is paused, unless somebody has set something else.
pub const PAUSE_AFTER: u32 = 10;
/// The most that can be set for either.
pub const MOST_FAILURES: u32 = 1_000;

/// A chat of one of the user's channels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChatRef {
    /// The `instance_name_id` of the channel; or its type, if the user has exactly one channel of that type.
    #[schema(min_length = 1, max_length = 64)]
    pub channel: String,
    /// The platform's id of the chat.
    pub recipient: Ident,
    /// The thread or topic in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread_id: Option<Ident>,
}

/// The hours in which heartbeats may be; what they mean is for `claw_schedule::ActiveHours` to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Hours {
    /// When they begin, by the clock of `tz`.
    #[schema(example = "08:00", pattern = "^[0-9]{2}:[0-9]{2}$")]
    pub from: String,
    /// When they end, at most at `24:00`; before `from`, it is on the next day.
    #[schema(example = "22:00", pattern = "^[0-9]{2}:[0-9]{2}$")]
    pub to: String,
    /// The time zone; UTC if empty.
    #[schema(example = "Europe/Berlin")]
    #[serde(default)]
    pub tz: String,
    /// The days on which they begin: 1 (Monday) to 7 (Sunday); every day if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub days: Option<Vec<u8>>,
}

/// What an agent is told at each heartbeat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Beat {
    /// The text.
    #[schema(min_length = 1, max_length = 4_096)]
    pub text: String,
    /// Which agent; absent for the one that the channel is bound to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_id: Option<String>,
    /// The channel of the chat that it belongs to, and to which the answer goes; absent when it belongs to none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
    /// The platform's id of the chat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recipient: Option<Ident>,
    /// The thread or topic in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub thread_id: Option<Ident>,
}

impl Beat {
    /// The chat that it belongs to, if it belongs to one.
    pub fn chat(&self) -> Option<ChatRef> {
        let (channel, recipient) = self.channel.clone().zip(self.recipient.clone())?;
        Some(ChatRef { channel, recipient, thread_id: self.thread_id.clone() })
    }
}
