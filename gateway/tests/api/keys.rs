//! Keys beside the operator's: made once, shown once, good for what they say, and gone when revoked.

use serde_json::{Value, json};

use crate::common::{Answer, KEY, TestGateway, read};

const HOUR_AGO: &str = "2020-01-01T00:00:00Z";

#[tokio::test]
async fn a_key_is_shown_once_and_works_until_it_is_revoked() {
    let gateway = TestGateway::start().await;
    let body = json!({"name": "front end", "user_id": "ada", "scopes": ["read"], "expires_at": "2999-01-01T00:00:00Z"});
    let made = gateway.call("POST", "/api/keys", body).await.expect(201);
    let (id, key) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    assert_eq!(
        (&made["user_id"], &made["scopes"], &made["created_by"]),
        (&json!("ada"), &json!(["read"]), &json!("operator"))
    );
    let path = format!("/api/keys/{id}");
    let listed = gateway.call("GET", "/api/keys", Value::Null).await;
    let shown = gateway.call("GET", &path, Value::Null).await;
    for answer in [&listed, &shown] {
        answer.expect(200);
        assert!(!answer.text.contains(key) && !answer.text.contains("hash"), "{answer:?}");
    }
    gateway.call_as(key, "GET", "/api/users/ada/channels", Value::Null).await.expect(200);
    let used = gateway.call("GET", &path, Value::Null).await.expect(200);
    assert!(used["last_used_at"].is_string(), "{used}");
    let (revoked, after) = at_one_gateway(&gateway, &path, key).await;
    assert!(revoked.expect(200)["revoked_at"].is_string());
    after.problem(401);
    // The other gateway hears of it over NATS.
    let refused = async || {
        let answer = gateway.call_as(key, "GET", "/api/users/ada/channels", Value::Null).await;
        let again = gateway.call_as(key, "GET", "/api/users/ada/channels", Value::Null).await;
        (answer.status == 401 && again.status == 401).then_some(())
    };
    claw_testkit::eventually("both refuse it", std::time::Duration::from_secs(10), refused).await;
    gateway.call("DELETE", &path, Value::Null).await.expect(200);
    let audit = gateway.call("GET", "/api/audit?user=ada", Value::Null).await.expect(200);
    let actions: Vec<_> = audit["entries"].as_array().unwrap().iter().map(|e| e["action"].clone()).collect();
    assert_eq!(actions, [json!("key.revoked"), json!("key.created")], "once each, newest first");
    assert!(!audit.to_string().contains(key));
}

/// Revokes a key that this gateway remembers, and uses it there right after.
async fn at_one_gateway(gateway: &TestGateway, path: &str, key: &str) -> (Answer, Answer) {
    let url = gateway.url().to_owned();
    let list = || gateway.client.get(format!("{url}/api/users/ada/channels")).bearer_auth(key);
    read(list()).await.expect(200);
    let revoked = read(gateway.client.delete(format!("{url}{path}")).bearer_auth(KEY)).await;
    (revoked, read(list()).await)
}

