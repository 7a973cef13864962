//! What a user sets for all of their jobs: taken, shown, refused with a sentence, and never half of it.

use serde_json::{Value, json};

use crate::common::{Answer, TestGateway};
use crate::cron::{create, path, started};

const SETTINGS: &str = "/api/users/ada/settings";

async fn put(gateway: &TestGateway, body: Value) -> Answer {
    gateway.call("PUT", SETTINGS, body).await
}

async fn shown(gateway: &TestGateway) -> Value {
    gateway.call("GET", SETTINGS, Value::Null).await.expect(200)
}

#[tokio::test]
async fn what_is_set_is_shown_and_what_is_left_out_is_the_default() {
    let gateway = started().await;
    let set = put(
        &gateway,
        json!({"alert_after": 0, "pause_after": 5, "alerts": {"channel": "webhook", "recipient": 7}}),
    );
    let set = set.await.expect(200);
    assert_eq!((&set["alert_after"], &set["pause_after"]), (&json!(0), &json!(5)));
    assert_eq!(set["alerts"], json!({"channel": "hook", "recipient": "7"}), "by the channel's slug");
    assert_eq!(shown(&gateway).await, set);
    let bare = put(&gateway, json!({})).await.expect(200);
    for key in ["heartbeat_every_secs", "alert_after", "pause_after", "alerts", "active_hours", "heartbeat"] {
        assert_eq!(bare[key], Value::Null, "{key}");
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_and_changes_nothing() {
    let gateway = started().await;
    let chat = |more: Value| json!({"alerts": more});
    let hours = |more: Value| json!({"active_hours": more});
    let beat = |more: Value| json!({"heartbeat": more});
    let before = put(&gateway, json!({"alert_after": 2})).await.expect(200);
    for (body, sentence) in [
        (json!({"alert_after": 1_001}), "\"alert_after\" must be from 0 to 1000"),
        (json!({"pause_after": -1}), "\"pause_after\" must be a whole number from 0, not -1"),
        (json!({"alerts_after": 1}), "the key \"alerts_after\" is not known here"),
        (chat(json!("hook")), "\"alerts\" must be an object"),
        (chat(json!({"channel": "hook"})), "\"alerts.recipient\" is required"),
        (chat(json!({"recipient": "7"})), "\"alerts.channel\" is required"),
        (chat(json!({"channel": "hook", "recipient": " "})), "\"recipient\" is required"),
        (chat(json!({"channel": " ", "recipient": " "})), "\"alerts\" names no chat"),
        (chat(json!({"channel": "gone", "recipient": "7"})), "no channel \"gone\""),
        (chat(json!({"channel": "hook", "recipient": "7", "thread": "1"})), "\"alerts.thread\" is not known"),
        (hours(json!({"from": "08:00"})), "\"active_hours.to\" is required"),
        (hours(json!({"from": "8", "to": "22:00"})), "\"8\" in \"from\" is not a time of day"),
        (hours(json!({"from": "08:00", "to": "08:00"})), "\"from\" and \"to\" are the same time"),
        (hours(json!({"from": "08:00", "to": "22:00", "tz": "CEST"})), "did you mean \"Europe/Berlin\"?"),
        (hours(json!({"from": "08:00", "to": "22:00", "days": []})), "\"days\" must be some of 1 (Monday)"),
        (hours(json!({"from": "08:00", "to": "22:00", "days": [9]})), "\"days\" must be some of 1 (Monday)"),
        (beat(json!({})), "\"heartbeat.text\" is required"),
        (beat(json!({"text": " "})), "\"heartbeat.text\" is empty"),
        (beat(json!({"text": "x".repeat(4_097)})), "\"heartbeat.text\" has 4097 characters"),
        (beat(json!({"text": "x", "channel": "gone", "recipient": "7"})), "no channel \"gone\""),
        (beat(json!({"text": "x", "recipient": "7"})), "\"channel\" is required"),
    ] {
        let said = put(&gateway, body.clone()).await.problem(400);
        assert!(said.contains(sentence), "{body}: {said}");
    }
    assert_eq!(shown(&gateway).await["alert_after"], before["alert_after"]);
}

#[tokio::test]
async fn a_chat_whose_channel_is_off_or_gone_is_refused_unless_it_was_there_before() {
    let gateway = started().await;
    let body = json!({"alerts": {"channel": "hook", "recipient": "7"}});
    put(&gateway, body.clone()).await.expect(200);
    gateway.call("PUT", "/api/users/ada/channels/hook", json!({"enabled": false})).await.expect(200);
    gateway.switched_off_everywhere("/api/users/ada/channels/hook").await;
    put(&gateway, body.clone()).await.expect(200);
    let other = json!({"alerts": {"channel": "hook", "recipient": "8"}});
    let said = put(&gateway, other).await.problem(409);
    assert!(said.contains("switched off"), "{said}");
    gateway.call("DELETE", "/api/users/ada/channels/hook", Value::Null).await.expect(200);
    assert_eq!(put(&gateway, body.clone()).await.expect(200)["alerts"], body["alerts"]);
}

#[tokio::test]
async fn a_job_may_have_numbers_of_its_own() {
    let gateway = started().await;
    let made = create(&gateway, json!({"alert_after": 1, "pause_after": 0})).await;
    assert_eq!((&made["alert_after"], &made["pause_after"]), (&json!(1), &json!(0)));
    assert_eq!(made["failing_since"], Value::Null);
    let mut conn = gateway.database.connect().await;
    let fails =
        "update cron_jobs set failures = 4, failing_since = '2026-01-01T00:00:00Z', paused = 'it failed',
                     enabled = false, next_due_at = null";
    sqlx::query(fails).execute(&mut conn).await.unwrap();
    let failing = gateway.call("GET", &path(&made, ""), Value::Null).await.expect(200);
    assert_eq!((&failing["failures"], &failing["paused"]), (&json!(4), &json!("it failed")));
    assert_eq!(failing["failing_since"], "2026-01-01T00:00:00Z");
    let on = gateway.call("PUT", &path(&made, "/enable"), json!({"enabled": true})).await.expect(200);
    assert_eq!(
        (&on["failures"], &on["paused"], &on["failing_since"]),
        (&json!(0), &Value::Null, &Value::Null)
    );
}

#[tokio::test]
async fn heartbeats_keep_to_the_hours_and_may_come_by_themselves() {
    let gateway = started().await;
    let body = json!({
        "active_hours": {"from": "22:00", "to": "06:00", "tz": "Asia/Tokyo", "days": [5, 1, 5]},
        "heartbeat": {"text": "Look around.", "agent_id": " research ", "channel": "webhook", "recipient": 7},
    });
    let set = put(&gateway, body).await.expect(200);
    assert_eq!(
        set["active_hours"],
        json!({"from": "22:00", "to": "06:00", "tz": "Asia/Tokyo", "days": [1, 5]})
    );
    let beat = json!({"text": "Look around.", "agent_id": "research", "channel": "hook", "recipient": "7"});
    assert_eq!(set["heartbeat"], beat);
    let next: chrono::DateTime<chrono::Utc> = set["next_heartbeat_at"].as_str().unwrap().parse().unwrap();
    // Ten in the evening of Mondays and Fridays in Tokyo is one in the afternoon in Greenwich.
    let hour = next.format("%a %H").to_string();
    let hours = ["Mon 13", "Mon 14", "Mon 15", "Mon 16", "Mon 17", "Mon 18", "Mon 19", "Mon 20"];
    assert!(hours.contains(&hour.replace("Fri", "Mon").as_str()), "{hour}");
    let mut conn = gateway.database.connect().await;
    let due: chrono::DateTime<chrono::Utc> =
        sqlx::query_scalar("select due_at from timers where kind = 'heartbeat'")
            .fetch_one(&mut conn)
            .await
            .unwrap();
    assert_eq!(due, next, "the settings tell the truth");

    gateway.call("DELETE", "/api/users/ada/channels/hook", Value::Null).await.expect(200);
    let again = put(&gateway, json!({"heartbeat": beat, "alert_after": 1})).await.expect(200);
    assert_eq!(
        (&again["heartbeat"], &again["active_hours"]),
        (&beat, &Value::Null),
        "its channel was there before"
    );
    let audit =
        gateway.call("GET", "/api/audit?user=ada&action=settings.changed", Value::Null).await.expect(200);
    assert_eq!(
        audit["entries"][0]["detail"],
        json!({"alert_after": 1, "heartbeat": true}),
        "not what it says"
    );
}
