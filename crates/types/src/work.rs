//! A message as its shard's owner handles it: what NATS carries and what a sweep reads back.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{ChannelId, MessageId, ShardId, UserId};

/// Which way a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From a person to the backend.
    In,
    /// From the backend to a person.
    Out,
}

impl Direction {
    /// As stored.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::In => "in",
            Self::Out => "out",
        }
    }
}

/// Where a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MessageState {
    /// Accepted and not finished; an owner is or will be working on it.
    Pending,
    /// The backend (inbound) or the platform (outbound) has it.
    Done,
    /// The platform refused it for good; trying again would not help.
    Failed,
    /// It was handed to the platform, whose answer never came: it may or may not have arrived.
    Uncertain,
    /// It was to a person and could not be sent within its time to live, so it was not sent.
    Expired,
    /// Every attempt of the schedule failed; kept for inspection and replay.
    Dead,
    /// Somebody decided that it is not worth another attempt, and said why.
    Discarded,
}

impl MessageState {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Pending,
        Self::Done,
        Self::Failed,
        Self::Uncertain,
        Self::Expired,
        Self::Dead,
        Self::Discarded,
    ];

    /// As it is called.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Uncertain => "uncertain",
            Self::Expired => "expired",
            Self::Dead => "dead",
            Self::Discarded => "discarded",
        }
    }

    /// The state that [`Self::as_str`] names.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// Whether it ended without success and nobody has decided about it: a dead letter.
    pub fn is_dead_letter(self) -> bool {
        matches!(self, Self::Failed | Self::Uncertain | Self::Expired | Self::Dead)
    }
}

/// One accepted message on its way.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Work {
    /// Its id; also the webhook id and, where the platform takes one, the nonce.
    pub id: MessageId,
    /// Its place in the database's order of acceptance; a conversation is worked off by it.
    pub seq: i64,
    /// The shard of its channel.
    pub shard: ShardId,
    /// The tenant.
    pub user_id: UserId,
    /// The channel it came in by or goes out by.
    pub channel_id: ChannelId,
    /// Which way.
    pub direction: Direction,
    /// Messages with the same channel, direction and conversation are worked off one after another.
    pub conversation: String,
    /// A [`crate::WebhookBody`] (in), a [`crate::Outbound`] (out) or a [`crate::WebhookPost`] (out of no channel), as stored.
    pub payload: Box<RawValue>,
    /// What the adapter needs to fetch an inbound attachment; never shown to anyone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media: Option<Box<RawValue>>,
    /// Attempts made before.
    #[serde(default)]
    pub attempts: u32,
    /// The platform's ids of the parts that were sent already.
    #[serde(default)]
    pub platform_message_ids: Vec<String>,
    /// When it was accepted, in milliseconds since 1970, by the database's clock.
    pub accepted_at_ms: i64,
    /// How often it was set back to work after it had ended.
    #[serde(default)]
    pub retries: u32,
    /// When that was last, as [`Self::accepted_at_ms`]; 0 for never.
    #[serde(default)]
    pub retried_at_ms: i64,
    /// What was pending in its conversation when it was accepted: the last few. Whoever does not know one of them has
    /// missed it, and asks the database before working on this one. Empty on what the database itself brings in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ahead: Vec<MessageId>,
    /// For how many milliseconds after it its sender may write on before it is handed over: what comes within them is
    /// handed over with it. 0: it goes alone, at once.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub debounce_ms: u32,
    /// The burst that it was made part of before the first attempt: the id of the last message of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<MessageId>,
    /// That a job's time made it, or what became of a job, and nobody sits and waits for it: of these, thousands are due in the
    /// same second. To a person it is no answer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub scheduled: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(n: &u32) -> bool {
    *n == 0
}

impl Work {
    /// Whether it is a [`crate::WebhookPost`]: what goes out by no channel. A worker of a version that knows nothing of those refuses
    /// it as a message whose channel was deleted. It goes nowhere then, to the backend least of all, and can be tried again.
    pub fn is_webhook(&self) -> bool {
        self.direction == Direction::Out && self.channel_id == ChannelId::NONE
    }

    /// From when on its time to live counts.
    pub fn fresh_at_ms(&self) -> i64 {
        self.accepted_at_ms.max(self.retried_at_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_states_read_back() {
        for state in MessageState::ALL {
            assert_eq!(MessageState::parse(state.as_str()), Some(state));
        }
        assert_eq!(MessageState::parse("sent"), None);
    }
}
