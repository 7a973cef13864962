//! What became of messages: lists, one with all that is known of it, and deciding about dead letters.

use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use crate::common::{KEY, TestGateway, read};

const MESSAGES: &str = "/api/users/u/messages";
const DEAD: &str = "/api/users/u/dead-letters";
const NOBODY: &str = "01a20614-c22d-76db-8d63-8dd1bf95251b";

/// A user with a channel.
async fn start() -> TestGateway {
    let gateway = TestGateway::start().await;
    gateway.webhook("u", "hook").await;
    gateway
}

/// Sends a text to `recipient`; its id.
async fn send(gateway: &TestGateway, user: &str, recipient: &str, text: &str) -> String {
    let path = format!("/api/users/{user}/channels/hook/send");
    let body = json!({"recipient": recipient, "message": text});
    let sent = gateway.call("POST", &path, body).await.expect(202);
    sent["id"].as_str().unwrap().to_owned()
}

/// Ends a message as its owner would.
async fn end(gateway: &TestGateway, id: &str, state: &str) {
    let mut conn = gateway.database.connect().await;
    let update = format!(
        "update messages set state = '{state}', finished_at = now(), attempts = 2, error = 'it broke',
         platform_message_ids = '[\"p-1\"]' where id = '{id}'"
    );
    sqlx::query(AssertSqlSafe(update)).execute(&mut conn).await.unwrap();
    let attempts = format!(
        "insert into message_attempts (message_id, retry, n, user_id, outcome, error)
         select id, retries, n, user_id, case n when 1 then 'pending' else state end, 'it broke'
         from messages, generate_series(1, 2) n where id = '{id}' and (n = 1 or state <> 'done')"
    );
    sqlx::query(AssertSqlSafe(attempts)).execute(&mut conn).await.unwrap();
}

async fn dead(gateway: &TestGateway, state: &str) -> String {
    let id = send(gateway, "u", "a", "hi").await;
    end(gateway, &id, state).await;
    id
}

async fn list(gateway: &TestGateway, path: &str) -> Vec<String> {
    let answer = gateway.call("GET", path, Value::Null).await.expect(200);
    answer["messages"].as_array().unwrap().iter().map(|m| m["id"].as_str().unwrap().to_owned()).collect()
}

async fn shown(gateway: &TestGateway, id: &str) -> Value {
    gateway.call("GET", &format!("{MESSAGES}/{id}"), Value::Null).await.expect(200)
}

#[tokio::test]
async fn a_message_is_shown_with_its_body_its_attempts_and_its_way() {
    let gateway = start().await;
    let id = send(&gateway, "u", "a", &format!("\0{}", "x".repeat(300))).await;
    let message = shown(&gateway, &id).await;
    let channel = &gateway.channels("u").await[0];
    let expected_channel =
        json!({"id": channel["id"], "instance_name_id": "hook", "channel_type": "webhook"});
    for (key, value) in [
        ("user_id", json!("u")),
        ("direction", json!("out")),
        ("channel", expected_channel),
        ("conversation", json!("a")),
        ("recipient", json!("a")),
        ("content_type", json!("text")),
        ("state", json!("pending")),
        ("attempts", json!(0)),
        ("retries", json!(0)),
        ("error", Value::Null),
        ("discard_reason", Value::Null),
        ("platform_message_ids", json!([])),
        ("finished_at", Value::Null),
        ("retried_at", Value::Null),
        ("attempt_log", json!([])),
        ("payload", json!({"recipient": "a", "text": format!("\0{}", "x".repeat(300))})),
    ] {
        assert_eq!(message[key], value, "{key}");
    }
    assert_eq!(message["text"].as_str().unwrap().chars().count(), 200);
    assert!(message["next_attempt_at"].is_string());
    assert_eq!(message["receipts"], json!([{"kind": "queued", "at": message["accepted_at"]}]));

    end(&gateway, &id, "done").await;
    let message = shown(&gateway, &id).await;
    let kinds: Vec<_> = message["receipts"].as_array().unwrap().iter().map(|r| r["kind"].clone()).collect();
    assert_eq!((kinds, &message["next_attempt_at"]), (vec![json!("queued"), json!("sent")], &Value::Null));
    let log: Vec<_> = message["attempt_log"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| (a["retry"].clone(), a["n"].clone(), a["outcome"].clone()))
        .collect();
    assert_eq!(log, [(json!(0), json!(1), json!("again")), (json!(0), json!(2), json!("done"))]);
}

