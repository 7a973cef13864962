//! What platforms post: committed before the answer, once.

use std::time::Duration;

use claw_runtime::{Clock as _, SystemClock};
use serde_json::{Value, json};

use crate::common::{KEY, Log, SECRET, TestGateway, read};

/// So many forged posts.
const FLOOD: u64 = 100;

#[tokio::test]
async fn an_accepted_message_is_in_the_database_before_the_answer() {
    let gateway = TestGateway::start().await;
    let hook = gateway.webhook("u", "hook").await;
    let body = br#"{"sender":{"id":"ada","name":"Ada"},"text":"hi","message_id":"m-1"}"#;
    let answer = gateway.post(&hook, body).await.expect(200);
    assert_eq!(answer["status"], "accepted");
    assert!(answer.get("duplicate").is_none());
    let stored = gateway.pending().await;
    assert_eq!(stored.len(), 1);
    assert_eq!(json!(stored[0].id), answer["id"]);
    let payload: Value = serde_json::from_str(stored[0].payload.get()).unwrap();
    assert_eq!((&payload["user_id"], &payload["instance_name"]), (&json!("u"), &json!("hook")));
    assert_eq!((&payload["text"], &payload["platform_message_id"]), (&json!("hi"), &json!("m-1")));

    let again = gateway.post(&hook, body).await.expect(200);
    assert_eq!((&again["id"], &again["duplicate"]), (&answer["id"], &json!(true)));
    assert_eq!(gateway.pending().await.len(), 1, "the same message is stored once");
}

#[tokio::test]
async fn a_forged_or_unreadable_post_stores_nothing() {
    let gateway = TestGateway::start().await;
    let hook = gateway.webhook("u", "hook").await;
    let body = br#"{"sender":{"id":"mallory"},"text":"forged"}"#;
    let good = claw_secrets::signature::sign(SECRET.as_bytes(), body);
    let other = claw_secrets::signature::sign(b"other", body);
    for header in ["", "sha256=zz", &other, &good[..good.len() - 2], &good.replace("sha256", "sha1")] {
        gateway.post_signed(&hook, body, header).await.problem(401);
    }
    read(gateway.request("POST", hook["webhook_path"].as_str().unwrap()).body(body.to_vec()))
        .await
        .problem(401);
    for unreadable in ["{", "[]", "", r#"{"text":"x"}"#, r#"{"sender":{"id":""},"text":"x"}"#] {
        gateway.post(&hook, unreadable.as_bytes()).await.problem(400);
    }
    assert!(gateway.pending().await.is_empty());
}

#[tokio::test]
async fn what_is_forged_is_counted_and_fills_no_log() {
    let gateway = TestGateway::start().await;
    let hook = gateway.webhook("u", "hook").await;
    let series =
        |reason: &str| format!("claw_webhooks_refused_total{{platform=\"webhook\",reason=\"{reason}\"}}");
    let (forged, unreadable) =
        (gateway.counted(&series("bad_signature")).await, gateway.counted(&series("bad_request")).await);
    let (log, _guard) = Log::follow();
    for _ in 0..FLOOD {
        gateway.post_signed(&hook, b"{}", "sha256=00").await.problem(401);
    }
    gateway.post(&hook, b"{").await.problem(400);
    for target in ["claw_gateway::routes", "claw_gateway::answers", "claw_channels"] {
        assert_eq!(log.lines(target), [""; 0], "a stranger fills the log");
    }
    // Other tests of this process count, too.
    assert!(gateway.counted(&series("bad_signature")).await >= forged + FLOOD);
    assert!(gateway.counted(&series("bad_request")).await > unreadable);

    let made_up = "claw_webhooks_refused_total{platform=\"unknown\",reason=\"no_channel\"}";
    let before = gateway.counted(made_up).await;
    let path = format!("/webhooks/made-up/{}", hook["id"].as_str().unwrap());
    read(gateway.request("POST", &path).body("{}")).await.problem(404);
    assert!(gateway.counted(made_up).await > before, "whatever type a stranger makes up");
}

