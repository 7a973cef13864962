//! What the tests of this crate begin with.

use std::result::Result as StdResult;

use async_trait::async_trait;
use claw_bus::{Error, Numbered};
use claw_store::Pending;
use claw_types::{ChannelId, Direction, MessageId, ShardId, Work};
use futures::stream::{self, BoxStream};
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::ports::Road;

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

/// Where it lies.
pub(crate) fn place(work: &Work) -> Pending {
    Pending {
        id: work.id,
        shard: work.shard,
        seq: work.seq,
        retries: work.retries,
        channel_id: work.channel_id,
        direction: work.direction,
        conversation: work.conversation.clone(),
    }
}

/// A road on which nothing comes.
pub(crate) struct NoRoad;

#[async_trait]
impl Road for NoRoad {
    async fn work(&self, _shard: ShardId) -> StdResult<BoxStream<'static, Numbered>, Error> {
        Ok(Box::pin(stream::pending()))
    }

    async fn members(&self) -> StdResult<BoxStream<'static, ()>, Error> {
        Ok(Box::pin(stream::pending()))
    }

    async fn tell_members(&self) {}

    async fn flush(&self) {}
}
