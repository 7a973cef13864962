//! Jobs at their times, through the real binaries: to people and to the agent, each time once, whoever leads.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use claw_system_tests::{Api, Cluster};
use claw_testkit::{Platform, eventually};
use reqwest::StatusCode;
use serde_json::{Value, json};

/// Long enough for a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(60);

pub(crate) async fn create(api: &Api, body: Value) -> String {
    let (status, job) = api.call("POST", "/api/users/ada/cron/jobs", Some(body)).await;
    assert_eq!(status, StatusCode::CREATED, "{job}");
    job["id"].as_str().unwrap().to_owned()
}

pub(crate) fn task(name: &str, every: u32) -> Value {
    json!({"name": name, "schedule": {"type": "every", "every_secs": every},
           "action": {"type": "assistant_task", "agent_id": "research", "context": "look around"}})
}

/// A job's runs, oldest first.
pub(crate) async fn history(api: &Api, job: &str) -> Vec<Value> {
    let path = format!("/api/users/ada/cron/jobs/{job}/history?limit=200");
    let (_, answer) = api.call("GET", &path, None).await;
    answer["runs"].as_array().unwrap().iter().rev().cloned().collect()
}

async fn switch_off(api: &Api, job: &str) {
    let path = format!("/api/users/ada/cron/jobs/{job}/enable");
    let (status, answer) = api.call("PUT", &path, Some(json!({"enabled": false}))).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
}

/// The runs of a job that was switched off, all of them over.
async fn all_over(api: &Api, job: &str) -> Vec<Value> {
    eventually("all runs to be over", SOON, async || {
        let runs = history(api, job).await;
        runs.iter().all(|run| run["status"] != "running").then_some(runs)
    })
    .await
}

/// When a run was to be and when it began, in milliseconds after it.
fn time_of(run: &Value) -> (DateTime<Utc>, i64) {
    let time = |key: &str| run[key].as_str().unwrap().parse::<DateTime<Utc>>().unwrap();
    let scheduled = time("scheduled_for");
    (scheduled, (time("started_at") - scheduled).num_milliseconds())
}

