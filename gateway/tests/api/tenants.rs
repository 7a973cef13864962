//! Another user's things by their real ids, on every route of one's own: nothing is told and nothing is changed.
//!
//! [`crate::auth`] shows that the paths of another user are closed. Here the path is the caller's own, and only what it
//! names is another's. The routes come from the API's document, so a new one is under this test; one with a body that has to
//! make sense before anything is looked up needs a line in [`body`].

use serde_json::{Value, json};

use crate::auth::{Operation, keyed};
use crate::common::TestGateway;

/// In every text of ada's.
const MARK: &str = "ada-and-nobody-else";

/// What is ada's, by the names of the parameters that name it.
struct Ada {
    channel: String,
    job: String,
    hook: String,
    message: String,
    destination: String,
    code: String,
}

async fn ada(gateway: &TestGateway) -> Ada {
    let channel = gateway.webhook("ada", "adas_channel").await;
    gateway
        .call("PUT", "/api/users/ada/channels/adas_channel", json!({"instance_name": MARK}))
        .await
        .expect(200);
    let invited = gateway.call("POST", "/api/users/ada/channels/adas_channel/pairing", json!({})).await;
    let id = |made: &Value| made["id"].as_str().unwrap().to_owned();
    let action =
        json!({"type": "channel_message", "channel": "adas_channel", "recipient": MARK, "message": MARK});
    let job = json!({"name": MARK, "schedule": {"type": "every", "every_secs": 600}, "action": action});
    let job = gateway.call("POST", "/api/users/ada/cron/jobs", job).await.expect(201);
    let hook = json!({"name": "adas-hook", "text_template": MARK});
    gateway.call("POST", "/api/users/ada/hooks", hook).await.expect(201);
    let there = json!({"name": MARK, "url": "http://127.0.0.1:9/x"});
    let there = gateway.call("POST", "/api/users/ada/destinations", there).await.expect(201);
    let sent = json!({"recipient": MARK, "message": MARK});
    let sent = gateway.call("POST", "/api/users/ada/channels/adas_channel/send", sent).await.expect(202);
    let mut conn = gateway.database.connect().await;
    sqlx::query("update messages set state = 'failed', finished_at = now()")
        .execute(&mut conn)
        .await
        .unwrap();
    Ada {
        channel: channel["instance_name_id"].as_str().unwrap().to_owned(),
        job: id(&job),
        hook: "adas-hook".to_owned(),
        message: id(&sent),
        destination: id(&there),
        code: invited.expect(201)["code"].as_str().unwrap().to_owned(),
    }
}

impl Ada {
    /// The operation's path as mallory's, with what it names being ada's.
    fn path(&self, operation: &Operation) -> String {
        let id = match &operation.path {
            path if path.contains("/cron/") => &self.job,
            path if path.contains("/destinations/") => &self.destination,
            _ => &self.message,
        };
        operation
            .path
            .replace("{user}", "mallory")
            .replace("{instance}", &self.channel)
            .replace("{name}", &self.hook)
            .replace("{message}", &self.message)
            .replace("{code}", &self.code)
            .replace("{id}", id)
    }

    /// A body that makes sense, where one is needed.
    fn body(&self, operation: &Operation) -> Value {
        let action = json!({"type": "assistant_task", "agent_id": "a", "context": "c"});
        let every = json!({"type": "every", "every_secs": 600});
        match (&*operation.method, operation.path.trim_start_matches("/api/users/{user}")) {
            ("POST", "/channels/{instance}/send") => json!({"recipient": "1", "message": "x"}),
            ("POST", "/channels/{instance}/typing") => json!({"recipient": "1"}),
            ("PATCH", "/channels/{instance}/messages/{message}") => json!({"message": "x"}),
            ("PUT", "/channels/{instance}/messages/{message}/reaction") => json!({"emoji": "x"}),
            ("PUT", "/cron/jobs/{id}") => json!({"name": "x", "schedule": every, "action": action}),
            ("POST", "/cron/runs/{id}/complete") => json!({"status": "ok"}),
            ("POST", "/hooks/{name}/test") => json!({"body": "x", "send": true}),
            ("POST", "/messages/{id}/discard") => json!({"reason": "x"}),
            ("POST", "/dead-letters/replay") => json!({"ids": [self.message]}),
            ("POST", "/dead-letters/discard") => json!({"ids": [self.message], "reason": "x"}),
            (
                "PUT",
                "/cron/jobs/{id}/enable" | "/channels/{instance}" | "/hooks/{name}" | "/destinations/{id}",
            ) => {
                json!({"enabled": false})
            }
            _ => json!({}),
        }
    }
}

/// All that can be seen of ada's.
async fn everything(gateway: &TestGateway) -> Vec<Value> {
    let mut seen = Vec::new();
    for path in [
        "channels",
        "channels/adas_channel/pairing",
        "cron/jobs",
        "cron/history",
        "hooks",
        "destinations",
        "messages",
        "dead-letters",
        "settings",
    ] {
        let path = format!("/api/users/ada/{path}");
        seen.push(gateway.call("GET", &path, Value::Null).await.expect(200));
    }
    seen.push(gateway.call("GET", "/api/audit?user=ada", Value::Null).await.expect(200));
    assert!(seen.iter().filter(|answer| answer.to_string().contains(MARK)).count() >= 6, "{seen:?}");
    seen
}

#[tokio::test]
async fn no_route_tells_or_changes_anything_of_anothers() {
    let gateway = TestGateway::start().await;
    let ada = ada(&gateway).await;
    let mallory = gateway.key(Some("mallory"), &["read", "send", "manage"]).await;
    let before = everything(&gateway).await;
    let mut named = 0;
    for operation in keyed().iter().filter(|operation| operation.path.contains("{user}")) {
        // The name of a channel is each user's own: this makes one of mallory's.
        if operation.path.ends_with("/configure") {
            continue;
        }
        let (path, body) = (ada.path(operation), ada.body(operation));
        let answer = gateway.call_as(&mallory, &operation.method, &path, body).await;
        assert!(!answer.text.contains(MARK), "{}: {answer:?}", operation.tells());
        if operation.path.matches('{').count() > 1 {
            assert_eq!(answer.status, 404, "{}: {answer:?}", operation.tells());
            named += 1;
        }
    }
    assert!(named >= 20, "only {named} routes name something");
    assert_eq!(everything(&gateway).await, before, "something of ada's was changed");
}
