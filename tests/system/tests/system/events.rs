//! What no person wrote reaches the backend as a signed webhook: at once, from another system, and at the heartbeat,
//! once each, although the leader is killed while it is due.

use std::collections::HashMap;
use std::time::Duration;

use claw_secrets::signature;
use claw_system_tests::{Api, Cluster, SECRET};
use claw_testkit::{Delivery, eventually};
use reqwest::StatusCode;
use serde_json::{Value, json};

const WAITING: usize = 300;

fn assert_signed(delivery: &Delivery) {
    let given = delivery.header("x-webhook-signature");
    assert_eq!(given, signature::sign(SECRET.as_bytes(), &delivery.body));
    let (id, time) = (delivery.header("webhook-id"), delivery.header("webhook-timestamp"));
    let expected = signature::sign_standard(SECRET.as_bytes(), id, time.parse().unwrap(), &delivery.body);
    assert_eq!(delivery.header("webhook-signature"), expected);
}

async fn wake(api: &Api, more: Value) -> Value {
    let mut body = json!({"text": "disk full", "user_id": "ada"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let (status, answer) = api.call("POST", "/hooks/wake", Some(body)).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    answer
}

async fn state(cluster: &Cluster, id: &Value) -> String {
    let mut database = cluster.database.connect().await;
    let state = sqlx::query_scalar("select state from messages where id = $1::uuid");
    state.bind(id.as_str().unwrap()).fetch_one(&mut database).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn events_reach_the_backend_signed_and_once() {
    let cluster = Cluster::prepare().await;
    let (_gateway, api) = cluster.gateway().await;
    let _worker = cluster.worker("one", &api.base).await;
    let (mut first, _) = cluster.scheduler("clock-1").await;
    first.wait_for_line("elected: leading term 1").await;
    let (_second, _) = cluster.scheduler("clock-2").await;

    // Nobody waits for an answer: one that is given all the same goes nowhere, and does no harm.
    cluster.receiver.reply_with(json!({"reply": "to whom?"}));
    let woken = wake(&api, json!({"agent_id": "research"})).await;
    let delivery = cluster.receiver.wait_for(1).await.remove(0);
    assert_signed(&delivery);
    assert_eq!(delivery.header("webhook-id"), woken["id"]);
    let body = delivery.json();
    assert_eq!((&body["text"], &body["content_type"]), (&json!("disk full"), &json!("text")));
    assert_eq!(body["metadata"], json!({"source": "wake", "chat_id": "hook:wake:ada:research"}));
    assert!(body.get("reply_to").is_none());
    eventually("the event to be done", Duration::from_secs(20), async || {
        (state(&cluster, &woken["id"]).await == "done").then_some(())
    })
    .await;

    let hook = json!({"name": "alerts", "secret": "a-secret-of-the-alerts", "text_template": "{{ title }}"});
    let (status, answer) = api.call("POST", "/api/users/ada/hooks", Some(hook)).await;
    assert_eq!(status, StatusCode::CREATED, "{answer}");
    let posted = br#"{"title": "on fire"}"#;
    let request = claw_system_tests::client().post(format!("{}/hooks/alerts", api.base));
    let request = request.header("x-hub-signature-256", signature::sign(b"a-secret-of-the-alerts", posted));
    assert_eq!(request.body(posted.to_vec()).send().await.unwrap().status(), StatusCode::ACCEPTED);
    let delivery = cluster.receiver.wait_for(2).await.remove(1);
    assert_signed(&delivery);
    assert_eq!(delivery.json()["text"], "on fire");

    let mut expected = HashMap::new();
    for n in 0..WAITING {
        let more = json!({"mode": "next_heartbeat", "user_id": format!("user-{n}"), "text": n.to_string()});
        let woken = wake(&api, more).await;
        expected.insert(woken["id"].as_str().unwrap().to_owned(), n.to_string());
    }
    let mut database = cluster.database.connect().await;
    // Due one after another, so that the leader dies in the middle.
    sqlx::raw_sql("update timers set due_at = now() + random() * interval '4 seconds'")
        .execute(&mut database)
        .await
        .unwrap();
    first.wait_for_line("fired").await;
    first.kill().await;
    let deliveries = cluster.receiver.wait_for(2 + WAITING).await;
    for delivery in &deliveries[2..] {
        assert_signed(delivery);
        let text = expected.remove(delivery.header("webhook-id"));
        assert_eq!(text, delivery.json()["text"].as_str().map(str::to_owned), "each comes once");
    }
    assert!(expected.is_empty(), "lost: {expected:?}");
    let waiting: i64 =
        sqlx::query_scalar("select count(*) from timers").fetch_one(&mut database).await.unwrap();
    assert_eq!(waiting, 0);
}
