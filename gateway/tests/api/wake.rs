//! Waking an agent from outside: stored before the answer, once, for one's own user only.

use claw_types::ChannelId;
use serde_json::{Value, json};

use crate::common::{Answer, KEY, TestGateway, read};

const PATHS: [&str; 2] = ["/hooks/wake", "/hooks/agent"];

/// A right body for either path.
fn body(path: &str, more: Value) -> Value {
    let text = if path == "/hooks/wake" { "text" } else { "message" };
    let mut body = json!({text: "disk full", "user_id": "ada"});
    let Value::Object(more) = more else { panic!("{more} is no object") };
    body.as_object_mut().unwrap().extend(more);
    body
}

async fn post(gateway: &TestGateway, path: &str, more: Value) -> Answer {
    gateway.call("POST", path, body(path, more)).await
}

async fn waiting(gateway: &TestGateway) -> Vec<(uuid::Uuid, Value)> {
    let mut conn = gateway.database.connect().await;
    let rows: Vec<(uuid::Uuid, String)> = sqlx::query_as("select id, payload::text from timers order by id")
        .fetch_all(&mut conn)
        .await
        .unwrap();
    rows.into_iter().map(|(id, payload)| (id, serde_json::from_str(&payload).unwrap())).collect()
}

async fn only(gateway: &TestGateway) -> (claw_types::Work, Value) {
    let mut pending = gateway.pending().await;
    assert_eq!(pending.len(), 1);
    let work = pending.remove(0);
    let payload = serde_json::from_str(work.payload.get()).unwrap();
    (work, payload)
}

#[tokio::test]
async fn a_wake_up_is_stored_before_it_is_answered() {
    let gateway = TestGateway::start().await;
    let more =
        json!({"agent_id": "research", "metadata": {"host": "db-1\0", "source": "forged"}, "channel": null});
    let answer = post(&gateway, "/hooks/wake", more).await.expect(202);
    assert_eq!((&answer["status"], &answer["mode"]), (&json!("accepted"), &json!("now")));
    assert!(answer.get("due_at").is_none() && answer.get("duplicate").is_none(), "{answer}");
    let (work, payload) = only(&gateway).await;
    assert_eq!((json!(work.id), work.channel_id), (answer["id"].clone(), ChannelId::NONE));
    assert_eq!(
        (&payload["text"], &payload["content_type"], &payload["agent_id"], &payload["user_id"]),
        (&json!("disk full"), &json!("text"), &json!("research"), &json!("ada"))
    );
    let metadata = json!({"source": "wake", "host": "db-1\0", "chat_id": "hook:wake:ada:research"});
    assert_eq!(payload["metadata"], metadata);
    assert!(payload.get("reply_to").is_none() && payload.get("sender").is_none());
}

#[tokio::test]
async fn a_task_says_whether_its_answer_is_wanted() {
    let gateway = TestGateway::start().await;
    let channel = gateway.webhook("ada", "hook_1").await;
    let chat = |more: Value| {
        let mut chat = json!({"channel": "hook_1", "recipient": 42, "thread_id": "7", "timeout_secs": 90});
        chat.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        chat
    };
    for (more, delivered) in
        [(json!({}), true), (json!({"deliver": true}), true), (json!({"deliver": "false"}), false)]
    {
        let answer = post(&gateway, "/hooks/agent", chat(more.clone())).await.expect(202);
        let pending = gateway.pending().await;
        let work = pending.iter().find(|work| json!(work.id) == answer["id"]).unwrap();
        assert_eq!((json!(work.channel_id), &*work.conversation), (channel["id"].clone(), "42:7"));
        let payload: Value = serde_json::from_str(work.payload.get()).unwrap();
        let reply_to = json!({"channel": "webhook", "recipient": "42", "thread_id": "7"});
        assert_eq!(payload.get("reply_to"), delivered.then_some(&reply_to), "{more}");
        let metadata = json!({"source": "agent", "timeout_secs": 90, "chat_id": "42", "thread_id": "42:7"});
        assert_eq!(payload["metadata"], metadata);
        assert_eq!((&payload["channel"], &payload["instance_name"]), (&json!("webhook"), &json!("hook_1")));
    }
}

#[tokio::test]
async fn what_can_wait_waits_for_the_heartbeat() {
    let gateway = TestGateway::start().await;
    for mode in ["next_heartbeat", "next-heartbeat"] {
        let answer = post(&gateway, "/hooks/wake", json!({"mode": mode})).await.expect(202);
        assert_eq!(answer["mode"], "next_heartbeat");
        let due_at: chrono::DateTime<chrono::Utc> = answer["due_at"].as_str().unwrap().parse().unwrap();
        let wait = due_at - gateway.store.now().await.unwrap();
        assert!(wait <= chrono::TimeDelta::minutes(30), "{wait}");
        let last = waiting(&gateway).await.pop().unwrap();
        assert_eq!((json!(last.0), &last.1["text"]), (answer["id"].clone(), &json!("disk full")));
    }
    assert!(gateway.pending().await.is_empty(), "nothing goes out yet");
}

