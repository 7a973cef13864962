//! Tasks that are complete when somebody says so, and those that wait for their backend, through the real binaries: the agent is given none
//! twice that it has, or is going to have.

use chrono::{DateTime, TimeDelta, Utc};
use claw_system_tests::{Api, Cluster, token};
use claw_testkit::{Receiver, eventually};
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::jobs::{SOON, create, history, task};

/// Runs once, and is over when its agent has answered.
fn report(max_retries: u32) -> Value {
    let mut body = task("report", 1);
    body["await_completion"] = json!(true);
    body["max_runs"] = json!(1);
    body["max_retries"] = json!(max_retries);
    body
}

/// A job's first run, as soon as it is like that.
async fn first_run(api: &Api, job: &str, what: &str, like: impl Fn(&Value) -> bool) -> Value {
    eventually(what, SOON, async || history(api, job).await.into_iter().next().filter(&like)).await
}

/// A channel through which the agent answers, and who sees it.
async fn person(api: &Api) -> Receiver {
    let platform = Receiver::start().await;
    let fields = json!({"secret_env": token(16), "callback_url": platform.url()});
    api.configure("ada", "hook", "webhook", fields).await;
    api.wait_for_status("ada", "hook", "running").await;
    platform
}

/// The agent's answer, which names the run.
async fn answer(api: &Api, run: &Value) {
    let body = json!({"recipient": "room", "message": "three reports", "run_id": run["id"]});
    let (status, answer) = api.call("POST", "/api/users/ada/channels/hook/send", Some(body)).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
}

async fn write(cluster: &Cluster, sql: &'static str) {
    sqlx::query(sql).execute(&mut cluster.database.connect().await).await.unwrap();
}

/// Waits until so many timers of this kind are there; of any kind, for `%`.
async fn timers(cluster: &Cluster, kind: &str, count: i64) {
    eventually(&format!("{count} timers like {kind}"), SOON, async || {
        let found: i64 = sqlx::query_scalar("select count(*) from timers where kind like $1")
            .bind(kind)
            .fetch_one(&mut cluster.database.connect().await)
            .await
            .unwrap();
        (found == count).then_some(())
    })
    .await;
}

/// The time of the run that goes on is up; returns once it is to be tried again.
async fn time_is_up(cluster: &Cluster) {
    write(cluster, "update cron_runs set deadline_at = now() where status = 'running'").await;
    timers(cluster, "retry", 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_names_the_run_completes_it() {
    let cluster = Cluster::prepare().await.with("II_CLAW_MIN_EVERY_SECS", "1");
    let (_gateway, api) = cluster.gateway().await;
    let _worker = cluster.worker("one", &api.base).await;
    let _scheduler = cluster.scheduler("clock").await;
    let person = person(&api).await;
    let job = create(&api, report(0)).await;
    let came = cluster.receiver.wait_for(1).await.remove(0).json();
    let handed = |run: &Value| run["handed_at"].is_string();
    let going = first_run(&api, &job, "the task to be handed over", handed).await;
    assert_eq!((&going["status"], &going["finished_at"]), (&json!("running"), &Value::Null));
    assert_eq!(came["metadata"]["run_id"], going["id"]);
    answer(&api, &going).await;
    let over = first_run(&api, &job, "the run to be over", |run| run["status"] != "running").await;
    assert_eq!((&over["status"], &over["error_message"]), (&json!("ok"), &Value::Null));
    assert_eq!((person.deliveries().len(), cluster.receiver.deliveries().len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_nobody_answers_is_handed_over_again_until_an_answer_comes_late() {
    let cluster = Cluster::prepare().await.with("II_CLAW_MIN_EVERY_SECS", "1");
    let (_gateway, api) = cluster.gateway().await;
    let _worker = cluster.worker("one", &api.base).await;
    let _scheduler = cluster.scheduler("clock").await;
    let person = person(&api).await;
    let job = create(&api, report(2)).await;
    let handed = |attempt: u32| move |run: &Value| run["attempt"] == attempt && run["handed_at"].is_string();
    let first = first_run(&api, &job, "the first attempt", handed(1)).await;
    time_is_up(&cluster).await;
    let late = first_run(&api, &job, "its time-out", |run| run["status"] == "timeout").await;
    assert_eq!(late["error_message"], "nobody said in time that it is complete");
    write(&cluster, "update timers set due_at = now() where kind = 'retry'").await;
    let second = first_run(&api, &job, "the second attempt", handed(2)).await;
    assert_eq!(second["id"], first["id"]);
    assert_ne!(second["message_id"], first["message_id"]);

    time_is_up(&cluster).await;
    answer(&api, &first).await;
    let over = first_run(&api, &job, "the run to be over", |run| run["status"] == "ok").await;
    assert_eq!((&over["attempt"], &over["error_message"]), (&json!(2), &Value::Null));
    // Nothing is left that would hand it over again.
    timers(&cluster, "%", 0).await;
    assert_eq!((person.deliveries().len(), cluster.receiver.deliveries().len()), (1, 2));
    let (_, shown) = api.call("GET", &format!("/api/users/ada/cron/jobs/{job}"), None).await;
    assert_eq!(shown["failures"], 0, "{shown}");
}

/// The backend may be away for longer than a run may take, and would find a task for each of the job's times.
#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_still_waits_is_not_followed_by_others_where_none_may_overlap() {
    let cluster = Cluster::prepare().await.with("II_CLAW_MIN_EVERY_SECS", "1");
    let (_gateway, api) = cluster.gateway().await;
    let _scheduler = cluster.scheduler("clock").await;
    let mut body = task("rounds", 1);
    body["overlap"] = json!("skip");
    body["timeout_secs"] = json!(1);
    let job = create(&api, body).await;
    // Nobody hands it over.
    let first = first_run(&api, &job, "its time-out", |run| run["status"] == "timeout").await;
    let ended: DateTime<Utc> = first["finished_at"].as_str().unwrap().parse().unwrap();
    let path = format!("/api/users/ada/cron/jobs/{job}");
    eventually("times to be passed over", SOON, async || {
        let (_, shown) = api.call("GET", &path, None).await;
        let next: DateTime<Utc> = shown["next_run_at"].as_str()?.parse().ok()?;
        (next > ended + TimeDelta::seconds(5)).then_some(())
    })
    .await;
    let runs = history(&api, &job).await;
    assert_eq!(runs.len(), 1, "{runs:?}");
    let _worker = cluster.worker("one", &api.base).await;
    let came = cluster.receiver.wait_for(2).await;
    let runs = history(&api, &job).await;
    let of: Vec<Value> = came.iter().map(|task| task.json()["metadata"]["run_id"].clone()).collect();
    assert_eq!(
        of[..2],
        [runs[0]["id"].clone(), runs[1]["id"].clone()],
        "it arrives once, and the job goes on"
    );
}
