//! Every subject, in one place. Names are documented in ARCHITECTURE.md.

use claw_types::{ChannelId, ShardId};

/// Accepted messages, to the shard's owner.
pub fn work(shard: ShardId) -> String {
    format!("claw.work.{shard}")
}

/// A channel was made, changed, deleted or is to be looked at again: to the shard's owner and every gateway.
pub fn channel_changed(shard: ShardId) -> String {
    format!("claw.channels.{shard}")
}

/// All of [`channel_changed`].
pub const CHANNELS: &str = "claw.channels.*";

/// Somebody joined, left or gave shards back: workers look at once instead of at their next poll.
pub const MEMBERS: &str = "claw.members";

/// To the gateways that hold a person's socket. The conversation is hashed: it may hold characters that a subject
/// can't.
pub fn live(channel: ChannelId, conversation: &str) -> String {
    let hash = xxhash_rust::xxh3::xxh3_64(conversation.as_bytes());
    format!("claw.live.{channel}.{hash:016x}")
}
