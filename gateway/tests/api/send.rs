//! Sending: stored first, then waited for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use claw_rpc::{
    AdapterPage, AwaitError, Credentials, Health, Probed, Refused, Reload, Typing, WorkerService,
    WorkerStatus, serve_worker,
};
use claw_store::MessageStatus;
use claw_types::{ChannelId, Direction, MessageId, MessageState, Outbound, ShardId};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::common::{KEY, TestGateway, master_key, read};

const SEND: &str = "/api/users/u/channels/hook/send";

#[tokio::test]
async fn an_accepted_send_is_in_the_database() {
    let gateway = TestGateway::start().await;
    gateway.webhook("u", "hook").await;
    let body = json!({"recipient": 42, "message": "hi\0", "caption": null, "thread_id": 7,
                      "image_url": "https://example.org/a.png"});
    let answer = gateway.call("POST", SEND, body).await.expect(202);
    assert_eq!(answer["status"], "queued");
    let stored = gateway.pending().await;
    assert_eq!(stored.len(), 1);
    assert_eq!((json!(stored[0].id), stored[0].direction), (answer["id"].clone(), Direction::Out));
    let message: Outbound = serde_json::from_str(stored[0].payload.get()).unwrap();
    assert_eq!((message.recipient.as_str(), message.thread_id.as_deref()), ("42", Some("7")));
    assert_eq!((message.text.as_deref(), message.media.len()), (Some("hi\0"), 1));
}

#[tokio::test]
async fn the_same_idempotency_key_is_the_same_message() {
    let gateway = TestGateway::start().await;
    gateway.webhook("u", "hook").await;
    gateway.webhook("u", "other").await;
    let send = |path: &str, key: &str| {
        let request = gateway.request("POST", path).bearer_auth(KEY).header("Idempotency-Key", key);
        read(request.json(&json!({"recipient": "a", "message": "hi"})))
    };
    let first = send(SEND, "k-1").await.expect(202);
    let again = send(SEND, "k-1").await.expect(202);
    assert_eq!((&again["id"], &again["duplicate"]), (&first["id"], &json!(true)));
    assert_ne!(send(SEND, "k-2").await.expect(202)["id"], first["id"]);
    let elsewhere = send("/api/users/u/channels/other/send", "k-1").await.expect(202);
    assert_ne!(elsewhere["id"], first["id"], "a key belongs to its channel");
    for key in ["", "a b", &"x".repeat(256)] {
        send(SEND, key).await.problem(400);
    }
    let other = gateway.request("POST", SEND).bearer_auth(KEY).header("Idempotency-Key", "k-1");
    let other = read(other.json(&json!({"recipient": "a", "message": "other"}))).await;
    assert!(other.problem(422).contains("another body"));
    assert_eq!(other.json()["type"], "/problems/idempotency-key-reused");
    assert_eq!(gateway.pending().await.len(), 3);
}

#[tokio::test]
async fn a_repeated_send_hears_of_the_first_one_whatever_is_in_the_way_now() {
    let gateway = TestGateway::start().await;
    gateway.webhook("u", "hook").await;
    let send = |key: &str, text: &str| {
        let request = gateway.request("POST", SEND).bearer_auth(KEY).header("Idempotency-Key", key);
        read(request.json(&json!({"recipient": "a", "message": text})))
    };
    let first = send("k-1", "hi").await.expect(202);
    gateway.call("PUT", "/api/users/u/channels/hook", json!({"enabled": false})).await.expect(200);
    gateway.switched_off_everywhere("/api/users/u/channels/hook").await;
    send("k-2", "hi").await.problem(409);
    for _ in 0..2 {
        let again = send("k-1", "hi").await.expect(202);
        assert_eq!((&again["id"], &again["duplicate"]), (&first["id"], &json!(true)));
    }
    assert_eq!(send("k-1", "other").await.json()["type"], "/problems/idempotency-key-reused");
    assert_eq!(gateway.pending().await.len(), 1);
}

#[tokio::test]
async fn a_channel_that_is_not_there_or_switched_off_stores_nothing() {
    let gateway = TestGateway::start().await;
    gateway.webhook("u", "hook").await;
    let body = json!({"recipient": "a", "message": "hi"});
    gateway.call("POST", "/api/users/u/channels/nobody/send", body.clone()).await.problem(404);
    gateway.call("POST", "/api/users/stranger/channels/hook/send", body.clone()).await.problem(404);
    gateway.call("PUT", "/api/users/u/channels/hook", json!({"enabled": false})).await.expect(200);
    let said = gateway.call("POST", SEND, body).await.problem(409);
    assert_eq!(said, "the channel is switched off: enable it first");
    assert!(gateway.pending().await.is_empty());
}

#[tokio::test]
async fn a_private_address_in_a_send_is_refused() {
    let gateway = TestGateway::start_with(&["--send-wait-ms=0"]).await;
    let body = json!({"channel_type": "webhook", "fields": {"secret_env": crate::common::SECRET}});
    gateway.call("POST", "/api/users/u/channels/hook/configure", body).await.expect(201);
    let body = json!({"recipient": "a", "image_url": "http://127.0.0.1/a.png"});
    gateway.call("POST", SEND, body).await.problem(400);
    assert!(gateway.pending().await.is_empty());
}

/// A worker that says of every message what it was told to.
struct Told(MessageStatus);

#[async_trait]
impl Health for Told {
    async fn ready(&self) -> Result<(), String> {
        Ok(())
    }
}

