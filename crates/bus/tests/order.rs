//! Batches that are told of at the same time: their numbers arrive in order, or workers would take them for lost.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that can't be set up must fail loudly")]

use claw_bus::{Bus, Gaps};
use claw_types::{ChannelId, Direction, MessageId, ShardId, Work};
use serde_json::value::RawValue;
use uuid::Uuid;

/// More than what a task may hand over before others have their turn.
const BATCH: usize = 300;

fn work(n: usize) -> Work {
    Work {
        id: MessageId(Uuid::from_u128(n as u128)),
        seq: i64::try_from(n).unwrap(),
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

#[tokio::test]
async fn numbers_of_batches_told_of_at_once_do_not_overtake_each_other() {
    // No other test of this run has this cluster.
    let cluster = Uuid::from_u128(0x006f_7264_6572);
    let bus = Bus::connect(&claw_testkit::nats_url(), "test", Uuid::from_u128(1), cluster).await.unwrap();
    let mut works = bus.subscribe_work(ShardId(0)).await.unwrap();
    bus.flush().await;
    let (first, second): (Vec<_>, Vec<_>) =
        ((0..BATCH).map(work).collect(), (BATCH..2 * BATCH).map(work).collect());
    let (first, second): (Vec<_>, Vec<_>) = (first.iter().collect(), second.iter().collect());
    tokio::join!(bus.publish_accepted(&first), bus.publish_accepted(&second));
    let mut gaps = Gaps::default();
    for _ in 0..2 * BATCH {
        let numbered = works.next().await.unwrap();
        assert!(!gaps.missed_before(numbered.publisher, numbered.number), "a gap before {}", numbered.number);
    }
}