/// As after a downgrade: a stranger must not be able to make one channel's fault look like a server's.
#[tokio::test]
async fn a_stored_channel_that_can_not_be_made_is_logged_once_and_is_no_server_error() {
    let gateway = TestGateway::start().await;
    let hook = gateway.webhook("u", "hook").await;
    let broken = "claw_webhooks_refused_total{platform=\"webhook\",reason=\"broken_channel\"}";
    let before = gateway.counted(broken).await;
    let (log, _guard) = Log::follow();
    let mut conn = gateway.database.connect().await;
    let sql = "update channels set config = '{\"callback_url\": 7}'::json, revision = revision + 1 where id = $1::uuid";
    sqlx::query(sql).bind(hook["id"].as_str()).execute(&mut conn).await.unwrap();
    gateway.everywhere(404, async || gateway.post_signed(&hook, b"{}", "sha256=00").await).await;
    let told = gateway.post_signed(&hook, b"{}", "sha256=00").await.problem(404);
    assert!(told.contains("configured again"), "{told}");
    for _ in 0..FLOOD {
        gateway.post_signed(&hook, b"{}", "sha256=00").await.problem(404);
    }
    assert!(gateway.counted(broken).await >= before + FLOOD);
    assert_eq!(log.lines("a stored channel can't be made").len(), 2, "each gateway says it once");
    assert_eq!(log.lines("ERROR"), [""; 0]);
    let path = "/api/users/u/channels/hook/send";
    let said = gateway.call("POST", path, json!({"recipient": "ada", "message": "hi"})).await.problem(409);
    assert!(said.contains("configure the channel again"), "{said}");
}

#[tokio::test]
async fn who_may_write_is_configured_like_any_field_and_counts_at_once() {
    let gateway = TestGateway::start().await;
    let hook = gateway.webhook("u", "hook").await;
    let path = "/api/users/u/channels/hook";
    let wrong = gateway.call("PUT", path, json!({"fields": {"dm_policy": "everybody"}})).await.problem(400);
    assert!(wrong.contains("\"dm_policy\" must be one of: open, allowlist, pairing, disabled"), "{wrong}");
    gateway.call("PUT", path, json!({"fields": {"allowed_users": "bob, @ada"}})).await.expect(200);
    let from = async |sender: Value| {
        let body = json!({"sender": sender, "conversation_id": "room", "text": "hi"});
        gateway.post(&hook, body.to_string().as_bytes()).await.expect(200)
    };
    // Of two gateways that are asked in turn, the other one hears of a change from NATS.
    let everywhere = async |status: &str| {
        claw_testkit::eventually(status, Duration::from_secs(10), async || {
            let both = [from(json!({"id": "room"})).await, from(json!({"id": "room"})).await];
            both.iter().all(|said| said["status"] == status).then_some(())
        })
        .await;
    };
    everywhere("ignored").await;
    let before = gateway.pending().await.len();
    assert_eq!(from(json!({"id": "bob"})).await["status"], "accepted");
    // Not by the chat, not a program, not ourselves.
    for sender in
        [json!({"id": "room"}), json!({"id": "bob", "is_bot": true}), json!({"id": "bob", "is_self": true})]
    {
        assert_eq!(from(sender.clone()).await, json!({"status": "ignored"}), "{sender}");
    }
    assert_eq!(gateway.pending().await.len(), before + 1);
    gateway.call("PUT", path, json!({"fields": {"allowed_users": ""}})).await.expect(200);
    everywhere("accepted").await;
    let metrics = gateway.request("GET", "/metrics").bearer_auth(KEY).send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    assert!(metrics.contains("claw_messages_ignored_total{reason=\"sender\"}"), "{metrics}");
}

#[tokio::test]
async fn an_address_that_is_none_is_not_found() {
    let gateway = TestGateway::start().await;
    let hook = gateway.webhook("u", "hook").await;
    let id = hook["id"].as_str().unwrap();
    let long = "x".repeat(3_000);
    let unknown = "00000000-0000-0000-0000-000000000001";
    for path in [
        format!("/webhooks/webhook/{unknown}"),
        format!("/webhooks/telegram/{id}"),
        format!("/webhooks/nope/{id}"),
        "/webhooks/webhook/not-a-uuid".to_owned(),
        "/webhooks/webhook/%00".to_owned(),
        format!("/webhooks/webhook/{long}"),
    ] {
        read(gateway.request("POST", &path).body("{}")).await.problem(404);
    }
    read(gateway.request("POST", "/webhooks/webhook/%FF").body("{}")).await.problem(400);
}

