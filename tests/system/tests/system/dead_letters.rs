//! A message that ended without success is set back to work and arrives, once, whatever its owner remembers of it.

use std::time::Duration;

use claw_devstack::Nats;
use claw_system_tests::{Api, Cluster, token};
use claw_testkit::{Delivery, Receiver, eventually};
use reqwest::StatusCode;
use serde_json::{Value, json};

/// A channel whose messages go to a receiver that can be told to refuse them.
struct Chat {
    api: Api,
    platform: Receiver,
}

impl Chat {
    async fn new(api: Api) -> Self {
        let platform = Receiver::start().await;
        let fields = json!({"secret_env": token(16), "callback_url": platform.url()});
        api.configure("ada", "hook", "webhook", fields).await;
        api.wait_for_status("ada", "hook", "running").await;
        Self { api, platform }
    }

    /// Sends a text that the platform refuses for good; its id.
    async fn refused(&self, text: &str) -> String {
        self.platform.answer_next([StatusCode::BAD_REQUEST]);
        let (status, answer) = self.api.send("ada", "hook", "room", text).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{answer}");
        answer["id"].as_str().unwrap().to_owned()
    }

    async fn message(&self, id: &str) -> Value {
        let (status, answer) = self.api.call("GET", &format!("/api/users/ada/messages/{id}"), None).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        answer
    }

    async fn retry(&self, id: &str) {
        let path = format!("/api/users/ada/messages/{id}/retry");
        let (status, answer) = self.api.call("POST", &path, Some(json!({}))).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
    }

    async fn wait_until_done(&self, id: &str) -> Value {
        eventually(&format!("{id} to be done"), Duration::from_secs(20), async || {
            let message = self.message(id).await;
            (message["state"] == "done").then_some(message)
        })
        .await
    }

