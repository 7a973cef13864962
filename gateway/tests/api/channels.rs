//! Making, listing, changing, deleting and reloading channels.

use serde_json::{Value, json};

use crate::common::{TestGateway, read, webhook_body};

async fn configure(gateway: &TestGateway, slug: &str, body: Value) -> crate::common::Answer {
    gateway.call("POST", &format!("/api/users/u/channels/{slug}/configure"), body).await
}

#[tokio::test]
async fn a_listed_channel_has_every_key_and_no_secret() {
    let gateway = TestGateway::start().await;
    assert!(gateway.channels("u").await.is_empty(), "a user whom nobody knows has none");
    let made = gateway.webhook("u", "hook_1").await;
    let listed = gateway.channels("u").await;
    assert_eq!(listed, std::slice::from_ref(&made));
    let id = made["id"].as_str().unwrap();
    let expected = json!({
        "instance_name_id": "hook_1", "instance_name": "hook_1", "channel_type": "webhook",
        "status": "configured", "enabled": true, "agent_id": "", "state": "starting",
        "config_json": {"callback_url": "http://127.0.0.1:9/callback"},
        "webhook_path": format!("/webhooks/webhook/{id}"),
        "last_error": null, "last_inbound_at": null, "owner": null,
    });
    for (key, value) in expected.as_object().unwrap() {
        assert_eq!(&made[key], value, "{key}");
    }
    assert!(made["created_at"].as_str().unwrap().ends_with('Z'));
}

#[tokio::test]
async fn the_list_is_filtered_by_type_and_by_user() {
    let gateway = TestGateway::start().await;
    gateway.webhook("u", "hook").await;
    gateway.webhook("v", "hook").await;
    let table = [
        ("", 1),
        ("?channel_type=webhook", 1),
        ("?channel_type=telegram", 0),
        ("?channel_type=", 1),
        ("?channel_type=%00", 0),
        ("?channel_type=%FF", 0),
        ("?other=x", 1),
    ];
    for (query, count) in table {
        let path = format!("/api/users/u/channels{query}");
        let listed = gateway.call("GET", &path, Value::Null).await.expect(200);
        assert_eq!(listed["channels"].as_array().unwrap().len(), count, "{query}");
    }
    let twice = "/api/users/u/channels?channel_type=a&channel_type=b";
    gateway.call("GET", twice, Value::Null).await.problem(400);
}

