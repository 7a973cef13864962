//! What people do to messages: which message it was is found by the platform's ids, and told once.

use claw_runtime::SystemClock;
use claw_store::{Accepted, Actor, Channel, Feedback, Lease, NewMessage, Overheard, Place, Settlement};
use claw_types::{Epoch, Inbound, MessageId, MessageState, Outbound, UserId, Work};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::Bench;

async fn channel(bench: &Bench) -> Channel {
    let save = bench.channel("ada", "one");
    bench.store.channel_save(&bench.vault, &save, &Actor::named("a test")).await.unwrap();
    bench.store.channel_load(&bench.vault, save.id).await.unwrap().unwrap().0
}

async fn accept(bench: &Bench, message: NewMessage) -> Work {
    let Accepted::New(work) = bench.writer.accept(message).await.unwrap() else { panic!("it is new") };
    *work
}

/// A message to a person, and what became of it.
async fn send(bench: &Bench, lease: &mut Lease, channel: &Channel, body: Value, ids: &[&str]) -> Work {
    let body: Outbound = serde_json::from_value(body).unwrap();
    let work = accept(bench, NewMessage::outbound(channel, &body, &bench.ids, None).unwrap()).await;
    settle(bench, lease, &work, MessageState::Done, ids).await;
    work
}

async fn settle(bench: &Bench, lease: &mut Lease, work: &Work, state: MessageState, ids: &[&str]) {
    let epoch = lease.claim(&[work.shard]).await.unwrap()[0].epoch;
    let settlement = Settlement { epoch, ..settlement(work, state, ids) };
    assert!(bench.writer.settle(settlement).await.unwrap());
}

fn settlement(work: &Work, state: MessageState, ids: &[&str]) -> Settlement {
    Settlement {
        id: work.id,
        shard: work.shard,
        epoch: Epoch(0),
        state,
        due_in: 0.0,
        retries: 0,
        attempts: 1,
        platform_message_ids: ids.iter().map(ToString::to_string).collect(),
        error: None,
        burst: None,
    }
}

async fn find(bench: &Bench, channel: &Channel, chat: &str, id: &str) -> Option<MessageId> {
    bench.store.message_sent_as(channel.id, chat, id).await.unwrap()
}

#[tokio::test]
async fn what_was_sent_is_found_by_the_platforms_id_of_each_part_in_its_chat() {
    let bench = Bench::new().await;
    let channel = channel(&bench).await;
    let mut lease = Lease::open(bench.database.url(), Bench::member("one")).await.unwrap();
    let body = json!({"recipient": "-100", "thread_id": "9", "text": "long\0 \u{1F600}"});
    let long = send(&bench, &mut lease, &channel, body, &["5", "6,7"]).await;
    for part in ["5", "6", "7"] {
        assert_eq!(find(&bench, &channel, "-100", part).await, Some(long.id), "{part}, whatever the thread");
    }
    assert_eq!(find(&bench, &channel, "-100", "6,7").await, None);
    assert_eq!(find(&bench, &channel, "-200", "5").await, None, "another chat's 5");
    // What is done to a message is no message, and what did not go out is nowhere.
    let act = json!({"recipient": "-100", "act": {"type": "react", "message_id": "41", "emoji": "x"}});
    send(&bench, &mut lease, &channel, act, &["41"]).await;
    assert_eq!(find(&bench, &channel, "-100", "41").await, None);
    send(&bench, &mut lease, &channel, json!({"recipient": "-100", "text": "x"}), &[]).await;
    // Odd ids make odd keys, not errors.
    for odd in ["a\0b", "\\u0000", "\u{1F600}", &"x".repeat(5_000)] {
        let body = json!({"recipient": "r\0\\", "text": "x"});
        send(&bench, &mut lease, &channel, body, &[odd]).await;
    }
    let odd = json!({"recipient": "r:\u{1F600}", "text": "x"});
    let odd = send(&bench, &mut lease, &channel, odd, &["\u{1F600}\"\\"]).await;
    assert_eq!(find(&bench, &channel, "r:\u{1F600}", "\u{1F600}\"\\").await, Some(odd.id));
}

