//! What a person writes in a burst is one webhook: joined, in order, once, and the same one whoever delivers it.

use std::time::Duration;

use claw_system_tests::{Api, Cluster, token};
use claw_testkit::{Claw, Delivery, eventually};
use reqwest::StatusCode;
use serde_json::{Value, json};

/// Long enough for a few pushes on a busy machine.
const DEBOUNCE_MS: u32 = 3_000;

struct Chat {
    cluster: Cluster,
    api: Api,
    _gateway: Claw,
    channel: String,
    secret: String,
}

impl Chat {
    async fn new() -> Self {
        Self::with(DEBOUNCE_MS).await
    }

    async fn with(debounce_ms: u32) -> Self {
        let cluster = Cluster::prepare().await;
        let (gateway, api) = cluster.gateway().await;
        let secret = token(16);
        let fields =
            json!({"secret_env": secret, "debounce_ms": debounce_ms.to_string(), "join_albums": true});
        let channel = api.configure("ada", "hook", "webhook", fields).await;
        Self { cluster, api, _gateway: gateway, channel, secret }
    }

    async fn says(&self, who: &str, id: &str, more: Value) {
        let mut body = json!({"message_id": id, "conversation_id": "room", "sender": {"id": who}});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        assert_eq!(self.api.push(&self.channel, &self.secret, &body).await, Some(StatusCode::OK));
    }

    /// Each of these has a state; by the platform's id.
    async fn states(&self) -> Vec<(String, String)> {
        let (status, answer) = self.api.call("GET", "/api/users/ada/messages?direction=in", None).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        let messages = answer["messages"].as_array().unwrap().iter();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        messages.map(|message| (text(&message["id"]), text(&message["state"]))).collect()
    }

    async fn wait_until_all_are(&self, state: &str) {
        eventually(&format!("all messages to be {state}"), Duration::from_secs(30), async || {
            self.states().await.iter().all(|(_, now)| now == state).then_some(())
        })
        .await;
    }
}

fn merged(delivery: &Delivery) -> Vec<String> {
    let body = delivery.json();
    let parts = body["metadata"]["merged"].as_array().cloned().unwrap_or_default();
    parts.iter().map(|part| part["platform_message_id"].as_str().unwrap().to_owned()).collect()
}

