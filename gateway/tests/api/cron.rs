//! Scheduled jobs: kept as they were sent, refused when they make no sense, and run on request.

use std::time::Duration;

use claw_types::{Direction, Outbound};
use serde_json::{Value, json};

use crate::common::{Answer, KEY, TestGateway, read};

pub const JOBS: &str = "/api/users/ada/cron/jobs";
const HISTORY: &str = "/api/users/ada/cron/history";
const UNKNOWN: &str = "/api/users/ada/cron/jobs/01a20614-c22d-76db-8d63-8dd1bf95251b";

/// What the front end sends.
pub fn job() -> Value {
    json!({"name": "Morning", "schedule": {"type": "cron", "expr": "0 9 * * 1-5", "tz": "America/New_York"},
           "action": {"type": "channel_message", "channel": "hook", "recipient": "ada", "message": "Good morning"},
           "one_shot": false, "label": "daily", "channel_type": {"platform": "webhook"}, "metadata": {"n": [1, null]}})
}

pub fn with(more: &Value) -> Value {
    let mut body = job();
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    body
}

pub async fn started() -> TestGateway {
    let gateway = TestGateway::start().await;
    gateway.webhook("ada", "hook").await;
    gateway
}

pub async fn create(gateway: &TestGateway, more: Value) -> Value {
    gateway.call("POST", JOBS, with(&more)).await.expect(201)
}

pub fn path(job: &Value, action: &str) -> String {
    format!("{JOBS}/{}{action}", job["id"].as_str().unwrap())
}

pub async fn listed(gateway: &TestGateway, query: &str) -> Vec<Value> {
    let answer = gateway.call("GET", &format!("{JOBS}{query}"), Value::Null).await.expect(200);
    answer["jobs"].as_array().unwrap().clone()
}

async fn test(gateway: &TestGateway, job: &Value) -> Value {
    gateway.call("POST", &path(job, "/test"), Value::Null).await.expect(200)
}

