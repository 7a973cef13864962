//! What groups say in between: kept in order, once, the newest only, until it was given or is old.

use std::collections::HashMap;

use claw_runtime::{Clock as _, SystemClock};
use claw_store::{Actor, Channel, GroupContext, Overheard, Stretch};
use claw_types::{Inbound, Sender};
use serde_json::Value;

use crate::Bench;

async fn channel(bench: &Bench) -> Channel {
    let save = bench.channel("ada", "one");
    bench.store.channel_save(&bench.vault, &save, &Actor::named("a test")).await.unwrap();
    bench.store.channel_load(&bench.vault, save.id).await.unwrap().unwrap().0
}

fn said(chat: &str, id: &str) -> Overheard {
    let sender = Sender { platform_id: "42".into(), display_name: "Ada".into(), internal_user: None };
    let message = Inbound {
        platform_message_id: Some(id.to_owned()),
        sender: Some(sender),
        text: Some(format!("{id}\0")),
        recipient: chat.to_owned(),
        is_group: true,
        ..Inbound::default()
    };
    Overheard::of(&message, SystemClock.now()).unwrap().unwrap()
}

async fn texts(bench: &Bench, channel: &Channel, chat: &str) -> Vec<String> {
    let found = context(bench, channel, &[chat]).await;
    let text = |said: &Value| said["text"].as_str().unwrap().trim_end_matches('\0').to_owned();
    found.get(chat).into_iter().flat_map(|found| &found.entries).map(|kept| text(&kept.said)).collect()
}

async fn context(bench: &Bench, channel: &Channel, chats: &[&str]) -> HashMap<String, GroupContext> {
    let chats: Vec<String> = chats.iter().map(ToString::to_string).collect();
    bench.store.context_of(channel.id, &chats).await.unwrap()
}

fn numbered(range: std::ops::Range<u32>) -> Vec<String> {
    range.map(|n| n.to_string()).collect()
}

#[tokio::test]
async fn the_newest_fifty_of_each_conversation_are_kept_once_and_in_order() {
    let bench = Bench::new().await;
    let channel = channel(&bench).await;
    let first: Vec<_> = numbered(0..30).iter().map(|id| said("room", id)).collect();
    bench.store.context_keep(&channel, &first).await.unwrap();
    bench.store.context_keep(&channel, &[said("hall", "a")]).await.unwrap();
    bench.store.context_keep(&channel, &[said("room", "29")]).await.unwrap();
    assert_eq!(texts(&bench, &channel, "room").await, numbered(0..30), "the same message again");
    let second: Vec<_> = numbered(30..60).iter().map(|id| said("room", id)).collect();
    bench.store.context_keep(&channel, &second).await.unwrap();
    assert_eq!(texts(&bench, &channel, "room").await, numbered(10..60));
    let many: Vec<_> = numbered(60..200).iter().map(|id| said("room", id)).collect();
    bench.store.context_keep(&channel, &many).await.unwrap();
    assert_eq!(texts(&bench, &channel, "room").await, numbered(150..200));
    assert_eq!(texts(&bench, &channel, "hall").await, ["a"]);
    let mut conn = bench.database.connect().await;
    let rows: i64 =
        sqlx::query_scalar("select count(*) from group_context").fetch_one(&mut conn).await.unwrap();
    assert_eq!(rows, 51);
}

#[tokio::test]
async fn what_is_taken_back_goes_with_all_its_files_and_nothing_else() {
    let bench = Bench::new().await;
    let channel = channel(&bench).await;
    let part = |chat: &str, key: &str, of: Option<&str>| {
        let message = Inbound {
            platform_message_id: of.map(str::to_owned),
            dedup_key: Some(key.to_owned()),
            text: Some(key.to_owned()),
            recipient: chat.to_owned(),
            is_group: true,
            ..Inbound::default()
        };
        Overheard::of(&message, SystemClock.now()).unwrap().unwrap()
    };
    let parts = [
        part("room", "a", Some("1")),
        part("room", "b", Some("2")),
        part("room", "b:1", Some("2")),
        part("room", "c", None),
        part("room", "d", None),
        part("hall", "e", Some("2")),
    ];
    bench.store.context_keep(&channel, &parts).await.unwrap();
    let take_back = async |key: &str| bench.store.context_change(channel.id, key, None).await.unwrap();
    assert!(take_back("b").await && take_back("c").await);
    assert!(!take_back("b").await, "it is gone");
    assert_eq!(texts(&bench, &channel, "room").await, ["a", "d"]);
    assert_eq!(texts(&bench, &channel, "hall").await, ["e"], "another chat may number its messages alike");
}

#[tokio::test]
async fn what_was_given_or_is_old_or_of_a_deleted_channel_is_gone() {
    let bench = Bench::new().await;
    let channel = channel(&bench).await;
    bench.store.context_keep(&channel, &[said("room", "1"), said("room", "2")]).await.unwrap();
    bench.store.context_keep(&channel, &[said("hall", "a")]).await.unwrap();
    let found = context(&bench, &channel, &["room", "hall", "another"]).await;
    assert_eq!(found.len(), 2, "several at once: {found:?}");
    let room = &found["room"].entries;
    assert_eq!(room[0].said["sender"]["platform_id"], "42");
    bench.store.context_keep(&channel, &[said("room", "3")]).await.unwrap();
    let stretch = |first: usize, last: usize| Stretch {
        conversation: "room".to_owned(),
        first: room[first].seq.unwrap(),
        last: room[last].seq.unwrap(),
    };
    bench.store.context_given(channel.id, &[stretch(1, 1)]).await.unwrap();
    assert_eq!(texts(&bench, &channel, "room").await, ["1", "3"], "what came meanwhile stays");
    bench.store.context_given(channel.id, &[stretch(0, 0)]).await.unwrap();
    assert_eq!(texts(&bench, &channel, "room").await, ["3"]);
    assert_eq!(texts(&bench, &channel, "hall").await, ["a"]);
    assert_eq!(bench.store.context_forget(1, 10).await.unwrap(), 0);
    let mut conn = bench.database.connect().await;
    sqlx::query("update group_context set kept_at = now() - interval '2 hours'")
        .execute(&mut conn)
        .await
        .unwrap();
    for left in [1, 1, 0] {
        assert_eq!(bench.store.context_forget(1, 1).await.unwrap(), left, "some at a time");
    }
    bench.store.context_keep(&channel, &[said("room", "4")]).await.unwrap();
    let actor = Actor::named("a test");
    bench.store.channel_delete(&channel.user_id, &channel.instance, &actor).await.unwrap();
    assert!(texts(&bench, &channel, "room").await.is_empty());
}
