//! What the tests of this crate begin with.

use claw_types::{ChannelId, Direction, MessageId, ShardId, Work};
use serde_json::value::RawValue;
use uuid::Uuid;

/// A person's message that nothing was done about; a test changes what it is about.
pub(crate) fn work() -> Work {
    Work {
        id: MessageId(Uuid::from_u128(1)),
        seq: 1,
        shard: ShardId(0),
        user_id: "ada".parse().unwrap(),
        channel_id: ChannelId(Uuid::from_u128(2)),
        direction: Direction::In,
        conversation: "chat".to_owned(),
        payload: RawValue::NULL.to_owned(),
        media: None,
        attempts: 0,
        platform_message_ids: Vec::new(),
        accepted_at_ms: 0,
        retries: 0,
        retried_at_ms: 0,
        ahead: Vec::new(),
        debounce_ms: 0,
        burst: None,
        scheduled: false,
    }
}