#[tokio::test]
async fn a_persons_message_costs_no_row_more_and_a_part_that_went_out_counts_at_the_end() {
    let bench = Bench::new().await;
    let channel = channel(&bench).await;
    let mut lease = Lease::open(bench.database.url(), Bench::member("one")).await.unwrap();
    let said =
        Inbound { platform_message_id: Some("7".into()), recipient: "-100".into(), ..Inbound::default() };
    let said = NewMessage::inbound(&channel, said, &bench.ids, &SystemClock).unwrap();
    let said = accept(&bench, said).await;
    settle(&bench, &mut lease, &said, MessageState::Done, &["7"]).await;
    let mut conn = bench.database.connect().await;
    let keys: Vec<String> =
        sqlx::query_scalar("select key from message_keys").fetch_all(&mut conn).await.unwrap();
    assert_eq!(keys, ["in:7"]);
    assert_eq!(bench.store.message_received_as(channel.id, "7").await.unwrap(), Some(said.id));
    assert_eq!(bench.store.message_received_as(channel.id, "8").await.unwrap(), None);
    let body: Outbound = serde_json::from_value(json!({"recipient": "-100", "text": "x"})).unwrap();
    let half = accept(&bench, NewMessage::outbound(&channel, &body, &bench.ids, None).unwrap()).await;
    settle(&bench, &mut lease, &half, MessageState::Pending, &["8"]).await;
    assert_eq!(find(&bench, &channel, "-100", "8").await, None, "it is not over");
    settle(&bench, &mut lease, &half, MessageState::Uncertain, &["8"]).await;
    assert_eq!(find(&bench, &channel, "-100", "8").await, Some(half.id), "that part can be seen");
}

#[tokio::test]
async fn what_took_the_place_of_another_is_what_the_platforms_id_names_whichever_is_settled_last() {
    let bench = Bench::new().await;
    let channel = channel(&bench).await;
    let mut lease = Lease::open(bench.database.url(), Bench::member("one")).await.unwrap();
    let body = |text: &str| json!({"recipient": "-100", "text": text});
    let shown = send(&bench, &mut lease, &channel, body("Processing..."), &["5"]).await;
    assert_eq!(find(&bench, &channel, "-100", "5").await, Some(shown.id));
    let answer = send(&bench, &mut lease, &channel, body("the answer"), &["5", "6"]).await;
    for part in ["5", "6"] {
        assert_eq!(find(&bench, &channel, "-100", part).await, Some(answer.id), "{part}");
    }
    let mut conn = bench.database.connect().await;
    sqlx::query("update messages set state = 'pending', finished_at = null")
        .execute(&mut conn)
        .await
        .unwrap();
    settle(&bench, &mut lease, &shown, MessageState::Done, &["5"]).await;
    assert_eq!(find(&bench, &channel, "-100", "5").await, Some(answer.id), "it was settled late");
    settle(&bench, &mut lease, &answer, MessageState::Done, &["5", "6"]).await;

    // Both at once.
    let next = [
        accept(&bench, NewMessage::outbound(&channel, &outbound("a"), &bench.ids, None).unwrap()).await,
        accept(&bench, NewMessage::outbound(&channel, &outbound("b"), &bench.ids, None).unwrap()).await,
    ];
    let epoch = lease.claim(&[channel.shard]).await.unwrap()[0].epoch;
    let settlements =
        next.iter().map(|work| Settlement { epoch, ..settlement(work, MessageState::Done, &["7"]) });
    let settled = settlements.map(|settlement| bench.writer.settle(settlement));
    assert_eq!(
        futures::future::join_all(settled).await.into_iter().map(Result::unwrap).collect::<Vec<_>>(),
        [true; 2]
    );
    assert_eq!(find(&bench, &channel, "-100", "7").await, Some(next[1].id));
    // Its row was forgotten: what comes then has the id.
    sqlx::query("delete from messages where id = $1").bind(next[1].id.0).execute(&mut conn).await.unwrap();
    let last = send(&bench, &mut lease, &channel, body("again"), &["7", "7"]).await;
    assert_eq!(find(&bench, &channel, "-100", "7").await, Some(last.id));
}

