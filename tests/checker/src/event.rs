//! What a test saw, as it is recorded and as it stands in a log.

use serde::{Deserialize, Serialize};

/// One thing that a test saw. Names are the test's own; the rules only compare them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The sender of a message was told that it is in: from now on it must not be lost. Within a conversation these are
    /// recorded in the order in which the messages were sent, the next one only after the former was accepted.
    Accepted {
        /// What it is in order with.
        conversation: String,
        /// The sender's name for the message, unique in the whole test.
        id: String,
    },
    /// The receiver took a message, maybe not for the first time, and maybe before its sender heard that it is in.
    Delivered {
        /// What it is in order with.
        conversation: String,
        /// The sender's name for the message.
        id: String,
        /// What a receiver goes by to leave out what came before, such as a `webhook-id`.
        key: String,
        /// A digest of the exact body.
        digest: String,
    },
    /// An owner's write was seen to be committed.
    Committed {
        /// Whose claim it was made under.
        shard: u16,
        /// The epoch of that claim.
        epoch: i64,
        /// The shard's newest epoch at that moment.
        newest: i64,
    },
    /// A connection for a bot began.
    Held {
        /// The bot.
        bot: String,
        /// Which connection, or whose.
        by: String,
        /// When, in milliseconds of the test's own clock.
        at: u64,
    },
    /// A connection for a bot ended.
    LetGo {
        /// The bot.
        bot: String,
        /// Which connection, or whose.
        by: String,
        /// When, in milliseconds of the test's own clock.
        at: u64,
    },
}
