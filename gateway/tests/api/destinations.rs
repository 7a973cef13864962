//! Destinations: made once, their secret shown once, nobody else's business.

use claw_secrets::signature;
use claw_testkit::{Delivery, Receiver};
use futures::StreamExt as _;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::common::{KEY, TestGateway, read};

const BASES: [&str; 2] = ["/api/users/ada/destinations", "/api/destinations"];

fn body(url: &str) -> Value {
    json!({"name": "statistics", "url": url, "types": ["message.*"], "channel": "hook"})
}

/// Checks both signatures as a receiver would.
fn verify(delivery: &Delivery, secret: &str) {
    let (id, timestamp) = (delivery.header("webhook-id"), delivery.header("webhook-timestamp"));
    let key = signature::standard_key(secret);
    let expected = signature::sign_standard(&key, id, timestamp.parse().unwrap(), &delivery.body);
    assert_eq!(delivery.header("webhook-signature"), expected);
    assert!(signature::verify(secret.as_bytes(), &delivery.body, delivery.header(signature::HEADER)));
}

#[tokio::test]
async fn a_destination_is_made_shown_changed_and_deleted() {
    let gateway = TestGateway::start().await;
    for base in BASES {
        let made = gateway.call("POST", base, body("http://127.0.0.1:9/x")).await.expect(201);
        let secret = made["secret"].as_str().unwrap();
        assert!(secret.starts_with("whsec_") && signature::standard_key(secret).len() == 32);
        let path = format!("{base}/{}", made["id"].as_str().unwrap());
        let shown = gateway.call("GET", &path, Value::Null).await;
        let listed = gateway.call("GET", base, Value::Null).await;
        for answer in [&shown, &listed] {
            answer.expect(200);
            assert!(!answer.text.contains("secret") && !answer.text.contains(secret), "{answer:?}");
        }
        assert_eq!(listed.json()["destinations"], json!([shown.json()]));
        assert_eq!(
            (&shown.json()["types"], &shown.json()["channel"], &shown.json()["enabled"]),
            (&json!(["message.*"]), &json!("hook"), &json!(true))
        );
        let change = json!({"types": [], "channel": "", "enabled": false, "name": " other "});
        let changed = gateway.call("PUT", &path, change).await.expect(200);
        assert_eq!(
            (&changed["types"], &changed["channel"], &changed["enabled"], &changed["name"], &changed["url"]),
            (&json!([]), &Value::Null, &json!(false), &json!("other"), &json!("http://127.0.0.1:9/x"))
        );
        let deleted = gateway.call("DELETE", &path, Value::Null).await.expect(200);
        assert_eq!(deleted["id"], made["id"]);
        for (method, suffix) in
            [("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/test"), ("POST", "/secret")]
        {
            let answer = gateway.call(method, &format!("{path}{suffix}"), json!({})).await;
            assert_eq!(answer.problem(404), "there is no such event destination", "{method} {suffix}");
        }
        let mut conn = gateway.database.connect().await;
        let row = "select count(*) from audit_log where subject = $1 and action like 'destination.%'";
        let audited: i64 =
            sqlx::query_scalar(row).bind(made["id"].as_str()).fetch_one(&mut conn).await.unwrap();
        assert_eq!(audited, 3, "made, changed, deleted");
    }
}

#[tokio::test]
async fn a_test_posts_a_signed_ping_with_the_secret_of_the_day() {
    let gateway = TestGateway::start().await;
    let receiver = Receiver::start().await;
    for (round, base) in BASES.into_iter().enumerate() {
        let made = gateway.call("POST", base, body(&receiver.url())).await.expect(201);
        let path = format!("{base}/{}", made["id"].as_str().unwrap());
        let test = format!("{path}/test");
        let tested = gateway.call("POST", &test, Value::Null).await.expect(200);
        assert_eq!(
            (&tested["ok"], &tested["status"], &tested["error"]),
            (&json!(true), &json!(200), &Value::Null)
        );
        let first = receiver.deliveries().pop().unwrap();
        verify(&first, made["secret"].as_str().unwrap());
        assert_eq!(
            (&first.json()["type"], &first.json()["data"]["destination"]),
            (&json!("ping"), &made["id"])
        );
        assert_eq!(first.json()["id"], first.header("webhook-id"));
        let rekeyed = gateway.call("POST", &format!("{path}/secret"), Value::Null).await.expect(200);
        assert_ne!(rekeyed["secret"], made["secret"]);
        receiver.answer_next([StatusCode::IM_A_TEAPOT]);
        let tested = gateway.call("POST", &test, Value::Null).await.expect(200);
        assert_eq!((&tested["ok"], &tested["status"]), (&json!(false), &json!(418)));
        verify(&receiver.deliveries().pop().unwrap(), rekeyed["secret"].as_str().unwrap());
        assert_eq!(receiver.deliveries().len(), 2 * (round + 1));
        gateway.call("PUT", &path, json!({"url": "http://127.0.0.1:9/"})).await.expect(200);
        let tested = gateway.call("POST", &test, Value::Null).await.expect(200);
        assert_eq!(
            (&tested["ok"], &tested["status"], &tested["error"]),
            (&json!(false), &Value::Null, &json!("can't connect to it"))
        );
    }
}

