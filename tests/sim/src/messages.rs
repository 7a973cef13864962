//! People who write, by way of the platform and by way of gateways.
//!
//! In each conversation the next message is written after the one before was accepted, as a person does; so its order is
//! known, whichever gateway takes it.

use std::time::Duration;

use claw_types::{ChannelId, Direction, MessageId, ShardId, UserId, Work};
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};
use uuid::Uuid;

use crate::platform::Update;
use crate::road;
use crate::world::World;

/// The user of everything here: tenants are told apart elsewhere.
fn user() -> UserId {
    UserId::try_from("ada".to_owned()).unwrap_or_else(|_| unreachable!("a user's id"))
}

/// Of every third bot, messages wait for so long for what their sender writes on. People write about as often.
const DEBOUNCE_MS: u32 = 800;

/// For how long the `n`-th message in a conversation of a bot waits: commands in between do not.
fn debounce(channel: u128, n: u64) -> u32 {
    if channel.is_multiple_of(3) && n % 11 != 5 { DEBOUNCE_MS } else { 0 }
}

/// What the `n`-th message of a conversation is to the backend. Now and then somebody else writes.
fn payload(conversation: &str, n: u64) -> Box<RawValue> {
    let sender = if n % 7 == 3 { "bob" } else { "cy" };
    let body = json!({"user_id": "ada", "channel": "simulated", "instance_name": "simulated_1", "content_type": "text",
        "text": format!("message {n}"), "sender": {"platform_id": sender, "display_name": sender}, "is_group": true,
        "timestamp": "1970-01-01T00:00:00Z", "metadata": {"chat_id": conversation}});
    to_raw_value(&body).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

fn work(world: &mut World, shard: ShardId, channel: u128, conversation: &str, n: u64, id: u128) -> Work {
    let seq = world.database.next_place();
    Work {
        id: MessageId(Uuid::from_u128(id)),
        seq,
        shard,
        user_id: user(),
        channel_id: ChannelId(Uuid::from_u128(channel)),
        direction: Direction::In,
        conversation: conversation.to_owned(),
        payload: payload(conversation, n),
        media: None,
        attempts: 0,
        platform_message_ids: Vec::new(),
        accepted_at_ms: 0,
        retries: 0,
        retried_at_ms: 0,
        ahead: Vec::new(),
        debounce_ms: debounce(channel, n),
        burst: None,
        scheduled: false,
    }
}

/// What the statement adds that commits it.
fn committed(world: &World, work: Work) -> Work {
    let accepted_at_ms = i64::try_from(world.now.as_millis()).unwrap_or(i64::MAX);
    Work { ahead: world.database.ahead(&work), accepted_at_ms, ..work }
}

/// The id of what was the `n`-th in a conversation of a bot.
fn id_of(bot: usize, conversation: &str, n: u64) -> u128 {
    let chat = conversation.bytes().fold(0_u128, |sum, byte| sum * 31 + u128::from(byte));
    (u128::try_from(bot).unwrap_or_default() << 96) | ((chat & 0xffff_ffff) << 64) | u128::from(n)
}

/// A person writes to a bot on the platform, which keeps it until it is confirmed.
pub fn write(world: &mut World, bot: usize, chat: u32) {
    let conversation = format!("platform-{bot}-{chat}");
    let update = world.platform.write(bot, &conversation);
    world.findings.accepted(&conversation, id_of(bot, "update", update));
}

/// Commits what a bot's poll brought; the message when it is new.
pub fn from_update(world: &mut World, bot: usize, update: &Update) -> Option<Work> {
    let shard = world.platform.bots[bot].shard;
    let channel = u128::try_from(bot).unwrap_or_default() + 1;
    let id = id_of(bot, "update", update.id);
    let work = work(world, shard, channel, &update.conversation, update.id, id);
    let work = committed(world, work);
    let key = format!("{bot}:{}", update.id);
    world.database.insert(world.now, key, work.clone()).then_some(work)
}

/// A person writes by way of a gateway: it is given a place, committed a moment later, answered, and published. Then
/// the person writes the next one, `more` times.
pub fn push(world: &mut World, bot: usize, chat: u32, n: u64, more: u64) {
    let (shard, conversation) = (world.platform.bots[bot].shard, format!("gateway-{bot}-{chat}"));
    let channel = u128::try_from(bot).unwrap_or_default() + 1;
    let work = work(world, shard, channel, &conversation, n, id_of(bot, &conversation, n));
    // Between the place and the commit others may get a later place and commit earlier.
    let most = if world.chance(0.02) { 3000 } else { 10 };
    let commits = world.up_to(Duration::from_millis(most));
    world.after(commits, move |world| {
        let key = format!("{conversation}:{n}");
        let work = committed(world, work);
        world.database.insert(world.now, key, work.clone());
        world.findings.accepted(&conversation, work.id.0.as_u128());
        let publisher = Uuid::from_u128(u128::from(world.chance(0.5)) + 1);
        let a_moment = world.up_to(Duration::from_millis(2));
        world.after(a_moment, move |world| road::publish(world, publisher, work));
        if more > 0 {
            let thinks = world.up_to(Duration::from_millis(1500));
            world.after(thinks, move |world| push(world, bot, chat, n + 1, more - 1));
        }
    });
}
