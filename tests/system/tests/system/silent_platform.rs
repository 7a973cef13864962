//! A platform that asks to be left alone for hours: who sent what is wanted for seconds hears then that it was not sent.

use std::time::Duration;

use claw_system_tests::{Api, Cluster};
use claw_testkit::platform::Faults;
use claw_testkit::{Claw, Platform, eventually};
use serde_json::{Value, json};

/// What waits behind another one is looked at once a minute.
const LIMIT: Duration = Duration::from_secs(120);
/// Ten hours, of which this test has none.
const SILENCE: u32 = 36_000;
const WANTED_FOR: u32 = 3;

/// A bot whose platform refuses every call and asks for silence.
async fn start(platform: &Platform) -> (Cluster, Api, [Claw; 2]) {
    let cluster = Cluster::prepare().await.with("II_CLAW_SEND_WAIT_MS", "100");
    let (gateway, api) = cluster.gateway().await;
    let worker = cluster.worker("one", &api.base).await;
    let fields = json!({"bot_token_env": platform.bot(1), "api_url": platform.url()});
    api.configure("ada", "bot", "telegram", fields).await;
    assert!(platform.wait_for_polling(1, LIMIT).await);
    platform.misbehave(Faults { refused: 1, wait: SILENCE, ..Faults::default() });
    (cluster, api, [gateway, worker])
}

/// Sends what is wanted for so many seconds; tells where its record is.
async fn sends(api: &Api, chat: &str, wanted_for: u32) -> String {
    let body = json!({"recipient": chat, "message": "soon or never", "ttl_seconds": wanted_for});
    let (status, sent) = api.call("POST", "/api/users/ada/channels/bot/send", Some(body)).await;
    assert!(status.is_success(), "{sent}");
    format!("/api/users/ada/messages/{}", sent["id"].as_str().unwrap())
}

/// Sends what is wanted for seconds only, and waits for its end.
async fn ends(api: &Api, chat: &str) -> Value {
    let path = sends(api, chat, WANTED_FOR).await;
    eventually("the message to end", LIMIT, async || {
        let (_, record) = api.call("GET", &path, None).await;
        (record["state"] != "pending").then_some(record)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wanted_for_seconds_does_not_wait_for_the_hours_that_its_platform_asks_for() {
    let platform = Platform::start().await;
    let (_cluster, api, _processes) = start(&platform).await;
    let refused = ends(&api, "42").await;
    assert_eq!(refused["state"], "expired", "the one that the platform refused: {refused}");
    // It would take all of these, and is asked for none.
    platform.misbehave(Faults::default());
    let waiting = ends(&api, "42").await;
    assert_eq!(waiting["state"], "expired", "one that waited for the chat: {waiting}");
    for record in [refused, waiting] {
        let error = record["error"].as_str().unwrap_or_default();
        assert!(error.starts_with(&format!("not sent within {WANTED_FOR} s")), "{record}");
    }
    assert!(platform.sent().is_empty(), "{:?}", platform.sent());
    let elsewhere = ends(&api, "43").await;
    assert_eq!(elsewhere["state"], "done", "another chat is not silent: {elsewhere}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nor_does_what_is_behind_one_that_does_wait_for_them() {
    let platform = Platform::start().await;
    let (_cluster, api, _processes) = start(&platform).await;
    let first = sends(&api, "42", 24 * 3_600).await;
    let behind = ends(&api, "42").await;
    assert_eq!(behind["state"], "expired", "{behind}");
    let (_, first) = api.call("GET", &first, None).await;
    assert_eq!(
        (&first["state"], &first["attempts"]),
        (&json!("pending"), &json!(1)),
        "it is wanted: {first}"
    );
}
