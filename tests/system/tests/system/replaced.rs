//! What people do to an answer that took the place of what stood for it: the platform knows both by one id, and it names the answer.

use std::time::Duration;

use claw_system_tests::{Api, Cluster};
use claw_testkit::platform::Sent;
use claw_testkit::{Claw, Delivery, Platform, eventually};
use serde_json::{Value, json};

use crate::feedback::events;

const LIMIT: Duration = Duration::from_secs(60);
const CHAT: i64 = 42;

async fn start(platform: &Platform) -> (Cluster, Api, [Claw; 2]) {
    let cluster = Cluster::prepare().await;
    let (gateway, api) = cluster.gateway().await;
    let worker = cluster.worker("one", &api.base).await;
    let fields =
        json!({"bot_token_env": platform.bot(1), "api_url": platform.url(), "events": "edits, reactions"});
    api.configure("ada", "bot", "telegram", fields).await;
    assert!(platform.wait_for_polling(1, LIMIT).await);
    (cluster, api, [gateway, worker])
}

/// The only message, once it says this.
async fn only(platform: &Platform, text: &str) -> Sent {
    eventually(&format!("only {text:?}"), LIMIT, async || match platform.sent().as_slice() {
        [sent] if sent.text == text => Some(sent.clone()),
        _ => None,
    })
    .await
}

/// A thumb and a reply, of which the backend and the events say that they are about this message.
async fn assert_named(cluster: &Cluster, platform: &Platform, sent: &Sent, answer: &Value) {
    cluster.receiver.stream_with(None);
    cluster.receiver.reply_with(json!({}));
    platform.react(1, CHAT, sent.id, &[], &["👍"]);
    platform.reply(1, CHAT, sent, "why?");
    let told: Vec<Value> = cluster.receiver.wait_for(3).await[1..].iter().map(Delivery::json).collect();
    let named: Vec<&Value> = told.iter().map(|body| &body["metadata"]["answer_id"]).collect();
    assert_eq!(named, [answer, answer], "{told:?}");
    let events = events(cluster, answer, 4).await;
    assert_eq!(events, ["message.queued", "message.reaction", "message.reply", "message.sent"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_in_the_place_of_what_was_shown_at_once_is_what_people_react_to() {
    let platform = Platform::start().await;
    let (cluster, api, _processes) = start(&platform).await;
    cluster.receiver.reply_with(json!({"immediate_reply": "Processing...", "async_processing": true}));
    platform.inject(1, CHAT, "hi");
    only(&platform, "Processing...").await;
    let (status, answer) = api.send("ada", "bot", &CHAT.to_string(), "the answer").await;
    assert_eq!(status, 200, "{answer}");
    let sent = only(&platform, "the answer").await;
    assert!(sent.edited);
    assert_named(&cluster, &platform, &sent, &answer["id"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_in_the_place_of_its_preview_is_what_people_react_to() {
    let platform = Platform::start().await;
    let (cluster, api, _processes) = start(&platform).await;
    let piece = |pause_ms: u64, text: &str| {
        (Duration::from_millis(pause_ms), format!("data: {}\n\n", json!({"delta": text})))
    };
    let whole = "the beginning of a longer answer, and its end";
    let (beginning, end) = whole.split_at(32);
    cluster.receiver.stream_with(Some(vec![piece(0, beginning), piece(3_000, end)]));
    platform.inject(1, CHAT, "hi");
    let sent = only(&platform, whole).await;
    assert!(sent.edited, "it was seen before it was whole: {sent:?}");
    let answer = eventually("the answer's record", LIMIT, async || {
        let (_, page) = api.call("GET", "/api/users/ada/messages?direction=out&state=done", None).await;
        let messages = page["messages"].as_array()?;
        messages.iter().find(|message| message["text"] == whole).map(|message| message["id"].clone())
    })
    .await;
    assert_named(&cluster, &platform, &sent, &answer).await;
}
