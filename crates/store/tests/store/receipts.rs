//! What platforms tell of messages that they took: noted once, and only of the channel's own.

use chrono::{DateTime, TimeDelta, Utc};
use claw_store::{Accepted, Actor, Channel, Lease, NewMessage, Seen, Settlement};
use claw_types::{MessageId, MessageState, Named, Outbound, Work};
use serde_json::{Value, json};

use crate::Bench;

async fn channel(bench: &Bench, instance: &str) -> Channel {
    let save = bench.channel("ada", instance);
    bench.store.channel_save(&bench.vault, &save, &Actor::named("a test")).await.unwrap();
    bench.store.channel_load(&bench.vault, save.id).await.unwrap().unwrap().0
}

async fn accept(bench: &Bench, channel: &Channel) -> Work {
    accept_this(bench, channel, json!({"recipient": "room", "text": "hi"})).await
}

async fn accept_this(bench: &Bench, channel: &Channel, body: Value) -> Work {
    let body: Outbound = serde_json::from_value(body).unwrap();
    let message = NewMessage::outbound(channel, &body, &bench.ids, None).unwrap();
    let Accepted::New(work) = bench.writer.accept(message).await.unwrap() else { panic!("it is new") };
    *work
}

async fn sent(bench: &Bench, lease: &mut Lease, work: &Work, ids: &[&str]) {
    ended(bench, lease, work, MessageState::Done, ids).await;
}

async fn ended(bench: &Bench, lease: &mut Lease, work: &Work, state: MessageState, ids: &[&str]) {
    let settlement = Settlement {
        id: work.id,
        shard: work.shard,
        epoch: lease.claim(&[work.shard]).await.unwrap()[0].epoch,
        state,
        due_in: 0.0,
        retries: 0,
        attempts: 1,
        platform_message_ids: ids.iter().map(ToString::to_string).collect(),
        error: None,
        burst: None,
    };
    assert!(bench.writer.settle(settlement).await.unwrap());
}

fn seen(message: Named, chat: &str, read: bool) -> Seen {
    Seen { recipient: chat.to_owned(), conversation: chat.to_owned(), message, read, failed: None }
}

/// What its row says: whether it was delivered, and read.
async fn noted(bench: &Bench, id: MessageId) -> (bool, bool) {
    let mut tenant = bench.store.tenant(&"ada".parse().unwrap()).await.unwrap();
    let row = tenant.message(id).await.unwrap().unwrap().row;
    (row.delivered_at.is_some(), row.read_at.is_some())
}

async fn told(bench: &Bench) -> Vec<(MessageId, Value)> {
    let sql = "select message_id, data::text from events where type = 'message.receipt' order by id";
    let mut raw = bench.database.connect().await;
    let rows: Vec<(uuid::Uuid, String)> = sqlx::query_as(sql).fetch_all(&mut raw).await.unwrap();
    let read = |(id, data): (uuid::Uuid, String)| (MessageId(id), serde_json::from_str(&data).unwrap());
    rows.into_iter().map(read).collect()
}

#[tokio::test]
async fn what_arrived_and_was_read_is_noted_and_told_once() {
    let bench = Bench::new().await;
    let channel = channel(&bench, "one").await;
    let mut lease = Lease::open(bench.database.url(), Bench::member("one")).await.unwrap();
    let (first, second) = (accept(&bench, &channel).await, accept(&bench, &channel).await);
    sent(&bench, &mut lease, &first, &["5", "6,7"]).await;
    sent(&bench, &mut lease, &second, &["8"]).await;
    let by_platform = |id: &str, read| seen(Named::Platform(id.to_owned()), "room", read);
    let ours = |work: &Work, read| seen(Named::Ours(work.id), "room", read);
    // One word of several parts, and the same again.
    for _ in 0..2 {
        let word = [by_platform("5", false), by_platform("7", false), ours(&second, true)];
        bench.store.receipts_note(&channel, &word).await.unwrap();
    }
    assert_eq!(noted(&bench, first.id).await, (true, false));
    assert_eq!(noted(&bench, second.id).await, (true, true), "what was read has arrived");
    bench.store.receipts_note(&channel, &[by_platform("6", true)]).await.unwrap();
    assert_eq!(noted(&bench, first.id).await, (true, true));
    let data = |receipt: &str| json!({"conversation": "room", "receipt": receipt});
    let all = [(first.id, data("delivered")), (second.id, data("read")), (first.id, data("read"))];
    assert_eq!(told(&bench).await, all);
}

