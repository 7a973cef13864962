//! Jobs that wake an agent: what makes sense, and what a test of one stores.

use claw_types::Direction;
use serde_json::{Value, json};

use crate::common::{KEY, TestGateway, read};
use crate::cron::{JOBS, create, listed, path, started, with};

fn wake(more: &Value) -> Value {
    let mut action = json!({"type": "hook", "text": "look around"});
    action.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({ "action": action })
}

async fn test(gateway: &TestGateway, job: &Value) -> Value {
    gateway.call("POST", &path(job, "/test"), Value::Null).await.expect(200)
}

/// When each wake-up that waits is due.
async fn waiting(gateway: &TestGateway) -> Vec<(Value, chrono::DateTime<chrono::Utc>)> {
    let mut conn = gateway.database.connect().await;
    let rows: Vec<(uuid::Uuid, chrono::DateTime<chrono::Utc>)> =
        sqlx::query_as("select id, due_at from timers where kind = 'wake'")
            .fetch_all(&mut conn)
            .await
            .unwrap();
    rows.into_iter().map(|(id, due)| (json!(id), due)).collect()
}

#[tokio::test]
async fn it_is_shown_as_it_was_sent_and_found() {
    let gateway = started().await;
    let more = json!({"mode": "next-heartbeat", "agent_id": "research", "channel": "hook", "recipient": 5,
                      "metadata": {"n": [1, null]}});
    let made = create(&gateway, wake(&more)).await;
    assert_eq!((&made["action_type"], &made["action"]), (&json!("hook"), &wake(&more)["action"]));
    create(&gateway, json!({})).await;
    assert_eq!(listed(&gateway, "?action_type=hook").await, [made]);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_a_sentence() {
    let gateway = started().await;
    let table = [
        (json!({"text": null}), "\"action.text\" is required"),
        (json!({"text": " \n"}), "\"action.text\" is empty"),
        (json!({"text": "x".repeat(4_097)}), "at most 4096"),
        (json!({"mode": "later"}), "\"action.mode\" must be one of: now, next"),
        (json!({"user_id": "eve"}), "the key \"action.user_id\" is not known here"),
        (json!({"agent_id": "x".repeat(201)}), "at most 200"),
        (json!({"channel": "hook"}), "\"action.recipient\" is required with \"action.channel\""),
        (json!({"recipient": 5}), "\"action.channel\" is required with \"action.recipient\""),
        (json!({"channel": "nobody", "recipient": 5}), "the user has no channel \"nobody\""),
        (json!({"channel": "hook", "recipient": " "}), "\"action.recipient\" is empty"),
        (json!({"channel": "hook", "recipient": [5]}), "\"action.recipient\" must be text or a whole number"),
        (json!({"metadata": [1]}), "\"action.metadata\" must be an object"),
        (json!({"metadata": {"a": "x".repeat(20_000)}}), "at most 16384"),
        (json!({"metadata": {"chat_id": 5}}), "\"action.metadata.chat_id\" must be text"),
    ];
    for (more, sentence) in table {
        let said = gateway.call("POST", JOBS, with(&wake(&more))).await.problem(400);
        assert!(said.contains(sentence), "{more} was refused with: {said}");
    }
    let waits = with(&wake(&json!({}))).as_object().unwrap().clone();
    let waits = waits.into_iter().chain([("await_completion".to_owned(), json!(true))]).collect::<Value>();
    let said = gateway.call("POST", JOBS, waits).await.problem(400);
    assert!(said.contains("\"await_completion\" is for an \"assistant_task\" only"), "{said}");
    assert!(listed(&gateway, "").await.is_empty());
}

#[tokio::test]
async fn a_test_wakes_the_agent_now() {
    let gateway = started().await;
    let more = json!({"channel": "hook", "recipient": 5, "metadata": {"a": 1, "run_id": "forged"}});
    let made = create(&gateway, wake(&more)).await;
    let tested = test(&gateway, &made).await;
    assert_eq!((&tested["status"], &tested["action_type"]), (&json!("ok"), &json!("hook")));
    assert_eq!(tested["message"], "the wake-up is stored and will go to the agent");
    let stored = gateway.pending().await;
    assert_eq!((stored.len(), stored[0].direction), (1, Direction::In));
    assert_eq!(json!(stored[0].id), tested["message_id"]);
    let body: Value = serde_json::from_str(stored[0].payload.get()).unwrap();
    assert_eq!(body["text"], "look around");
    assert_eq!(body["reply_to"], json!({"channel": "webhook", "recipient": "5"}));
    let named = json!({"a": 1, "job_id": made["id"], "job_name": "Morning", "run_id": tested["run_id"],
                       "source": "wake", "chat_id": "5"});
    assert_eq!(body["metadata"], named);
}

#[tokio::test]
async fn a_test_of_what_waits_for_the_heartbeat_stores_it_once() {
    let gateway = started().await;
    let made = create(&gateway, wake(&json!({"mode": "next_heartbeat"}))).await;
    let settings = gateway.call("GET", "/api/users/ada/settings", Value::Null).await.expect(200);
    let call = async || {
        let request = gateway.request("POST", &path(&made, "/test"));
        read(request.bearer_auth(KEY).header("idempotency-key", "k")).await.expect(200)
    };
    let first = call().await;
    assert_eq!(first["status"], "ok");
    let said = first["message"].as_str().unwrap();
    assert!(said.starts_with("the wake-up is stored and waits for the heartbeat at 2"), "{said}");
    assert!(gateway.pending().await.is_empty());
    let waiting = waiting(&gateway).await;
    assert_eq!((waiting.len(), &waiting[0].0), (1, &first["message_id"]));
    let heartbeat: chrono::DateTime<chrono::Utc> =
        settings["next_heartbeat_at"].as_str().unwrap().parse().unwrap();
    // Unless it came in between.
    assert!(waiting[0].1 >= heartbeat, "{waiting:?} {settings}");
    let sent = async || {
        let history = gateway.call("GET", "/api/users/ada/cron/history", Value::Null).await.expect(200);
        history["runs"][0]["sent"]["due_at"]
            .as_str()
            .unwrap()
            .parse::<chrono::DateTime<chrono::Utc>>()
            .unwrap()
    };
    assert_eq!(sent().await, waiting[0].1, "the history tells when");
    let again = call().await;
    assert_eq!((&again["run_id"], &again["duplicate"]), (&first["run_id"], &json!(true)));
    assert_eq!((&again["message_id"], &again["message"]), (&first["message_id"], &first["message"]));
    assert_eq!(self::waiting(&gateway).await, waiting);
    assert_eq!(sent().await, waiting[0].1);
}

#[tokio::test]
async fn a_channel_that_is_off_is_a_run_that_failed() {
    let gateway = started().await;
    let made = create(&gateway, wake(&json!({"channel": "hook", "recipient": 5}))).await;
    gateway.call("PUT", "/api/users/ada/channels/hook", json!({"enabled": false})).await.expect(200);
    let tested = test(&gateway, &made).await;
    assert_eq!(tested["status"], "error");
    assert!(tested["error"].as_str().unwrap().contains("switched off"), "{tested}");
    assert!(gateway.pending().await.is_empty());
}
