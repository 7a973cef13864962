//! Sending more than a text, and what is done to a message afterwards.

use axum::routing::get;
use axum::{Json, Router};
use claw_types::{Act, Outbound};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::common::{KEY, TestGateway, read};

const CHAT: &str = "/api/users/u/channels/chat";

/// A user with a channel that has few features and one that has all.
async fn gateway() -> TestGateway {
    let gateway = TestGateway::start().await;
    gateway.webhook("u", "hook").await;
    let page = json!({"channel_type": "webchat", "fields": {}});
    gateway.call("POST", &format!("{CHAT}/configure"), page).await.expect(201);
    gateway
}

async fn stored(gateway: &TestGateway) -> Vec<Outbound> {
    let pending = gateway.pending().await;
    pending.iter().map(|work| serde_json::from_str(work.payload.get()).unwrap()).collect()
}

#[tokio::test]
async fn a_rich_message_is_stored_whole_and_what_the_platform_lacks_is_said() {
    let gateway = gateway().await;
    let phone = json!({"channel_type": "sms", "probe": false, "fields": {
        "account_sid": "AC0123456789abcdef0123456789abcdef", "auth_token_env": "0123456789abcdef0123456789abcdef",
        "from": "+15017122661", "public_url": "https://claw.example.org",
    }});
    gateway.call("POST", "/api/users/u/channels/phone/configure", phone).await.expect(201);
    let body = json!({
        "recipient": "a", "message": "**Which?**", "reply_to": 17,
        "buttons": [[{"text": "Yes", "data": "y"}, {"text": "More", "url": "https://example.org"}]],
        "media": [{"kind": "image", "url": "https://example.org/a.png"}, {"kind": "file", "url": "https://example.org/b", "filename": "b.pdf"}],
        "poll": {"question": "Lunch?", "options": ["Soup", "Salad"]},
        "location": {"latitude": 52.5, "longitude": 13.4, "title": "Here"},
    });
    let answer = gateway.call("POST", "/api/users/u/channels/phone/send", body.clone()).await.expect(202);
    let degraded: Vec<_> =
        answer["degraded"].as_array().unwrap().iter().map(|d| d["feature"].as_str().unwrap()).collect();
    assert!(degraded.contains(&"poll") && degraded.contains(&"location"), "{answer}");
    let whole = gateway.call("POST", "/api/users/u/channels/hook/send", body.clone()).await.expect(202);
    assert_eq!(
        whole["degraded"].as_array().unwrap().len(),
        1,
        "attachments go one by one, the rest whole: {whole}"
    );
    let page = gateway.call("POST", &format!("{CHAT}/send"), body).await.expect(202);
    assert!(page.get("degraded").is_none(), "{page}");
    let [first, second, third] = stored(&gateway).await.try_into().unwrap();
    assert_eq!(first, second, "degrading is done when it is sent, not when it is stored");
    assert_eq!(second, third);
    assert_eq!((first.media.len(), first.buttons[0].len(), first.reply_to.as_deref()), (2, 2, Some("17")));
    assert_eq!(first.poll.unwrap().options, ["Soup", "Salad"]);
    let plain = gateway
        .call("POST", &format!("{CHAT}/send"), json!({"recipient": "a", "message": "hi"}))
        .await
        .expect(202);
    assert!(plain.get("degraded").is_none());
}

#[tokio::test]
async fn attachments_are_planned_as_the_channel_itself_sends_them() {
    let gateway = gateway().await;
    let fields = json!({"secret_env": crate::common::SECRET, "post_albums": true});
    let channel = json!({"channel_type": "webhook", "fields": fields});
    gateway.call("POST", "/api/users/u/channels/albums/configure", channel).await.expect(201);
    let image = json!({"kind": "image", "url": "https://example.org/a.png"});
    let body = json!({"recipient": "a", "media": [image, image]});
    for (channel, kinds) in [("albums", json!(["album"])), ("hook", json!(["image", "image"]))] {
        let path = format!("/api/users/u/channels/{channel}/send");
        let sent = gateway.call("POST", &path, body.clone()).await.expect(202);
        assert_eq!(sent.get("degraded").is_none(), channel == "albums", "{sent}");
        let record = format!("/api/users/u/messages/{}", sent["id"].as_str().unwrap());
        let record = gateway.call("GET", &record, Value::Null).await.expect(200);
        let parts = record["parts"].as_array().unwrap().iter();
        assert_eq!(parts.map(|part| part["kind"].clone()).collect::<Value>(), kinds, "{record}");
    }
}