    /// How often a text was handed to the platform.
    fn arrived(&self, text: &str) -> usize {
        let said = |delivery: &&Delivery| delivery.json()["text"] == text;
        self.platform.deliveries().iter().filter(said).count()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retried_message_is_delivered_at_once_and_once() {
    let cluster = Cluster::prepare().await;
    let (_gateway, api) = cluster.gateway().await;
    let _worker = cluster.worker("one", &api.base).await;
    let chat = Chat::new(api).await;
    let id = chat.refused("one").await;
    // Its owner has just finished it, and remembers.
    chat.retry(&id).await;
    let message = chat.wait_until_done(&id).await;
    let attempts: Vec<_> = message["attempt_log"]
        .as_array()
        .unwrap()
        .iter()
        .map(|a| (a["retry"].clone(), a["n"].clone(), a["outcome"].clone()))
        .collect();
    assert_eq!(attempts, [(json!(0), json!(1), json!("failed")), (json!(1), json!(1), json!("done"))]);
    let path = format!("/api/users/ada/messages/{id}/retry");
    let (status, _) = chat.api.call("POST", &path, Some(json!({}))).await;
    assert_eq!(status, StatusCode::CONFLICT);

    // Several of one conversation come in the order in which they were said, behind what was said meanwhile.
    let mut ids = Vec::new();
    for text in ["two", "three", "four"] {
        ids.push(chat.refused(text).await);
    }
    let (status, _) = chat.api.send("ada", "hook", "room", "meanwhile").await;
    assert_eq!(status, StatusCode::OK);
    ids.reverse();
    let body = json!({"ids": ids});
    let (status, answer) = chat.api.call("POST", "/api/users/ada/dead-letters/replay", Some(body)).await;
    assert_eq!((status, &answer["revived"]), (StatusCode::OK, &json!(3)), "{answer}");
    for id in &ids {
        chat.wait_until_done(id).await;
    }
    let (status, _) = chat.api.send("ada", "hook", "room", "the end").await;
    assert_eq!(status, StatusCode::OK);
    let told: Vec<_> = chat.platform.deliveries().iter().map(|d| d.json()["text"].clone()).collect();
    let expected = ["one", "one", "two", "three", "four", "meanwhile", "two", "three", "four", "the end"];
    assert_eq!(told, expected.map(|text| json!(text)));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_nats_the_owner_finds_a_retried_message_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let nats = Nats::start(folder.path()).await.unwrap();
    let cluster = Cluster::prepare_with(nats.url()).await;
    let (_gateway, api) = cluster.gateway().await;
    let _worker = cluster.worker("one", &api.base).await;
    let chat = Chat::new(api).await;
    let id = chat.refused("hello").await;
    nats.stop().await.unwrap();
    chat.retry(&id).await;
    chat.wait_until_done(&id).await;
    let (status, _) = chat.api.send("ada", "hook", "room", "the end").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(chat.arrived("hello"), 2, "refused once, taken once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_outlives_the_owner_and_starts_the_time_to_live_anew() {
    let cluster = Cluster::prepare().await;
    let (_gateway, api) = cluster.gateway().await;
    let mut worker = cluster.worker("one", &api.base).await;
    let chat = Chat::new(api).await;
    let id = chat.refused("hello").await;
    worker.kill().await;
    let mut database = cluster.database.connect().await;
    let aged = "update messages set accepted_at = accepted_at - interval '2 days'";
    sqlx::query(aged).execute(&mut database).await.unwrap();
    chat.retry(&id).await;
    let _next = cluster.worker("two", &chat.api.base).await;
    chat.wait_until_done(&id).await;
    assert_eq!(chat.arrived("hello"), 2);
    // One of which nothing was sent and that nobody retried is too old.
    sqlx::query(aged).execute(&mut database).await.unwrap();
    let stale = "update messages set state = 'pending', finished_at = null, retried_at = null, retries = 5,
                     platform_message_ids = '[]'";
    sqlx::query(stale).execute(&mut database).await.unwrap();
    eventually("the old one to be refused", Duration::from_secs(90), async || {
        let message = chat.message(&id).await;
        message["error"].as_str().is_some_and(|error| error.contains("24 hours")).then_some(())
    })
    .await;
    assert_eq!(chat.arrived("hello"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_sent_within_its_time_to_live_expires() {
    let cluster = Cluster::prepare().await;
    let (_gateway, api) = cluster.gateway().await;
    let _worker = cluster.worker("one", &api.base).await;
    let chat = Chat::new(api).await;
    let channel = "/api/users/ada/channels/hook";
    // First the message says it itself; then its channel does, for those that do not.
    for (text, own, of_channel, secs) in [("quick", Some(2), "3600", 2), ("usual", None, "3", 3)] {
        let fields = json!({"fields": {"ttl_secs": of_channel}});
        let (status, answer) = chat.api.call("PUT", channel, Some(fields)).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        chat.platform.answer_next([StatusCode::SERVICE_UNAVAILABLE; 9]);
        let body = json!({"recipient": "room", "message": text, "ttl_seconds": own});
        let (status, problem) = chat.api.call("POST", &format!("{channel}/send"), Some(body)).await;
        assert_eq!(
            (status, &problem["type"]),
            (StatusCode::UNPROCESSABLE_ENTITY, &json!("/problems/expired"))
        );
        assert_eq!(problem["parts"][0]["state"], "failed", "{problem}");
        let id = problem["id"].as_str().unwrap();
        let message = chat.message(id).await;
        assert_eq!(message["state"], "expired", "{message}");
        let error = message["error"].as_str().unwrap();
        assert_eq!(error, format!("not sent within {secs} s, its time to live, so not sent at all"));
        assert!(chat.arrived(text) >= 1, "it was tried until then");
        let (_, dead) = chat.api.call("GET", "/api/users/ada/dead-letters?state=expired", None).await;
        assert_eq!(dead["messages"][0]["id"], id, "{dead}");
        let (_, failed) = chat.api.call("GET", "/api/users/ada/dead-letters?state=failed", None).await;
        assert_eq!(failed["messages"], json!([]));
    }
    let types = "select type from events where type in ('message.expired', 'message.failed') order by id";
    let mut database = cluster.database.connect().await;
    let told: Vec<String> = sqlx::query_scalar(types).fetch_all(&mut database).await.unwrap();
    assert_eq!(told, ["message.expired"; 2]);
}

/// Messages that wait through an outage.
const OLD: usize = 110;

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_not_followed_by_a_flood_of_old_answers() {
    let cluster =
        Cluster::prepare().await.with("II_CLAW_SEND_TTL_SECS", "3600").with("II_CLAW_SEND_WAIT_MS", "0");
    let (_gateway, api) = cluster.gateway().await;
    let mut worker = cluster.worker("one", &api.base).await;
    let chat = Chat::new(api).await;
    worker.kill().await;
    for n in 0..OLD {
        let (status, answer) =
            chat.api.send("ada", "hook", &format!("room {}", n % 9), &format!("old {n}")).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{answer}");
    }
    let mut database = cluster.database.connect().await;
    let aged = "update messages set accepted_at = accepted_at - interval '61 minutes'";
    sqlx::query(aged).execute(&mut database).await.unwrap();
    let _next = cluster.worker("two", &chat.api.base).await;
    let path = "/api/users/ada/dead-letters?state=expired&limit=200";
    let dead = eventually("the old ones to be given up", Duration::from_secs(90), async || {
        let (_, answer) = chat.api.call("GET", path, None).await;
        answer["messages"].as_array().filter(|dead| dead.len() == OLD).cloned()
    })
    .await;
    let error = dead[0]["error"].as_str().unwrap();
    assert_eq!(error, "not sent within 3600 s, its time to live, so not sent at all");
    // What is said from now on arrives, and so does what somebody wants all the same; nothing else did.
    let (_, new) = chat.api.send("ada", "hook", "room 0", "new").await;
    chat.wait_until_done(new["id"].as_str().unwrap()).await;
    let wanted = dead[0]["id"].as_str().unwrap();
    chat.retry(wanted).await;
    chat.wait_until_done(wanted).await;
    assert_eq!(chat.platform.deliveries().len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_lists_shows_retries_and_discards() {
    let cluster = Cluster::prepare().await;
    let (_gateway, api) = cluster.gateway().await;
    let _worker = cluster.worker("one", &api.base).await;
    let chat = Chat::new(api).await;
    let (first, second) = (chat.refused("one").await, chat.refused("two").await);
    let run = async |args: &[&str], code: i32| cluster.command(&chat.api, args, code).await;
    let listed = run(&["messages", "list", "--user", "ada", "--state", "failed"], 0).await;
    assert!(
        listed.contains(&first) && listed.contains(&second) && listed.contains("400 Bad Request"),
        "{listed}"
    );
    let shown = run(&["messages", "show", "--user", "ada", &first], 0).await;
    assert!(shown.contains("\"text\": \"one\"") && shown.contains("failed"), "{shown}");
    let json = run(&["--json", "messages", "show", "--user", "ada", &first], 2).await;
    assert!(json.contains("--json"), "{json}");
    let json = run(&["messages", "show", "--json", "--user", "ada", &first], 0).await;
    assert_eq!(serde_json::from_str::<Value>(&json).unwrap()["id"], json!(first));

    let retried = run(&["messages", "retry", "--user", "ada", &first], 0).await;
    assert!(retried.contains("was failed and is back at work"), "{retried}");
    chat.wait_until_done(&first).await;
    let again = run(&["messages", "retry", "--user", "ada", &first], 1).await;
    assert!(again.contains("it is done") && again.contains("(409)"), "{again}");

    let dead = run(&["dead-letters", "list"], 0).await;
    assert!(dead.contains(&second) && !dead.contains(&first), "{dead}");
    let discard = ["dead-letters", "discard", "--user", "ada", "--reason", "a test", &second, &first];
    let discarded = run(&discard, 0).await;
    assert!(discarded.contains("1 discarded") && discarded.contains("it is done"), "{discarded}");
    let replayed = run(&["dead-letters", "replay", "--oldest", "5"], 0).await;
    assert!(replayed.contains("0 back at work"), "{replayed}");
    let replayed = run(&["dead-letters", "replay", "--user", "ada", &second], 0).await;
    assert!(replayed.contains("1 back at work"), "{replayed}");
    chat.wait_until_done(&second).await;

    assert!(run(&["dead-letters", "replay"], 2).await.contains("required"));
    let wrong = run(&["messages", "list", "--user", "ada", "--state", "ded"], 1).await;
    assert!(wrong.contains("\"state\" must be one of: pending"), "{wrong}");
    let nowhere = run(&["messages", "list", "--user", "ada", "--url", "http://127.0.0.1:9"], 1).await;
    assert!(nowhere.contains("no gateway answers at http://127.0.0.1:9"), "{nowhere}");
}