#[async_trait]
impl WorkerService for Told {
    async fn await_delivery(
        &self,
        _: MessageId,
        _: ShardId,
        _: Duration,
    ) -> Result<MessageStatus, AwaitError> {
        Ok(self.0.clone())
    }

    async fn status(&self) -> WorkerStatus {
        WorkerStatus {
            name: "w".into(),
            version: "0".into(),
            shards: Vec::new(),
            channels: 0,
            failed: None,
            draining: false,
            away: Vec::new(),
        }
    }

    async fn probe(&self, _: ChannelId, _: ShardId) -> Result<Probed, Refused> {
        Err(Refused::Missing("it has no channels".into()))
    }

    async fn show_typing(
        &self,
        _: ChannelId,
        _: ShardId,
        recipient: &str,
        thread_id: Option<&str>,
    ) -> Result<Typing, Refused> {
        Ok(match (recipient, thread_id) {
            ("shown", Some("7")) => Typing::Shown,
            ("skipped", None) => Typing::Skipped,
            ("refused", None) => Typing::Refused("chat not found".into()),
            ("failed", None) => Typing::Failed("no route".into()),
            _ => return Err(Refused::Missing("this worker runs no such channel".into())),
        })
    }

    async fn adapters(&self, _: Option<ChannelId>, _: usize) -> Result<AdapterPage, Refused> {
        Ok(AdapterPage { adapters: Vec::new(), more: false })
    }

    async fn drain(&self, _: bool) -> usize {
        0
    }

    async fn reload(&self, _: Reload) -> Result<usize, Refused> {
        Ok(0)
    }
}

/// A gateway with a channel, whose owner says this of every message.
async fn owned(status: MessageStatus) -> TestGateway {
    let gateway = TestGateway::start_with(&["--allow-private-urls", "--send-wait-ms=20000"]).await;
    gateway.webhook("u", "hook").await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let credentials = Credentials::once(&master_key().into(), None).await.unwrap();
    serve_worker(&gateway.lifecycle, listener, &credentials, Arc::new(Told(status))).unwrap();
    let mut database = gateway.database.connect().await;
    let own = "update shards set owner = 'w', rpc_address = $1";
    sqlx::query(own).bind(address).execute(&mut database).await.unwrap();
    gateway
}

async fn answer_of(state: MessageState, error: Option<&str>) -> crate::common::Answer {
    let ids = if state == MessageState::Done { vec!["p-1".to_owned(), "p-2".to_owned()] } else { Vec::new() };
    let gateway =
        owned(MessageStatus { state, platform_message_ids: ids, error: error.map(str::to_owned) }).await;
    gateway.call("POST", SEND, json!({"recipient": "a", "message": "hi"})).await
}

#[tokio::test]
async fn typing_is_for_the_channels_owner_to_show() {
    let status = MessageStatus { state: MessageState::Done, platform_message_ids: Vec::new(), error: None };
    let gateway = owned(status).await;
    let typing = async |recipient: &str, thread_id: Value| {
        let body = json!({"recipient": recipient, "thread_id": thread_id});
        gateway.call("POST", "/api/users/u/channels/hook/typing", body).await
    };
    assert_eq!(typing("shown", json!(7)).await.expect(200)["status"], "ok");
    assert_eq!(typing("skipped", Value::Null).await.expect(200)["status"], "skipped");
    assert_eq!(typing("refused", Value::Null).await.problem(422), "chat not found");
    assert_eq!(typing("failed", Value::Null).await.problem(502), "no route");
    assert_eq!(typing("missing", Value::Null).await.problem(502), "this worker runs no such channel");
}

#[tokio::test]
async fn the_answer_tells_what_became_of_it() {
    let sent = answer_of(MessageState::Done, None).await.expect(200);
    assert_eq!((&sent["status"], &sent["platform_message_id"]), (&json!("sent"), &json!("p-1")));
    assert_eq!(sent["platform_message_ids"], json!(["p-1", "p-2"]));
    let queued = answer_of(MessageState::Pending, None).await.expect(202);
    assert_eq!(queued["status"], "queued");
    let uncertain = answer_of(MessageState::Uncertain, Some("no answer")).await.expect(202);
    assert_eq!((&uncertain["status"], &uncertain["detail"]), (&json!("uncertain"), &json!("no answer")));
    let refused = answer_of(MessageState::Failed, Some("chat not found")).await;
    assert_eq!(refused.problem(422), "chat not found");
    assert!(refused.json()["id"].is_string());
    assert_eq!(answer_of(MessageState::Dead, Some("gave up")).await.problem(502), "gave up");
}

#[tokio::test]
async fn a_drain_answers_who_waits_at_once() {
    let gateway = TestGateway::start_with(&["--allow-private-urls", "--send-wait-ms=20000"]).await;
    gateway.webhook("u", "hook").await;
    let started = Instant::now();
    let waiting = gateway.call("POST", SEND, json!({"recipient": "a", "message": "hi"}));
    let lifecycle = gateway.lifecycle.clone();
    let draining = async {
        claw_testkit::eventually("the message to be stored", Duration::from_secs(5), async || {
            (!gateway.pending().await.is_empty()).then_some(())
        })
        .await;
        lifecycle.shutdown();
    };
    let (answer, ()) = futures::join!(waiting, draining);
    let body: Value = answer.expect(202);
    assert_eq!(body["status"], "queued");
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
}