#[tokio::test]
async fn the_same_call_is_the_same_wake_up() {
    let gateway = TestGateway::start().await;
    for path in PATHS {
        for mode in ["now", "next_heartbeat"] {
            let key = format!("k-{mode}");
            let in_body = body(path, json!({"mode": mode, "idempotency_key": key}));
            let first = gateway.call("POST", path, in_body.clone()).await.expect(202);
            let again = gateway.call("POST", path, in_body.clone()).await.expect(202);
            assert_eq!((&again["id"], &again["duplicate"]), (&first["id"], &json!(true)), "{path}");
            assert_eq!(again["due_at"], first["due_at"]);
            let request = gateway.request("POST", path).bearer_auth(KEY).header("idempotency-key", &key);
            let both = read(request.json(&in_body)).await.expect(202);
            assert_eq!(both["id"], first["id"], "the same key in both places");
            let request = gateway.request("POST", path).bearer_auth(KEY).header("idempotency-key", "other");
            assert!(read(request.json(&in_body)).await.problem(400).contains("differ"));
            let other = body(path, json!({"mode": mode, "idempotency_key": key, "agent_id": "x"}));
            gateway.call("POST", path, other).await.problem(422);
        }
    }
    assert_eq!((gateway.pending().await.len(), waiting(&gateway).await.len()), (2, 2));
}

#[tokio::test]
async fn a_stored_wake_up_is_answered_whatever_became_of_its_chat() {
    let gateway = TestGateway::start().await;
    gateway.webhook("ada", "hook_1").await;
    for (n, path) in PATHS.into_iter().enumerate() {
        let chat = json!({"channel": "hook_1", "recipient": "42", "idempotency_key": "k"});
        gateway.call("PUT", "/api/users/ada/channels/hook_1", json!({"enabled": true})).await.expect(200);
        let first = post(&gateway, path, chat.clone()).await.expect(202);
        gateway.call("PUT", "/api/users/ada/channels/hook_1", json!({"enabled": false})).await.expect(200);
        let again = post(&gateway, path, chat).await.expect(202);
        assert_eq!((&again["id"], &again["duplicate"]), (&first["id"], &json!(true)));
        assert_eq!(gateway.pending().await.len(), n + 1);
    }
}

#[tokio::test]
async fn a_users_key_wakes_that_users_agents_only() {
    let gateway = TestGateway::start().await;
    let mallory = gateway.key(Some("mallory"), &["send"]).await;
    let reader = gateway.key(None, &["read", "manage"]).await;
    for path in PATHS {
        for user in ["ada", "Mallory", "mallory "] {
            let answer = gateway.call_as(&mallory, "POST", path, body(path, json!({"user_id": user}))).await;
            assert!([400, 403].contains(&answer.status.as_u16()), "{user}: {answer:?}");
        }
        let said = gateway.call_as(&mallory, "POST", path, body(path, json!({}))).await.problem(403);
        assert!(said.contains("\"user_id\" names another"), "{said}");
        assert!(gateway.pending().await.iter().all(|work| work.user_id.as_str() == "mallory"));
        gateway.call_as(&mallory, "POST", path, body(path, json!({"user_id": "mallory"}))).await.expect(202);
        gateway.call_as(&reader, "POST", path, body(path, json!({}))).await.problem(403);
    }
    let theirs = json!({"user_id": "mallory", "channel": "hook_1", "recipient": "1"});
    gateway.webhook("ada", "hook_1").await;
    let answer = gateway.call_as(&mallory, "POST", "/hooks/wake", body("/hooks/wake", theirs)).await;
    assert!(answer.problem(400).contains("no channel \"hook_1\""), "another user's channel is none");
}