#[tokio::test]
async fn a_rich_message_that_makes_no_sense_names_the_place() {
    let gateway = gateway().await;
    let with = |key: &str, value: Value| {
        let mut body = json!({"recipient": "a", "message": "hi"});
        body[key] = value;
        body
    };
    let table = [
        (with("format", json!("html")), "\"format\" must be one of: markdown, plain"),
        (with("buttons", json!([[{"text": "x"}]])), "a button has either \"url\" or \"data\""),
        (with("buttons", json!([[{"text": "x".repeat(65), "data": "d"}]])), "buttons[0][0].text"),
        (with("buttons", json!([[{"text": "x", "url": "javascript:alert(1)"}]])), "buttons[0][0].url"),
        (with("buttons", json!({})), "\"buttons\" must be an array, not an object"),
        (with("poll", json!({"question": "?"})), "\"poll.options\" is required"),
        (with("poll", json!({"question": "?", "options": ["one"]})), "poll.options"),
        (with("location", json!({"latitude": 91, "longitude": 0})), "location.latitude"),
        (
            with("media", json!([{"kind": "picture", "url": "https://e.org"}])),
            "\"media[0].kind\" must be one of",
        ),
        (with("media", json!([{"kind": "image", "url": "ftp://e.org"}])), "media[0].url"),
        (with("media", json!(vec![json!({"kind": "image", "url": "https://e.org"}); 11])), "media"),
    ];
    for (body, sentence) in table {
        let said = gateway.call("POST", &format!("{CHAT}/send"), body.clone()).await.problem(400);
        assert!(said.contains(sentence), "{body} was refused with: {said}");
    }
    assert!(stored(&gateway).await.is_empty());
}

#[tokio::test]
async fn a_sent_message_is_edited_taken_back_and_reacted_to() {
    let gateway = gateway().await;
    let sent = gateway
        .call("POST", &format!("{CHAT}/send"), json!({"recipient": "a", "message": "hi"}))
        .await
        .expect(202);
    let ours = format!("{CHAT}/messages/{}", sent["id"].as_str().unwrap());
    let said = gateway.call("PATCH", &ours, json!({"message": "bye"})).await.problem(409);
    assert!(said.contains("does not have this message yet"), "{said}");
    let mut conn = gateway.database.connect().await;
    sqlx::query(
        "update messages set state = 'done', finished_at = now(), platform_message_ids = '[\"p-1\"]'",
    )
    .execute(&mut conn)
    .await
    .unwrap();
    gateway.call("PATCH", &ours, json!({"message": "bye"})).await.expect(202);
    gateway.call("DELETE", &ours, Value::Null).await.expect(202);
    let theirs = format!("{CHAT}/messages/p-9");
    gateway
        .call("PUT", &format!("{theirs}/reaction"), json!({"emoji": "\u{1f44d}", "recipient": "b"}))
        .await
        .expect(202);
    let acts: Vec<_> = stored(&gateway).await.into_iter().map(|m| (m.recipient, m.act)).collect();
    let (edit, delete) =
        (Act::Edit { message_id: "p-1".into() }, Act::Delete { message_ids: vec!["p-1".into()] });
    let react = Act::React { message_id: "p-9".into(), emoji: Some("\u{1f44d}".into()) };
    assert_eq!(acts, [("a".to_owned(), edit), ("a".to_owned(), delete), ("b".to_owned(), react)]);
}