/// Where a platform asks first, its adapter knows the answer.
#[tokio::test]
async fn a_platform_that_has_nothing_to_ask_is_told_so() {
    let gateway = TestGateway::start().await;
    let hook = gateway.webhook("u", "hook").await;
    let path = hook["webhook_path"].as_str().unwrap();
    let asked = read(gateway.request("GET", &format!("{path}?hub.mode=subscribe&hub.challenge=42"))).await;
    assert!(!asked.problem(400).contains("42"), "{}", asked.text);
    read(gateway.request("GET", &format!("/webhooks/telegram/{}", hook["id"].as_str().unwrap())))
        .await
        .problem(404);
}

/// Slack posts its question, and shows people what a command is answered.
#[tokio::test]
async fn a_platform_that_asks_and_one_that_reads_is_answered_in_its_own_words() {
    let gateway = TestGateway::start().await;
    let fields = json!({"bot_token_env": "xoxb-1-2-3", "signing_secret": SECRET});
    let body = json!({"channel_type": "slack", "fields": fields, "probe": false});
    let made = gateway.call("POST", "/api/users/u/channels/slack_1/configure", body).await.expect(201);
    let path = made["webhook_path"].as_str().unwrap().to_owned();
    let time = SystemClock.now().timestamp().to_string();
    let posted = async |body: &str, content_type: &str, secret: &str| {
        let signed = claw_secrets::signature::sign(secret.as_bytes(), format!("v0:{time}:{body}").as_bytes());
        let signature = signed.replace("sha256=", "v0=");
        let request = gateway.request("POST", &path).header("x-slack-signature", signature);
        let request = request.header("x-slack-request-timestamp", &time).header("content-type", content_type);
        read(request.body(body.to_owned())).await
    };
    let question = r#"{"type":"url_verification","token":"x","challenge":"3eZbrw1a"}"#;
    let answer = posted(question, "application/json", SECRET).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, "3eZbrw1a"));
    assert!(!posted(question, "application/json", "another").await.problem(401).contains("3eZbrw1a"));
    let command = "command=%2Fask&text=hi&channel_id=D1&user_id=U1&trigger_id=1.2";
    let answer = posted(command, "application/x-www-form-urlencoded", SECRET).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, ""));
    assert_eq!(gateway.pending().await.len(), 1);
}

#[tokio::test]
async fn characters_that_a_database_may_not_like_do_no_harm() {
    let gateway = TestGateway::start().await;
    let hook = gateway.webhook("u", "hook").await;
    let nul = "a\0b";
    let odd = [
        json!({"text": nul, "sender": {"id": "a"}}),
        json!({"text": "x", "sender": {"id": nul}}),
        json!({"text": "x", "sender": {"id": "a", "name": nul}}),
        json!({"text": "x", "sender": {"id": "a"}, "message_id": nul}),
        json!({"text": "x", "sender": {"id": "a"}, "message_id": "m".repeat(100_000)}),
        json!({"text": "x", "sender": {"id": "a"}, "conversation_id": nul, "is_group": true}),
        json!({"text": "x", "sender": {"id": "a"}, "thread_id": nul}),
        json!({"text": "x", "sender": {"id": "a"}, "metadata": {nul: nul}}),
    ];
    let posts = odd.iter().map(|body| {
        let bytes = body.to_string().into_bytes();
        let hook = &hook;
        let gateway = &gateway;
        async move { gateway.post(hook, &bytes).await }
    });
    let good = br#"{"sender":{"id":"b"},"text":"good"}"#;
    let (bad, good) = futures::join!(futures::future::join_all(posts), gateway.post(&hook, good));
    good.expect(200);
    let accepted = bad.iter().filter(|answer| answer.status.as_u16() == 200).count();
    for answer in &bad {
        assert!(answer.status.is_success() || answer.status.is_client_error(), "{answer:?}");
    }
    assert_eq!(gateway.pending().await.len(), accepted + 1, "what was answered 200 is stored");
}