/// Why its row says that it did not arrive.
async fn error(bench: &Bench, id: MessageId) -> Option<String> {
    let mut raw = bench.database.connect().await;
    let sql = "select error from messages where id = $1";
    sqlx::query_scalar(sql).bind(id.0).fetch_one(&mut raw).await.unwrap()
}

#[tokio::test]
async fn what_fails_after_it_was_taken_is_noted_and_told_once() {
    let bench = Bench::new().await;
    let channel = channel(&bench, "one").await;
    let mut lease = Lease::open(bench.database.url(), Bench::member("one")).await.unwrap();
    let (lost, arrived) = (accept(&bench, &channel).await, accept(&bench, &channel).await);
    sent(&bench, &mut lease, &lost, &["5", "6"]).await;
    sent(&bench, &mut lease, &arrived, &["7"]).await;
    let named = |id: &str| seen(Named::Platform(id.to_owned()), "room", false);
    let failed = |id: &str| Seen { failed: Some("too late".to_owned()), ..named(id) };
    for _ in 0..2 {
        // One request may tell of both.
        bench.store.receipts_note(&channel, &[failed("5"), named("7"), failed("6")]).await.unwrap();
    }
    bench.store.receipts_note(&channel, &[failed("7"), failed("8")]).await.unwrap();
    assert_eq!(error(&bench, lost.id).await.as_deref(), Some("too late"));
    assert_eq!(noted(&bench, lost.id).await, (false, false));
    assert_eq!(error(&bench, arrived.id).await, None, "it has arrived somewhere");
    let data = json!({"conversation": "room", "receipt": "failed", "reason": "too late"});
    let delivered = json!({"conversation": "room", "receipt": "delivered"});
    assert_eq!(told(&bench).await, [(lost.id, data), (arrived.id, delivered)]);
}

#[tokio::test]
async fn word_of_what_is_not_the_channels_own_notes_nothing() {
    let bench = Bench::new().await;
    let (channel, other) = (channel(&bench, "one").await, channel(&bench, "two").await);
    let mut lease = Lease::open(bench.database.url(), Bench::member("one")).await.unwrap();
    let (work, pending) = (accept(&bench, &channel).await, accept(&bench, &channel).await);
    sent(&bench, &mut lease, &work, &["5"]).await;
    let says = |message, chat| [seen(message, chat, true)];
    bench.store.receipts_note(&other, &says(Named::Ours(work.id), "room")).await.unwrap();
    bench.store.receipts_note(&other, &says(Named::Platform("5".into()), "room")).await.unwrap();
    bench.store.receipts_note(&channel, &says(Named::Ours(work.id), "another room")).await.unwrap();
    bench.store.receipts_note(&channel, &says(Named::Platform("5".into()), "another room")).await.unwrap();
    bench.store.receipts_note(&channel, &says(Named::Ours(pending.id), "room")).await.unwrap();
    assert_eq!(noted(&bench, work.id).await, (false, false));
    assert_eq!(noted(&bench, pending.id).await, (false, false), "its row is its owner's");
    assert!(told(&bench).await.is_empty());
}

/// A moment of these tests, in seconds after the first one.
fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::seconds(seconds)
}

/// A message that was accepted and sent then.
async fn sent_at(
    bench: &Bench,
    lease: &mut Lease,
    channel: &Channel,
    body: Value,
    (accepted, finished): (i64, i64),
) -> Work {
    let work = accept_this(bench, channel, body).await;
    sent(bench, lease, &work, &[&work.seq.to_string()]).await;
    let mut raw = bench.database.connect().await;
    let sql = "update messages set accepted_at = $2, finished_at = $3 where id = $1";
    let update = sqlx::query(sql).bind(work.id.0).bind(at(accepted)).bind(at(finished));
    update.execute(&mut raw).await.unwrap();
    work
}

