//! Runs that go on until somebody says that they are complete: the backend by a call, or by the message that is the answer.

use serde_json::{Value, json};

use crate::common::TestGateway;
use crate::cron::{JOBS, path, started, with};

const HISTORY: &str = "/api/users/ada/cron/history";
const SEND: &str = "/api/users/ada/channels/hook/send";

/// The run of a job that awaits its completion.
async fn begun(gateway: &TestGateway) -> String {
    let delivery = json!({"type": "channel_message", "channel": "webhook", "recipient": 42});
    let action =
        json!({"type": "assistant_task", "agent_id": "research", "context": "look", "delivery": delivery});
    let task = json!({"action": action, "await_completion": true});
    let made = gateway.call("POST", JOBS, with(&task)).await.expect(201);
    let tested = gateway.call("POST", &path(&made, "/test"), Value::Null).await.expect(200);
    assert_eq!(tested["status"], "ok", "its task is stored: {tested}");
    tested["run_id"].as_str().unwrap().to_owned()
}

fn complete(run: &str) -> String {
    format!("/api/users/ada/cron/runs/{run}/complete")
}

async fn shown(gateway: &TestGateway, run: &str) -> Value {
    let history = gateway.call("GET", HISTORY, Value::Null).await.expect(200);
    let runs = history["runs"].as_array().unwrap();
    runs.iter().find(|shown| shown["id"] == run).unwrap().clone()
}

#[tokio::test]
async fn a_call_ends_the_run_and_saying_it_again_is_no_error() {
    let gateway = started().await;
    let run = begun(&gateway).await;
    let going = shown(&gateway, &run).await;
    assert_eq!(
        (&going["status"], &going["finished_at"], &going["attempt"]),
        (&json!("running"), &Value::Null, &json!(1))
    );
    assert!(going["handed_at"].is_null() && going["message_id"].is_string(), "nobody has it yet: {going}");
    let sent =
        json!({"agent_id": "research", "channel": "hook", "channel_type": "webhook", "recipient": "42"});
    assert_eq!((&going["sent"], &going["attempts"]), (&sent, &json!([])));
    let said = json!({"status": "ok", "message": "three reports"});
    let over = gateway.call("POST", &complete(&run), said.clone()).await.expect(200);
    assert_eq!((&over["status"], &over["error_message"]), (&json!("ok"), &Value::Null));
    assert_eq!(over["metadata"], json!({"test": true, "message": "three reports"}));
    assert_eq!(gateway.call("POST", &complete(&run), said).await.expect(200), over);
    let refused = gateway.call("POST", &complete(&run), json!({"status": "error"})).await.problem(409);
    assert_eq!(refused, "the run is over already, and its status is \"ok\"");
    assert_eq!(shown(&gateway, &run).await, over);
}

#[tokio::test]
async fn a_failure_has_its_reason() {
    let gateway = started().await;
    let (one, two) = (begun(&gateway).await, begun(&gateway).await);
    let failed = json!({"status": "error", "message": "no such page"});
    let over = gateway.call("POST", &complete(&one), failed).await.expect(200);
    assert_eq!((&over["status"], &over["error_message"]), (&json!("error"), &json!("no such page")));
    let over =
        gateway.call("POST", &complete(&two), json!({"status": "error", "message": " "})).await.expect(200);
    assert_eq!(over["error_message"], "it was reported as failed, without a reason");
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_and_ends_nothing() {
    let gateway = started().await;
    let run = begun(&gateway).await;
    let table = [
        (json!({}), "\"status\" is required"),
        (json!({"status": "done"}), "\"status\" must be one of: ok, error"),
        (json!({"status": "ok", "result": 1}), "\"result\" is not known here"),
        (json!({"status": "ok", "message": "x".repeat(1_001)}), "at most 1000"),
    ];
    for (body, sentence) in table {
        let said = gateway.call("POST", &complete(&run), body).await.problem(400);
        assert!(said.contains(sentence), "{said}");
    }
    let ok = json!({"status": "ok"});
    gateway.call("POST", &complete("x"), ok.clone()).await.problem(400);
    let unknown = "01a20614-c22d-76db-8d63-8dd1bf95251b";
    assert_eq!(
        gateway.call("POST", &complete(unknown), ok.clone()).await.problem(404),
        "there is no such run"
    );
    let theirs = complete(&run).replace("/ada/", "/eve/");
    gateway.call("POST", &theirs, ok).await.problem(404);
    assert_eq!(shown(&gateway, &run).await["status"], "running");
}

#[tokio::test]
async fn a_send_that_names_the_run_ends_it_once_it_is_accepted() {
    let gateway = started().await;
    let run = begun(&gateway).await;
    let answer = json!({"recipient": "ada", "message": "three reports", "run_id": run});
    let mut refused = answer.clone();
    refused["message"] = Value::Null;
    gateway.call("POST", SEND, refused).await.problem(400);
    assert_eq!(shown(&gateway, &run).await["status"], "running", "nothing was accepted");
    gateway.call("POST", SEND, answer.clone()).await.expect(202);
    let over = shown(&gateway, &run).await;
    assert_eq!((&over["status"], &over["error_message"]), (&json!("ok"), &Value::Null));
    // Over by now, not there, or no id at all: the message goes.
    for run in [run.as_str(), "01a20614-c22d-76db-8d63-8dd1bf95251b", "none", ""] {
        let mut more = answer.clone();
        more["run_id"] = json!(run);
        gateway.call("POST", SEND, more).await.expect(202);
    }
    assert_eq!(shown(&gateway, over["id"].as_str().unwrap()).await, over);
}

#[tokio::test]
async fn what_is_said_too_late_counts_while_the_run_is_to_be_tried_again() {
    let gateway = started().await;
    let run = begun(&gateway).await;
    let mut database = gateway.database.connect().await;
    let late = "update cron_runs set status = 'timeout', finished_at = now()";
    sqlx::query(late).execute(&mut database).await.unwrap();
    let ok = json!({"status": "ok"});
    let refused = gateway.call("POST", &complete(&run), ok.clone()).await.problem(409);
    assert_eq!(refused, "the run is over already, and its status is \"timeout\"");
    let again =
        "insert into timers (id, user_id, kind, due_at) select id, user_id, 'retry', now() from cron_runs";
    sqlx::query(again).execute(&mut database).await.unwrap();
    gateway.call("POST", &complete(&run), json!({"status": "error"})).await.problem(409);
    assert_eq!(gateway.call("POST", &complete(&run), ok).await.expect(200)["status"], "ok");
}
