//! Jobs that post to a URL: what makes sense, what a test of one stores, and who is told the secret.

use claw_secrets::signature::standard_key;
use claw_types::{Direction, WebhookPost};
use serde_json::{Value, json};

use crate::common::{KEY, OTHER_MASTER_KEY, TestGateway, master_key, read};
use crate::cron::{JOBS, create, listed, path, with};

const SECRET: &str = "/api/users/ada/cron/signing-secret";
/// An address that nobody has to look up.
const URL: &str = "https://93.184.216.34/reports?key=1";

fn post(more: &Value) -> Value {
    let mut action = json!({"type": "webhook", "url": URL});
    action.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({ "action": action })
}

#[tokio::test]
async fn it_is_shown_as_it_was_sent_and_found() {
    let gateway = TestGateway::start().await;
    let more = json!({"body": {"report": "sales\0", "n": [1, null]}});
    let made = create(&gateway, post(&more)).await;
    assert_eq!((&made["action_type"], &made["action"]), (&json!("webhook"), &post(&more)["action"]));
    assert_eq!(listed(&gateway, "?action_type=webhook").await, [made]);
    assert!(listed(&gateway, "?action_type=hook").await.is_empty());
}

#[tokio::test]
async fn what_makes_no_sense_or_may_not_be_called_is_refused_with_a_sentence() {
    let gateway = TestGateway::start_with(&["--send-wait-ms=0"]).await;
    let there = create(&gateway, post(&json!({}))).await;
    let table = [
        (json!({"url": null}), "\"action.url\" is required"),
        (json!({"url": ""}), "\"action.url\" is not a URL"),
        (json!({"url": "example.org"}), "\"action.url\" is not a URL like https://"),
        (json!({"url": "ftp://example.org/"}), "must start with https:// or http://"),
        (json!({"url": "https://me:pw@example.org/"}), "user name or password"),
        (json!({"url": "https://x.org/\u{7}"}), "control character"),
        (json!({"url": format!("https://x.org/{}", "x".repeat(2_000))}), "at most 2000"),
        (json!({"url": "http://127.0.0.1:1/"}), "private or loopback address"),
        (json!({"url": "http://169.254.169.254/latest/meta-data"}), "private or loopback address"),
        (json!({"url": "http://[::1]/"}), "private or loopback address"),
        (json!({"url": "http://localhost/"}), "private or loopback address"),
        (json!({"body": "text"}), "\"action.body\" must be an object"),
        (json!({"body": {"a": "x".repeat(20_000)}}), "at most 16384"),
        (
            json!({"headers": {"authorization": "x"}}),
            "the key \"action.headers\" is not known here; the keys are: type",
        ),
    ];
    for (more, sentence) in table {
        for (method, path) in [("POST", JOBS.to_owned()), ("PUT", path(&there, ""))] {
            let said = gateway.call(method, &path, with(&post(&more))).await.problem(400);
            assert!(said.contains(sentence), "{method} {more} was refused with: {said}");
        }
    }
    assert_eq!(listed(&gateway, "").await, [there]);
}

#[tokio::test]
async fn a_url_that_is_not_allowed_any_more_does_not_keep_its_job_from_being_changed() {
    let lax = TestGateway::start_with(&["--allow-private-urls"]).await;
    let home = post(&json!({"url": "http://127.0.0.1:1/"}));
    let call = async |gateway: &TestGateway, body: Value| {
        read(gateway.request("POST", JOBS).bearer_auth(KEY).header("idempotency-key", "k").json(&body)).await
    };
    let made = call(&lax, with(&home)).await.expect(201);
    let strict = TestGateway::on(lax.database.clone(), &[]).await;
    let again = call(&strict, with(&home)).await.expect(200);
    assert_eq!((&again["id"], &again["duplicate"]), (&made["id"], &json!(true)), "what is made is made");
    let mut renamed = with(&home);
    renamed["name"] = json!("renamed");
    assert_eq!(strict.call("PUT", &path(&made, ""), renamed).await.expect(200)["name"], "renamed");
    let elsewhere = with(&post(&json!({"url": "http://127.0.0.1:2/"})));
    let said = strict.call("PUT", &path(&made, ""), elsewhere).await.problem(400);
    assert!(said.contains("private or loopback address"), "{said}");
}

