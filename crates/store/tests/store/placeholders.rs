//! What stands in chats until an answer comes: who takes one is written once, and it is forgotten in the end.

use std::time::Duration;

use claw_runtime::SystemClock;
use claw_store::{Accepted, Actor, Channel, NewMessage, Note, Placeholder, Taken};
use claw_types::{Inbound, MessageId, Outbound};
use uuid::Uuid;

use crate::Bench;

const HOUR: Duration = Duration::from_hours(1);

async fn channel(bench: &Bench) -> Channel {
    let save = bench.channel("ada", "one");
    bench.store.channel_save(&bench.vault, &save, &Actor::named("a test")).await.unwrap();
    bench.store.channel_load(&bench.vault, save.id).await.unwrap().unwrap().0
}

fn id(n: u128) -> MessageId {
    MessageId(Uuid::from_u128(n))
}

fn placeholder(channel: &Channel, n: u32) -> Placeholder {
    Placeholder {
        message: id(n.into()),
        user: channel.user_id.clone(),
        channel: channel.id,
        conversation: "chat".to_owned(),
        seq: n.into(),
        platform_id: format!("p{n}"),
        question: Some(format!("q{n}")),
        question_id: None,
        asker: None,
        taken: None,
    }
}

fn take(placeholder: u128, by: u128) -> Note {
    Note::Taken(id(placeholder), Taken { by: id(by), in_place: true })
}

/// A message that is still being sent.
async fn answer(bench: &Bench, channel: &Channel, n: u128) {
    let mut conn = bench.database.connect().await;
    sqlx::query(
        "insert into messages (id, user_id, channel_id, shard, direction, conversation, payload)
         values ($1, $2, $3, $4, 'out', 'chat', '{}')",
    )
    .bind(id(n).0)
    .bind(channel.user_id.as_str())
    .bind(channel.id.0)
    .bind(channel.shard.as_i32())
    .execute(&mut conn)
    .await
    .unwrap();
}

async fn change(bench: &Bench, sql: &'static str) {
    sqlx::query(sql).execute(&mut bench.database.connect().await).await.unwrap();
}

#[tokio::test]
async fn one_answer_takes_a_placeholder_and_the_next_owner_knows() {
    let bench = Bench::new().await;
    let channel = channel(&bench).await;
    let shown = |n| Note::Shown(Box::new(placeholder(&channel, n)));
    // The second was shown twice, because nobody heard of the first time.
    let written = bench.store.placeholders_note(&[shown(1), shown(2)]).await.unwrap();
    assert_eq!(written, [true, true]);
    let again = Placeholder { platform_id: "p2b".to_owned(), ..placeholder(&channel, 2) };
    bench.store.placeholders_note(&[Note::Shown(Box::new(again.clone()))]).await.unwrap();

    let written = bench.store.placeholders_note(&[take(1, 9), take(5, 9)]).await.unwrap();
    assert_eq!(written, [true, false], "what was never shown can't be taken");
    assert_eq!(bench.store.placeholders_note(&[take(1, 10)]).await.unwrap(), [false], "it is another's");
    assert_eq!(
        bench.store.placeholders_note(&[take(1, 9)]).await.unwrap(),
        [true],
        "it is still the same one's"
    );

    let found = async || bench.store.placeholders_in(channel.shard, HOUR).await.unwrap();
    answer(&bench, &channel, 9).await;
    let taken = Some(Taken { by: id(9), in_place: true });
    assert_eq!(found().await, [Placeholder { taken, ..placeholder(&channel, 1) }, again.clone()]);
    change(&bench, "update messages set finished_at = now(), state = 'done'").await;
    assert_eq!(found().await, [again], "the first one's answer was sent");
}

