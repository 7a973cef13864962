//! What people do to messages, on Telegram and in the web chat: an unchanged backend is posted messages only, one that asks is told of the rest, and
//! both are events with the message's id.

use std::time::Duration;

use claw_system_tests::{Api, Cluster, token};
use claw_testkit::platform::Sent;
use claw_testkit::{Delivery, Platform, eventually};
use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use uuid::Uuid;

/// The bot whose backend gets messages only, and the one that asks for all.
const QUIET: u32 = 1;
const TOLD: u32 = 2;
const CHAT: i64 = 4242;

fn user(bot: u32) -> String {
    format!("user-{bot}")
}

async fn start(cluster: &Cluster, api: &Api, platform: &Platform) {
    for (bot, events) in [(QUIET, ""), (TOLD, "edits, reactions")] {
        let fields = json!({"bot_token_env": platform.bot(bot), "api_url": platform.url(), "events": events});
        api.configure(&user(bot), "bot", "telegram", fields).await;
    }
    assert!(platform.wait_for_polling(2, Duration::from_secs(60)).await, "{}", cluster.database.url());
}

/// An answer, as the platform has it, and our id of it.
async fn answer(api: &Api, platform: &Platform, bot: u32) -> (Sent, Value) {
    let (status, answer) = api.send(&user(bot), "bot", &CHAT.to_string(), "the answer").await;
    assert_eq!(status, 200, "{answer}");
    let sent = platform.sent().into_iter().find(|sent| sent.bot == bot).unwrap();
    (sent, answer["id"].clone())
}

/// The types of events of messages that name this one.
pub(crate) async fn events(cluster: &Cluster, message: &Value, count: usize) -> Vec<String> {
    let id: Uuid = message.as_str().unwrap().parse().unwrap();
    let mut database = cluster.database.connect().await;
    eventually("the events", Duration::from_secs(20), async || {
        let found: Vec<String> =
            sqlx::query_scalar("select type from events where message_id = $1 order by type")
                .bind(id)
                .fetch_all(&mut database)
                .await
                .unwrap();
        (found.len() >= count).then_some(found)
    })
    .await
}

/// What happens in the chat of either bot: a question, an answer, a thumb, a reply, an edit, and one more question.
fn act(platform: &Platform, bot: u32, question: i64, answer: &Sent) {
    platform.react(bot, CHAT, answer.id, &[], &["👍"]);
    platform.react(bot, CHAT, question, &[], &["👍"]);
    platform.reply(bot, CHAT, answer, "why?");
    platform.edit(bot, CHAT, question, "What is news?");
    platform.edit(bot, CHAT, question + 1_000, "of what nobody knows");
    platform.inject(bot, CHAT, "the end");
}

#[tokio::test(flavor = "multi_thread")]
async fn edits_reactions_and_replies_reach_whoever_asked_for_them() {
    let platform = Platform::start().await;
    let cluster = Cluster::prepare().await;
    let (_gateway, api) = cluster.gateway().await;
    let _worker = cluster.worker("one", &api.base).await;
    start(&cluster, &api, &platform).await;
    let mut before = 0;
    for (bot, told) in [(QUIET, false), (TOLD, true)] {
        let question = platform.inject(bot, CHAT, "What is new?");
        let first = cluster.receiver.wait_for(before + 1).await.pop().unwrap();
        let asked = json!(first.header("webhook-id"));
        let (sent, answer) = answer(&api, &platform, bot).await;
        act(&platform, bot, question, &sent);
        let all: &[&str] =
            if told { &["👍", "why?", "What is news?", "the end"] } else { &["why?", "the end"] };
        let deliveries = cluster.receiver.wait_for(before + 1 + all.len()).await;
        let bodies: Vec<Value> = deliveries[before + 1..].iter().map(Delivery::json).collect();
        let texts: Vec<&str> = bodies.iter().map(|body| body["text"].as_str().unwrap()).collect();
        assert_eq!(texts, all, "in the order in which it happened");
        let reply = &bodies[usize::from(told)]["metadata"];
        assert_eq!((&reply["answer_id"], &reply["reply_to_message"]), (&answer, &json!(sent.id.to_string())));
        if told {
            // The thumb on the person's own question is no feedback, and nobody hears of it.
            assert_eq!(bodies[0]["content_type"], "reaction");
            assert_eq!(
                (&bodies[0]["metadata"]["event"], &bodies[0]["metadata"]["answer_id"]),
                (&json!("message_reaction"), &answer)
            );
            assert_eq!(
                (&bodies[2]["metadata"]["event"], &bodies[2]["metadata"]["edited_message_id"]),
                (&json!("message_edited"), &asked)
            );
            assert!(
                bodies.iter().all(|body| body["metadata"]["chat_id"].as_str() == Some("4242")),
                "one session"
            );
        }
        let of_answer = events(&cluster, &answer, 4).await;
        assert_eq!(of_answer, ["message.queued", "message.reaction", "message.reply", "message.sent"]);
        let of_question = events(&cluster, &asked, 3).await;
        assert_eq!(of_question, ["message.delivered", "message.edited", "message.received"]);
        before += 1 + all.len();
    }
}