async fn runs(gateway: &TestGateway, path: &str) -> Vec<Value> {
    let answer = gateway.call("GET", path, Value::Null).await.expect(200);
    answer["runs"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_job_is_shown_as_it_was_sent() {
    let gateway = started().await;
    let made = create(&gateway, json!({})).await;
    for key in ["name", "schedule", "action", "one_shot", "label", "channel_type", "metadata"] {
        assert_eq!(made[key], job()[key], "{key}");
    }
    assert_eq!(
        (&made["schedule_type"], &made["action_type"], &made["enabled"]),
        (&json!("cron"), &json!("channel_message"), &json!(true))
    );
    assert!(made["next_run_at"].is_string() && made["created_at"] == made["updated_at"], "{made}");
    let bare =
        create(&gateway, json!({"label": null, "channel_type": null, "metadata": null, "one_shot": null}))
            .await;
    assert_eq!(
        (&bare["label"], &bare["channel_type"], &bare["metadata"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    assert_eq!(gateway.call("GET", &path(&made, ""), Value::Null).await.expect(200), made);
    assert_eq!(listed(&gateway, "").await, [made.clone(), bare]);
    assert_eq!(listed(&gateway, "?label=daily").await, [made]);
    assert!(listed(&gateway, "?label=weekly").await.is_empty());
    gateway.call("GET", &format!("{JOBS}?lable=x"), Value::Null).await.problem(400);
}

#[tokio::test]
async fn a_list_is_searched_and_filtered() {
    let gateway = started().await;
    let morning = create(&gateway, json!({})).await;
    let task = json!({"type": "assistant_task", "context": "look"});
    let evening = json!({"name": "Evening", "label": "Late", "enabled": false, "action": task});
    let evening = create(&gateway, evening).await;
    for (query, found) in [
        ("?q=MORN", vec![&morning]),
        ("?q=late", vec![&evening]),
        ("?q=ning", vec![&morning, &evening]),
        ("?q=", vec![&morning, &evening]),
        ("?q=nothing", vec![]),
        ("?enabled=true", vec![&morning]),
        ("?enabled=false&q=evening", vec![&evening]),
        ("?action_type=assistant_task", vec![&evening]),
        ("?action_type=channel_message&label=Late", vec![]),
    ] {
        assert_eq!(listed(&gateway, query).await.iter().collect::<Vec<_>>(), found, "{query}");
    }
    for (query, sentence) in [
        ("?enabled=maybe", "\"enabled\" must be true or false"),
        ("?action_type=shell", "\"action_type\" must be one of: channel_message, assistant_task"),
        ("?q=a%00", "control character"),
    ] {
        let said = gateway.call("GET", &format!("{JOBS}{query}"), Value::Null).await.problem(400);
        assert!(said.contains(sentence), "{query}: {said}");
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_with_a_sentence_and_not_stored() {
    let gateway = started().await;
    let message = |more: Value| {
        let mut action = job()["action"].clone();
        action.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"action": action})
    };
    let task = |more: Value| {
        let mut action = json!({"type": "assistant_task", "agent_id": "research", "context": "look"});
        action.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"action": action})
    };
    let table = [
        (json!({"name": null}), "\"name\" is required"),
        (json!({"name": " "}), "\"name\" is empty"),
        (json!({"name": "x".repeat(201)}), "at most 200"),
        (json!({"name": "a\0"}), "control character"),
        (json!({"label": "x".repeat(201)}), "at most 200"),
        (json!({"label": "a\0"}), "control character"),
        (json!({"label": 5}), "\"label\" must be text"),
        (json!({"nope": 1}), "the key \"nope\" is not known here"),
        (json!({"one_shot": "maybe"}), "\"one_shot\" must be true or false"),
        (json!({"channel_type": "slack"}), "\"channel_type\" must be an object"),
        (json!({"channel_type": {"platform": "x".repeat(5_000)}}), "at most 4096"),
        (json!({"metadata": [1]}), "\"metadata\" must be an object"),
        (json!({"metadata": {"a": "x".repeat(20_000)}}), "at most 16384"),
        (json!({"schedule": "daily"}), "\"schedule\" must be an object"),
        (json!({"schedule": null}), "\"schedule\" is required"),
        (json!({"schedule": {}}), "\"type\" of the schedule"),
        (json!({"schedule": {"type": "every", "every_secs": 0}}), "\"every_secs\" must be from 60"),
        (json!({"schedule": {"type": "every", "every_secs": 59}}), "\"every_secs\" must be from 60"),
        (json!({"schedule": {"type": "every", "every_secs": 5, "expr": "x"}}), "\"expr\" does not exist"),
        (json!({"schedule": {"type": "cron", "expr": "0 9 * *"}}), "five fields"),
        (json!({"schedule": {"type": "cron", "expr": "0 0 30 2 *"}}), "never comes true"),
        (json!({"schedule": {"type": "cron", "expr": "0 9 * * *", "tz": "Mars"}}), "\"Mars\""),
        (json!({"schedule": {"type": "at", "at": "2020-01-01T00:00:00Z"}}), "\"at\" has passed"),
        (json!({"schedule": {"type": "at", "at": "tomorrow"}}), "\"at\" must be a time"),
        (
            json!({"schedule": {"type": "at", "at": format!("2999-01-01T00:00:00Z{}", " ".repeat(5_000))}}),
            "at most 4096",
        ),
        (json!({"action": null}), "\"action\" is required"),
        (json!({"action": {}}), "\"action.type\" must be one of: channel_message, assistant_task"),
        (message(json!({"type": "shell"})), "\"action.type\" must be one of"),
        (
            message(json!({"thread": 1})),
            "the key \"action.thread\" is not known here; the keys are: type, channel",
        ),
        (
            message(json!({"channel": "nobody"})),
            "no channel \"nobody\": name one of those that are there: hook",
        ),
        (message(json!({"channel": ""})), "\"action.channel\" is empty"),
        (message(json!({"channel": 5})), "\"action.channel\" must be text"),
        (message(json!({"recipient": " "})), "\"action.recipient\" is empty"),
        (message(json!({"recipient": true})), "\"action.recipient\" must be text or a whole number"),
        (message(json!({"recipient": "a\0"})), "control character"),
        (message(json!({"message": "\n"})), "\"action.message\" is empty"),
        (message(json!({"message": null})), "\"action.message\" is required"),
        (message(json!({"message": "x".repeat(20_001)})), "at most 20000"),
        (task(json!({"context": null})), "\"action.context\" is required"),
        (task(json!({"agent_id": ["a"]})), "\"action.agent_id\" must be text"),
        (task(json!({"delivery": {"channel": "hook"}})), "\"action.delivery.recipient\" is required"),
        (task(json!({"delivery": {"channel": "x", "recipient": 5}})), "the user has no channel \"x\""),
        (
            task(json!({"delivery": {"type": "mail", "channel": "hook", "recipient": 5}})),
            "\"action.delivery.type\"",
        ),
        (
            task(json!({"delivery": {"channel": "hook", "recipient": 5, "to": 1}})),
            "\"action.delivery.to\" is not known",
        ),
    ];
    let there = create(&gateway, json!({})).await;
    for (more, sentence) in table {
        for (method, path) in [("POST", JOBS.to_owned()), ("PUT", path(&there, ""))] {
            let said = gateway.call(method, &path, with(&more)).await.problem(400);
            assert!(said.contains(sentence), "{method} {more} was refused with: {said}");
        }
    }
    assert_eq!(listed(&gateway, "").await, [there]);
}

#[tokio::test]
async fn the_front_ends_presets_have_a_next_time() {
    let gateway = started().await;
    for expr in ["0 17 * * 5#L", "0 9,18 * * *", "0 */6 * * *", "0 9 1 1,4,7,10 *", "*/5 * * * *"] {
        let made = create(&gateway, json!({"schedule": {"type": "cron", "expr": expr}})).await;
        assert!(made["next_run_at"].is_string(), "{made}");
        assert_eq!(made["schedule"], json!({"type": "cron", "expr": expr}));
    }
    let once = create(&gateway, json!({"schedule": {"type": "at", "at": "2999-01-01T00:00:00.000Z"}})).await;
    assert_eq!((&once["one_shot"], &once["next_run_at"]), (&json!(true), &json!("2999-01-01T00:00:00Z")));
}

#[tokio::test]
async fn a_put_replaces_all_but_what_is_on_stays_on() {
    let gateway = started().await;
    let made = create(&gateway, json!({})).await;
    let body = json!({"name": "Evening", "schedule": {"type": "every", "every_secs": "300"}, "enabled": "false",
                      "action": {"type": "assistant_task", "context": "look"}});
    let put = gateway.call("PUT", &path(&made, ""), body.clone()).await.expect(200);
    assert_eq!(
        (&put["id"], &put["created_at"], &put["name"]),
        (&made["id"], &made["created_at"], &json!("Evening"))
    );
    assert_eq!(
        (&put["label"], &put["metadata"], &put["channel_type"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    assert_eq!((&put["enabled"], &put["next_run_at"]), (&json!(false), &Value::Null));
    let mut kept = body;
    kept.as_object_mut().unwrap().remove("enabled");
    let put = gateway.call("PUT", &path(&made, ""), kept).await.expect(200);
    assert_eq!(put["enabled"], json!(false));
    assert_eq!(listed(&gateway, "").await, [put]);
}

#[tokio::test]
async fn a_job_is_switched_and_deleted() {
    let gateway = started().await;
    let made = create(&gateway, json!({})).await;
    let enable = path(&made, "/enable");
    let off = gateway.call("PUT", &enable, json!({"enabled": false})).await.expect(200);
    assert_eq!((&off["enabled"], &off["next_run_at"]), (&json!(false), &Value::Null));
    let on = gateway.call("PUT", &enable, json!({"enabled": "true"})).await.expect(200);
    assert_eq!((&on["enabled"], &on["next_run_at"]), (&json!(true), &made["next_run_at"]));
    for wrong in
        [json!({}), json!({"enabled": null}), json!({"enabled": "maybe"}), json!({"enabled": true, "x": 1})]
    {
        gateway.call("PUT", &enable, wrong).await.problem(400);
    }
    let mut database = gateway.database.connect().await;
    sqlx::query("update cron_jobs set enabled = false, schedule = '{\"type\":\"at\",\"at\":\"2020-01-01T00:00:00Z\"}'")
        .execute(&mut database)
        .await
        .unwrap();
    let said = gateway.call("PUT", &enable, json!({"enabled": true})).await.problem(409);
    assert!(said.starts_with("the job would never run"), "{said}");
    let gone = gateway.call("DELETE", &path(&made, ""), Value::Null).await.expect(200);
    assert_eq!((&gone["status"], &gone["id"]), (&json!("deleted"), &made["id"]));
    assert!(listed(&gateway, "").await.is_empty());
    gateway.call("DELETE", &path(&made, ""), Value::Null).await.problem(404);
}

#[tokio::test]
async fn a_job_that_is_not_there_is_404_and_a_strangers_is_not_there() {
    let gateway = started().await;
    let made = create(&gateway, json!({})).await;
    let theirs = path(&made, "").replace("/ada/", "/eve/");
    for path in [UNKNOWN, &theirs] {
        let calls = [
            (
                "PUT",
                String::new(),
                json!({"name": "x", "schedule": {"type": "every", "every_secs": 5},
                                          "action": {"type": "assistant_task", "context": "x"}}),
            ),
            ("GET", String::new(), Value::Null),
            ("PUT", "/enable".to_owned(), json!({"enabled": true})),
            ("DELETE", String::new(), Value::Null),
            ("POST", "/test".to_owned(), Value::Null),
            ("GET", "/history".to_owned(), Value::Null),
        ];
        for (method, action, body) in calls {
            gateway.call(method, &format!("{path}{action}"), body).await.problem(404);
        }
    }
    gateway.call("DELETE", &format!("{JOBS}/x"), Value::Null).await.problem(400);
    assert!(runs(&gateway, "/api/users/eve/cron/history").await.is_empty());
    assert_eq!(listed(&gateway, "").await, [made]);
}

#[tokio::test]
async fn the_same_idempotency_key_makes_one_job() {
    let gateway = started().await;
    let call = async |body: Value| -> Answer {
        read(gateway.request("POST", JOBS).bearer_auth(KEY).header("idempotency-key", "k").json(&body)).await
    };
    let refused = with(
        &json!({"action": {"type": "channel_message", "channel": "no", "recipient": 1, "message": "x"}}),
    );
    call(refused).await.problem(400);
    let first = call(job()).await.expect(201);
    // Whatever became of the channel: the answer is the first one's.
    gateway.call("DELETE", "/api/users/ada/channels/hook", Value::Null).await.expect(200);
    let again = call(job()).await.expect(200);
    assert_eq!((&again["id"], &again["duplicate"]), (&first["id"], &json!(true)));
    call(with(&json!({"name": "Other"}))).await.problem(422);
    assert_eq!(listed(&gateway, "").await.len(), 1);
    gateway.call("DELETE", &path(&first, ""), Value::Null).await.expect(200);
    call(job()).await.problem(409);
}

#[tokio::test]
async fn a_test_sends_the_message_even_when_the_job_is_off() {
    let gateway = started().await;
    let made = create(&gateway, json!({"enabled": false})).await;
    let tested = test(&gateway, &made).await;
    assert_eq!(
        (&tested["status"], &tested["id"], &tested["enabled"]),
        (&json!("ok"), &made["id"], &json!(false))
    );
    assert_eq!((&tested["name"], &tested["action_type"]), (&json!("Morning"), &json!("channel_message")));
    assert_eq!(tested["message"], "the message is stored and will be sent");
    assert!(tested.get("error").is_none());
    let stored = gateway.pending().await;
    assert_eq!(
        (stored.len(), stored[0].direction, json!(stored[0].id)),
        (1, Direction::Out, tested["message_id"].clone())
    );
    let message: Outbound = serde_json::from_str(stored[0].payload.get()).unwrap();
    assert_eq!((message.recipient.as_str(), message.text.as_deref()), ("ada", Some("Good morning")));
    let all = runs(&gateway, HISTORY).await;
    assert_eq!(runs(&gateway, &path(&made, "/history")).await, all);
    let run = &all[0];
    assert_eq!(
        (&run["id"], &run["job_id"], &run["status"]),
        (&tested["run_id"], &made["id"], &json!("running"))
    );
    assert_eq!(
        (&run["message_id"], &run["handed_at"]),
        (&tested["message_id"], &Value::Null),
        "nobody has it"
    );
    assert_eq!((&run["metadata"], &run["error_message"]), (&json!({"test": true}), &Value::Null));
    assert_eq!(run["sent"], json!({"channel": "hook", "channel_type": "webhook", "recipient": "ada"}));
    assert_eq!((&run["action_type"], &run["schedule_type"]), (&json!("channel_message"), &json!("cron")));
    assert_eq!((&run["finished_at"], &run["duration_ms"]), (&Value::Null, &Value::Null));
    let left = "select extract(epoch from deadline_at - started_at)::float8 from cron_runs";
    let left: f64 = sqlx::query_scalar(left).fetch_one(&mut gateway.database.connect().await).await.unwrap();
    assert!((left - 3_600.0).abs() < 1.0, "the job's time-out: {left}");
    let audit = gateway.call("GET", "/api/audit?user=ada&action=job.tested", Value::Null).await.expect(200);
    assert_eq!(audit["entries"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_test_gives_the_agent_its_task() {
    let gateway = started().await;
    let delivery = json!({"type": "channel_message", "channel": "webhook", "recipient": 42});
    let action =
        json!({"type": "assistant_task", "agent_id": "research", "context": "look", "delivery": delivery});
    let told = create(&gateway, json!({"action": action})).await;
    let quiet =
        create(&gateway, json!({"action": {"type": "assistant_task", "context": "look around"}})).await;
    let (first, second) = (test(&gateway, &told).await, test(&gateway, &quiet).await);
    assert_eq!((&first["status"], &second["status"]), (&json!("ok"), &json!("ok")));
    let stored = gateway.pending().await;
    let bodies: Vec<Value> =
        stored.iter().map(|work| serde_json::from_str(work.payload.get()).unwrap()).collect();
    assert!(stored.iter().all(|work| work.direction == Direction::In));
    let (body, metadata) = (&bodies[0], &bodies[0]["metadata"]);
    assert_eq!(
        (&body["agent_id"], &body["text"], &body["content_type"]),
        (&json!("research"), &json!("look"), &json!("text"))
    );
    assert_eq!((&body["channel"], &body["instance_name"]), (&json!("webhook"), &json!("hook")));
    assert_eq!(body["reply_to"], json!({"channel": "webhook", "recipient": "42"}));
    let expected = json!({"source": "cron", "job_id": told["id"], "run_id": first["run_id"], "job_name": "Morning", "chat_id": "42"});
    assert_eq!(metadata, &expected);
    let chat = format!("cron:{}", quiet["id"].as_str().unwrap());
    assert_eq!((bodies[1].get("reply_to"), &bodies[1]["metadata"]["chat_id"]), (None, &json!(chat)));
    assert_eq!(bodies[1].get("agent_id"), None);
}

#[tokio::test]
async fn a_test_that_is_refused_says_why_and_is_in_the_history() {
    let gateway = started().await;
    let by_type = json!({"type": "channel_message", "channel": "webhook", "recipient": "a", "message": "hi"});
    let by_type = create(&gateway, json!({"action": by_type})).await;
    let by_name = create(&gateway, json!({})).await;
    gateway.call("PUT", "/api/users/ada/channels/hook", json!({"enabled": false})).await.expect(200);
    gateway.webhook("ada", "other").await;
    let many = test(&gateway, &by_type).await;
    assert_eq!(
        many["error"],
        "the user has several channels of type \"webhook\", such as \"hook\" and \"other\": name one of them"
    );
    let off = test(&gateway, &by_name).await;
    assert_eq!((&off["status"], off.get("message")), (&json!("error"), None));
    assert_eq!(off["error"], "the channel is switched off: enable it first");
    gateway.call("DELETE", "/api/users/ada/channels/hook", Value::Null).await.expect(200);
    let gone = test(&gateway, &by_name).await;
    assert_eq!(gone["error"], "the user has no channel \"hook\": name one by its instance_name_id");
    assert!(gateway.pending().await.is_empty());
    // The client writes the whole job back to switch it off.
    let put = gateway.call("PUT", &path(&by_name, ""), with(&json!({"enabled": false}))).await.expect(200);
    assert_eq!(put["enabled"], json!(false));
    gateway.call("DELETE", &path(&by_name, ""), Value::Null).await.expect(200);
    let history = runs(&gateway, HISTORY).await;
    let errors: Vec<_> = history.iter().map(|run| (&run["status"], &run["error_message"])).collect();
    let error = json!("error");
    assert_eq!(errors, [(&error, &gone["error"]), (&error, &off["error"]), (&error, &many["error"])]);
    assert_eq!(runs(&gateway, &path(&by_name, "/history")).await, history[..2], "of a deleted job, too");
}

#[tokio::test]
async fn a_caller_who_goes_away_leaves_a_run_that_ends_with_its_message() {
    let gateway = TestGateway::start_with(&["--allow-private-urls", "--send-wait-ms=1500"]).await;
    gateway.webhook("ada", "hook").await;
    let made = create(&gateway, json!({})).await;
    let request = gateway.request("POST", &path(&made, "/test")).bearer_auth(KEY);
    let going = tokio::time::timeout(Duration::from_millis(500), request.send()).await;
    assert!(going.is_err(), "nobody delivers, so it waits");
    let stored = async || gateway.pending().await.pop();
    let stored = claw_testkit::eventually("the message", Duration::from_secs(20), stored).await;
    let run = &runs(&gateway, HISTORY).await[0];
    assert_eq!((&run["status"], &run["message_id"]), (&json!("running"), &json!(stored.id)));
}

#[tokio::test]
async fn a_run_that_nobody_finishes_is_a_timeout() {
    let gateway = started().await;
    let made = create(&gateway, json!({})).await;
    test(&gateway, &made).await;
    let mut database = gateway.database.connect().await;
    let overdue = "update cron_runs set deadline_at = now() - interval '1 s'";
    sqlx::query(overdue).execute(&mut database).await.unwrap();
    let run = &runs(&gateway, HISTORY).await[0];
    assert_eq!(run["error_message"], "its message was not handed over in time");
    sqlx::query("update cron_runs set message_id = null").execute(&mut database).await.unwrap();
    let run = &runs(&gateway, HISTORY).await[0];
    assert_eq!(run["status"], "timeout");
    assert!(run["finished_at"].is_string() && run["duration_ms"].is_i64(), "{run}");
    assert!(run["error_message"].as_str().unwrap().starts_with("it did not finish in time"), "{run}");
}

#[tokio::test]
async fn pages_of_runs_follow_one_another_without_a_gap() {
    let gateway = started().await;
    let made = create(&gateway, json!({})).await;
    let mut expected = Vec::new();
    for _ in 0..5 {
        expected.insert(0, test(&gateway, &made).await["run_id"].clone());
    }
    for path in [HISTORY.to_owned(), path(&made, "/history")] {
        let (mut found, mut next) = (Vec::new(), format!("{path}?limit=2"));
        loop {
            let page = gateway.call("GET", &next, Value::Null).await.expect(200);
            found.extend(page["runs"].as_array().unwrap().iter().map(|run| run["id"].clone()));
            let Some(cursor) = page["next_cursor"].as_i64() else { break };
            next = format!("{path}?limit=2&cursor={cursor}");
        }
        assert_eq!(found, expected);
        gateway.call("GET", &format!("{path}?limit=0"), Value::Null).await.problem(400);
        gateway.call("GET", &format!("{path}?cursor=x"), Value::Null).await.problem(400);
    }
}

#[tokio::test]
async fn a_schedule_can_be_looked_at_before() {
    let gateway = TestGateway::start().await;
    let preview = async |body: Value| gateway.call("POST", "/api/users/ada/cron/preview", body).await;
    let cron = json!({"type": "cron", "expr": "0 9 * * 1-5"});
    let shown = preview(json!({"schedule": cron, "count": 7})).await.expect(200);
    let times = shown["runs"].as_array().unwrap();
    assert_eq!(times.len(), 7);
    assert!(times.iter().all(|time| time.as_str().unwrap().ends_with("T09:00:00Z")), "{times:?}");
    let once = json!({"type": "at", "at": "2999-01-01T00:00:00Z"});
    assert_eq!(preview(json!({"schedule": once})).await.expect(200)["runs"], json!(["2999-01-01T00:00:00Z"]));
    assert_eq!(
        preview(json!({"schedule": cron, "count": null})).await.expect(200)["runs"].as_array().unwrap().len(),
        5
    );
    for wrong in [
        json!({}),
        json!({"schedule": cron, "count": 0}),
        json!({"schedule": cron, "count": 51}),
        json!({"schedule": cron, "x": 1}),
        json!({"schedule": {"type": "at", "at": "2020-01-01T00:00:00Z"}}),
        json!({"schedule": {"type": "cron", "expr": "61 * * * *"}}),
    ] {
        preview(wrong).await.problem(400);
    }
}

#[tokio::test]
async fn a_test_that_is_repeated_under_its_key_is_the_same_run() {
    let gateway = started().await;
    let (made, other) = (create(&gateway, json!({})).await, create(&gateway, json!({"name": "Other"})).await);
    let run = |job: &Value, key: &str| {
        let request = gateway.request("POST", &path(job, "/test")).bearer_auth(KEY);
        read(request.header("Idempotency-Key", key))
    };
    let first = run(&made, "k-1").await.expect(200);
    assert!(first.get("duplicate").is_none(), "{first}");
    let again = run(&made, "k-1").await.expect(200);
    for key in ["status", "message", "run_id", "message_id"] {
        assert_eq!(again[key], first[key], "{key}");
    }
    assert_eq!(again["duplicate"], true);
    assert_eq!(run(&other, "k-1").await.json()["type"], "/problems/idempotency-key-reused");
    // As a process leaves it that dies on the way.
    let mut database = gateway.database.connect().await;
    let begun = "update cron_runs set status = 'running', finished_at = null, message_id = null";
    sqlx::query(begun).execute(&mut database).await.unwrap();
    let resumed = run(&made, "k-1").await.expect(200);
    assert_eq!((&resumed["message_id"], &resumed["status"]), (&first["message_id"], &json!("ok")));
    let history = runs(&gateway, HISTORY).await;
    assert_eq!((history.len(), &history[0]["status"]), (1, &json!("running")));
    assert_eq!(history[0]["message_id"], first["message_id"], "which ends it");
    assert_eq!(gateway.pending().await.len(), 1);
    gateway.call("PUT", "/api/users/ada/channels/hook", json!({"enabled": false})).await.expect(200);
    let refused = async || {
        let told = test(&gateway, &other).await;
        (told["status"] == "error").then_some(())
    };
    claw_testkit::eventually("it is refused", Duration::from_secs(10), refused).await;
    assert_eq!(run(&made, "k-1").await.expect(200)["status"], "ok", "as it was");
    assert_ne!(run(&made, "k-2").await.expect(200)["run_id"], first["run_id"]);
}
