//! Heartbeats that come by themselves, through the real binaries: behind what waited for them, and in their hours only.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use claw_system_tests::{Api, Cluster};
use claw_testkit::eventually;
use reqwest::StatusCode;
use serde_json::{Value, json};

/// Long enough for a busy machine.
const SOON: Duration = Duration::from_secs(60);

async fn set(api: &Api, settings: Value) -> Value {
    let (status, answer) = api.call("PUT", "/api/users/ada/settings", Some(settings)).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer
}

async fn put_forward(cluster: &Cluster, seconds: f64) {
    let due = "update timers set due_at = now() - make_interval(secs => $1)";
    sqlx::query(due).bind(seconds).execute(&mut cluster.database.connect().await).await.unwrap();
}

async fn due_at(cluster: &Cluster) -> (DateTime<Utc>, DateTime<Utc>) {
    let due = "select due_at, now() from timers where kind = 'heartbeat'";
    sqlx::query_as(due).fetch_one(&mut cluster.database.connect().await).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heartbeat_tells_the_agent_behind_what_waited_for_it() {
    let cluster = Cluster::prepare().await;
    let (_gateway, api) = cluster.gateway().await;
    let _worker = cluster.worker("one", &api.base).await;
    let settings = set(&api, json!({"heartbeat": {"text": "Look around.", "agent_id": "research"}})).await;
    let wake =
        json!({"user_id": "ada", "agent_id": "research", "text": "It rains.", "mode": "next_heartbeat"});
    let (status, woken) = api.call("POST", "/hooks/wake", Some(wake)).await;
    assert_eq!((status, &woken["due_at"]), (StatusCode::ACCEPTED, &settings["next_heartbeat_at"]), "{woken}");
    put_forward(&cluster, 1.0).await;
    let _scheduler = cluster.scheduler("clock").await;
    let came: Vec<Value> =
        cluster.receiver.wait_for(2).await.iter().map(claw_testkit::Delivery::json).collect();
    assert_eq!((&came[0]["text"], &came[1]["text"]), (&json!("It rains."), &json!("Look around.")));
    let (wake, beat) = (&came[0]["metadata"], &came[1]["metadata"]);
    assert_eq!((&beat["source"], &beat["heartbeat"]), (&json!("heartbeat"), &json!(true)));
    assert_eq!(beat["chat_id"], wake["chat_id"], "the same session");
    assert_eq!(came[1]["agent_id"], "research");
    assert!(came[1]["sender"].is_null() && came[1]["reply_to"].is_null(), "{}", came[1]);
    let (due, now) = due_at(&cluster).await;
    assert!(due > now, "the next one waits");
    let shown = api.call("GET", "/api/users/ada/settings", None).await.1;
    assert_eq!(shown["next_heartbeat_at"].as_str().unwrap().parse(), Ok(due));

    set(&api, json!({})).await;
    let left: i64 = sqlx::query_scalar("select count(*) from timers")
        .fetch_one(&mut cluster.database.connect().await)
        .await
        .unwrap();
    assert_eq!(left, 0, "without a text it comes no more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_heartbeat_that_is_late_does_not_come_outside_of_its_hours() {
    let cluster = Cluster::prepare().await;
    let (_gateway, api) = cluster.gateway().await;
    let _worker = cluster.worker("one", &api.base).await;
    let _scheduler = cluster.scheduler("clock").await;
    let now: DateTime<Utc> =
        sqlx::query_scalar("select now()").fetch_one(&mut cluster.database.connect().await).await.unwrap();
    let hour = |hours| (now + TimeDelta::hours(hours)).format("%H:00").to_string();
    let active = json!({"from": hour(3), "to": hour(5)});
    let settings = set(&api, json!({"active_hours": active, "heartbeat": {"text": "Look around."}})).await;
    let next: DateTime<Utc> = settings["next_heartbeat_at"].as_str().unwrap().parse().unwrap();
    assert!(next > now + TimeDelta::hours(2) && next < now + TimeDelta::hours(5), "{settings}");
    put_forward(&cluster, 3_600.0).await;
    eventually("the timer to move on", SOON, async || (due_at(&cluster).await.0 == next).then_some(())).await;
    let told: i64 = sqlx::query_scalar("select count(*) from messages")
        .fetch_one(&mut cluster.database.connect().await)
        .await
        .unwrap();
    assert_eq!(told, 0, "nothing was told");
}