#[tokio::test]
async fn old_ones_are_passed_over_and_forgotten() {
    let bench = Bench::new().await;
    let channel = channel(&bench).await;
    for n in [1, 2, 3] {
        bench.store.placeholders_note(&[Note::Shown(Box::new(placeholder(&channel, n)))]).await.unwrap();
    }
    change(&bench, "update placeholders set shown_at = now() - interval '2 hours' where seq in (1, 3)").await;
    answer(&bench, &channel, 9).await;
    assert_eq!(bench.store.placeholders_note(&[take(3, 9)]).await.unwrap(), [true]);
    let found = bench.store.placeholders_in(channel.shard, HOUR).await.unwrap();
    let taken = Some(Taken { by: id(9), in_place: true });
    let tried_for_long = Placeholder { taken, ..placeholder(&channel, 3) };
    assert_eq!(found, [placeholder(&channel, 2), tried_for_long]);
    // The one that stays is in nobody's way: it does not count.
    assert_eq!(bench.store.placeholders_forget(1, 1).await.unwrap(), 1);
    assert_eq!(
        bench.store.placeholders_forget(1, 1).await.unwrap(),
        0,
        "the third one's answer is still being sent"
    );
}

#[tokio::test]
async fn what_was_sent_meanwhile_is_found_by_its_place_and_its_age() {
    let bench = Bench::new().await;
    let channel = channel(&bench).await;
    answer(&bench, &channel, 9).await;
    let found = async |conversation: &str, after| {
        let found = bench.store.messages_sent_after(channel.id, conversation, after).await.unwrap();
        found.into_iter().map(|sent| sent.age < HOUR).collect::<Vec<_>>()
    };
    assert_eq!(found("chat", 0).await, [true]);
    assert!(found("chat", i64::MAX).await.is_empty() && found("other", 0).await.is_empty());
    change(&bench, "update messages set accepted_at = now() - interval '2 hours'").await;
    assert_eq!(found("chat", 0).await, [false]);
    // What is over is found by another index, and in order with what is not.
    answer(&bench, &channel, 10).await;
    change(&bench, "update messages set finished_at = now(), state = 'done' where accepted_at < now() - interval '1 hour'")
        .await;
    assert_eq!(found("chat", 0).await, [true, false]);
    change(&bench, "update messages set source = 'cron'").await;
    assert!(found("chat", 0).await.is_empty(), "what a job's time made answers nobody");
}

#[tokio::test]
async fn the_next_owner_knows_who_asked_what() {
    let bench = Bench::new().await;
    let channel = channel(&bench).await;
    let stands = claw_types::Placeholder {
        question_id: Some(id(9)),
        asker: Some("7".to_owned()),
        ..claw_types::Placeholder::default()
    };
    let body = Outbound { recipient: "chat".to_owned(), placeholder: Some(stands), ..Outbound::default() };
    let message = NewMessage::outbound(&channel, &body, &bench.ids, None).unwrap();
    let shown = Placeholder { message: message.id, ..placeholder(&channel, 1) };
    bench.writer.accept(message).await.unwrap();
    bench.store.placeholders_note(&[Note::Shown(Box::new(shown.clone()))]).await.unwrap();
    let found = bench.store.placeholders_in(channel.shard, HOUR).await.unwrap();
    assert_eq!(found, [Placeholder { question_id: Some(id(9)), asker: Some("7".to_owned()), ..shown }]);
}

#[tokio::test]
async fn the_answer_of_a_second_attempt_is_not_taken_for_what_stood_for_it() {
    let bench = Bench::new().await;
    let channel = channel(&bench).await;
    let said =
        Inbound { platform_message_id: Some("7".into()), recipient: "chat".into(), ..Inbound::default() };
    let said = NewMessage::inbound(&channel, said, &bench.ids, &SystemClock).unwrap();
    let Accepted::New(question) = bench.writer.accept(said).await.unwrap() else { panic!("it is new") };
    let text =
        |text: &str| Outbound { recipient: "chat".into(), text: Some(text.into()), ..Outbound::default() };
    let commit = async |index: usize, body: &Outbound| {
        let message = NewMessage::answer(&question, index, body, &bench.ids).unwrap();
        matches!(bench.writer.accept(message).await.unwrap(), Accepted::New(_))
    };
    let begun = async || bench.store.answer_begun(&question).await.unwrap();
    assert!(commit(11, &text("Processing...")).await);
    assert_eq!(begun().await, None, "that is no answer");
    assert!(commit(0, &text("the answer")).await);
    assert!(!commit(0, &text("the answer")).await && !commit(11, &text("Processing...")).await);
    let body: Outbound = serde_json::from_str(&begun().await.unwrap()).unwrap();
    assert_eq!(body.text.as_deref(), Some("the answer"));
}