#[tokio::test]
async fn the_same_idempotency_key_makes_one_destination() {
    let gateway = TestGateway::start().await;
    for base in BASES {
        let call = async |body: Value| {
            let request = gateway.request("POST", base).bearer_auth(KEY);
            read(request.header("idempotency-key", "k-1").json(&body)).await
        };
        let first = call(body("http://127.0.0.1:9/")).await.expect(201);
        let again = call(body("http://127.0.0.1:9/")).await.expect(200);
        assert_eq!(
            (&again["id"], &again["duplicate"], &again["secret"]),
            (&first["id"], &json!(true), &Value::Null)
        );
        assert!(call(body("http://127.0.0.1:9/other")).await.problem(422).contains("another body"));
        let listed = gateway.call("GET", base, Value::Null).await.expect(200);
        assert_eq!(listed["destinations"].as_array().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_repeated_call_is_answered_although_its_url_is_not_allowed_any_more() {
    let open = TestGateway::start().await;
    for (n, base) in BASES.into_iter().enumerate() {
        let call = async |gateway: &TestGateway, body: Value| {
            let request = gateway.request("POST", base).bearer_auth(KEY);
            read(request.header("idempotency-key", format!("k-{n}")).json(&body)).await
        };
        let first = call(&open, body("http://127.0.0.1:9/")).await.expect(201);
        let strict = TestGateway::on(open.database.clone(), &["--send-wait-ms=0"]).await;
        let again = call(&strict, body("http://127.0.0.1:9/")).await.expect(200);
        assert_eq!((&again["id"], &again["duplicate"]), (&first["id"], &json!(true)));
        call(&strict, body("http://127.0.0.1:9/other")).await.problem(422);
        let path = format!("{base}/{}", first["id"].as_str().unwrap());
        strict.call("DELETE", &path, Value::Null).await.expect(200);
        call(&strict, body("http://127.0.0.1:9/")).await.problem(404);
    }
}

#[tokio::test]
async fn a_destination_whose_host_is_gone_can_be_renamed_and_switched_off() {
    let open = TestGateway::start().await;
    let gateway = TestGateway::on(open.database.clone(), &["--send-wait-ms=0"]).await;
    for base in BASES {
        let made = open.call("POST", base, body("http://127.0.0.1:9/")).await.expect(201);
        let path = format!("{base}/{}", made["id"].as_str().unwrap());
        let gone = "http://no-such-host.invalid/";
        let mut conn = gateway.database.connect().await;
        sqlx::query("update event_destinations set url = $1").bind(gone).execute(&mut conn).await.unwrap();
        for change in [json!({"name": "other"}), json!({"enabled": false}), json!({"types": [], "url": gone})]
        {
            let changed = gateway.call("PUT", &path, change).await.expect(200);
            assert_eq!(changed["url"], gone);
        }
        for change in [json!({"enabled": true}), json!({"url": "http://other-host.invalid/"})] {
            let said = gateway.call("PUT", &path, change.clone()).await.problem(400);
            assert!(said.contains("\"url\""), "{change}: {said}");
        }
    }
}

#[tokio::test]
async fn nobody_sees_or_touches_anothers_destinations() {
    let gateway = TestGateway::start().await;
    let ada = gateway.call("POST", BASES[0], body("http://127.0.0.1:9/")).await.expect(201);
    let ours = gateway.call("POST", BASES[1], body("http://127.0.0.1:9/")).await.expect(201);
    for (base, foreign) in
        [("/api/users/bob/destinations", [&ada, &ours]), (BASES[0], [&ours, &ours]), (BASES[1], [&ada, &ada])]
    {
        for other in foreign {
            let path = format!("{base}/{}", other["id"].as_str().unwrap());
            gateway.call("GET", &path, Value::Null).await.problem(404);
            gateway.call("PUT", &path, json!({"enabled": false})).await.problem(404);
            gateway.call("DELETE", &path, Value::Null).await.problem(404);
            gateway.call("POST", &format!("{path}/test"), Value::Null).await.problem(404);
            gateway.call("POST", &format!("{path}/secret"), Value::Null).await.problem(404);
        }
    }
    let bobs = gateway.call("GET", "/api/users/bob/destinations", Value::Null).await.expect(200);
    assert_eq!(bobs, json!({"destinations": [], "next_cursor": null}));
}

#[tokio::test]
async fn a_destination_that_makes_no_sense_is_refused_with_a_sentence() {
    let gateway = TestGateway::start().await;
    let url = "http://127.0.0.1:9/";
    let table = [
        (json!({"url": url}), "\"name\" is required"),
        (json!({"name": "a"}), "\"url\" is required"),
        (json!({"name": " ", "url": url}), "\"name\" is empty"),
        (json!({"name": "a\u{0}", "url": url}), "control character"),
        (json!({"name": "x".repeat(101), "url": url}), "at most 100"),
        (json!({"name": "a", "url": "nowhere"}), "the field \"url\" is not a URL like"),
        (json!({"name": "a", "url": "ftp://x"}), "must start with https:// or http://"),
        (json!({"name": "a", "url": "https://me:pw@example.org"}), "user name or password"),
        (json!({"name": "a", "url": format!("http://x/{}", "y".repeat(2000))}), "at most 2000"),
        (json!({"name": "a", "url": url, "types": ["mesage.*"]}), "\"types\" names \"mesage.*\""),
        (json!({"name": "a", "url": url, "types": "message.*"}), "\"types\""),
        (json!({"name": "a", "url": url, "channel": "a b"}), "\"channel\""),
        (json!({"name": "a", "url": url, "secret": "mine"}), "the key \"secret\" is not known here"),
    ];
    let kept = gateway.call("POST", BASES[0], body(url)).await.expect(201);
    let path = format!("{}/{}", BASES[0], kept["id"].as_str().unwrap());
    for (body, sentence) in table {
        let said = gateway.call("POST", BASES[0], body.clone()).await.problem(400);
        assert!(said.contains(sentence), "{body} was refused with: {said}");
        if !sentence.contains("required") {
            let said = gateway.call("PUT", &path, body.clone()).await.problem(400);
            assert!(said.contains(sentence), "{body} was refused with: {said}");
        }
    }
    let listed = gateway.call("GET", BASES[0], Value::Null).await.expect(200);
    assert_eq!(listed["destinations"].as_array().unwrap().len(), 1, "none of them was made");
    assert_eq!(listed["destinations"][0]["updated_at"], kept["updated_at"], "nor changed");
    gateway.call("GET", &format!("{}/x", BASES[0]), Value::Null).await.problem(400);
}

#[tokio::test]
async fn private_addresses_need_the_operators_word() {
    let gateway = TestGateway::start_with(&["--send-wait-ms=0"]).await;
    for base in BASES {
        for url in ["http://127.0.0.1:9/", "http://localhost/", "http://169.254.169.254/latest"] {
            let said = gateway.call("POST", base, body(url)).await.problem(400);
            assert!(said.contains("private or loopback"), "{said}");
        }
    }
}

#[tokio::test]
async fn one_owner_has_twenty_at_most_in_pages() {
    let gateway = TestGateway::start().await;
    let making = (0..25).map(|_| gateway.call("POST", BASES[0], body("http://127.0.0.1:9/")));
    let answers: Vec<_> = futures::stream::iter(making).buffer_unordered(4).collect().await;
    let made = answers.iter().filter(|answer| answer.status.as_u16() == 201).count();
    assert_eq!(made, 20, "however many ask at once");
    for answer in answers.iter().filter(|answer| answer.status.as_u16() != 201) {
        assert!(answer.problem(409).contains("20 event destinations already"));
    }
    gateway.call("POST", BASES[1], body("http://127.0.0.1:9/")).await.expect(201);
    let (mut ids, mut path) = (Vec::new(), format!("{}?limit=7", BASES[0]));
    loop {
        let page = gateway.call("GET", &path, Value::Null).await.expect(200);
        let found = page["destinations"].as_array().unwrap().iter();
        ids.extend(found.map(|one| one["id"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("{}?limit=7&cursor={cursor}", BASES[0]);
    }
    assert_eq!(ids.len(), 20);
    assert!(ids.is_sorted_by(|a, b| a > b), "newest first, each once");
}
