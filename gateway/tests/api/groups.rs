//! Messages of groups: what addresses the bot beside its name, what belongs to something that does, and what is kept of the rest.

use claw_types::{Direction, album};
use serde_json::{Value, json};

use crate::common::{TestGateway, webhook_body};

const CHANNEL: &str = "/api/users/ada/channels/hook";

struct Group {
    gateway: TestGateway,
    channel: Value,
}

impl Group {
    async fn new(fields: Value) -> Self {
        let gateway = TestGateway::start().await;
        let channel = gateway.call("POST", &format!("{CHANNEL}/configure"), body(fields)).await.expect(201);
        Self { gateway, channel }
    }

    /// What becomes of what somebody says without naming the bot as the platform does. Every post goes to another gateway than
    /// the one before.
    async fn hears(&self, id: &str, more: Value) -> String {
        let mut body = json!({"sender": {"id": "ann"}, "conversation_id": "room", "is_group": true, "mentioned": false,
            "message_id": id});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = self.gateway.post(&self.channel, body.to_string().as_bytes()).await.expect(200);
        answer["status"].as_str().unwrap().to_owned()
    }

    /// What the backend will get, in order, with how long each waits for more.
    async fn backend(&self) -> Vec<(Value, u32)> {
        let pending = self.gateway.pending().await;
        let inbound = pending.iter().filter(|work| work.direction == Direction::In);
        inbound.map(|work| (serde_json::from_str(work.payload.get()).unwrap(), work.debounce_ms)).collect()
    }
}

fn body(fields: Value) -> Value {
    let Value::Object(fields) = fields else { panic!("an object") };
    let mut body = webhook_body();
    body["fields"].as_object_mut().unwrap().extend(fields);
    body
}

fn file(kind: &str, name: Option<&str>) -> Value {
    json!({"kind": kind, "url": "http://127.0.0.1:9/file", "filename": name})
}

#[tokio::test]
async fn a_channels_own_words_address_the_bot() {
    let group = Group::new(json!({"mention_patterns": "Claw, hey bot"})).await;
    assert_eq!(group.hears("1", json!({"text": "a clawed cat"})).await, "ignored");
    assert_eq!(group.hears("2", json!({"text": "what do you say, claw?"})).await, "accepted");
    assert_eq!(group.hears("3", json!({"text": "HEY  BOT"})).await, "accepted");
    let (asked, _) = &group.backend().await[0];
    assert_eq!(asked["metadata"]["context"][0]["text"], "a clawed cat");
    let edit = json!({"event": "edit", "event_id": "e", "text": "claw, what is new?"});
    assert_eq!(group.hears("4", json!({"text": "what is new?"})).await, "ignored");
    assert_eq!(group.hears("4", edit).await, "accepted", "the first version that names it");
    assert_eq!(group.backend().await.len(), 3);
}

#[tokio::test]
async fn words_that_are_none_are_refused_with_what_is_possible() {
    let gateway = TestGateway::start().await;
    let many: Vec<String> = (0..21).map(|n| format!("name{n}")).collect();
    for (words, says) in [
        (json!(["claw", "?!"]), "\"?!\" is none"),
        (json!(["x".repeat(65)]), "at most 64 characters"),
        (json!(many), "can list at most 20"),
        (json!({"not": "a list"}), "a list, or a text with commas"),
    ] {
        let body = body(json!({ "mention_patterns": words }));
        let refused = gateway.call("POST", &format!("{CHANNEL}/configure"), body).await.problem(400);
        assert!(refused.contains("mention_patterns") && refused.contains(says), "{refused}");
    }
}

#[tokio::test]
async fn an_album_is_passed_on_as_a_whole_though_one_part_names_the_bot() {
    let group = Group::new(json!({"join_albums": true})).await;
    let photo = || file("image", None);
    let caption = json!({"text": "@bot look", "mentioned": true, "album": "7", "media": photo()});
    assert_eq!(
        group.hears("1", json!({"album": "7", "media": photo()})).await,
        "ignored",
        "nobody could know"
    );
    assert_eq!(group.hears("2", caption.clone()).await, "accepted");
    assert_eq!(
        group.hears("3", json!({"album": "7", "media": photo()})).await,
        "accepted",
        "elsewhere and later"
    );
    assert_eq!(group.hears("4", json!({"album": "8", "media": photo()})).await, "ignored");
    let hall = json!({"album": "7", "media": photo(), "conversation_id": "hall"});
    assert_eq!(group.hears("5", hall).await, "ignored", "another group's");
    assert_eq!(group.hears("2", caption).await, "accepted", "the same again");
    let backend = group.backend().await;
    let read: Vec<_> = backend
        .iter()
        .map(|(body, wait)| (&body["platform_message_id"], &body["metadata"]["album"], *wait))
        .collect();
    let (seven, wait) = (json!("7"), album::WAIT_MS);
    assert_eq!(read, [(&json!("2"), &seven, wait), (&json!("3"), &seven, wait)]);
    assert_eq!(backend[0].0["metadata"]["context"][0]["text"], "[image]", "what came before is told of");
}

#[tokio::test]
async fn files_are_named_in_what_was_said_before() {
    let group = Group::new(json!({})).await;
    group.hears("1", json!({"text": "the plan", "media": file("file", Some("plan.pdf"))})).await;
    group.hears("2", json!({"media": file("voice", None)})).await;
    assert_eq!(group.hears("3", json!({"text": "@bot?", "mentioned": true})).await, "accepted");
    let (asked, _) = &group.backend().await[0];
    let context = asked["metadata"]["context"].as_array().unwrap();
    assert_eq!(context[0]["text"], "[file: plan.pdf] the plan");
    assert_eq!(
        (&context[0]["content_type"], &context[0]["media_filename"]),
        (&json!("file"), &json!("plan.pdf"))
    );
    assert_eq!((&context[1]["text"], context[1].get("media_filename")), (&json!("[voice]"), None));
    assert!(!asked.to_string().contains("127.0.0.1"), "where a file lies is not told");
}

#[tokio::test]
async fn without_being_asked_for_no_album_is_one() {
    let group = Group::new(json!({"debounce_ms": "1500"})).await;
    let photo = |more: Value| {
        let mut part = json!({"album": "7", "media": file("image", None)});
        part.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        part
    };
    let caption = photo(json!({"text": "@bot look", "mentioned": true, "metadata": {"album": "of ours"}}));
    assert_eq!(group.hears("1", caption).await, "accepted");
    assert_eq!(group.hears("2", photo(json!({}))).await, "ignored", "it addresses nobody");
    let backend = group.backend().await;
    let read: Vec<_> = backend
        .iter()
        .map(|(body, wait)| (&body["platform_message_id"], &body["metadata"]["album"], *wait))
        .collect();
    assert_eq!(read, [(&json!("1"), &Value::Null, 1500)], "nor is it what a caller calls one");
}