#[tokio::test]
async fn a_persons_message_is_shown_without_what_fetches_its_attachment() {
    let gateway = start().await;
    let channel = gateway.channels("u").await.remove(0);
    let body = json!({"sender": {"id": "p"}, "text": "see", "media":
        {"kind": "image", "url": "https://example.org/private?token=hidden"}});
    gateway.post(&channel, body.to_string().as_bytes()).await.expect(200);
    let ids = list(&gateway, &format!("{MESSAGES}?direction=in")).await;
    let message = shown(&gateway, &ids[0]).await;
    assert_eq!((&message["direction"], &message["text"]), (&json!("in"), &json!("see")));
    assert_eq!(message["payload"]["reply_to"]["recipient"], message["recipient"]);
    assert!(!message.to_string().contains("hidden"), "{message}");
}

#[tokio::test]
async fn lists_are_paged_and_filtered() {
    let gateway = start().await;
    let mut sent = Vec::new();
    for n in 0..5 {
        sent.insert(0, send(&gateway, "u", &format!("chat-{}", n % 2), "hi").await);
    }
    end(&gateway, &sent[0], "done").await;
    end(&gateway, &sent[1], "failed").await;
    assert_eq!(list(&gateway, MESSAGES).await, sent);
    let (mut read, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("{MESSAGES}?limit=2&cursor={cursor}");
        let page = gateway.call("GET", &path, Value::Null).await.expect(200);
        let ids = page["messages"].as_array().unwrap().iter().map(|m| m["id"].as_str().unwrap().to_owned());
        read.extend(ids);
        send(&gateway, "u", "meanwhile", "hi").await;
        match page["next_cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    assert_eq!(read, sent, "what arrives meanwhile moves no page");
    let only = |wanted: &[usize]| wanted.iter().map(|n| sent[*n].clone()).collect::<Vec<_>>();
    let table = [
        ("state=done", only(&[0])),
        ("state=failed&direction=out&channel=hook", only(&[1])),
        ("state=dead", vec![]),
        ("conversation=chat-1", only(&[1, 3])),
        ("conversation=chat%00", vec![]),
        ("channel=nobody", vec![]),
        ("direction=in", vec![]),
        ("since=2999-01-01T00:00:00Z", vec![]),
        ("until=2001-01-01T00:00:00%2B01:00", vec![]),
        ("since=2001-01-01T00:00:00Z&until=2999-01-01T00:00:00Z&conversation=chat-0", only(&[0, 2, 4])),
    ];
    for (query, expected) in table {
        assert_eq!(list(&gateway, &format!("{MESSAGES}?{query}")).await, expected, "{query}");
    }
    assert_eq!(list(&gateway, "/api/users/stranger/messages").await, Vec::<String>::new());
}

#[tokio::test]
async fn a_filter_that_makes_no_sense_is_refused_with_a_sentence() {
    let gateway = TestGateway::start().await;
    let states = "\"state\" must be one of: pending, done, failed, uncertain, expired, dead, discarded";
    let time = "must be a time like 2026-11-23T01:45:53Z (RFC 3339; write the + of an offset as %2B)";
    let cursor = "\"cursor\" must be the next_cursor of the page before";
    let table = [
        ("state=ded", states.to_owned()),
        ("direction=up", "\"direction\" must be one of: in, out".to_owned()),
        ("since=yesterday", format!("\"since\" {time}")),
        ("until=2026-11-23T01:45:53+01:00", format!("\"until\" {time}")),
        (
            "since=2026-11-23T01:45:53Z&until=2026-11-23T01:45:53Z",
            "\"since\" must be before \"until\"".to_owned(),
        ),
        ("cursor=5", cursor.to_owned()),
        ("cursor=999999999999999999.1", cursor.to_owned()),
        ("limit=0", "\"limit\" must be from 1 to 200".to_owned()),
    ];
    for (query, expected) in table {
        let said = gateway.call("GET", &format!("{MESSAGES}?{query}"), Value::Null).await.problem(400);
        assert_eq!(said, expected, "{query}");
    }
    for query in ["channel=a%2Fb", "channel=%00", "stat=done"] {
        gateway.call("GET", &format!("{MESSAGES}?{query}"), Value::Null).await.problem(400);
    }
    let said = gateway.call("GET", &format!("{DEAD}?state=done"), Value::Null).await.problem(400);
    assert_eq!(said, "\"state\" must be one of: dead, failed, uncertain, expired");
    gateway.call("GET", "/api/dead-letters?user=a%20b", Value::Null).await.problem(400);
    gateway.call("GET", &format!("{MESSAGES}/7"), Value::Null).await.problem(400);
    gateway.call("GET", &format!("{MESSAGES}/{NOBODY}"), Value::Null).await.problem(404);
}

#[tokio::test]
async fn a_retry_sets_a_message_back_to_work_once() {
    let gateway = start().await;
    for state in ["dead", "failed", "uncertain", "discarded"] {
        let id = dead(&gateway, state).await;
        let path = format!("{MESSAGES}/{id}/retry");
        let retried = gateway.call("POST", &path, Value::Null).await.expect(200);
        assert_eq!((&retried["was"], &retried["state"]), (&json!(state), &json!("pending")));
        assert_eq!((&retried["retries"], &retried["attempts"]), (&json!(1), &json!(0)));
        assert_eq!(retried["platform_message_ids"], json!(["p-1"]), "what was sent is not sent again");
        assert_eq!(retried["error"], "it broke", "the last failure, until there is another outcome");
        let twice = retried["note"].as_str().is_some_and(|note| note.contains("arrive twice"));
        assert_eq!(twice, state == "uncertain", "{retried}");
        let work = gateway.pending().await.pop().unwrap();
        assert_eq!((work.id.to_string(), work.retries, work.attempts), (id.clone(), 1, 0));
        let said = gateway.call("POST", &path, Value::Null).await.problem(409);
        assert_eq!(said, "the message can't be changed: it is pending: it is being worked on");
        let message = shown(&gateway, &id).await;
        let kinds: Vec<_> =
            message["receipts"].as_array().unwrap().iter().map(|r| r["kind"].clone()).collect();
        assert_eq!(kinds, [json!("queued"), json!("requeued")]);
        assert_eq!(message["attempt_log"].as_array().unwrap().len(), 2, "the attempts of before stay");
        end(&gateway, &id, "done").await;
        let said = gateway.call("POST", &path, Value::Null).await.problem(409);
        assert!(said.ends_with("it is done: the backend or the platform has it"), "{said}");
    }
    gateway.call("POST", &format!("{MESSAGES}/{NOBODY}/retry"), Value::Null).await.problem(404);
}

#[tokio::test]
async fn a_discarded_message_keeps_its_reason() {
    let gateway = start().await;
    let id = dead(&gateway, "dead").await;
    let path = format!("{MESSAGES}/{id}/discard");
    let long = "x".repeat(501);
    let table = [
        (json!({}), "\"reason\" is required"),
        (json!({"reason": " "}), "\"reason\" is empty: say why, for whoever looks at it later"),
        (json!({"reason": "a\0"}), "\"reason\" may not contain the control character '\\0'"),
        (json!({"reason": long}), "\"reason\" has 501 characters; at most 500 are allowed"),
        (json!({"reason": "x", "why": 1}), "the key \"why\" is not known here; the keys are: reason"),
    ];
    for (body, expected) in table {
        assert_eq!(gateway.call("POST", &path, body).await.problem(400), expected);
    }
    assert_eq!(list(&gateway, DEAD).await, std::slice::from_ref(&id));
    let discarded = gateway.call("POST", &path, json!({"reason": " spam "})).await.expect(200);
    assert_eq!((&discarded["state"], &discarded["discard_reason"]), (&json!("discarded"), &json!("spam")));
    let said = gateway.call("POST", &path, json!({"reason": "again"})).await.problem(409);
    assert_eq!(said, "the message can't be changed: it is discarded already");
    assert!(list(&gateway, DEAD).await.is_empty());
    assert_eq!(list(&gateway, &format!("{MESSAGES}?state=discarded")).await, std::slice::from_ref(&id));
    let pending = send(&gateway, "u", "a", "hi").await;
    let pending = format!("{MESSAGES}/{pending}/discard");
    gateway.call("POST", &pending, json!({"reason": "x"})).await.problem(409);
    gateway.call("POST", &format!("{MESSAGES}/{NOBODY}/discard"), json!({"reason": "x"})).await.problem(404);
    let audit =
        gateway.call("GET", "/api/audit?user=u&action=message.discarded", Value::Null).await.expect(200);
    let entries = audit["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!((&entries[0]["subject"], &entries[0]["actor"]), (&json!(id), &json!("operator")));
    assert_eq!(entries[0]["detail"], json!({"was": "dead", "reason": "spam"}));
}

#[tokio::test]
async fn a_send_whose_message_was_discarded_hears_so() {
    let gateway = start().await;
    let again = async || {
        let request = gateway.request("POST", "/api/users/u/channels/hook/send").bearer_auth(KEY);
        let request =
            request.header("Idempotency-Key", "k").json(&json!({"recipient": "a", "message": "hi"}));
        read(request).await
    };
    let id = again().await.expect(202)["id"].as_str().unwrap().to_owned();
    end(&gateway, &id, "dead").await;
    let path = format!("{MESSAGES}/{id}/discard");
    gateway.call("POST", &path, json!({"reason": "spam"})).await.expect(200);
    let answer = again().await;
    assert_eq!(answer.problem(409), "the message was discarded: spam");
    assert_eq!(answer.json()["id"], json!(id));
}

#[tokio::test]
async fn many_are_replayed_or_discarded_by_id_or_by_filter() {
    let gateway = start().await;
    let first = dead(&gateway, "dead").await;
    let second = dead(&gateway, "failed").await;
    let uncertain = dead(&gateway, "uncertain").await;
    let pending = send(&gateway, "u", "a", "hi").await;
    assert_eq!(list(&gateway, DEAD).await, [uncertain.clone(), second.clone(), first.clone()]);
    assert_eq!(
        list(&gateway, &format!("{DEAD}?state=failed&channel=hook&direction=out")).await,
        std::slice::from_ref(&second)
    );

    let replay = format!("{DEAD}/replay");
    let ids = json!({"ids": [pending, uncertain, NOBODY, NOBODY]});
    let answer = gateway.call("POST", &replay, ids).await.expect(200);
    assert_eq!((&answer["revived"], &answer["messages"][0]["id"]), (&json!(1), &json!(uncertain)));
    assert!(answer["messages"][0]["note"].as_str().unwrap().contains("twice"));
    let mut refused: Vec<_> = answer["refused"].as_array().unwrap().iter().map(Value::to_string).collect();
    refused.sort();
    let mut expected = [
        json!({"id": pending, "reason": "it is pending: it is being worked on"}).to_string(),
        json!({"id": NOBODY, "reason": "there is no such message"}).to_string(),
    ];
    expected.sort();
    assert_eq!(refused, expected);

    end(&gateway, &uncertain, "uncertain").await;
    let oldest = gateway.call("POST", &replay, json!({"filter": {}, "limit": 1})).await.expect(200);
    assert_eq!((&oldest["revived"], &oldest["messages"][0]["id"]), (&json!(1), &json!(first)));
    let failed = json!({"filter": {"channel": "hook", "direction": "out", "since": "2001-01-01T00:00:00Z"}});
    let rest = gateway.call("POST", &replay, failed).await.expect(200);
    assert_eq!((&rest["revived"], &rest["messages"][0]["id"]), (&json!(1), &json!(second)));
    assert_eq!(
        list(&gateway, DEAD).await,
        std::slice::from_ref(&uncertain),
        "uncertain ones must be asked for"
    );

    let discard = format!("{DEAD}/discard");
    let body = json!({"reason": "a test", "filter": {"state": "uncertain"}});
    let answer = gateway.call("POST", &discard, body).await.expect(200);
    assert_eq!(answer, json!({"discarded": 1, "ids": [uncertain], "refused": []}));
    let again = gateway.call("POST", &discard, json!({"reason": "x", "ids": [uncertain]})).await.expect(200);
    assert_eq!(again["refused"][0]["reason"], "it is discarded already");
}

#[tokio::test]
async fn what_does_not_say_which_is_refused_with_a_sentence() {
    let gateway = start().await;
    let id = dead(&gateway, "dead").await;
    let which =
        "say which: some by \"ids\", or the oldest that match a \"filter\"; the filter {} matches all";
    let many: Vec<Uuid> = (0..501).map(Uuid::from_u128).collect();
    let table = [
        (json!({}), which),
        (json!({"limit": 5}), which),
        (json!({"ids": []}), "\"ids\" is empty"),
        (json!({"ids": many}), "\"ids\" has 501 entries; at most 500 are allowed"),
        (json!({"ids": [id], "filter": {}}), "\"ids\" and \"filter\" exclude each other: send one"),
        (json!({"ids": [id], "limit": 1}), "\"limit\" goes with \"filter\", not with \"ids\""),
        (json!({"filter": {}, "limit": 0}), "\"limit\" must be from 1 to 500"),
        (json!({"filter": {}, "limit": 501}), "\"limit\" must be from 1 to 500"),
        (
            json!({"filter": {"state": "done"}}),
            "\"filter.state\" must be one of: dead, failed, uncertain, expired",
        ),
        (
            json!({"filter": {"since": "2026-01-01T00:00:00Z", "until": "2025-01-01T00:00:00Z"}}),
            "\"since\" must be before \"until\"",
        ),
        (
            json!({"filter": {"since": "+12026-01-01T00:00:00Z"}}),
            "\"filter.since\" must be in the years 1 to 9999",
        ),
    ];
    for (body, expected) in table {
        for path in [format!("{DEAD}/replay"), "/api/dead-letters/replay".to_owned()] {
            assert_eq!(gateway.call("POST", &path, body.clone()).await.problem(400), expected, "{body}");
        }
        let mut body = body;
        body["reason"] = json!("a test");
        let said = gateway.call("POST", &format!("{DEAD}/discard"), body.clone()).await.problem(400);
        assert_eq!(said, expected, "{body}");
    }
    assert_eq!(list(&gateway, DEAD).await, [id], "nothing was done");
}

#[tokio::test]
async fn another_tenant_sees_and_changes_nothing() {
    let gateway = start().await;
    let id = dead(&gateway, "dead").await;
    let theirs = |path: &str| format!("/api/users/mallory{path}");
    gateway.call("GET", &theirs(&format!("/messages/{id}")), Value::Null).await.problem(404);
    gateway.call("POST", &theirs(&format!("/messages/{id}/retry")), Value::Null).await.problem(404);
    let reason = json!({"reason": "x"});
    gateway.call("POST", &theirs(&format!("/messages/{id}/discard")), reason).await.problem(404);
    assert!(list(&gateway, &theirs("/messages")).await.is_empty());
    assert!(list(&gateway, &theirs("/dead-letters")).await.is_empty());
    let replay = theirs("/dead-letters/replay");
    let answer = gateway.call("POST", &replay, json!({"ids": [id]})).await.expect(200);
    assert_eq!(answer["refused"], json!([{"id": id, "reason": "there is no such message"}]));
    let answer = gateway.call("POST", &replay, json!({"filter": {}})).await.expect(200);
    assert_eq!(answer["revived"], 0);
    assert_eq!(shown(&gateway, &id).await["state"], "dead");
}

#[tokio::test]
async fn the_operator_sees_and_replays_the_dead_letters_of_all() {
    let gateway = start().await;
    gateway.webhook("v", "hook").await;
    let ours = dead(&gateway, "dead").await;
    let theirs = send(&gateway, "v", "a", "hi").await;
    end(&gateway, &theirs, "failed").await;
    assert_eq!(list(&gateway, "/api/dead-letters").await, [theirs.clone(), ours.clone()]);
    assert_eq!(list(&gateway, "/api/dead-letters?user=u").await, std::slice::from_ref(&ours));
    assert_eq!(list(&gateway, "/api/dead-letters?state=failed&limit=1").await, std::slice::from_ref(&theirs));
    let body = json!({"user_id": "u", "ids": [theirs]});
    let answer = gateway.call("POST", "/api/dead-letters/replay", body).await.expect(200);
    assert_eq!(answer["refused"][0]["reason"], "there is no such message");
    let body = json!({"filter": {"channel": "hook"}});
    let answer = gateway.call("POST", "/api/dead-letters/replay", body).await.expect(200);
    let revived: Vec<_> = answer["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|m| (m["user_id"].clone(), m["id"].clone()))
        .collect();
    assert_eq!(revived, [(json!("u"), json!(ours)), (json!("v"), json!(theirs))], "older ones first");
    let audit = gateway.call("GET", "/api/audit?action=message.retried", Value::Null).await.expect(200);
    let users: Vec<_> = audit["entries"].as_array().unwrap().iter().map(|e| e["user_id"].clone()).collect();
    assert_eq!(users.len(), 2);
    assert!(users.contains(&json!("u")) && users.contains(&json!("v")));
}