fn text(delivery: &Delivery) -> String {
    delivery.json()["text"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_person_writes_without_a_pause_is_one_webhook() {
    let chat = Chat::new().await;
    let _worker = chat.cluster.worker("one", &chat.api.base).await;
    chat.says("ann", "m1", json!({"text": "Hi"})).await;
    chat.says("ann", "m2", json!({"text": "one more thing"})).await;
    // What others say is not joined, and sends off what waits.
    chat.says("ben", "m3", json!({"text": "Me too"})).await;
    // So does a command, which goes alone.
    chat.says("ben", "m4", json!({"text": "/new"})).await;
    // And an attachment, with what was said before it.
    chat.says("ann", "m5", json!({"text": "Look"})).await;
    let url = chat.cluster.receiver.url();
    chat.says("ann", "m6", json!({"text": "here", "media": {"kind": "image", "url": url}})).await;
    let came = chat.cluster.receiver.wait_for(4).await;
    let texts: Vec<String> = came.iter().map(text).collect();
    assert_eq!(texts, ["Hi\none more thing", "Me too", "/new", "Look\nhere"]);
    assert_eq!(
        came.iter().map(merged).collect::<Vec<_>>(),
        [vec!["m1", "m2"], vec![], vec![], vec!["m5", "m6"]]
    );
    let body = came[0].json();
    assert_eq!((&body["platform_message_id"], &body["metadata"]["chat_id"]), (&json!("m2"), &json!("room")));
    assert_eq!(body["metadata"]["merged"][1]["id"], came[0].header("webhook-id"));
    assert!(came[3].json()["media_url"].as_str().unwrap().contains(came[3].header("webhook-id")));
    chat.wait_until_all_are("done").await;
    assert_eq!(chat.states().await.len(), 6, "each message stays one of its own");
    assert_eq!(chat.cluster.receiver.deliveries().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_that_was_refused_comes_again_as_it_was_from_another_worker() {
    let chat = Chat::new().await;
    let mut first = chat.cluster.worker("one", &chat.api.base).await;
    // The wait after the second failure is long enough to die in.
    chat.cluster.receiver.answer_next([StatusCode::SERVICE_UNAVAILABLE; 2]);
    chat.says("ann", "m1", json!({"text": "Hi"})).await;
    chat.says("ann", "m2", json!({"text": "one more thing"})).await;
    let refused = chat.cluster.receiver.wait_for(2).await;
    first.kill().await;
    chat.says("ann", "m3", json!({"text": "and another"})).await;
    let _second = chat.cluster.worker("two", &chat.api.base).await;
    let came = chat.cluster.receiver.wait_for(4).await;
    assert_eq!(merged(&refused[0]), ["m1", "m2"]);
    for again in [&refused[1], &came[2]] {
        assert_eq!(again.header("webhook-id"), refused[0].header("webhook-id"));
        assert_eq!(again.body, refused[0].body);
    }
    assert_eq!((text(&came[3]), merged(&came[3])), ("and another".to_owned(), Vec::new()));
    chat.wait_until_all_are("done").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_album_is_one_webhook_with_all_its_files_where_nothing_else_is_joined() {
    let chat = Chat::with(0).await;
    let _worker = chat.cluster.worker("one", &chat.api.base).await;
    let url = chat.cluster.receiver.url();
    let part = |id: &'static str, text: &str| {
        let media = json!({"kind": "image", "url": url, "filename": format!("{id}.jpg")});
        let mut part = json!({"album": "7", "media": media});
        if !text.is_empty() {
            part["text"] = json!(text);
        }
        chat.says("ann", id, part)
    };
    // At once, as a platform posts them, and one of them again.
    tokio::join!(part("m1", "Look"), part("m2", ""), part("m2", ""), part("m3", ""));
    chat.says("ann", "m4", json!({"text": "and tell"})).await;
    let came = chat.cluster.receiver.wait_for(2).await;
    assert_eq!(came.iter().map(text).collect::<Vec<_>>(), ["Look", "and tell"]);
    let mut parts = merged(&came[0]);
    parts.sort_unstable();
    assert_eq!(
        (parts, merged(&came[1])),
        (vec!["m1".to_owned(), "m2".to_owned(), "m3".to_owned()], Vec::new())
    );
    let body = came[0].json();
    let attachments = body["metadata"]["attachments"].as_array().unwrap();
    for (attachment, part) in attachments.iter().zip(body["metadata"]["merged"].as_array().unwrap()) {
        let name = format!("{}.jpg", part["platform_message_id"].as_str().unwrap());
        assert_eq!((&attachment["id"], &attachment["media_filename"]), (&part["id"], &json!(name)));
        assert!(attachment["media_url"].as_str().unwrap().contains(part["id"].as_str().unwrap()));
    }
    assert_eq!((attachments.len(), &attachments[2]["media_url"]), (3, &body["media_url"]));
    chat.wait_until_all_are("done").await;
    assert_eq!(chat.states().await.len(), 4, "each part stays a message of its own");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_impossible_wait_is_refused_with_what_is_possible() {
    let cluster = Cluster::prepare().await;
    let (_gateway, api) = cluster.gateway().await;
    for (ms, says) in
        [(json!(60_001), "at most 60000"), (json!("soon"), "a whole number"), (json!(-1), "a whole number")]
    {
        let body = json!({"channel_type": "webhook", "fields": {"secret_env": token(16), "debounce_ms": ms}});
        let (status, answer) = api.call("POST", "/api/users/ada/channels/hook/configure", Some(body)).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
        assert!(answer["detail"].as_str().unwrap().contains(says), "{answer}");
    }
}
