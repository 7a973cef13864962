//! A backend that asks to be left alone for a while: judged by what it gets meanwhile.

use std::time::{Duration, Instant};

use claw_system_tests::{Api, Cluster, token};
use claw_testkit::eventually;
use reqwest::StatusCode;
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(60);
/// What it asks for.
const WAIT: u64 = 2;
/// Messages behind the first one, each of another conversation.
const OTHERS: usize = 5;

async fn says(api: &Api, channel: &str, secret: &str, n: usize) {
    let body = json!({"message_id": format!("m{n}"), "sender": {"id": format!("p{n}")}, "text": "hi"});
    assert_eq!(api.push(channel, secret, &body).await, Some(StatusCode::OK));
}

async fn messages(api: &Api, query: &str) -> Vec<Value> {
    let (_, page) = api.call("GET", &format!("/api/users/ada/messages?direction=in{query}"), None).await;
    page["messages"].as_array().cloned().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_asks_to_wait_gets_no_message_meanwhile() {
    let cluster = Cluster::prepare().await;
    let (_gateway, api) = cluster.gateway().await;
    let _worker = cluster.worker("one", &api.base).await;
    let secret = token(16);
    let channel = api.configure("ada", "hook", "webhook", json!({"secret_env": secret})).await;
    api.wait_for_status("ada", "hook", "running").await;
    cluster.receiver.ask_to_wait(StatusCode::TOO_MANY_REQUESTS, WAIT);
    let began = Instant::now();
    says(&api, &channel, &secret, 0).await;
    eventually("the first one's failure", LIMIT, async || {
        let first = messages(&api, "").await.into_iter().next()?;
        let id = first["id"].as_str()?;
        let (_, record) = api.call("GET", &format!("/api/users/ada/messages/{id}"), None).await;
        record["error"].as_str()?.contains("429").then_some(())
    })
    .await;
    for n in 1..=OTHERS {
        says(&api, &channel, &secret, n).await;
    }
    cluster.receiver.wait_for(2).await;
    let rested = began.elapsed();
    assert!(rested >= Duration::from_secs(WAIT), "the next one came after {rested:?}");
    eventually("all of them", LIMIT, async || {
        (messages(&api, "&state=done").await.len() == OTHERS + 1).then_some(())
    })
    .await;
    assert_eq!(cluster.receiver.deliveries().len(), OTHERS + 2, "one was refused, and each was taken once");
}