/// That the runs of a job of every second are for one second after the other, none left out and none twice.
fn assert_each_second(runs: &[Value]) {
    let times: Vec<DateTime<Utc>> = runs.iter().map(|run| time_of(run).0).collect();
    for pair in times.windows(2) {
        assert_eq!((pair[1] - pair[0]).num_milliseconds(), 1_000, "{times:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_reaches_its_person_every_second() {
    let platform = Platform::start().await;
    let cluster = Cluster::prepare().await.with("II_CLAW_MIN_EVERY_SECS", "1");
    let (_gateway, api) = cluster.gateway().await;
    let _worker = cluster.worker("one", &api.base).await;
    let _scheduler = cluster.scheduler("clock").await;
    let fields = json!({"bot_token_env": platform.bot(1), "api_url": platform.url()});
    api.configure("ada", "bot", "telegram", fields).await;
    api.wait_for_status("ada", "bot", "running").await;
    let action =
        json!({"type": "channel_message", "channel": "telegram", "recipient": 1001, "message": "hello"});
    let schedule = json!({"type": "every", "every_secs": 1});
    let job = create(&api, json!({"name": "hello", "schedule": schedule, "action": action})).await;
    let arrived = eventually("three messages", SOON, async || {
        let sent = platform.sent();
        (sent.len() >= 3).then_some(sent)
    });
    assert!(arrived.await.iter().all(|sent| sent.text == "hello"));
    switch_off(&api, &job).await;
    let runs = all_over(&api, &job).await;
    assert!(runs.iter().all(|run| run["status"] == "ok" && run["message_id"].is_string()), "{runs:?}");
    assert_each_second(&runs);
    assert_eq!(platform.sent().len(), runs.len(), "one message for each run");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_reaches_the_agent_and_tells_where_its_answer_belongs() {
    let cluster = Cluster::prepare().await.with("II_CLAW_MIN_EVERY_SECS", "1");
    let (_gateway, api) = cluster.gateway().await;
    let _worker = cluster.worker("one", &api.base).await;
    let _scheduler = cluster.scheduler("clock").await;
    api.configure("ada", "page", "webchat", json!({})).await;
    let mut body = task("daily", 1);
    let recipient = "0f8b1c2d3e4f5a6b7c8d9e0f1a2b3c4d";
    body["action"]["delivery"] =
        json!({"type": "channel_message", "channel": "page", "recipient": recipient});
    let job = create(&api, body).await;
    let came = cluster.receiver.wait_for(1).await.remove(0).json();
    assert_eq!((&came["text"], &came["agent_id"]), (&json!("look around"), &json!("research")));
    assert_eq!((&came["channel"], &came["instance_name"]), (&json!("webchat"), &json!("page")));
    assert_eq!(came["reply_to"], json!({"channel": "webchat", "recipient": recipient}));
    assert!(came["sender"].is_null());
    switch_off(&api, &job).await;
    let runs = all_over(&api, &job).await;
    let (metadata, first) = (&came["metadata"], &runs[0]);
    assert_eq!((&metadata["job_id"], &metadata["job_name"]), (&json!(job), &json!("daily")));
    assert_eq!((&metadata["run_id"], &metadata["source"]), (&first["id"], &json!("cron")));
    assert_eq!(metadata["scheduled_for"].as_str().unwrap().parse(), Ok(time_of(first).0));
    assert!(runs.iter().all(|run| run["status"] == "ok"), "{runs:?}");
    assert_eq!(cluster.receiver.deliveries().len(), runs.len(), "one task for each run");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wake_up_reaches_the_agent_as_any_other_does() {
    let cluster = Cluster::prepare().await.with("II_CLAW_MIN_EVERY_SECS", "1");
    let (_gateway, api) = cluster.gateway().await;
    let _worker = cluster.worker("one", &api.base).await;
    let _scheduler = cluster.scheduler("clock").await;
    let mut body = task("rounds", 1);
    body["action"] = json!({"type": "hook", "text": "look around", "metadata": {"floor": 3}});
    let job = create(&api, body).await;
    let came = cluster.receiver.wait_for(1).await.remove(0).json();
    switch_off(&api, &job).await;
    let runs = all_over(&api, &job).await;
    let first = &runs[0];
    let metadata = json!({"source": "wake", "chat_id": "hook:wake:ada", "floor": 3, "job_id": job, "job_name": "rounds",
                          "run_id": first["id"], "scheduled_for": came["metadata"]["scheduled_for"]});
    assert_eq!((&came["text"], &came["metadata"]), (&json!("look around"), &metadata));
    assert_eq!(came["metadata"]["scheduled_for"].as_str().unwrap().parse(), Ok(time_of(first).0));
    assert!(runs.iter().all(|run| run["status"] == "ok" && run["handed_at"].is_string()), "{runs:?}");
    assert_eq!(cluster.receiver.deliveries().len(), runs.len(), "one wake-up for each run");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_that_is_off_or_gone_is_a_failed_run_that_says_so() {
    let cluster = Cluster::prepare().await.with("II_CLAW_MIN_EVERY_SECS", "1");
    let (_gateway, api) = cluster.gateway().await;
    let _scheduler = cluster.scheduler("clock").await;
    api.configure("ada", "page", "webchat", json!({})).await;
    let (status, answer) =
        api.call("PUT", "/api/users/ada/channels/page", Some(json!({"enabled": false}))).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let action = json!({"type": "channel_message", "channel": "page", "recipient": "0f8b1c2d3e4f5a6b7c8d9e0f1a2b3c4d",
                        "message": "hello"});
    let schedule = json!({"type": "every", "every_secs": 1});
    let job = create(&api, json!({"name": "hello", "schedule": schedule, "action": action})).await;
    let says = async |text: &str| {
        eventually(text, SOON, async || {
            let runs = history(&api, &job).await;
            let says = |run: &Value| run["error_message"].as_str().is_some_and(|error| error.contains(text));
            runs.iter().any(|run| run["status"] == "error" && says(run)).then_some(())
        })
        .await;
    };
    says("switched off").await;
    let (status, answer) = api.call("DELETE", "/api/users/ada/channels/page", None).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    says("no channel \"page\"").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_owns_a_job_that_goes_on_failing_is_told_once_and_the_job_is_paused() {
    let platform = Platform::start().await;
    let cluster = Cluster::prepare().await.with("II_CLAW_MIN_EVERY_SECS", "1");
    let (_gateway, api) = cluster.gateway().await;
    let _worker = cluster.worker("one", &api.base).await;
    let _scheduler = cluster.scheduler("clock").await;
    let fields = json!({"bot_token_env": platform.bot(1), "api_url": platform.url()});
    api.configure("ada", "bot", "telegram", fields).await;
    api.configure("ada", "page", "webchat", json!({})).await;
    let settings = json!({"pause_after": 5, "alerts": {"channel": "bot", "recipient": 1001}});
    let (status, answer) = api.call("PUT", "/api/users/ada/settings", Some(settings)).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let action = json!({"type": "channel_message", "channel": "page", "recipient": "0f8b1c2d3e4f5a6b7c8d9e0f1a2b3c4d",
                        "message": "hello"});
    let schedule = json!({"type": "every", "every_secs": 1});
    let job = create(&api, json!({"name": "*hello*", "schedule": schedule, "action": action})).await;
    api.call("DELETE", "/api/users/ada/channels/page", None).await;

    let path = format!("/api/users/ada/cron/jobs/{job}");
    let paused = eventually("the job to be paused", SOON, async || {
        let (_, job) = api.call("GET", &path, None).await;
        job["paused"].is_string().then_some(job)
    });
    let paused = paused.await;
    let told = eventually("both messages", SOON, async || {
        let sent = platform.sent();
        (sent.len() >= 2).then_some(sent)
    });
    let told: Vec<String> = told.await.into_iter().map(|sent| sent.text).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told[0].contains("\"*hello*\" fails: it has failed 3 times in a row, the first time at"),
        "{told:?}"
    );
    assert!(told[1].contains("\"*hello*\" was paused: it has failed 5 times in a row"), "{told:?}");
    assert!(told.iter().all(|text| text.contains("no channel \"page\"")), "{told:?}");
    assert_eq!((&paused["enabled"], &paused["next_run_at"]), (&json!(false), &Value::Null));
    assert_eq!(history(&api, &job).await.len(), 5, "nothing runs after it");
    let timers: i64 = sqlx::query_scalar("select count(*) from timers")
        .fetch_one(&mut cluster.database.connect().await)
        .await
        .unwrap();
    assert_eq!(timers, 0, "nor is anything left that would run");

    let enabled = api.call("PUT", &format!("{path}/enable"), Some(json!({"enabled": true}))).await.1;
    assert_eq!((&enabled["failures"], &enabled["paused"]), (&json!(0), &Value::Null));
    eventually("the next series to be told", SOON, async || (platform.sent().len() >= 3).then_some(())).await;
}

/// The leader is killed again and again; what it left is taken over, and no time is left out or done twice.
#[tokio::test(flavor = "multi_thread")]
async fn each_time_is_done_once_when_leaders_are_killed() {
    let cluster = Cluster::prepare().await.with("II_CLAW_MIN_EVERY_SECS", "1");
    let (_gateway, api) = cluster.gateway().await;
    let _worker = cluster.worker("one", &api.base).await;
    let mut jobs = Vec::new();
    for n in 0..20 {
        jobs.push(create(&api, task(&format!("job {n}"), 1)).await);
    }
    // What nobody led for is made up for.
    let all = r#"update cron_jobs set options = '{"misfire":"all","misfire_limit":100}'"#;
    sqlx::query(all).execute(&mut cluster.database.connect().await).await.unwrap();
    let (mut leader, _) = cluster.scheduler("clock-0").await;
    leader.wait_for_line("elected").await;
    for round in 1..=3 {
        let (mut next, _) = cluster.scheduler(&format!("clock-{round}")).await;
        let before = cluster.receiver.deliveries().len();
        cluster.receiver.wait_for(before + 30).await;
        leader.kill().await;
        next.wait_for_line("elected").await;
        leader = next;
    }
    let mut runs = BTreeMap::new();
    for job in &jobs {
        switch_off(&api, job).await;
        let all = all_over(&api, job).await;
        assert_each_second(&all);
        assert!(all.iter().all(|run| run["status"] == "ok"), "{all:?}");
        let late = all.iter().map(|run| time_of(run).1).max().unwrap();
        assert!(late < 10_000, "{late} ms late");
        runs.extend(all.iter().map(|run| (run["id"].as_str().unwrap().to_owned(), 0)));
    }
    eventually("the backend to have them all", SOON, async || {
        (cluster.receiver.deliveries().len() >= runs.len()).then_some(())
    })
    .await;
    for delivery in cluster.receiver.deliveries() {
        let body = delivery.json();
        *runs.get_mut(body["metadata"]["run_id"].as_str().unwrap()).expect("a run that is known") += 1;
    }
    assert!(runs.values().all(|times| *times == 1), "each once: {runs:?}");
}
