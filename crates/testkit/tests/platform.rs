//! The platform's stand-in does what tests measure by: polls are held, handed over, counted and seen to end.
#![allow(clippy::unwrap_used, reason = "a test that can't be set up must fail loudly")]

use std::time::Duration;

use claw_testkit::eventually;
use claw_testkit::platform::{End, Platform};
use reqwest::{Client, Response};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(10);

async fn call(platform: &Platform, n: u32, method: &str, body: Value) -> Response {
    #[expect(clippy::disallowed_methods, reason = "a client of its own: its connection ends with the call")]
    let client = Client::new();
    let url = format!("{}/bot{}/{method}", platform.url(), platform.bot(n));
    client.post(url).json(&body).send().await.unwrap()
}

async fn poll(platform: &Platform, n: u32, offset: i64, seconds: u64) -> (u16, Value) {
    let answer = call(platform, n, "getUpdates", json!({"offset": offset, "timeout": seconds})).await;
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn is_polled(platform: &Platform, n: u32) {
    let polled = async || platform.polls(n).last().is_some_and(|poll| poll.ended.is_none()).then_some(());
    eventually("an open poll", LIMIT, polled).await;
}

#[tokio::test]
async fn a_poll_is_held_until_there_is_something_and_confirmed_by_the_next() {
    claw_testkit::install_tls();
    let platform = Platform::start().await;
    let inject = async {
        is_polled(&platform, 7).await;
        platform.inject(7, 42, "hello");
    };
    let ((status, answer), ()) = tokio::join!(poll(&platform, 7, 0, 50), inject);
    let update = &answer["result"][0];
    assert_eq!((status, &update["message"]["text"]), (200, &json!("hello")));
    let id = update["update_id"].as_i64().unwrap();
    assert_eq!(poll(&platform, 7, id, 0).await.1["result"][0]["update_id"], id, "not confirmed yet");
    assert_eq!(poll(&platform, 7, id + 1, 0).await.1["result"], json!([]));
    assert_eq!(poll(&platform, 7, 0, 0).await.1["result"], json!([]), "confirmed for good");
    assert!(platform.polls(7).iter().all(|poll| poll.ended.is_some_and(|(_, end)| end == End::Answered)));
    assert!(platform.conflicts().is_empty() && platform.polling() == 0);
}

#[tokio::test]
async fn the_older_of_two_polls_ends_with_a_conflict() {
    claw_testkit::install_tls();
    let platform = Platform::start().await;
    let newer = async {
        is_polled(&platform, 1).await;
        poll(&platform, 1, 0, 0).await.0
    };
    let (older, newer) = tokio::join!(poll(&platform, 1, 0, 50), newer);
    assert_eq!((older.0, newer), (409, 200));
    let conflicts = platform.conflicts();
    assert_eq!(conflicts.iter().map(|conflict| conflict.bot).collect::<Vec<_>>(), [1]);
    let ends: Vec<_> = platform.polls(1).iter().map(|poll| poll.ended.unwrap().1).collect();
    assert_eq!(ends, [End::Conflict, End::Answered]);
}

#[tokio::test]
async fn a_poll_ends_with_its_clients_connection() {
    claw_testkit::install_tls();
    let platform = Platform::start().await;
    tokio::select! {
        _ = poll(&platform, 3, 0, 50) => panic!("nothing to answer with"),
        () = is_polled(&platform, 3) => {}
    }
    let closed = async || platform.polls(3)[0].ended.filter(|(_, end)| *end == End::Closed);
    eventually("the end of the poll", LIMIT, closed).await;
    assert_eq!(platform.polling(), 0);
    assert_eq!(poll(&platform, 3, 0, 0).await.0, 200);
    assert_eq!(platform.gaps(3).iter().map(|gap| gap.end).collect::<Vec<_>>(), [End::Closed]);
    assert!(platform.conflicts().is_empty());
}

#[tokio::test]
async fn what_bots_send_is_kept_in_order_and_strangers_are_refused() {
    claw_testkit::install_tls();
    let platform = Platform::start().await;
    for text in ["one", "two"] {
        let answer = call(&platform, 5, "sendMessage", json!({"chat_id": "42", "text": text})).await;
        assert!(answer.json::<Value>().await.unwrap()["result"]["message_id"].is_i64());
    }
    let sent = platform.sent();
    let sent: Vec<_> = sent.iter().map(|sent| (sent.bot, sent.chat.as_str(), sent.text.as_str())).collect();
    assert_eq!(sent, [(5, "42", "one"), (5, "42", "two")]);
    assert_eq!(
        call(&platform, 5, "getMe", json!({})).await.json::<Value>().await.unwrap()["result"]["id"],
        5
    );
    assert_eq!(call(&platform, 5, "sendDice", json!({})).await.status(), 404);
    #[expect(clippy::disallowed_methods, reason = "a client for one call")]
    let stranger = Client::new().post(format!("{}/bot5:wrong/getMe", platform.url())).send().await.unwrap();
    assert_eq!(stranger.status(), 401);
}