#[tokio::test]
async fn no_key_makes_one_that_may_more_than_itself() {
    let gateway = TestGateway::start().await;
    let wanted = json!({"name": "maker", "scopes": ["manage"], "expires_at": "2999-01-01T00:00:00Z"});
    let maker = gateway.call("POST", "/api/keys", wanted).await.expect(201);
    let maker = maker["key"].as_str().unwrap();
    let ask = async |more: Value| {
        let mut body = json!({"name": "made"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        gateway.call_as(maker, "POST", "/api/keys", body).await
    };
    let said = ask(json!({"scopes": ["manage", "read"]})).await.problem(403);
    assert!(said.contains("lacks the scope \"read\""), "{said}");
    let said = ask(json!({"expires_at": "2999-01-01T00:00:01Z"})).await.problem(403);
    assert!(said.contains("\"expires_at\" is later than the end"), "{said}");
    let made = ask(json!({"user_id": "ada"})).await.expect(201);
    assert_eq!((&made["scopes"], &made["expires_at"]), (&json!(["manage"]), &json!("2999-01-01T00:00:00Z")));
    assert!(made["created_by"].as_str().unwrap().starts_with("key maker ("), "{made}");
    let keys = gateway.call("GET", "/api/keys", Value::Null).await.expect(200);
    assert_eq!(keys["keys"].as_array().unwrap().len(), 2, "nothing was made of what was refused");
}

#[tokio::test]
async fn an_expired_key_is_no_key() {
    let gateway = TestGateway::start().await;
    let key = gateway.key(None, &["read"]).await;
    let mut conn = gateway.database.connect().await;
    gateway.call_as(&key, "GET", "/api/keys", Value::Null).await.expect(200);
    sqlx::query("update api_keys set expires_at = now()").execute(&mut conn).await.unwrap();
    let fresh = TestGateway::on(gateway.database.clone(), &["--trusted-proxies=127.0.0.0/8"]).await;
    fresh.call_as(&key, "GET", "/api/keys", Value::Null).await.problem(401);
}

#[tokio::test]
async fn the_same_idempotency_key_makes_one_key() {
    let gateway = TestGateway::start().await;
    let call = async |name: &str| {
        let request = gateway.request("POST", "/api/keys").bearer_auth(KEY);
        read(request.header("idempotency-key", "k-1").json(&json!({"name": name}))).await
    };
    let first = call("a").await.expect(201);
    let again = call("a").await.expect(200);
    assert_eq!(
        (&again["id"], &again["duplicate"], &again["key"]),
        (&first["id"], &json!(true), &Value::Null)
    );
    let other = call("b").await;
    assert!(other.problem(422).contains("another body"));
    assert_eq!(other.json()["type"], "/problems/idempotency-key-reused");
    let listed = gateway.call("GET", "/api/keys", Value::Null).await.expect(200);
    assert_eq!(listed["keys"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_key_that_makes_no_sense_is_refused_with_a_sentence() {
    let gateway = TestGateway::start().await;
    let table = [
        (json!({}), "\"name\" is required"),
        (json!({"name": " "}), "\"name\" is empty"),
        (json!({"name": "a\0"}), "control character"),
        (json!({"name": "x".repeat(101)}), "at most 100"),
        (
            json!({"name": "a", "nope": 1}),
            "the key \"nope\" is not known here; the keys are: name, user_id, scopes, expires_at",
        ),
        (json!({"name": "a", "user_id": "a b"}), "\"user_id\""),
        (json!({"name": "a", "scopes": []}), "\"scopes\" is empty"),
        (json!({"name": "a", "scopes": ["all"]}), "\"scopes[0]\" must be one of: read, send, manage"),
        (json!({"name": "a", "expires_at": HOUR_AGO}), "\"expires_at\" is in the past"),
        (json!({"name": "a", "expires_at": "soon"}), "\"expires_at\""),
    ];
    for (body, sentence) in table {
        let said = gateway.call("POST", "/api/keys", body.clone()).await.problem(400);
        assert!(said.contains(sentence), "{body} was refused with: {said}");
    }
    gateway.call("GET", "/api/keys/x", Value::Null).await.problem(400);
    gateway.call("GET", "/api/keys/01a20614-c22d-76db-8d63-8dd1bf95251b", Value::Null).await.problem(404);
    gateway.call("GET", "/api/keys?limit=0", Value::Null).await.problem(400);
    gateway.call("GET", "/api/keys?limt=5", Value::Null).await.problem(400);
    assert_eq!(gateway.call("GET", "/api/keys", Value::Null).await.expect(200)["keys"], json!([]));
}

#[tokio::test]
async fn pages_follow_one_another_without_a_gap() {
    let gateway = TestGateway::start().await;
    for n in 0..5 {
        gateway.call("POST", "/api/keys", json!({"name": format!("n{n}")})).await.expect(201);
    }
    let (mut names, mut path) = (Vec::new(), "/api/keys?limit=2".to_owned());
    loop {
        let page = gateway.call("GET", &path, Value::Null).await.expect(200);
        names.extend(
            page["keys"].as_array().unwrap().iter().map(|key| key["name"].as_str().unwrap().to_owned()),
        );
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/api/keys?limit=2&cursor={cursor}");
    }
    assert_eq!(names, ["n4", "n3", "n2", "n1", "n0"]);
}
