//! A person is forgotten: bots are disconnected, keys refused, files and rows gone; nobody else's are touched.

use std::path::Path;
use std::time::Duration;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::common::TestGateway;

/// Longer than it has to be quiet before the end is said.
const END: Duration = Duration::from_secs(90);

/// Files below a folder.
fn files(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { files(&path) } else { 1 }).sum()
}

/// A server with a picture on it.
async fn pictures(gateway: &TestGateway) -> String {
    let router = Router::new().route("/picture", get(|| async { ([(CONTENT_TYPE, "image/png")], "PNG") }));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    gateway.lifecycle.spawn("pictures", async move { axum::serve(listener, router).await.unwrap() });
    format!("http://{address}/picture")
}

/// Makes a user with a bit of everything; tells their channel.
async fn furnish(gateway: &TestGateway, user: &str, picture: &str) -> Value {
    let channel = gateway.webhook(user, "hook").await;
    let media = json!({"kind": "image", "url": picture});
    let body = json!({"sender": {"id": "1"}, "media": media}).to_string();
    gateway.post(&channel, body.as_bytes()).await.expect(200);
    let send = json!({"recipient": "1", "message": "hello"});
    gateway.call("POST", &format!("/api/users/{user}/channels/hook/send"), send).await.expect(202);
    let action = json!({"type": "channel_message", "channel": "hook", "recipient": "1", "message": "x"});
    let job = json!({"name": "a job", "schedule": {"type": "every", "every_secs": 600}, "action": action});
    gateway.call("POST", &format!("/api/users/{user}/cron/jobs"), job).await.expect(201);
    let hook = json!({"name": format!("hook-of-{user}")});
    gateway.call("POST", &format!("/api/users/{user}/hooks"), hook).await.expect(201);
    channel
}

async fn get_json(gateway: &TestGateway, path: &str) -> Value {
    gateway.call("GET", path, Value::Null).await.expect(200)
}

#[tokio::test]
async fn everything_of_a_person_goes_by_itself_and_the_answer_says_what() {
    let gateway = TestGateway::start().await;
    let picture = pictures(&gateway).await;
    let channel = furnish(&gateway, "ada", &picture).await;
    furnish(&gateway, "bob", &picture).await;
    let key = gateway.key(Some("ada"), &["read"]).await;
    let both = async || (files(gateway.media.path()) == 2).then_some(());
    claw_testkit::eventually("both pictures are stored", Duration::from_secs(20), both).await;

    let begun = gateway.call("DELETE", "/api/users/ada?confirm=ada", Value::Null).await.expect(202);
    assert_eq!((&begun["complete"], &begun["requested_by"]), (&json!(false), &json!("operator")), "{begun}");
    assert!(gateway.channels("ada").await.is_empty(), "stopped before anybody is answered");
    let again = gateway.call("DELETE", "/api/users/ada?confirm=ada", Value::Null).await.expect(202);
    assert_eq!(again["requested_at"], begun["requested_at"], "the same one");
    let body = json!({"sender": {"id": "1"}, "text": "are you there?"}).to_string();
    gateway.everywhere(404, async || gateway.post(&channel, body.as_bytes()).await).await;
    gateway
        .everywhere(401, async || gateway.call_as(&key, "GET", "/api/users/ada/channels", Value::Null).await)
        .await;
    let anew = crate::common::webhook_body();
    let refused = gateway.call("POST", "/api/users/ada/channels/new/configure", anew).await.problem(409);
    assert!(refused.contains("being removed"), "{refused}");

    let path = "/api/users/ada/erasure";
    let complete = async || {
        let now = get_json(&gateway, path).await;
        (now["complete"] == true).then_some(now)
    };
    let done = claw_testkit::eventually("the erasure is complete", END, complete).await;
    assert!(done["finished_at"].is_string(), "{done}");
    for (kind, count) in
        [("messages", 2), ("attachments", 1), ("channels", 1), ("jobs", 1), ("hooks", 1), ("api_keys", 1)]
    {
        assert_eq!(done["removed"][kind], count, "{kind}: {done}");
    }
    assert_eq!(files(gateway.media.path()), 1, "the other one's picture");
    for list in ["messages", "cron/jobs", "hooks", "channels"] {
        let left = get_json(&gateway, &format!("/api/users/ada/{list}")).await;
        let others = get_json(&gateway, &format!("/api/users/bob/{list}")).await;
        let rows =
            |answer: &Value| answer.as_object().unwrap().values().find_map(Value::as_array).unwrap().len();
        assert_eq!(rows(&left), 0, "{left}");
        assert!(rows(&others) > 0, "{others}");
    }
    assert_eq!(get_json(&gateway, "/api/audit?user=ada").await["entries"], json!([]));
    let proof = get_json(&gateway, "/api/audit?action=user.erased").await;
    assert_eq!(
        (&proof["entries"][0]["subject"], &proof["entries"][0]["actor"]),
        (&json!("ada"), &json!("operator"))
    );
    gateway.webhook("ada", "hook").await;
}

#[tokio::test]
async fn nobody_is_erased_by_mistake_or_by_somebody_else() {
    let gateway = TestGateway::start().await;
    gateway.webhook("ada", "hook").await;
    for query in ["", "?confirm=", "?confirm=yes", "?confirm=Ada"] {
        let said = gateway.call("DELETE", &format!("/api/users/ada{query}"), Value::Null).await.problem(400);
        assert!(said.ends_with("repeat the call with ?confirm=ada"), "{query}: {said}");
    }
    let erase = "/api/users/ada?confirm=ada";
    let (reader, other) =
        (gateway.key(Some("ada"), &["read", "send"]).await, gateway.key(Some("bob"), &["manage"]).await);
    for key in [reader, other] {
        gateway.call_as(&key, "DELETE", erase, Value::Null).await.problem(403);
    }
    gateway.call("GET", "/api/users/ada/erasure", Value::Null).await.problem(404);
    assert_eq!(gateway.channels("ada").await.len(), 1, "nothing happened");
    let own = gateway.key(Some("ada"), &["manage"]).await;
    gateway.call_as(&own, "DELETE", erase, Value::Null).await.expect(202);
    assert!(gateway.channels("ada").await.is_empty());
}
