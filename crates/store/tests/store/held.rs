//! What is held of strangers: what is taken back goes as a whole, and is no message until it is released.

use std::time::Duration;

use claw_runtime::SystemClock;
use claw_store::{Actor, NewMessage, Person};
use claw_types::{Inbound, WebhookBody};

use crate::Bench;

/// A message, or one file of it. The text is what no server reads as JSON.
fn part(key: &str, of: Option<&str>, thread: Option<&str>) -> Inbound {
    Inbound {
        platform_message_id: of.map(str::to_owned),
        dedup_key: Some(key.to_owned()),
        content_type: "text".to_owned(),
        text: Some(format!("{key}\0")),
        recipient: "7".to_owned(),
        thread_id: thread.map(str::to_owned),
        ..Inbound::default()
    }
}

#[tokio::test]
async fn a_message_that_is_taken_back_goes_with_all_its_files_and_nothing_else() {
    let bench = Bench::new().await;
    let save = bench.channel("ada", "one");
    bench.store.channel_save(&bench.vault, &save, &Actor::named("a test")).await.unwrap();
    let channel = bench.store.channel_load(&bench.vault, save.id).await.unwrap().unwrap().0;
    let person =
        Person { id: "7".to_owned(), name: "Ada".to_owned(), recipient: "7".to_owned(), thread_id: None };
    let mut book = bench.store.pairing_book(&channel).await.unwrap();
    let pairing =
        book.add(bench.ids.next(), "CODE", Some(&person), Duration::from_secs(3_600)).await.unwrap();
    let parts = [
        ("a", Some("1"), None),
        ("b", Some("2"), None),
        ("b:1", Some("2"), None),
        ("b:2", Some("2"), None),
        ("c", Some("2"), Some("elsewhere")),
        ("d", None, None),
        ("e", None, None),
    ];
    for (key, of, thread) in parts {
        let message = part(key, of, thread);
        let message = NewMessage::inbound(&channel, message, &bench.ids, &SystemClock).unwrap();
        assert!(book.claim(&message).await.unwrap());
        assert!(book.hold(pairing.id, &message, 10).await.unwrap());
    }
    book.commit().await.unwrap();

    assert_eq!(bench.store.held_under(channel.id, "x").await.unwrap(), None);
    let mut book = bench.store.pairing_book(&channel).await.unwrap();
    for key in ["b", "d"] {
        let (of, held) = bench.store.held_under(channel.id, key).await.unwrap().unwrap();
        assert_eq!(of, pairing.id);
        assert!(book.held_remove(of, held).await.unwrap(), "{key}");
        assert!(!book.held_remove(of, held).await.unwrap(), "{key}: it is gone");
    }
    book.commit().await.unwrap();
    assert_eq!(bench.store.message_received_as(channel.id, "a").await.unwrap(), None, "it is no message");
    let mut book = bench.store.pairing_book(&channel).await.unwrap();
    let released = book.release(pairing.id).await.unwrap();
    book.commit().await.unwrap();
    let texts = released.iter().map(|work| {
        let body: WebhookBody = serde_json::from_str(work.payload.get()).unwrap();
        body.text.unwrap().trim_end_matches('\0').to_owned()
    });
    assert_eq!(texts.collect::<Vec<_>>(), ["a", "c", "e"]);
    assert_eq!(bench.store.message_received_as(channel.id, "a").await.unwrap(), Some(released[0].id));
    assert_eq!(bench.store.message_received_as(channel.id, "b").await.unwrap(), None);
}
