//! Platforms that sign what they post with keys of their own, which a gateway has to fetch first.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::routing::{get, post};
use axum::{Json, Router};
use chrono::Utc;
use claw_channels::kit::jwt::SigningKey;
use claw_channels::kit::jwt::vectors::{RFC_7515, RFC_7520};
use serde_json::{Value, json};

use crate::common::{Answer, TestGateway, read};

const PROJECT: &str = "123456789012";
const KEYS: &str = "/service_accounts/v1/jwk/chat@system.gserviceaccount.com";

/// Google's servers; how often they were asked for their keys.
async fn google(gateway: &TestGateway) -> (String, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let keys = move || {
        counted.fetch_add(1, Ordering::SeqCst);
        async { Json(json!({"keys": [RFC_7515.jwk("unused")]})) }
    };
    let token = async || Json(json!({"access_token": "t", "expires_in": 3600}));
    let router = Router::new().route(KEYS, get(keys)).route("/token", post(token));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    gateway.lifecycle.spawn("google", async move { axum::serve(listener, router).await.unwrap() });
    (url, asked)
}

/// A channel whose platform is at this address.
async fn channel(gateway: &TestGateway, url: &str) -> Value {
    // As it is downloaded: a file of several lines.
    let account = json!({
        "type": "service_account", "private_key_id": RFC_7520.kid, "private_key": RFC_7520.pem,
        "client_email": "bot@project.iam.gserviceaccount.com",
    });
    let fields = json!({"service_account_env": format!("{account:#}"), "audience": PROJECT, "api_url": url});
    let body = json!({"channel_type": "google_chat", "fields": fields, "probe": false});
    gateway.call("POST", "/api/users/u/channels/chat/configure", body).await.expect(201)
}

#[expect(clippy::disallowed_methods, reason = "the gateway goes by the real time")]
fn token(kid: &str, pem: &str) -> String {
    let now = Utc::now().timestamp();
    let claims = json!({"iss": "chat@system.gserviceaccount.com", "aud": PROJECT, "exp": now + 3600});
    SigningKey::from_pem(pem).unwrap().token(kid, &claims).unwrap()
}

async fn posted(gateway: &TestGateway, channel: &Value, token: &str) -> Answer {
    let event = json!({
        "type": "MESSAGE", "space": {"name": "spaces/A", "spaceType": "DIRECT_MESSAGE"},
        "message": {"name": "spaces/A/messages/B.B", "text": "hi", "sender": {"name": "users/1", "type": "HUMAN"}},
    });
    let request = gateway.request("POST", channel["webhook_path"].as_str().unwrap());
    read(request.bearer_auth(token).json(&event)).await
}

#[tokio::test]
async fn what_a_platform_signed_is_stored_and_its_answer_is_what_it_reads() {
    let gateway = TestGateway::start().await;
    let (url, asked) = google(&gateway).await;
    let channel = channel(&gateway, &url).await;
    let genuine = token(RFC_7515.kid, RFC_7515.pem);
    for _ in 0..4 {
        let answer = posted(&gateway, &channel, &genuine).await.expect(200);
        assert_eq!(answer, json!({}), "anything in it would be shown to people");
    }
    let stored = gateway.pending().await;
    assert_eq!(stored.len(), 1, "the same message is stored once");
    let payload: Value = serde_json::from_str(stored[0].payload.get()).unwrap();
    assert_eq!((&payload["text"], &payload["reply_to"]["recipient"]), (&json!("hi"), &json!("spaces/A")));
    assert_eq!(asked.load(Ordering::SeqCst), 2, "each of the two gateways asks once");
}

#[tokio::test]
async fn strangers_are_refused_and_cost_the_platform_nothing() {
    let gateway = TestGateway::start().await;
    let (url, asked) = google(&gateway).await;
    let channel = channel(&gateway, &url).await;
    for n in 0..20 {
        posted(&gateway, &channel, &token(&format!("made-up-{n}"), RFC_7520.pem)).await.problem(401);
        posted(&gateway, &channel, &token(RFC_7515.kid, RFC_7520.pem)).await.problem(401);
        posted(&gateway, &channel, "garbage").await.problem(401);
    }
    assert!(gateway.pending().await.is_empty());
    assert_eq!(asked.load(Ordering::SeqCst), 2, "each of the two gateways asks once");
}

#[tokio::test]
async fn without_the_platforms_keys_it_is_asked_to_post_again() {
    let gateway = TestGateway::start().await;
    let channel = channel(&gateway, "http://127.0.0.1:1").await;
    let said = posted(&gateway, &channel, &token(RFC_7515.kid, RFC_7515.pem)).await.problem(502);
    assert!(said.contains("public keys"), "{said}");
    assert!(gateway.pending().await.is_empty());
}