#[tokio::test]
async fn a_thread_that_the_platform_does_not_have_is_said() {
    let gateway = gateway().await;
    let body = json!({"recipient": "a", "message": "hi", "thread_id": "7"});
    let sent = gateway.call("POST", &format!("{CHAT}/send"), body).await.expect(202);
    assert_eq!(sent["degraded"][0]["feature"], "thread_id", "{sent}");
    assert_eq!(stored(&gateway).await[0].thread_id, None, "or the chat's history would lack it");
}

#[tokio::test]
async fn nothing_is_done_to_a_message_of_which_only_some_parts_are_sent() {
    let gateway = gateway().await;
    let body = json!({"recipient": "a", "message": "x".repeat(70_000)});
    let sent = gateway.call("POST", &format!("{CHAT}/send"), body).await.expect(202);
    let ours = format!("{CHAT}/messages/{}", sent["id"].as_str().unwrap());
    let mut conn = gateway.database.connect().await;
    sqlx::query("update messages set platform_message_ids = '[\"p-1\"]'").execute(&mut conn).await.unwrap();
    for (method, path, body) in [
        ("PATCH", ours.clone(), json!({"message": "bye"})),
        ("DELETE", ours.clone(), Value::Null),
        ("PUT", format!("{ours}/reaction"), json!({"emoji": "\u{1f44d}"})),
    ] {
        let said = gateway.call(method, &path, body).await.problem(409);
        assert!(said.contains("not all of it"), "{method}: {said}");
    }
    assert_eq!(stored(&gateway).await.len(), 1);
}

#[tokio::test]
async fn what_is_done_to_a_message_is_done_once_under_its_key() {
    let gateway = gateway().await;
    let sent = gateway
        .call("POST", &format!("{CHAT}/send"), json!({"recipient": "a", "message": "hi"}))
        .await
        .expect(202);
    let ours = format!("{CHAT}/messages/{}", sent["id"].as_str().unwrap());
    let mut conn = gateway.database.connect().await;
    let done = "update messages set state = 'done', finished_at = now(), platform_message_ids = '[\"p-1\"]'";
    sqlx::query(done).execute(&mut conn).await.unwrap();
    let call = |method: &str, path: &str, key: &str, body: &Value| {
        let request = gateway.request(method, path).bearer_auth(KEY).header("Idempotency-Key", key);
        read(if body.is_null() { request } else { request.json(body) })
    };
    let calls = [
        ("PATCH", ours.clone(), json!({"message": "bye"})),
        ("DELETE", ours.clone(), Value::Null),
        ("PUT", format!("{ours}/reaction"), json!({"emoji": "\u{1f44d}"})),
    ];
    let mut ids = Vec::new();
    for (method, path, body) in &calls {
        let first = call(method, path, method, body).await.expect(202);
        let again = call(method, path, method, body).await.expect(202);
        assert_eq!((&again["id"], &again["duplicate"]), (&first["id"], &json!(true)), "{method}");
        assert!(first.get("duplicate").is_none(), "{method}: {first}");
        ids.push(first["id"].clone());
    }
    assert_eq!(stored(&gateway).await.len(), 3);
    let other = call("PATCH", &ours, "PATCH", &json!({"message": "other"})).await;
    assert_eq!((other.problem(422), stored(&gateway).await.len()), (other.problem(422), 3));
    let in_chat = |chat: &str| format!("{CHAT}/messages/p-9?recipient={chat}");
    call("DELETE", &in_chat("a"), "chat", &Value::Null).await.expect(202);
    call("DELETE", &in_chat("b"), "chat", &Value::Null).await.problem(422);
    // What is in the way now was not when the first call was stored.
    let retried = "update messages set state = 'pending', finished_at = null where direction = 'out'";
    sqlx::query(retried).execute(&mut conn).await.unwrap();
    gateway.call("PUT", CHAT, json!({"enabled": false})).await.expect(200);
    gateway.switched_off_everywhere(CHAT).await;
    call("DELETE", &ours, "new", &Value::Null).await.problem(409);
    for ((method, path, body), id) in calls.iter().zip(&ids) {
        let again = call(method, path, method, body).await.expect(202);
        assert_eq!((&again["id"], &again["duplicate"]), (id, &json!(true)), "{method}");
    }
    let other = call("PATCH", &ours, "PATCH", &json!({"message": "other"})).await;
    assert_eq!(other.json()["type"], "/problems/idempotency-key-reused");
}