#[tokio::test]
async fn a_channel_may_be_named_by_its_type_when_there_is_one() {
    let gateway = TestGateway::start().await;
    gateway.webhook("ada", "hook_1").await;
    let chat = json!({"channel": "webhook", "recipient": "42"});
    post(&gateway, "/hooks/wake", chat.clone()).await.expect(202);
    assert_eq!(only(&gateway).await.1["instance_name"], "hook_1");
    gateway.webhook("ada", "hook_2").await;
    let said = post(&gateway, "/hooks/wake", chat.clone()).await.problem(400);
    assert!(said.contains("several channels of type \"webhook\"") && said.contains("\"hook_2\""), "{said}");
    // A slug counts more than a type.
    gateway.webhook("ada", "webhook").await;
    post(&gateway, "/hooks/wake", chat).await.expect(202);
    gateway.call("PUT", "/api/users/ada/channels/hook_2", json!({"enabled": false})).await.expect(200);
    let off = json!({"channel": "hook_2", "recipient": "42"});
    assert!(post(&gateway, "/hooks/wake", off).await.problem(409).contains("switched off"));
    assert_eq!(gateway.pending().await.len(), 2);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_a_sentence() {
    let gateway = TestGateway::start().await;
    let long = "x".repeat(4_097);
    for path in PATHS {
        let text = if path == "/hooks/wake" { "text" } else { "message" };
        let table = [
            (json!({text: null}), "is required".to_owned()),
            (json!({text: " \n"}), format!("\"{text}\" is empty")),
            (json!({text: long}), format!("\"{text}\" has 4097 characters; at most 4096")),
            (json!({"user_id": null}), "\"user_id\" is required".to_owned()),
            (json!({"user_id": "a b"}), "\"user_id\": the user id may not contain ' '".to_owned()),
            (json!({"user_id": "a\0b"}), "\"user_id\": ".to_owned()),
            (json!({"mode": "later"}), "\"mode\" must be one of: now, next".to_owned()),
            (json!({"nope": 1}), "the key \"nope\" is not known here".to_owned()),
            (json!({"agent_id": "a\0"}), "\"agent_id\" may not contain".to_owned()),
            (json!({"recipient": "1"}), "\"channel\" is required with".to_owned()),
            (json!({"thread_id": "1"}), "\"channel\" is required with".to_owned()),
            (json!({"channel": "hook_1"}), "\"recipient\" is required with".to_owned()),
            (json!({"channel": "nope", "recipient": "1"}), "the user has no channel \"nope\"".to_owned()),
            (json!({"channel": "a\0", "recipient": "1"}), "\"channel\" may not contain".to_owned()),
            (json!({"channel": "c", "recipient": "a\0"}), "\"recipient\" may not contain".to_owned()),
            (json!({"channel": "c", "recipient": 1.5}), "\"recipient\" must be text or a whole".to_owned()),
            (json!({"metadata": []}), "\"metadata\" must be an object".to_owned()),
            (json!({"metadata": {"chat_id": 5}}), "\"metadata.chat_id\" must be text".to_owned()),
            (json!({"metadata": {"a": "x".repeat(40_000)}}), "at most 32768".to_owned()),
            (json!({"idempotency_key": "a b"}), "\"idempotency_key\" must be 1 to 255".to_owned()),
            (json!({"idempotency_key": ""}), "\"idempotency_key\" must be 1 to 255".to_owned()),
        ];
        for (more, sentence) in table {
            let said = post(&gateway, path, more.clone()).await.problem(400);
            assert!(said.contains(&sentence), "{more} was refused with: {said}");
        }
    }
    for (more, sentence) in [
        (json!({"deliver": true}), "\"deliver\" needs a chat"),
        (json!({"deliver": "perhaps"}), "\"deliver\" must be true or false"),
        (json!({"timeout_secs": 0}), "\"timeout_secs\" must be from 1 to 86400"),
        (json!({"timeout_secs": 86_401}), "\"timeout_secs\" must be from 1 to 86400"),
    ] {
        let said = post(&gateway, "/hooks/agent", more.clone()).await.problem(400);
        assert!(said.contains(sentence), "{more} was refused with: {said}");
    }
    gateway
        .call("POST", "/hooks/wake", json!({"text": "x", "timeout_secs": 5, "user_id": "a"}))
        .await
        .problem(400);
    assert!(gateway.pending().await.is_empty() && waiting(&gateway).await.is_empty());
}

#[tokio::test]
async fn the_heartbeat_is_the_users_to_set() {
    let gateway = TestGateway::start().await;
    let path = "/api/users/ada/settings";
    let shown = gateway.call("GET", path, Value::Null).await.expect(200);
    assert_eq!(shown["heartbeat_every_secs"], Value::Null);
    for (value, sentence) in [
        (json!(59), "must be from 60 to 86400"),
        (json!(86_401), "must be from 60 to 86400"),
        (json!(-1), "\"heartbeat_every_secs\""),
        (json!("600"), "must be a whole number"),
    ] {
        let said = gateway.call("PUT", path, json!({"heartbeat_every_secs": value})).await.problem(400);
        assert!(said.contains(sentence), "{value}: {said}");
    }
    let woken = post(&gateway, "/hooks/wake", json!({"mode": "next_heartbeat"})).await.expect(202);
    let set = gateway.call("PUT", path, json!({"heartbeat_every_secs": 86_400})).await.expect(200);
    assert_eq!(set["heartbeat_every_secs"], 86_400);
    let shown = gateway.call("GET", path, Value::Null).await.expect(200);
    assert_eq!(shown, set);
    let mut conn = gateway.database.connect().await;
    let due_at: chrono::DateTime<chrono::Utc> =
        sqlx::query_scalar("select due_at from timers").fetch_one(&mut conn).await.unwrap();
    assert_eq!(serde_json::to_value(due_at).unwrap(), set["next_heartbeat_at"], "{woken} has moved");
    let reset = gateway.call("PUT", path, json!({"heartbeat_every_secs": null})).await.expect(200);
    assert_eq!(reset["heartbeat_every_secs"], Value::Null);
    let audit = gateway.call("GET", "/api/audit?user=ada", Value::Null).await.expect(200);
    assert_eq!(audit["entries"].as_array().unwrap().len(), 2, "{audit}");
    assert_eq!(audit["entries"][1]["detail"], json!({"heartbeat_every_secs": 86_400}));
    let other = gateway.call("GET", "/api/users/bob/settings", Value::Null).await.expect(200);
    assert_eq!(other["heartbeat_every_secs"], Value::Null);
}