#[tokio::test]
async fn what_an_owner_puts_aside_says_why_and_was_not_attempted() {
    let bench = Bench::new().await;
    let channel = channel(&bench).await;
    let mut lease = Lease::open(bench.database.url(), Bench::member("one")).await.unwrap();
    let work =
        accept(&bench, NewMessage::outbound(&channel, &outbound("x"), &bench.ids, None).unwrap()).await;
    let epoch = lease.claim(&[work.shard]).await.unwrap()[0].epoch;
    let aside = settlement(&work, MessageState::Discarded, &[]);
    let aside = Settlement { epoch, error: Some("it is of no use".to_owned()), ..aside };
    assert!(bench.writer.settle(aside).await.unwrap());
    let status = bench.store.message_status(work.id).await.unwrap().unwrap();
    assert_eq!((status.state, status.error.as_deref()), (MessageState::Discarded, Some("it is of no use")));
    let mut conn = bench.database.connect().await;
    let attempts: i64 =
        sqlx::query_scalar("select count(*) from message_attempts").fetch_one(&mut conn).await.unwrap();
    assert_eq!(attempts, 0);
}

fn outbound(text: &str) -> Outbound {
    Outbound { recipient: "-100".to_owned(), text: Some(text.to_owned()), ..Outbound::default() }
}

fn thumb(key: Option<&str>, came_as: Option<&str>) -> Feedback {
    Feedback {
        kind: "message.reaction",
        message: MessageId(Uuid::from_u128(4)),
        key: key.map(str::to_owned),
        data: json!({"reaction": {"added": ["\u{1F44D}"], "removed": []}}),
        came_as: came_as.map(str::to_owned),
    }
}

#[tokio::test]
async fn what_was_done_is_told_once_with_the_message_that_it_came_as() {
    let bench = Bench::new().await;
    let channel = channel(&bench).await;
    let start = bench.store.events_now().await.unwrap();
    let tell = async |feedback: &[Feedback]| {
        bench.store.feedback_tell(&channel, feedback, &bench.ids).await.unwrap();
    };
    let came = Inbound { dedup_key: Some("reaction:9".into()), recipient: "c".into(), ..Inbound::default() };
    let came = NewMessage::inbound(&channel, came, &bench.ids, &SystemClock).unwrap();
    let came = accept(&bench, came).await;
    tell(&[]).await;
    // Twice in one batch, and once more; those without a key are each told.
    let known = thumb(Some("reaction:9"), Some("reaction:9"));
    tell(&[thumb(Some("reaction:8"), None), known.clone(), known.clone()]).await;
    tell(&[known, thumb(None, None), thumb(None, None)]).await;
    let user: UserId = "ada".parse().unwrap();
    let events = told(&bench, &user, start, 4).await;
    let named: Vec<&Value> = events.iter().map(|data| &data["inbound_message_id"]).collect();
    assert_eq!(named, [&Value::Null, &json!(came.id), &Value::Null, &Value::Null]);
    assert!(events.iter().all(|data| data["reaction"]["added"] == json!(["\u{1F44D}"])));
}

/// The data of the reactions that were told.
async fn told(bench: &Bench, user: &UserId, after: Place, count: usize) -> Vec<Value> {
    let limit = std::time::Duration::from_secs(20);
    claw_testkit::eventually("events to be visible", limit, async || {
        let page = bench.store.events_after(Some(user), after, 100).await.unwrap();
        let events = page.events.iter().filter(|event| event.kind == "message.reaction");
        let data: Vec<Value> = events
            .map(|event| {
                assert_eq!(event.message_id, Some(Uuid::from_u128(4)));
                serde_json::from_str(event.data.get()).unwrap()
            })
            .collect();
        (data.len() >= count).then_some(data)
    })
    .await
}

#[tokio::test]
async fn what_is_kept_as_context_reads_as_it_was_changed_or_is_gone() {
    let bench = Bench::new().await;
    let channel = channel(&bench).await;
    let said = |id: &str, text: &str| {
        let message = Inbound {
            dedup_key: Some(id.to_owned()),
            text: Some(text.to_owned()),
            recipient: "room".to_owned(),
            ..Inbound::default()
        };
        Overheard::of(&message, chrono::DateTime::UNIX_EPOCH).unwrap().unwrap()
    };
    bench.store.context_keep(&channel, &[said("1", "teh"), said("2", "secret")]).await.unwrap();
    assert!(bench.store.context_change(channel.id, "1", Some(&said("edit:1", "the"))).await.unwrap());
    assert!(bench.store.context_change(channel.id, "2", None).await.unwrap());
    assert!(!bench.store.context_change(channel.id, "3", None).await.unwrap());
    let context = bench.store.context_of(channel.id, &["room".to_owned()]).await.unwrap();
    let texts: Vec<_> =
        context["room"].entries.iter().map(|kept| kept.said["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["the"]);
}