/// A visitor's page.
pub(crate) struct Page(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Page {
    pub(crate) async fn open(api: &Api, channel: &str, visitor: &str) -> Self {
        let url =
            format!("{}/webchat/{channel}/ws?visitor={visitor}&after=0", api.base.replace("http", "ws"));
        Self(connect_async(url).await.unwrap().0)
    }

    pub(crate) async fn say(&mut self, frame: Value) {
        self.0.send(Message::text(frame.to_string())).await.unwrap();
    }

    /// The next frame of this type.
    pub(crate) async fn hear(&mut self, kind: &str) -> Value {
        self.hear_all(kind).await.pop().unwrap()
    }

    /// All frames up to the next one of this type.
    pub(crate) async fn hear_all(&mut self, kind: &str) -> Vec<Value> {
        let mut all = Vec::new();
        let heard = async {
            while let Some(frame) = self.0.next().await {
                let Message::Text(frame) = frame.unwrap() else { continue };
                let frame: Value = serde_json::from_str(&frame).unwrap();
                let is_last = frame["type"] == kind;
                all.push(frame);
                if is_last {
                    return;
                }
            }
            panic!("the socket closed");
        };
        let heard = tokio::time::timeout(Duration::from_secs(20), heard).await;
        heard.unwrap_or_else(|_| panic!("no {kind} within 20 s"));
        all
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visitor_reacts_edits_and_deletes() {
    let cluster = Cluster::prepare().await;
    let (_gateway, api) = cluster.gateway().await;
    let _worker = cluster.worker("one", &api.base).await;
    let fields = json!({"events": "edits, deletions, reactions"});
    let channel = api.configure("ada", "chat", "webchat", fields).await;
    let visitor = token(16);
    let mut page = Page::open(&api, &channel, &visitor).await;
    assert_eq!(page.hear("ready").await["can"], json!(["edits", "deletions", "reactions"]));
    page.say(json!({"type": "message", "client_id": "c1", "text": "teh question"})).await;
    let stored = page.hear("ack").await;
    let asked = stored["id"].clone();
    let body = cluster.receiver.wait_for(1).await[0].json();
    let chat = body["reply_to"]["recipient"].as_str().unwrap();
    let (_, sent) = api.send("ada", "chat", chat, "the answer").await;
    let shown = page.hear("message").await["id"].clone();

    page.say(json!({"type": "react", "client_id": "r1", "message_id": shown, "added": "👍"})).await;
    assert_eq!(page.hear("ack").await["client_id"], "r1");
    page.say(json!({"type": "edit", "client_id": "e1", "message": "c1", "text": "the question"})).await;
    assert_eq!(page.hear("ack").await["client_id"], "e1");
    // Nobody's, and another visitor's: only one's own can be named.
    page.say(json!({"type": "edit", "client_id": "e2", "message": "c9", "text": "x"})).await;
    assert_eq!(page.hear("error").await["client_id"], "e2");
    let mut other = Page::open(&api, &channel, &token(16)).await;
    other.hear("ready").await;
    for frame in [
        json!({"type": "delete", "client_id": "d1", "message": "c1"}),
        json!({"type": "react", "client_id": "r1", "message_id": shown, "added": "👎"}),
    ] {
        other.say(frame).await;
        other.hear("error").await;
    }
    let mut later = Page::open(&api, &channel, &visitor).await;
    let question = later.hear("message").await;
    let told = (&question["text"], &question["seq"]);
    assert_eq!(told, (&json!("teh question"), &stored["seq"]), "the ack told its place");
    let edit = later.hear("edit").await;
    assert_eq!((&edit["id"], &edit["text"]), (&asked, &json!("the question")));
    page.say(json!({"type": "delete", "client_id": "d1", "message": "c1"})).await;
    assert_eq!(page.hear("ack").await["client_id"], "d1");
    let mut latest = Page::open(&api, &channel, &visitor).await;
    assert_eq!(latest.hear("message").await["text"], "the answer", "what was deleted is not told");

    let deliveries = cluster.receiver.wait_for(4).await;
    let told: Vec<Value> =
        deliveries[1..].iter().map(|delivery| delivery.json()["metadata"].take()).collect();
    let marks: Vec<_> = told.iter().map(|metadata| &metadata["event"]).collect();
    assert_eq!(marks, ["message_reaction", "message_edited", "message_deleted"]);
    assert_eq!(told[0]["answer_id"], sent["id"]);
    assert_eq!((&told[1]["edited_message_id"], &told[2]["deleted_message_id"]), (&asked, &asked));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_tells_that_an_answer_arrived_and_was_read() {
    let cluster = Cluster::prepare().await;
    let (_gateway, api) = cluster.gateway().await;
    let _worker = cluster.worker("one", &api.base).await;
    let channel = api.configure("ada", "chat", "webchat", json!({})).await;
    let mut page = Page::open(&api, &channel, &token(16)).await;
    assert_eq!(page.hear("ready").await["receipts"], true);
    page.say(json!({"type": "message", "client_id": "c1", "text": "hi"})).await;
    page.hear("ack").await;
    let body = cluster.receiver.wait_for(1).await[0].json();
    let chat = body["reply_to"]["recipient"].as_str().unwrap();
    let (_, sent) = api.send("ada", "chat", chat, "the answer").await;
    let path = format!("/api/users/ada/messages/{}", sent["id"].as_str().unwrap());
    let record = async || api.call("GET", &path, None).await.1;
    let before = record().await;
    assert_eq!((&before["delivered_at"], &before["read_at"]), (&Value::Null, &Value::Null));
    let shown = page.hear("message").await["id"].clone();
    let mut stranger = Page::open(&api, &channel, &token(16)).await;
    stranger.hear("ready").await;
    stranger.say(json!({"type": "received", "client_id": "r1", "messages": [shown], "read": true})).await;
    stranger.hear("ack").await;
    assert_eq!(record().await["delivered_at"], Value::Null, "it is not the stranger's to tell");
    for (n, read) in [false, true, true].into_iter().enumerate() {
        let told =
            json!({"type": "received", "client_id": format!("r{n}"), "messages": [shown], "read": read});
        page.say(told).await;
        page.hear("ack").await;
        let now = record().await;
        assert!(now["delivered_at"].is_string() && now["read_at"].is_string() == read, "{now}");
    }
    let receipts = record().await["receipts"].take();
    let steps: Vec<_> = receipts.as_array().unwrap().iter().map(|step| step["kind"].clone()).collect();
    assert_eq!(steps, ["queued", "sent", "delivered", "read"]);
    let told = events(&cluster, &sent["id"], 4).await;
    assert_eq!(told, ["message.queued", "message.receipt", "message.receipt", "message.sent"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_shows_an_answer_while_it_is_written() {
    let cluster = Cluster::prepare().await;
    let (_gateway, api) = cluster.gateway().await;
    let _worker = cluster.worker("one", &api.base).await;
    let channel = api.configure("ada", "chat", "webchat", json!({})).await;
    let visitor = token(16);
    let mut page = Page::open(&api, &channel, &visitor).await;
    page.hear("ready").await;
    let words: Vec<String> = (0..40).map(|n| format!("word{n} ")).collect();
    let piece = |word: &String| (Duration::from_millis(100), format!("data: {}\n\n", json!({"delta": word})));
    cluster.receiver.stream_with(Some(words.iter().map(piece).collect()));
    page.say(json!({"type": "message", "client_id": "c1", "text": "hi"})).await;
    let asked = page.hear("ack").await["id"].clone();
    let (first, second) = (page.hear("draft").await, page.hear("draft").await);
    let text = |frame: &Value| frame["text"].as_str().unwrap().to_owned();
    assert_eq!((&first["id"], &second["id"]), (&asked, &asked), "one draft, named by its question");
    assert!(text(&second).starts_with(&text(&first)) && text(&second).len() > text(&first).len());
    let answer = page.hear("message").await;
    assert_eq!((&answer["replaces"], text(&answer)), (&asked, words.concat().trim_end().to_owned()));
    // Whoever comes later sees one answer, and nothing that stood for it.
    let mut later = Page::open(&api, &channel, &visitor).await;
    let shown = [later.hear("message").await, later.hear("message").await];
    assert_eq!((&shown[1]["id"], &shown[1]["replaces"]), (&answer["id"], &asked));
    let (_, page) = api.call("GET", "/api/users/ada/messages?direction=out", None).await;
    assert_eq!(page["messages"].as_array().unwrap().len(), 1, "{page}");
}
