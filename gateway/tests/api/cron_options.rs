//! What a job may say beside its schedule: taken, shown, looked at when its next time is computed, and refused.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::common::TestGateway;
use crate::cron::{JOBS, create, job, listed, path, started, with};

const PREVIEW: &str = "/api/users/ada/cron/preview";

fn every(seconds: u32) -> Value {
    json!({"type": "every", "every_secs": seconds})
}

fn time(value: &Value) -> DateTime<Utc> {
    value.as_str().unwrap().parse().unwrap()
}

async fn preview(gateway: &TestGateway, body: Value) -> Value {
    gateway.call("POST", PREVIEW, body).await.expect(200)
}

#[tokio::test]
async fn options_are_shown_as_they_were_set_and_a_put_without_them_resets_them() {
    let gateway = started().await;
    let options = json!({"jitter_secs": 30, "misfire": "all", "misfire_limit": 3, "overlap": "queue", "timeout_secs": 60,
        "max_retries": 2, "starts_at": "2999-01-01T00:00:00Z", "ends_at": "2999-02-01T00:00:00Z", "max_runs": 5,
        "delete_after_run": true, "await_completion": true, "alert_after": 1, "pause_after": 0});
    let mut body = with(&options);
    body["action"] = json!({"type": "assistant_task", "context": "look"});
    let made = gateway.call("POST", JOBS, body).await.expect(201);
    for (key, value) in options.as_object().unwrap() {
        assert_eq!(&made[key], value, "{key}");
    }
    assert_eq!((&made["runs"], &made["failures"], &made["paused"]), (&json!(0), &json!(0), &Value::Null));
    // Weekdays at nine in New York; 1 January 2999 is a Tuesday.
    assert_eq!(made["next_run_at"], "2999-01-01T14:00:00Z");
    assert_eq!(listed(&gateway, "").await, std::slice::from_ref(&made));
    let bare = gateway.call("PUT", &path(&made, ""), job()).await.expect(200);
    for key in options.as_object().unwrap().keys() {
        assert!(bare.get(key).is_none(), "{key} is still there: {bare}");
    }
    let nulls = json!({"jitter_secs": null, "misfire": null, "starts_at": null, "delete_after_run": null});
    let made = create(&gateway, nulls).await;
    assert!(made.get("misfire").is_none(), "null is as good as absent: {made}");
}

#[tokio::test]
async fn options_that_make_no_sense_are_refused_with_a_sentence_and_not_stored() {
    let gateway = started().await;
    let bound = |key: &str, from: u64, to: u64| format!("\"{key}\" must be from {from} to {to}");
    let table = [
        (json!({"jitter_secs": 86_401}), bound("jitter_secs", 0, 86_400)),
        (json!({"jitter_secs": -1}), "\"jitter_secs\" must be a whole number from 0, not -1".to_owned()),
        (json!({"jitter_secs": "a"}), "\"jitter_secs\" must be a whole number from 0".to_owned()),
        (
            json!({"schedule": every(60), "jitter_secs": 60}),
            "\"jitter_secs\" must be less than the shortest time between two runs, which is 60 s".to_owned(),
        ),
        (json!({"misfire": "later"}), "\"misfire\" must be one of: skip, once, all".to_owned()),
        (json!({"misfire_limit": 3}), "\"misfire_limit\" needs \"misfire\": \"all\"".to_owned()),
        (json!({"misfire": "all", "misfire_limit": 101}), bound("misfire_limit", 1, 100)),
        (json!({"overlap": 1}), "\"overlap\"".to_owned()),
        (json!({"timeout_secs": 0}), bound("timeout_secs", 1, 604_800)),
        (json!({"max_retries": 11}), bound("max_retries", 0, 10)),
        (json!({"max_runs": 0}), bound("max_runs", 1, u64::from(u32::MAX))),
        (json!({"alert_after": 1_001}), bound("alert_after", 0, 1_000)),
        (json!({"pause_after": 1_001}), bound("pause_after", 0, 1_000)),
        (json!({"starts_at": "tomorrow"}), "\"starts_at\" must be a time with its offset like".to_owned()),
        (json!({"ends_at": "2026-12-01T09:00:00"}), "\"ends_at\" must be a time with its offset".to_owned()),
        (json!({"ends_at": "2020-01-01T00:00:00Z"}), "\"ends_at\" has passed".to_owned()),
        (
            json!({"starts_at": "2999-02-01T00:00:00Z", "ends_at": "2999-01-01T00:00:00Z"}),
            "\"ends_at\" must be after \"starts_at\"".to_owned(),
        ),
        (
            json!({"starts_at": "2999-01-05T00:00:00Z", "ends_at": "2999-01-06T00:00:00Z"}),
            "\"starts_at\" and \"ends_at\" leave the schedule no time to run".to_owned(),
        ),
        (json!({"delete_after_run": 1}), "\"delete_after_run\" must be true or false".to_owned()),
        (
            json!({"await_completion": true}),
            "\"await_completion\" is for an \"assistant_task\" only".to_owned(),
        ),
    ];
    let there = create(&gateway, json!({})).await;
    for (more, sentence) in table {
        for (method, path) in [("POST", JOBS.to_owned()), ("PUT", path(&there, ""))] {
            let said = gateway.call(method, &path, with(&more)).await.problem(400);
            assert!(said.contains(&sentence), "{method} {more} was refused with: {said}");
        }
    }
    assert_eq!(listed(&gateway, "").await, [there]);
}