#[tokio::test]
async fn a_test_stores_a_post_that_goes_out_by_no_channel_and_not_for_long() {
    let gateway = TestGateway::start_with(&["--send-wait-ms=3000"]).await;
    let made = create(&gateway, post(&json!({"body": {"report": "sales"}}))).await;
    let tested = gateway.call("POST", &path(&made, "/test"), Value::Null).await.expect(200);
    assert_eq!(
        (&tested["status"], &tested["action_type"], &tested["message"]),
        (&json!("ok"), &json!("webhook"), &json!("it is stored and will be posted"))
    );
    let stored = gateway.pending().await;
    assert_eq!((stored.len(), json!(stored[0].id)), (1, tested["message_id"].clone()));
    assert!(stored[0].is_webhook() && stored[0].direction == Direction::Out && stored[0].scheduled);
    let kept: WebhookPost = serde_json::from_str(stored[0].payload.get()).unwrap();
    assert_eq!((kept.url.as_str(), kept.recipient.as_str()), (URL, "https://93.184.216.34"));
    assert_eq!(kept.ttl_seconds, 3, "whoever tests it has gone then");
    let body: Value = serde_json::from_str(kept.body.get()).unwrap();
    let job = json!({"id": made["id"], "name": "Morning", "label": "daily", "metadata": {"n": [1, null]}});
    let run = json!({"id": tested["run_id"], "attempt": 1, "scheduled_for": null});
    assert_eq!(body, json!({"type": "cron.run", "job": job, "run": run, "body": {"report": "sales"}}));
    let history = gateway.call("GET", "/api/users/ada/cron/history", Value::Null).await.expect(200);
    assert_eq!(history["runs"][0]["sent"], json!({"origin": "https://93.184.216.34"}));
    let shown = gateway.call("GET", "/api/users/ada/messages", Value::Null).await.expect(200);
    let shown = &shown["messages"][0];
    assert_eq!((&shown["direction"], &shown["recipient"]), (&json!("out"), &json!("https://93.184.216.34")));
    assert_eq!(shown["channel"]["instance_name_id"], Value::Null);
    let pending = gateway.call("GET", "/api/users/ada/messages?state=pending", Value::Null).await.expect(200);
    assert_eq!(&pending["messages"][0]["id"], &shown["id"]);
}

#[tokio::test]
async fn while_the_master_key_is_replaced_both_secrets_are_told() {
    let other = claw_secrets::MasterKey::from_base64(OTHER_MASTER_KEY).unwrap();
    let gateway = TestGateway::start_with(&[&format!("--other-master-keys={OTHER_MASTER_KEY}")]).await;
    let shown = gateway.call("GET", SECRET, Value::Null).await.expect(200);
    let expected =
        json!({"secret": master_key().webhook_secret("ada"), "others": [other.webhook_secret("ada")]});
    assert_eq!(shown, expected);
}

#[tokio::test]
async fn the_secret_is_for_its_user_and_for_keys_that_manage_and_each_look_is_audited() {
    let gateway = TestGateway::start().await;
    let shown = gateway.call("GET", SECRET, Value::Null).await.expect(200);
    let secret = shown["secret"].as_str().unwrap();
    assert_eq!(secret, master_key().webhook_secret("ada"));
    assert_eq!(standard_key(secret).len(), 32);
    assert_eq!(gateway.call("GET", SECRET, Value::Null).await.expect(200), shown, "the same each time");
    let others = gateway.call("GET", &SECRET.replace("ada", "eve"), Value::Null).await.expect(200);
    assert_ne!(others, shown);

    let manages = gateway.key(Some("ada"), &["manage"]).await;
    assert_eq!(gateway.call_as(&manages, "GET", SECRET, Value::Null).await.expect(200), shown);
    for (user, scopes) in [("ada", ["read", "send"]), ("eve", ["manage", "read"])] {
        let key = gateway.key(Some(user), &scopes).await;
        let refused = gateway.call_as(&key, "GET", SECRET, Value::Null).await;
        refused.problem(403);
        assert!(!refused.text.contains(secret), "{refused:?}");
    }
    let audit = gateway.call("GET", "/api/audit?user=ada", Value::Null).await.expect(200);
    let looks =
        audit["entries"].as_array().unwrap().iter().filter(|entry| entry["action"] == "job.secret_shown");
    assert_eq!(looks.count(), 3);
    assert!(!audit.to_string().contains(secret));
}
