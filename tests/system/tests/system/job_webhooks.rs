//! The webhooks of jobs through the real binaries: signed with their user's secret, tried again while there is time, given up when
//! the receiver says so, and never posted where they may not go.

use std::time::Duration;

use claw_secrets::signature::Standard;
use claw_system_tests::{Api, Cluster, SECRET, python};
use claw_testkit::{Delivery, Receiver, eventually};
use reqwest::StatusCode;
use serde_json::{Value, json};

/// Long enough for a busy machine.
const SOON: Duration = Duration::from_secs(60);
const JOBS: &str = "/api/users/ada/cron/jobs";

/// A job that posts every second.
pub(crate) fn job(url: &str, more: &Value) -> Value {
    let mut job = json!({"name": "reports", "label": "team", "metadata": {"n": 1},
                         "schedule": {"type": "every", "every_secs": 1},
                         "action": {"type": "webhook", "url": url, "body": {"report": "sales"}}});
    job.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    job
}

pub(crate) async fn create(api: &Api, job: Value) -> String {
    let (status, made) = api.call("POST", JOBS, Some(job)).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    made["id"].as_str().unwrap().to_owned()
}

async fn shown(api: &Api, job: &str) -> Value {
    api.call("GET", &format!("{JOBS}/{job}"), None).await.1
}

/// The runs of a job, oldest first, once the first of them is as wanted.
async fn runs(api: &Api, job: &str, wanted: &str) -> Vec<Value> {
    eventually(&format!("a run that is {wanted}"), SOON, async || {
        let (_, answer) = api.call("GET", &format!("{JOBS}/{job}/history"), None).await;
        let runs: Vec<Value> = answer["runs"].as_array()?.iter().rev().cloned().collect();
        (runs.first()?["status"] == wanted).then_some(runs)
    })
    .await
}

/// As a receiver would; by its own clock, which is the test's.
pub(crate) fn is_genuine(delivery: &Delivery, secret: &str) -> bool {
    let headers = Standard {
        id: delivery.header("webhook-id"),
        time: delivery.header("webhook-timestamp"),
        signatures: delivery.header("webhook-signature"),
    };
    let now = delivery.header("webhook-timestamp").parse().unwrap();
    headers.verify(secret, &delivery.body, now).is_ok()
}