#[tokio::test]
async fn the_shortest_interval_is_the_operators_and_for_new_schedules_only() {
    let gateway = TestGateway::start_with(&["--allow-private-urls", "--min-every-secs=10"]).await;
    gateway.webhook("ada", "hook").await;
    let short = with(&json!({"schedule": every(9)}));
    let said = gateway.call("POST", JOBS, short.clone()).await.problem(400);
    assert_eq!(said, "\"every_secs\" must be from 10 to 31622400, not 9");
    assert_eq!(gateway.call("POST", PREVIEW, json!({"schedule": every(9)})).await.problem(400), said);
    let made = create(&gateway, json!({"schedule": every(10)})).await;
    assert_eq!(gateway.call("PUT", &path(&made, ""), short.clone()).await.problem(400), said);
    let mut database = gateway.database.connect().await;
    sqlx::query("update cron_jobs set schedule = $1::json")
        .bind(every(9).to_string())
        .execute(&mut database)
        .await
        .unwrap();
    gateway.call("PUT", &path(&made, ""), short).await.expect(200);
}

#[tokio::test]
async fn a_preview_keeps_to_the_bounds() {
    let gateway = started().await;
    let bounds = json!({"schedule": every(3_600), "count": 10, "starts_at": "2999-01-01T00:30:00Z",
                        "ends_at": "2999-01-01T05:00:00Z"});
    let shown = preview(&gateway, bounds.clone()).await;
    let runs = shown["runs"].as_array().unwrap();
    assert_eq!(
        (runs.len(), &runs[0], &runs[4]),
        (5, &json!("2999-01-01T00:30:00Z"), &json!("2999-01-01T04:30:00Z"))
    );
    assert!(shown.get("latest").is_none() && shown["description"].is_string(), "{shown}");
    let mut fewer = bounds;
    fewer["max_runs"] = json!(2);
    fewer["jitter_secs"] = json!(90);
    let shown = preview(&gateway, fewer).await;
    let (runs, latest) = (shown["runs"].as_array().unwrap(), shown["latest"].as_array().unwrap());
    assert_eq!((runs.len(), latest.len()), (2, 2));
    assert_eq!(time(&latest[1]) - time(&runs[1]), TimeDelta::seconds(90));
    let refused = [
        (json!({"schedule": every(60), "ends_at": "2020-01-01T00:00:00Z"}), "\"ends_at\" has passed"),
        (json!({"schedule": every(60), "max_runs": 0}), "\"max_runs\" must be from 1"),
        (json!({"schedule": every(60), "jitter_secs": 3_600}), "\"jitter_secs\" must be less than"),
        (json!({"schedule": every(60), "starts_at": 5}), "\"starts_at\" must be text"),
        (json!({"schedule": every(60), "overlap": "skip"}), "\"overlap\" is not known here"),
        (json!({"schedule": every(60), "count": 51}), "\"count\" must be from 1 to 50"),
    ];
    for (body, sentence) in refused {
        let said = gateway.call("POST", PREVIEW, body).await.problem(400);
        assert!(said.contains(sentence), "{said}");
    }
}
