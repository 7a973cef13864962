//! What stands for an answer where people see what we store: open pages and those that come later see the answer alone.

use std::time::Duration;

use claw_system_tests::{Api, Cluster, token};
use claw_testkit::{Claw, eventually};
use serde_json::{Value, json};

use crate::feedback::Page;

const LIMIT: Duration = Duration::from_secs(60);

/// A visitor, whose page is open.
struct Visitor {
    channel: String,
    name: String,
    page: Page,
    /// The gateway's id of the question.
    question: Value,
    /// The name of the conversation in the API.
    chat: String,
}

async fn start() -> (Cluster, Api, [Claw; 2], String) {
    let cluster = Cluster::prepare().await;
    let (gateway, api) = cluster.gateway().await;
    let worker = cluster.worker("one", &api.base).await;
    let channel = api.configure("ada", "chat", "webchat", json!({})).await;
    (cluster, api, [gateway, worker], channel)
}

impl Visitor {
    /// Comes and asks; `asked` messages came to the backend before.
    async fn asks(cluster: &Cluster, api: &Api, channel: &str, asked: usize) -> Self {
        let name = token(16);
        let mut page = Page::open(api, channel, &name).await;
        page.hear("ready").await;
        page.say(json!({"type": "message", "client_id": "c1", "text": "hi"})).await;
        let question = page.hear("ack").await["id"].take();
        let body = cluster.receiver.wait_for(asked + 1).await[asked].json();
        let chat = body["reply_to"]["recipient"].as_str().unwrap().to_owned();
        Self { channel: channel.to_owned(), name, page, question, chat }
    }

    /// The next message on the page, which must say this.
    async fn reads(&mut self, text: &str) -> Value {
        let shown = self.page.hear("message").await;
        assert_eq!(shown["text"], text, "{shown}");
        shown
    }

    /// What is taken away from the page next.
    async fn loses(&mut self) -> Value {
        self.page.hear("delete").await["id"].take()
    }

    /// The texts on a page that is opened now.
    async fn finds(&self, api: &Api) -> Vec<String> {
        let mut page = Page::open(api, &self.channel, &self.name).await;
        let frames = page.hear_all("ready").await;
        let messages = frames.iter().filter(|frame| frame["type"] == "message");
        messages.map(|frame| frame["text"].as_str().unwrap().to_owned()).collect()
    }
}

fn immediate() -> Value {
    json!({"immediate_reply": "Processing...", "async_processing": true})
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stood_for_an_answer_is_taken_away_when_the_answer_is_there() {
    let (cluster, api, _processes, channel) = start().await;
    cluster.receiver.reply_with(immediate());
    let mut visitor = Visitor::asks(&cluster, &api, &channel, 0).await;
    let shown = visitor.reads("Processing...").await;
    assert_eq!(visitor.finds(&api).await, ["hi", "Processing..."], "until then it stays");
    let (status, answer) = api.send("ada", "chat", &visitor.chat, "the answer").await;
    assert!(status.is_success(), "{answer}");
    visitor.reads("the answer").await;
    assert_eq!(visitor.loses().await, shown["id"]);
    assert_eq!(visitor.finds(&api).await, ["hi", "the answer"]);
    // It was all that stood there.
    let (status, more) = api.send("ada", "chat", &visitor.chat, "and more").await;
    assert!(status.is_success(), "{more}");
    visitor.reads("and more").await;
    assert_eq!(visitor.finds(&api).await, ["hi", "the answer", "and more"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_grows_takes_away_what_its_stream_showed_at_once() {
    let (cluster, api, _processes, channel) = start().await;
    let event = |pause_ms: u64, data: Value| (Duration::from_millis(pause_ms), format!("data: {data}\n\n"));
    let whole = "the beginning of a longer answer, and its end";
    let (beginning, end) = whole.split_at(32);
    cluster.receiver.stream_with(Some(vec![
        event(0, json!({"immediate_reply": "Processing..."})),
        event(0, json!({"delta": beginning})),
        event(3_000, json!({"delta": end})),
    ]));
    let mut visitor = Visitor::asks(&cluster, &api, &channel, 0).await;
    let shown = visitor.reads("Processing...").await;
    let answer = visitor.reads(whole).await;
    assert_eq!(answer["replaces"], visitor.question, "the draft's place is the answer's");
    assert_eq!(visitor.loses().await, shown["id"]);
    assert_eq!(visitor.finds(&api).await, ["hi", whole]);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_goes_once_although_the_worker_dies_behind_the_answer() {
    let (cluster, api, [_gateway, worker], channel) = start().await;
    cluster.receiver.reply_with(immediate());
    let mut visitors = Vec::new();
    for asked in 0..2 {
        let mut visitor = Visitor::asks(&cluster, &api, &channel, asked).await;
        let shown = visitor.reads("Processing...").await["id"].take();
        let (status, answer) = api.send("ada", "chat", &visitor.chat, "the answer").await;
        assert!(status.is_success(), "{answer}");
        assert_eq!(visitor.loses().await, shown);
        visitors.push((visitor, shown));
    }
    let settled = async || {
        eventually("all to be written down", LIMIT, async || {
            let (_, page) = api.call("GET", "/api/users/ada/messages?state=pending", None).await;
            page["messages"].as_array()?.is_empty().then_some(())
        })
        .await;
    };
    settled().await;
    drop(worker);
    // As if it had died before it was written down that the answers were sent, and with one of them before that what stood for it goes.
    let mut database = cluster.database.connect().await;
    let chat = &visitors[0].0.chat;
    for change in [
        "delete from message_keys k using messages m where k.message_id = m.id and m.conversation = $1
         and k.key like 'removal:%'",
        "delete from messages where conversation = $1 and direction = 'out' and payload -> 'act' is not null",
        "update messages set state = 'pending', finished_at = null
         where direction = 'out' and payload ->> 'text' = 'the answer' and $1 <> ''",
    ] {
        let changed = sqlx::query(change).bind(chat).execute(&mut database).await.unwrap();
        assert!(changed.rows_affected() > 0, "{change}");
    }
    let _other = cluster.worker("two", &api.base).await;
    let (visitor, shown) = &mut visitors[0];
    assert_eq!(visitor.loses().await, *shown);
    settled().await;
    for (visitor, _) in &visitors {
        assert_eq!(visitor.finds(&api).await, ["hi", "the answer"]);
        let path = format!("/api/users/ada/messages?direction=out&conversation={}", visitor.chat);
        let (_, page) = api.call("GET", &path, None).await;
        let kinds: Vec<_> =
            page["messages"].as_array().unwrap().iter().map(|message| &message["content_type"]).collect();
        assert_eq!(kinds, ["delete", "text", "text"], "one deletion, behind what stood there and the answer");
    }
}
