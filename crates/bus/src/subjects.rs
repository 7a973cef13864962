//! Every subject, in one place. All begin with `claw.` and the cluster's id, so that clusters which share a NATS do
//! not hear one another.

use claw_types::{ChannelId, ShardId};
use uuid::Uuid;

/// The subjects of one cluster.
#[derive(Debug, Clone)]
pub struct Subjects {
    prefix: String,
}

impl Subjects {
    /// Of this cluster.
    pub fn new(cluster: Uuid) -> Self {
        Self { prefix: format!("claw.{}", cluster.simple()) }
    }

    /// Accepted messages, to the shard's owner.
    pub fn work(&self, shard: ShardId) -> String {
        format!("{}.work.{shard}", self.prefix)
    }

    /// A channel was made, changed, deleted or is to be looked at again: to the shard's owner and every gateway.
    pub fn channel_changed(&self, shard: ShardId) -> String {
        format!("{}.channels.{shard}", self.prefix)
    }

    /// All of [`Self::channel_changed`].
    pub fn channels(&self) -> String {
        format!("{}.channels.*", self.prefix)
    }

    /// Somebody joined, left or gave shards back: workers look at once instead of at their next poll.
    pub fn members(&self) -> String {
        format!("{}.members", self.prefix)
    }

    /// Keys to the API changed: gateways forget what they remember of them.
    pub fn keys(&self) -> String {
        format!("{}.keys", self.prefix)
    }

    /// A message with an attachment was accepted: a gateway fetches it ahead.
    pub fn media(&self) -> String {
        format!("{}.media", self.prefix)
    }

    /// To the gateways that hold a person's socket. The conversation is hashed: it may hold characters that a subject
    /// can't.
    pub fn live(&self, channel: ChannelId, conversation: &str) -> String {
        let hash = xxhash_rust::xxh3::xxh3_64(conversation.as_bytes());
        format!("{}.live.{channel}.{hash:016x}", self.prefix)
    }
}