#[tokio::test]
async fn what_can_not_be_done_to_a_message_is_refused_before_anything_is_stored() {
    let gateway = gateway().await;
    let unknown = format!("{CHAT}/messages/01a20614-c22d-76db-8d63-8dd1bf95251b");
    gateway.call("PATCH", &unknown, json!({"message": "x"})).await.problem(404);
    let theirs = format!("{CHAT}/messages/p-9");
    for (method, path, body, status, sentence) in [
        ("PATCH", theirs.clone(), json!({"message": "x"}), 400, "\"recipient\" is required"),
        ("PATCH", theirs.clone(), json!({"recipient": "a"}), 400, "there is nothing to change"),
        (
            "PATCH",
            theirs.clone(),
            json!({"recipient": "a", "poll": {}}),
            400,
            "the key \"poll\" is not known",
        ),
        ("DELETE", theirs.clone(), Value::Null, 400, "\"recipient\" is required"),
        ("DELETE", format!("{theirs}?recipent=a"), Value::Null, 400, "\"recipent\" is not known"),
        (
            "PUT",
            format!("{theirs}/reaction"),
            json!({"recipient": "a", "emoji": "x".repeat(65)}),
            400,
            "emoji",
        ),
        ("PATCH", format!("{CHAT}/messages/%00"), json!({"message": "x"}), 400, "control character"),
        (
            "PATCH",
            "/api/users/u/channels/nobody/messages/1".to_owned(),
            json!({"message": "x"}),
            404,
            "channel",
        ),
    ] {
        let said = gateway.call(method, &path, body.clone()).await.problem(status);
        assert!(said.contains(sentence), "{method} {path} {body}: {said}");
    }
    assert!(stored(&gateway).await.is_empty());
    let foreign =
        gateway.call("PATCH", "/api/users/other/channels/chat/messages/1", json!({"message": "x"})).await;
    foreign.problem(404);
}

/// A platform that knows its bot and remembers nothing.
async fn platform(gateway: &TestGateway, known: bool) -> String {
    let me = move || async move {
        if known {
            let bot = json!({"id": 7, "is_bot": true, "first_name": "B", "username": "the_bot"});
            (StatusCode::OK, Json(json!({"ok": true, "result": bot})))
        } else {
            let refused = json!({"ok": false, "error_code": 401, "description": "Unauthorized"});
            (StatusCode::UNAUTHORIZED, Json(refused))
        }
    };
    let router = Router::new().route("/{bot}/getMe", get(me).post(me));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    gateway.lifecycle.spawn("platform", async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}")
}

#[tokio::test]
async fn a_probe_really_asks_the_platform() {
    let gateway = TestGateway::start().await;
    for (user, known) in [("u", true), ("v", false)] {
        let url = platform(&gateway, known).await;
        let token = if known {
            "7:AAEabcdefghijklmnopqrstuvwxyz_-01234"
        } else {
            "8:AAEabcdefghijklmnopqrstuvwxyz_-01234"
        };
        let body = json!({"channel_type": "telegram", "fields": {"bot_token_env": token, "api_url": url},
            "probe": known});
        gateway.call("POST", &format!("/api/users/{user}/channels/bot/configure"), body).await.expect(201);
    }
    let good = gateway.call("POST", "/api/users/u/channels/bot/test", Value::Null).await.expect(200);
    assert_eq!((&good["status"], &good["error"]), (&json!("ok"), &Value::Null));
    assert!(good["account"].as_str().unwrap().contains("the_bot"), "{good}");
    let bad = gateway.call("POST", "/api/users/v/channels/bot/test", Value::Null).await.expect(200);
    assert_eq!(bad["status"], "error");
    assert!(bad["error"].as_str().unwrap().contains("401"), "{bad}");
    gateway.call("POST", "/api/users/u/channels/nobody/test", Value::Null).await.problem(404);
    let typing = json!({"recipient": 5});
    let unowned = gateway.call("POST", "/api/users/u/channels/bot/typing", typing.clone()).await;
    assert_eq!(unowned.problem(502), "no worker runs the channel just now");
    gateway.call("POST", "/api/users/u/channels/bot/typing", json!({})).await.problem(400);
    gateway.call("PUT", "/api/users/u/channels/bot", json!({"enabled": false})).await.expect(200);
    let typing = async || gateway.call("POST", "/api/users/u/channels/bot/typing", typing.clone()).await;
    gateway.everywhere(409, typing).await;
}