async fn secret(api: &Api) -> String {
    let (status, answer) = api.call("GET", "/api/users/ada/cron/signing-secret", None).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer["secret"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_reaches_its_receiver_every_second_and_nobody_else() {
    let hers = Receiver::start().await;
    let cluster = Cluster::prepare().await.with("II_CLAW_MIN_EVERY_SECS", "1");
    let (_gateway, api) = cluster.gateway().await;
    let _worker = cluster.worker("one", &api.base).await;
    let _scheduler = cluster.scheduler("clock").await;
    let job = create(&api, job(&hers.url(), &json!({}))).await;
    let came = hers.wait_for(2).await;
    let runs = runs(&api, &job, "ok").await;
    let secret = secret(&api).await;
    for delivery in &came {
        assert!(is_genuine(delivery, &secret), "{delivery:?}");
        assert!(!is_genuine(delivery, SECRET), "the backend would believe it");
    }
    let first = came[0].json();
    let (run, sent) = (&runs[0], &runs[0]["sent"]);
    assert_eq!(came[0].header("webhook-id"), run["message_id"]);
    let named = json!({"id": job, "name": "reports", "label": "team", "metadata": {"n": 1}});
    assert_eq!(
        (&first["type"], &first["job"], &first["body"]),
        (&json!("cron.run"), &named, &json!({"report": "sales"}))
    );
    assert_eq!((&first["run"]["id"], &first["run"]["attempt"]), (&run["id"], &json!(1)));
    let time = |run: &Value| {
        run["scheduled_for"].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap()
    };
    assert_eq!(time(&first["run"]), time(run));
    assert_eq!(sent, &json!({"origin": hers.url().trim_end_matches("/hook")}));
    assert!(cluster.receiver.deliveries().is_empty(), "it is no message of the backend's");
    documented(&came[0], &secret).await;
}

/// What the document gives receivers to check with takes it, and takes it only with the right secret.
async fn documented(delivery: &Delivery, secret: &str) {
    let document = include_str!("../../../../docs/webhook.md");
    let mut blocks = document.split("```python\n").skip(1).filter_map(|rest| rest.split("```").next());
    let check = blocks.find(|code| code.contains("webhook-signature")).unwrap();
    let headers: serde_json::Map<String, Value> = ["webhook-id", "webhook-timestamp", "webhook-signature"]
        .map(|name| (name.to_owned(), json!(delivery.header(name))))
        .into_iter()
        .collect();
    let code = format!(
        "{check}\nimport json, os\nbody, headers = os.environ['BODY'].encode(), json.loads(os.environ['HEADERS'])\n\
         print([is_genuine(body, headers, secret) for secret in (os.environ['SECRET'], 'whsec_b3RoZXI=')])"
    );
    let given = [
        ("BODY", String::from_utf8(delivery.body.to_vec()).unwrap()),
        ("HEADERS", json!(headers).to_string()),
        ("SECRET", secret.to_owned()),
    ];
    assert_eq!(python(&["-c", &code], &given).await.trim(), "[True, False]");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_posted_again_while_there_is_time() {
    let hers = Receiver::start().await;
    let cluster = Cluster::prepare().await.with("II_CLAW_MIN_EVERY_SECS", "1");
    let (_gateway, api) = cluster.gateway().await;
    let _worker = cluster.worker("one", &api.base).await;
    let _scheduler = cluster.scheduler("clock").await;
    hers.answer_next([StatusCode::INTERNAL_SERVER_ERROR]);
    let again = create(&api, job(&hers.url(), &json!({"max_runs": 1}))).await;
    let came = hers.wait_for(2).await;
    assert_eq!(came[0].header("webhook-id"), came[1].header("webhook-id"), "the same again");
    assert_eq!(came[0].body, came[1].body);
    let run = &runs(&api, &again, "ok").await[0];
    assert_eq!((&run["attempt"], &run["error_message"]), (&json!(1), &Value::Null));

    hers.answer_next([StatusCode::INTERNAL_SERVER_ERROR; 10]);
    let late = create(&api, job(&hers.url(), &json!({"max_runs": 1, "timeout_secs": 2}))).await;
    let run = &runs(&api, &late, "error").await[0];
    assert_eq!(run["error_message"], r#"it answered 500: {"error":"as told"}"#);
    let dead = format!("/api/users/ada/messages/{}", run["message_id"].as_str().unwrap());
    assert_eq!(api.call("GET", &dead, None).await.1["state"], "dead", "it can be posted once more");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_wants_no_more_gets_no_more() {
    let hers = Receiver::start().await;
    let cluster = Cluster::prepare().await.with("II_CLAW_MIN_EVERY_SECS", "1");
    let (_gateway, api) = cluster.gateway().await;
    let _worker = cluster.worker("one", &api.base).await;
    let _scheduler = cluster.scheduler("clock").await;
    hers.answer_next([StatusCode::GONE]);
    let job = create(&api, job(&hers.url(), &json!({"max_retries": 3}))).await;
    let run = &runs(&api, &job, "error").await[0];
    assert!(run["error_message"].as_str().unwrap().starts_with("it answered 410"), "{run}");
    let off = shown(&api, &job).await;
    assert_eq!((&off["enabled"], &off["next_run_at"]), (&json!(false), &Value::Null));
    assert!(off["paused"].as_str().unwrap().contains("wants no more of it: it answered 410"), "{off}");
}

/// A name may lead elsewhere than when the job was saved: the worker of this cluster may not go where its gateway might.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_leads_home_is_not_called() {
    let hers = Receiver::start().await;
    let cluster = Cluster::prepare().await.with("II_CLAW_MIN_EVERY_SECS", "1");
    let (_gateway, api) = cluster.gateway().await;
    let by_name = hers.url().replace("127.0.0.1", "localhost");
    let job = create(&api, job(&by_name, &json!({"max_runs": 1}))).await;
    let cluster = cluster.with("II_CLAW_ALLOW_PRIVATE_URLS", "false");
    let _worker = cluster.worker("one", &api.base).await;
    let _scheduler = cluster.scheduler("clock").await;
    let run = &runs(&api, &job, "error").await[0];
    assert!(run["error_message"].as_str().unwrap().starts_with("its URL points to a private"), "{run}");
    assert!(hers.deliveries().is_empty());
}

/// The test of a job tells at once what its receiver says.
#[tokio::test(flavor = "multi_thread")]
async fn a_test_waits_for_the_answer() {
    let hers = Receiver::start().await;
    let cluster = Cluster::prepare().await.with("II_CLAW_SEND_WAIT_MS", "2000");
    let (_gateway, api) = cluster.gateway().await;
    let _worker = cluster.worker("one", &api.base).await;
    let daily = json!({"schedule": {"type": "cron", "expr": "0 9 * * *"}});
    let path = format!("{JOBS}/{}/test", create(&api, job(&hers.url(), &daily)).await);
    let (_, tested) = api.call("POST", &path, None).await;
    assert_eq!(
        (&tested["status"], &tested["message"]),
        (&json!("ok"), &json!("its receiver has it")),
        "{tested}"
    );
    assert_eq!(hers.deliveries()[0].json()["run"]["scheduled_for"], Value::Null);
    hers.answer_next([StatusCode::NOT_FOUND; 10]);
    let (_, tested) = api.call("POST", &path, None).await;
    assert_eq!(tested["status"], "error", "{tested}");
    assert_eq!(tested["error"], r#"it answered 404: {"error":"as told"}"#);
}
