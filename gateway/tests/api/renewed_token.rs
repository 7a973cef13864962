//! A token that its channel's owner renewed (Instagram's): a gateway, which asks the platform by itself, calls with the newer one, too.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use claw_runtime::OsRandom;
use claw_secrets::KeyRing;
use claw_secrets::signature::sha256;
use claw_store::{Lease, Member, MemoChange, MemoOwner, Remembering, Vault};
use serde_json::{Value, json};

use crate::common::{TestGateway, master_key};

const CHANNEL: &str = "/api/users/ada/channels/photos";
const GIVEN: &str = "IGAAexamTokenOfTheAccount0123456789";
const NEWER: &str = "IGAAexamTokenThatCameOfIt0123456789";

/// Meta, when the token is over that the channel was given.
async fn meta(gateway: &TestGateway) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(answer);
    gateway.lifecycle.spawn("meta", async move { axum::serve(listener, router).await.unwrap() });
    url
}

async fn answer(headers: HeaderMap) -> Response {
    if headers[AUTHORIZATION] == format!("Bearer {NEWER}") {
        return Json(json!({"user_id": "8", "username": "ada"})).into_response();
    }
    let error = json!({"error": {"message": "Session has expired", "code": 190}});
    (StatusCode::BAD_REQUEST, Json(error)).into_response()
}

/// As the channel's owner does it.
async fn remember(gateway: &TestGateway, server: &str) {
    let vault = Vault::new(Arc::new(KeyRing::from(master_key())), Arc::new(OsRandom));
    let (user, instance) = ("ada".parse().unwrap(), "photos".parse().unwrap());
    let (channel, _) = gateway.store.channel_find(&vault, &user, &instance).await.unwrap().unwrap();
    let member = Member {
        name: "of the token".to_owned(),
        role: "worker",
        rpc_address: "one:1".to_owned(),
        version: "test",
        weight: 1.0,
    };
    let mut lease = Lease::open(gateway.database.url(), member).await.unwrap();
    let epoch = lease.claim(&[channel.shard]).await.unwrap()[0].epoch;
    let owner = MemoOwner { channel: channel.id, shard: channel.shard, epoch };
    let mut of = String::new();
    for byte in sha256(format!("{server} {GIVEN}").as_bytes()) {
        write!(of, "{byte:02x}").unwrap();
    }
    let kept = json!({
        "of": of,
        "since": "2026-01-01T00:00:00Z",
        "newer": {"token": NEWER, "until": "2026-03-02T00:00:00Z"},
    });
    let change =
        MemoChange { name: "access_token".to_owned(), text: Some(kept.to_string()), version: 0, keep: None };
    let saved = gateway.store.channel_memory_save(&vault, owner, &[change]).await.unwrap();
    assert_eq!(saved, Remembering::Saved);
}

#[tokio::test]
async fn a_channel_is_tried_with_the_newer_token_and_with_one_that_is_given_later() {
    let gateway = TestGateway::start().await;
    let server = meta(&gateway).await;
    let fields = json!({
        "login": "instagram", "page_token_env": GIVEN, "verify_token": "verify", "app_secret": "secret",
        "instagram_account_id": "8", "api_url": format!("{server}/v25.0"),
    });
    let body = json!({"channel_type": "instagram", "fields": fields, "probe": false});
    gateway.call("POST", &format!("{CHANNEL}/configure"), body).await.expect(201);
    remember(&gateway, &server).await;
    let tested = gateway.call("POST", &format!("{CHANNEL}/test"), Value::Null).await.expect(200);
    assert_eq!((&tested["status"], &tested["account"]), (&json!("ok"), &json!("@ada")), "{tested}");
    // Meta is asked before a change is stored.
    let change = async |fields: Value| gateway.call("PUT", CHANNEL, json!({"fields": fields})).await;
    let changed = change(json!({"allowed_users": "42"})).await;
    assert!(!changed.text.contains(NEWER), "it is shown to nobody");
    changed.expect(200);
    let refused = change(json!({"page_token_env": "IGAAexamTokenThatNobodyKnows"})).await.problem(400);
    assert!(refused.contains("Session has expired"), "{refused}");
}
