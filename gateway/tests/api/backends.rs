//! Backends of users' own: made, changed part by part, never shown with their secrets, and nobody else's business.

use serde_json::{Value, json};

use crate::common::TestGateway;

const OF_USER: &str = "/api/users/ada/backend";
const OF_CHANNEL: &str = "/api/users/ada/channels/hook/backend";
const NEW: &str = "a-new-secret-0123456789";
const OLD: &str = "an-old-secret-0123456789";

fn body(url: &str) -> Value {
    json!({"url": url, "secrets": [OLD]})
}

#[tokio::test]
async fn a_backend_is_made_changed_shown_and_deleted() {
    let gateway = TestGateway::start().await;
    let channel = gateway.webhook("ada", "hook").await;
    for (path, channel_id) in [(OF_USER, &Value::Null), (OF_CHANNEL, &channel["id"])] {
        let none = gateway.call("GET", path, Value::Null).await;
        assert_eq!(none.problem(404), "there is no such backend of the user's own here");
        let made = gateway.call("PUT", path, body("http://127.0.0.1:9/x")).await.expect(200);
        assert_eq!(
            (&made["url"], &made["secrets"], &made["max_in_flight"], &made["enabled"], &made["channel_id"]),
            (&json!("http://127.0.0.1:9/x"), &json!(1), &json!(16), &json!(true), channel_id)
        );
        let change = json!({"secrets": [NEW, OLD], "max_in_flight": 3});
        let changed = gateway.call("PUT", path, change).await.expect(200);
        assert_eq!(
            (&changed["url"], &changed["secrets"], &changed["max_in_flight"], &changed["id"]),
            (&made["url"], &json!(2), &json!(3), &made["id"])
        );
        let shown = gateway.call("GET", path, Value::Null).await;
        shown.expect(200);
        assert!(!shown.text.contains(NEW) && !shown.text.contains(OLD), "{shown:?}");
        assert_eq!((&shown.json()["state"], &shown.json()["away_ms"]), (&Value::Null, &Value::Null));
        assert_eq!(gateway.call("DELETE", path, Value::Null).await.expect(200)["id"], made["id"]);
        for method in ["GET", "DELETE"] {
            gateway.call(method, path, Value::Null).await.problem(404);
        }
        // Nothing of the deleted one is left for the next.
        let refused = gateway.call("PUT", path, json!({"url": "http://127.0.0.1:9/y"})).await;
        assert_eq!(refused.problem(400), "\"secrets\" is missing: a new backend needs it");
        let again = gateway.call("PUT", path, body("http://127.0.0.1:9/y")).await.expect(200);
        assert_eq!((&again["max_in_flight"], &again["id"]), (&json!(16), &made["id"]));
        let mut conn = gateway.database.connect().await;
        let row = "select count(*), coalesce(bool_or(detail::text like '%127.0.0.1%'), false) from audit_log
                   where subject = $1 and action like 'backend.%'";
        let audited: (i64, bool) =
            sqlx::query_as(row).bind(made["id"].as_str()).fetch_one(&mut conn).await.unwrap();
        assert_eq!(audited, (4, false), "made, changed, deleted, made again; never the URL");
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_and_changes_nothing() {
    let gateway = TestGateway::start_with(&["--send-wait-ms=0"]).await;
    let good = body("https://93.184.216.34/webhook");
    let made = gateway.call("PUT", OF_USER, good.clone()).await.expect(200);
    let with = |key: &str, value: Value| {
        let mut body = good.clone();
        body[key] = value;
        body
    };
    let long = format!("https://93.184.216.34/{}", "x".repeat(2000));
    let wrong = [
        (with("url", json!("http://127.0.0.1/")), "private"),
        (with("url", json!("http://169.254.169.254/latest")), "private"),
        (with("url", json!("http://localhost:8000/")), "private"),
        (with("url", json!("ftp://example.org")), "https://"),
        (with("url", json!("no url")), "not a URL"),
        (with("url", json!("https://me:pw@93.184.216.34/")), "user name"),
        (with("url", json!(long)), "url"),
        (with("secrets", json!([])), "1 to 4"),
        (with("secrets", json!([""])), "16 to 256"),
        (with("secrets", json!(["a", "b", "c", "d", "e"])), "1 to 4"),
        (with("secrets", json!([OLD, OLD])), "twice"),
        (with("secrets", json!(OLD)), "secrets"),
        (with("max_in_flight", json!(0)), "1 to 256"),
        (with("max_in_flight", json!(257)), "1 to 256"),
        (with("max_in_flight", json!(-1)), "max_in_flight"),
        (with("secret", json!(OLD)), "secret"),
    ];
    for (body, expected) in wrong {
        let refused = gateway.call("PUT", OF_USER, body.clone()).await.problem(400);
        assert!(refused.contains(expected), "{body}: {refused}");
    }
    assert_eq!(
        gateway.call("PUT", OF_CHANNEL, good).await.problem(404),
        "there is no such channel; list the user's channels to see them"
    );
    let shown = gateway.call("GET", OF_USER, Value::Null).await.expect(200);
    assert_eq!((&shown["url"], &shown["updated_at"]), (&made["url"], &made["updated_at"]));
}