#[tokio::test]
async fn who_read_up_to_a_time_read_what_their_chat_was_sent_until_then() {
    let bench = Bench::new().await;
    let (channel, other) = (channel(&bench, "one").await, channel(&bench, "two").await);
    let mut lease = Lease::open(bench.database.url(), Bench::member("one")).await.unwrap();
    let in_room = || json!({"recipient": "room", "text": "hi"});
    let in_hall = json!({"recipient": "hall", "text": "hi"});
    let first = sent_at(&bench, &mut lease, &channel, in_room(), (0, 1)).await;
    // The platform stamps it before its answer is here and written down.
    let second = sent_at(&bench, &mut lease, &channel, in_room(), (10, 14)).await;
    let slow = sent_at(&bench, &mut lease, &channel, in_room(), (9, 16)).await;
    let later = sent_at(&bench, &mut lease, &channel, in_room(), (11, 12)).await;
    let elsewhere = sent_at(&bench, &mut lease, &channel, in_hall, (0, 1)).await;
    let others = sent_at(&bench, &mut lease, &other, in_room(), (0, 1)).await;
    let react = json!({"recipient": "room", "act": {"type": "react", "message_id": "5", "emoji": "x"}});
    let act = sent_at(&bench, &mut lease, &channel, react, (0, 1)).await;
    let stood = json!({"recipient": "room", "text": "Processing...\u{0}", "placeholder": {}});
    let stood = sent_at(&bench, &mut lease, &channel, stood, (0, 1)).await;
    let failed = accept(&bench, &channel).await;
    ended(&bench, &mut lease, &failed, MessageState::Failed, &[]).await;
    let pending = accept(&bench, &channel).await;

    let up_to = |time, read| [seen(Named::UpTo(time), "room", read)];
    bench.store.receipts_note(&channel, &up_to(at(0), false)).await.unwrap();
    for _ in 0..2 {
        // As a platform says it that names the last one, too.
        let last = seen(Named::Platform(second.seq.to_string()), "room", true);
        let [until] = up_to(at(10), true);
        bench.store.receipts_note(&channel, &[last, until]).await.unwrap();
    }
    assert_eq!(noted(&bench, first.id).await, (true, true));
    assert_eq!(noted(&bench, second.id).await, (true, true));
    for unread in [&slow, &later, &elsewhere, &others, &act, &stood, &failed, &pending] {
        assert_eq!(noted(&bench, unread.id).await, (false, false), "{unread:?}");
    }
    let data = |receipt: &str| json!({"conversation": "room", "receipt": receipt});
    let all = [(first.id, data("delivered")), (first.id, data("read")), (second.id, data("read"))];
    assert_eq!(told(&bench).await, all, "each once");

    // Whatever time a platform names, it is one.
    for time in [DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC] {
        bench.store.receipts_note(&channel, &up_to(time, true)).await.unwrap();
    }
    assert_eq!(noted(&bench, slow.id).await, (true, true));
    assert_eq!(noted(&bench, later.id).await, (true, true));
    for unread in [&elsewhere, &others, &act, &stood, &failed, &pending] {
        assert_eq!(noted(&bench, unread.id).await, (false, false), "{unread:?}");
    }
}

#[tokio::test]
async fn of_a_long_or_an_old_history_only_its_end_is_told_of() {
    let bench = Bench::new().await;
    let channel = channel(&bench, "one").await;
    let mut lease = Lease::open(bench.database.url(), Bench::member("one")).await.unwrap();
    let (old, new) = (accept(&bench, &channel).await, accept(&bench, &channel).await);
    sent(&bench, &mut lease, &old, &["5"]).await;
    sent(&bench, &mut lease, &new, &["6"]).await;
    let mut raw = bench.database.connect().await;
    let week = "update messages set id = claw_first_id(now() - interval '8 days') where id = $1 returning id";
    let aged: uuid::Uuid = sqlx::query_scalar(week).bind(old.id.0).fetch_one(&mut raw).await.unwrap();
    let all = [seen(Named::UpTo(DateTime::<Utc>::MAX_UTC), "room", true)];
    bench.store.receipts_note(&channel, &all).await.unwrap();
    assert_eq!(noted(&bench, MessageId(aged)).await, (false, false), "nobody waits for word of it");
    assert_eq!(noted(&bench, new.id).await, (true, true));

    // One more than are looked at.
    let more = "insert into messages (id, user_id, channel_id, shard, direction, conversation, payload, state, finished_at)
         select ('ff' || substr(gen_random_uuid()::text, 3))::uuid, user_id, channel_id, shard, direction, conversation, payload, state,
                finished_at
         from messages, generate_series(1, 201) where id = $1";
    sqlx::query(more).bind(new.id.0).execute(&mut raw).await.unwrap();
    bench.store.receipts_note(&channel, &all).await.unwrap();
    let read = "select count(*) from messages where seq > $1 and read_at is not null";
    let read: i64 = sqlx::query_scalar(read).bind(new.seq).fetch_one(&mut raw).await.unwrap();
    assert_eq!(read, 200);
}
