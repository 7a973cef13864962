//! A long message of which a part does not arrive: its sender is told which.

use std::time::Duration;

use claw_system_tests::{Api, Cluster};
use claw_testkit::Platform;
use claw_testkit::platform::Faults;
use reqwest::StatusCode;
use serde_json::{Value, json};

/// Telegram takes 4,096 characters: three parts.
fn long() -> String {
    "word ".repeat(1_800)
}

/// The record of the message that this answer is of, which says of the parts what the answer does.
async fn record(api: &Api, answer: &Value) -> Value {
    let id = answer["id"].as_str().expect("the answer has the message's id");
    let (_, message) = api.call("GET", &format!("/api/users/ada/messages/{id}"), None).await;
    assert_eq!(message["parts"], answer["parts"], "{message}");
    message
}

/// Sends a long message; tells status, answer and what became of its parts.
async fn send(api: &Api) -> (StatusCode, Value, Vec<String>) {
    let (status, answer) = api.send("ada", "bot", "42", &long()).await;
    let parts = answer["parts"].as_array().unwrap_or_else(|| panic!("{answer}"));
    let became = parts.iter().map(|part| part["state"].as_str().unwrap().to_owned()).collect();
    assert!(parts.iter().all(|part| part["kind"] == "text"), "{answer}");
    (status, answer, became)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_a_long_message_is_told_which_parts_arrived() {
    let platform = Platform::start().await;
    let cluster = Cluster::prepare().await;
    let (_gateway, api) = cluster.gateway().await;
    let _worker = cluster.worker("one", &api.base).await;
    let fields = json!({"bot_token_env": platform.bot(1), "api_url": platform.url()});
    api.configure("ada", "bot", "telegram", fields).await;
    assert!(platform.wait_for_polling(1, Duration::from_secs(60)).await);

    platform.misbehave(Faults { forbidden: 2, ..Faults::default() });
    let (status, answer, became) = send(&api).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{answer}");
    assert_eq!(became, ["sent", "failed", "failed"]);
    assert_eq!(answer["parts"][0]["platform_message_ids"], json!([platform.sent()[0].id.to_string()]));
    let why = answer["parts"][1]["error"].as_str().unwrap();
    assert!(why.contains("blocked") && !why.contains("part 2"), "{answer}");
    assert_eq!(answer["parts"][2]["error"], "not sent, because part 2 was not");
    let refused = record(&api, &answer).await;
    assert_eq!(refused["state"], "failed");

    // Counted by what was taken: the first part above was the first one.
    platform.misbehave(Faults { dropped: 3, ..Faults::default() });
    let (status, answer, became) = send(&api).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    assert_eq!(became, ["sent", "uncertain", "failed"]);
    assert_eq!(answer["parts"][1]["platform_message_ids"], json!([]));
    assert_eq!(answer["parts"][2]["error"], "not sent, because nobody knows whether part 2 was");
    assert_eq!(record(&api, &answer).await["state"], "uncertain");
    assert_eq!(platform.sent().len(), 3, "the part that nobody knows of did arrive");

    platform.misbehave(Faults::default());
    let (status, answer, became) = send(&api).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert_eq!(became, ["sent"; 3]);
    let done = record(&api, &answer).await;
    let ids = done["parts"].as_array().unwrap().iter().map(|part| &part["platform_message_ids"][0]);
    assert_eq!(ids.cloned().collect::<Value>(), done["platform_message_ids"]);
}