#[tokio::test]
async fn configuring_again_replaces_open_fields_and_keeps_the_rest() {
    let gateway = TestGateway::start().await;
    let mut body = webhook_body();
    body["instance_name"] = json!("  My K\u{e4}se bot \u{1f9c0} ");
    body["agent_id"] = json!("deep_research");
    let made = configure(&gateway, "hook", body).await.expect(201);
    assert_eq!(made["instance_name"], "My K\u{e4}se bot \u{1f9c0}");
    gateway.call("PUT", "/api/users/u/channels/hook", json!({"enabled": false})).await.expect(200);

    let again =
        configure(&gateway, "hook", json!({"channel_type": "webhook", "fields": {}})).await.expect(200);
    assert_eq!(again["config_json"], json!({}), "open fields are replaced");
    for key in ["id", "instance_name", "agent_id", "created_at"] {
        assert_eq!(again[key], made[key], "{key}");
    }
    assert_eq!((&again["enabled"], &again["status"]), (&json!(false), &json!("stopped")));
    gateway.call("PUT", "/api/users/u/channels/hook", json!({"enabled": "true"})).await.expect(200);
    // The secret was kept: what is signed with it is accepted.
    gateway.post(&made, br#"{"sender":{"id":"ada"},"text":"hi"}"#).await.expect(200);

    let other = json!({"channel_type": "telegram", "fields": {"bot_token_env": "123456789:abcdefghijklmnopqrstuvwxyzABCDEFGHI"}});
    let said = configure(&gateway, "hook", other).await.problem(409);
    assert!(said.contains("is of type \"webhook\""), "{said}");
}

#[tokio::test]
async fn an_update_changes_what_it_names_and_nothing_else() {
    let gateway = TestGateway::start().await;
    let made = gateway.webhook("u", "hook").await;
    let put = |body: Value| gateway.call("PUT", "/api/users/u/channels/hook", body);
    assert_eq!(put(json!({})).await.expect(200), made);
    let named = put(json!({"instance_name": "Name", "agent_id": "general"})).await.expect(200);
    assert_eq!((&named["instance_name"], &named["agent_id"]), (&json!("Name"), &json!("general")));
    assert_eq!(put(json!({"instance_name": null, "enabled": null, "fields": null})).await.expect(200), named);
    assert_eq!(put(json!({"agent_id": null})).await.expect(200)["agent_id"], "");
    let moved = put(json!({"fields": {"callback_url": "http://127.0.0.1:9/other"}})).await.expect(200);
    assert_eq!(moved["config_json"], json!({"callback_url": "http://127.0.0.1:9/other"}));
    let emptied = put(json!({"fields": {"callback_url": "", "secret_env": ""}})).await.expect(200);
    assert_eq!(emptied["config_json"], json!({}), "an empty value takes an open field away");
    gateway.post(&made, br#"{"sender":{"id":"ada"},"text":"hi"}"#).await.expect(200);

    put(json!({"enabled": "false"})).await.expect(200);
    // The other gateway hears of the change over NATS.
    gateway
        .everywhere(404, async || gateway.post(&made, br#"{"sender":{"id":"ada"},"text":"hi"}"#).await)
        .await;
    gateway.call("PUT", "/api/users/u/channels/nobody", json!({})).await.problem(404);
    gateway.call("PUT", "/api/users/stranger/channels/hook", json!({"enabled": true})).await.problem(404);
}

#[tokio::test]
async fn saving_the_same_again_does_not_restart_the_channel() {
    let gateway = TestGateway::start().await;
    gateway.webhook("u", "hook").await;
    configure(&gateway, "hook", webhook_body()).await.expect(200);
    let body = json!({"instance_name": "hook", "agent_id": "", "enabled": true, "fields": {}});
    gateway.call("PUT", "/api/users/u/channels/hook", body).await.expect(200);
    let (user, slug) = ("u".parse().unwrap(), "hook".parse().unwrap());
    assert_eq!(gateway.store.channel_status(&user, &slug).await.unwrap().channel.revision, 1);
}

#[tokio::test]
async fn many_edits_at_once_are_all_served_or_told_to_try_again() {
    let gateway = TestGateway::start().await;
    let calls = (0..8).map(|n| {
        let mut body = webhook_body();
        body["agent_id"] = json!(format!("agent-{n}"));
        configure(&gateway, "hook", body)
    });
    let answers = futures::future::join_all(calls).await;
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status.as_u16()).collect();
    assert_eq!(statuses.iter().filter(|s| **s == 201).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|s| matches!(s, 200 | 201 | 409)), "{statuses:?}");
    assert_eq!(gateway.channels("u").await.len(), 1);
}

#[tokio::test]
async fn a_deleted_channel_is_gone_at_once_and_its_slug_is_free() {
    let gateway = TestGateway::start().await;
    let made = gateway.webhook("u", "hook").await;
    let message = br#"{"sender":{"id":"ada"},"text":"hi"}"#;
    gateway.post(&made, message).await.expect(200);
    gateway.call("DELETE", "/api/users/stranger/channels/hook", Value::Null).await.problem(404);
    let gone = gateway.call("DELETE", "/api/users/u/channels/hook", Value::Null).await.expect(200);
    assert_eq!((&gone["status"], &gone["id"]), (&json!("deleted"), &made["id"]));
    gateway.post(&made, message).await.problem(404);
    let send = json!({"recipient": "a", "message": "b"});
    gateway.call("POST", "/api/users/u/channels/hook/send", send.clone()).await.problem(404);
    gateway.call("DELETE", "/api/users/u/channels/hook", Value::Null).await.problem(404);
    assert!(gateway.channels("u").await.is_empty());
    let again = gateway.webhook("u", "hook").await;
    assert_ne!(again["id"], made["id"]);
    gateway.call("POST", "/api/users/u/channels/hook/send", send).await.expect(202);
}

#[tokio::test]
async fn another_gateway_sees_a_change_at_once() {
    let gateway = TestGateway::start().await;
    let other = TestGateway::on(gateway.database.clone(), &["--allow-private-urls"]).await;
    let made = gateway.webhook("u", "hook").await;
    let message = br#"{"sender":{"id":"ada"},"text":"hi"}"#;
    other.post(&made, message).await.expect(200);
    gateway.call("DELETE", "/api/users/u/channels/hook", Value::Null).await.expect(200);
    // By NATS, so well before the cache's own end.
    claw_testkit::eventually("the other gateway to forget", std::time::Duration::from_secs(2), async || {
        (other.post(&made, message).await.status.as_u16() == 404).then_some(())
    })
    .await;
}

#[tokio::test]
async fn reload_tells_how_many() {
    let gateway = TestGateway::start().await;
    gateway.webhook("u", "one").await;
    gateway.webhook("u", "two").await;
    let reload = |user: &str| format!("/api/users/{user}/channels/reload");
    let answer = gateway.call("POST", &reload("u"), Value::Null).await.expect(200);
    assert_eq!(answer, json!({"status": "ok", "channels": 2}));
    let nobody = gateway.call("POST", &reload("nobody"), json!({"any": "body"})).await.expect(200);
    assert_eq!(nobody["channels"], 0);
}

#[tokio::test]
async fn a_token_in_use_is_refused_without_naming_a_stranger() {
    let gateway = TestGateway::start().await;
    let token = "123456789:abcdefghijklmnopqrstuvwxyzABCDEFGHI";
    let body = json!({"channel_type": "telegram", "fields": {"bot_token_env": token}, "probe": false});
    configure(&gateway, "bot_1", body.clone()).await.expect(201);
    let said = configure(&gateway, "bot_2", body.clone()).await.problem(409);
    assert!(said.contains("bot_1") && !said.contains(token), "{said}");
    let path = "/api/users/stranger/channels/bot/configure";
    let said = gateway.call("POST", path, body).await.problem(409);
    assert!(!said.contains("bot_1") && !said.contains("\"u\""), "{said}");
    assert_eq!(gateway.channels("u").await.len(), 1);
    assert!(gateway.channels("stranger").await.is_empty());
    let text =
        read(gateway.request("GET", "/api/users/u/channels").bearer_auth(crate::common::KEY)).await.text;
    assert!(!text.contains(token));
}

/// An app is connected by a socket or posts, and has one bot whichever it is.
#[tokio::test]
async fn one_bot_in_two_forms_is_one_channel() {
    const BOT: &str = "xoxb-1-2-secretsecret";
    let gateway = TestGateway::start().await;
    let body = |fields: Value| json!({"channel_type": "slack", "fields": fields, "probe": false});
    let socket = body(json!({"bot_token_env": BOT, "app_token_env": "xapp-1-A0EXAM00001-1-secret"}));
    let posts = body(json!({"bot_token_env": BOT, "signing_secret": "8f742231b10e8888abcd99yyyzzz85a5"}));
    let stranger = "/api/users/stranger/channels/bot/configure";

    let both = tokio::join!(
        configure(&gateway, "form_1", socket.clone()),
        gateway.call("POST", stranger, posts.clone())
    );
    let mut answers = [both.0.status.as_u16(), both.1.status.as_u16()];
    answers.sort_unstable();
    assert_eq!(answers, [201, 409], "of two at once one is made");
    let (winner, path) = if both.0.status == 201 {
        ("u", "/api/users/u/channels/form_1")
    } else {
        ("stranger", "/api/users/stranger/channels/bot")
    };
    assert_eq!(gateway.channels("u").await.len() + gateway.channels("stranger").await.len(), 1, "{winner}");
    gateway.call("DELETE", path, Value::Null).await.expect(200);

    configure(&gateway, "form_1", socket).await.expect(201);
    let said = configure(&gateway, "form_2", posts.clone()).await.problem(409);
    assert!(said.contains("\"form_1\"") && !said.contains(BOT), "{said}");
    let said = gateway.call("POST", stranger, posts.clone()).await.problem(409);
    assert!(said.contains("another user") && !said.contains("form_1") && !said.contains("\"u\""), "{said}");

    // Another token, and the former bot is free.
    let renewed = json!({"fields": {"bot_token_env": "xoxb-1-2-another"}, "probe": false});
    gateway.call("PUT", "/api/users/u/channels/form_1", renewed).await.expect(200);
    gateway.call("POST", stranger, posts).await.expect(201);
}

#[tokio::test]
async fn a_stored_secret_is_not_sent_to_another_server() {
    const TOKEN: &str = "7:AAEabcdefghijklmnopqrstuvwxyz_-01234";
    let gateway = TestGateway::start().await;
    let mine = "http://127.0.0.1:9/mine";
    let fields = |fields: Value| json!({"channel_type": "telegram", "fields": fields, "probe": false});
    configure(&gateway, "bot", fields(json!({"bot_token_env": TOKEN}))).await.expect(201);
    let path = "/api/users/u/channels/bot";
    let change = async |fields: Value| gateway.call("PUT", path, json!({"fields": fields})).await;
    for refused in [
        change(json!({"api_url": mine})).await,
        change(json!({"api_url": mine, "bot_token_env": ""})).await,
        configure(&gateway, "bot", fields(json!({"api_url": mine}))).await,
        configure(&gateway, "bot", fields(json!({"api_url": mine, "bot_token_env": null}))).await,
    ] {
        let said = refused.problem(400);
        assert!(said.contains("\"api_url\"") && said.contains("send \"bot_token_env\" again"), "{said}");
    }
    assert_eq!(gateway.channels("u").await[0]["config_json"], json!({}), "nothing was changed");
    change(json!({"api_url": mine, "bot_token_env": TOKEN})).await.expect(200);
    change(json!({"api_url": "http://127.0.0.1:9/other"})).await.expect(200);
    change(json!({"api_url": "http://127.0.0.1:10/other"})).await.problem(400);
    // Where only signatures go, no secret is given away.
    gateway.webhook("u", "hook").await;
    let moved = json!({"fields": {"callback_url": "http://127.0.0.1:10/elsewhere"}});
    gateway.call("PUT", "/api/users/u/channels/hook", moved).await.expect(200);
    let types = gateway.call("GET", "/api/channels", Value::Null).await.expect(200);
    let receiving: Vec<_> = types["channels"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|channel| {
            let fields = channel["fields"].as_array().unwrap().iter();
            let receiving = fields.filter(|field| field["receives"] != json!([]));
            receiving.map(|field| (channel["name"].clone(), field["key"].clone()))
        })
        .collect();
    assert_eq!(
        receiving,
        [
            ("telegram", "api_url"),
            ("line", "api_url"),
            ("discord", "api_url"),
            ("slack", "api_url"),
            ("whatsapp", "api_url"),
            ("messenger", "api_url"),
            ("instagram", "api_url"),
            ("sms", "api_url"),
            ("email", "imap_host"),
            ("email", "imap_port"),
            ("email", "smtp_host"),
            ("email", "smtp_port"),
            ("email", "sign_in"),
            ("email", "token_url"),
            ("email", "encryption"),
            ("teams", "api_url"),
            ("google_chat", "api_url"),
            ("matrix", "homeserver_url"),
        ]
        .map(|(of, key)| (json!(of), json!(key)))
    );
}