#[tokio::test]
async fn a_credential_that_the_platform_refuses_is_not_stored() {
    let gateway = TestGateway::start().await;
    let (knows, refuses) = (platform(&gateway, true).await, platform(&gateway, false).await);
    let body = |server: &str| {
        let fields = json!({"bot_token_env": "7:AAEabcdefghijklmnopqrstuvwxyz_-01234", "api_url": server});
        json!({"channel_type": "telegram", "fields": fields})
    };
    let configure =
        async |server: &str| gateway.call("POST", "/api/users/u/channels/bot/configure", body(server)).await;
    let said = configure(&refuses).await.problem(400);
    assert!(said.contains("Unauthorized") && said.contains("\"probe\": false"), "{said}");
    assert!(gateway.channels("u").await.is_empty(), "nothing was stored");
    configure(&knows).await.expect(201);
    // A platform that is away says nothing against a credential.
    configure("http://127.0.0.1:9").await.expect(200);
    let change = async |probe: Value| {
        let change = json!({"fields": body(&refuses)["fields"], "probe": probe});
        gateway.call("PUT", "/api/users/u/channels/bot", change).await
    };
    change(json!(true)).await.problem(400);
    change(json!("false")).await.expect(200);
    // The same fields again are no reason to ask.
    change(json!(true)).await.expect(200);
}

#[tokio::test]
async fn the_catalogue_says_how_every_type_is_set_up() {
    let gateway = TestGateway::start().await;
    let tenant = gateway.key(Some("ada"), &["read"]).await;
    let answer = gateway.call_as(&tenant, "GET", "/api/channels", Value::Null).await.expect(200);
    let types = answer["channels"].as_array().unwrap();
    assert!(types.len() >= 3);
    for channel in types {
        for key in ["name", "display_name", "category", "setup", "fields"] {
            assert!(!channel[key].is_null(), "{key} of {channel}");
        }
        assert!(!channel["setup"].as_array().unwrap().is_empty(), "{channel}");
        for field in channel["fields"].as_array().unwrap() {
            for key in ["key", "label", "type", "required", "secret", "placeholder", "advanced"] {
                assert!(field.get(key).is_some(), "{key} of {field}");
            }
        }
    }
    let telegram = types.iter().find(|channel| channel["name"] == "telegram").unwrap();
    let token =
        telegram["fields"].as_array().unwrap().iter().find(|field| field["key"] == "bot_token_env").unwrap();
    assert_eq!((&token["secret"], &token["required"]), (&json!(true), &json!(true)));
}

#[tokio::test]
async fn the_document_and_its_page_are_served() {
    let gateway = TestGateway::start().await;
    let document = read(gateway.request("GET", "/openapi.json")).await.expect(200);
    assert_eq!(document["openapi"], "3.1.0");
    assert!(
        document["paths"]["/api/users/{user}/channels/{instance}/send"]["post"]["responses"]["422"]
            .is_object()
    );
    let page = read(gateway.request("GET", "/docs/")).await;
    assert_eq!(page.status, 200);
    assert!(page.text.contains("swagger"), "{}", page.text);
    for kind in ["unauthorized", "idempotency-key-reused"] {
        let described = read(gateway.request("GET", &format!("/problems/{kind}"))).await;
        assert!(described.text.starts_with(kind), "{}", described.text);
    }
    read(gateway.request("GET", "/problems/nope")).await.problem(404);
    let wrong = read(gateway.request("GET", "/api/keys/1").bearer_auth(KEY)).await;
    assert_eq!(wrong.json()["type"], "/problems/invalid-request");
}
