//! The protocol over a real server and a real client, with a hub that lives in memory.

use std::sync::Mutex;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use claw_types::{
    Deed, Direction, Inbound, MessageId, Named, Outbound, Reaction, Receipts, ReplyTo, WebhookBody,
};
use futures::{SinkExt as _, StreamExt as _};
use serde_json::json;
use serde_json::value::to_raw_value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error as WsError, Message as WsMessage};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::super::frames::tests::{answer, send, stored};
use super::*;
use crate::adapters::webchat::Webchat;
use crate::adapters::webhook::testing::serve;
use crate::{Adapter as _, HistoryItem, Hosted, Stored};

const CHANNEL: ChannelId = ChannelId(Uuid::from_u128(7));
const VISITOR: &str = "0123456789abcdef";

/// One channel, one lane.
#[derive(Default)]
struct Memory {
    messages: Mutex<Vec<HistoryItem>>,
    /// What was done to messages.
    done: Mutex<Vec<Inbound>>,
    /// The channel's field `events`.
    told: Mutex<Vec<&'static str>>,
    listeners: Mutex<Vec<mpsc::Sender<Bytes>>>,
    database_is_away: Mutex<bool>,
    bus_is_away: Mutex<bool>,
    draining: CancellationToken,
}

impl Memory {
    fn store(&self, item: HistoryItem) {
        self.messages.lock().unwrap().push(item);
    }

    /// Stores an answer and publishes it, as its owner does.
    async fn answer(&self, seq: i64, text: &str) {
        self.post(answer(seq, &conversation_id(CHANNEL, VISITOR), text, vec![])).await;
    }

    async fn post(&self, item: HistoryItem) {
        let frames = send(&item).await;
        self.store(item);
        self.publish(&frames).await;
    }

    async fn publish(&self, frames: &[Bytes]) {
        let listeners = self.listeners.lock().unwrap().clone();
        for frame in frames {
            for listener in &listeners {
                // A socket that ended does not matter here.
                drop(listener.send(frame.clone()).await);
            }
        }
    }

    fn check(&self) -> Result<(), HubError> {
        if *self.database_is_away.lock().unwrap() { Err(HubError::Unavailable) } else { Ok(()) }
    }
}

#[async_trait]
impl Hub for Memory {
    fn home(&self) -> Option<ChannelId> {
        Some(CHANNEL)
    }

    async fn channel(&self, channel_type: &str, id: ChannelId) -> Result<Hosted, HubError> {
        assert_eq!(channel_type, "webchat");
        if id != CHANNEL {
            return Err(HubError::NoChannel);
        }
        let told = self.told.lock().unwrap().clone();
        let config = json!({"title": "A <b>", "allowed_origins": ["https://shop.example", "bad;"],
                            "greeting": "Hi", "events": told});
        Ok(Hosted { name: "chat".to_owned(), config: config.as_object().cloned().unwrap() })
    }

    async fn accept(&self, id: ChannelId, message: Inbound) -> Result<Option<Stored>, HubError> {
        self.check()?;
        if message.deed != Deed::Wrote {
            self.done.lock().unwrap().push(message);
            return Ok(None);
        }
        assert_eq!(message.metadata["chat_id"], json!(message.recipient));
        let mut messages = self.messages.lock().unwrap();
        let body = WebhookBody {
            user_id: "u".parse().unwrap(),
            agent_id: None,
            channel: "webchat".to_owned(),
            instance_name: "w".parse().unwrap(),
            platform_message_id: message.platform_message_id,
            sender: message.sender,
            content_type: message.content_type,
            text: message.text,
            media_url: None,
            media_filename: None,
            media_duration_seconds: None,
            is_group: message.is_group,
            thread_id: None,
            timestamp: message.timestamp.unwrap(),
            metadata: message.metadata,
            reply_to: Some(ReplyTo {
                channel: "webchat".to_owned(),
                recipient: message.recipient,
                thread_id: None,
            }),
        };
        let payload = to_raw_value(&body).unwrap();
        if let Some(known) = messages.iter().find(|item| item.payload.get() == payload.get()) {
            return Ok(Some(Stored { id: known.id, seq: 0, duplicate: true }));
        }
        let seq = i64::try_from(messages.len()).unwrap() + 1;
        let id = MessageId(Uuid::from_u128(id.0.as_u128() << 8 | messages.len() as u128));
        messages.push(HistoryItem { id, seq, direction: Direction::In, payload, accepted_at: self.now() });
        Ok(Some(Stored { id, seq, duplicate: false }))
    }

    async fn history(
        &self,
        _: ChannelId,
        conversation: &str,
        after: i64,
    ) -> Result<Vec<HistoryItem>, HubError> {
        self.check()?;
        let messages = self.messages.lock().unwrap();
        let own = |item: &&HistoryItem| item.payload.get().contains(conversation) && item.seq > after;
        Ok(messages.iter().filter(own).cloned().collect())
    }

    async fn subscribe(&self, _: ChannelId, _: &str) -> Result<mpsc::Receiver<Bytes>, HubError> {
        if *self.bus_is_away.lock().unwrap() {
            return Err(HubError::Unavailable);
        }
        let (sender, receiver) = mpsc::channel(16);
        self.listeners.lock().unwrap().push(sender);
        Ok(receiver)
    }

    fn draining(&self) -> CancellationToken {
        self.draining.clone()
    }

    fn now(&self) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH
    }

    fn token(&self, n: usize) -> String {
        "5a".repeat(n)
    }
}

struct Client(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Client {
    async fn say(&mut self, frame: Value) {
        self.0.send(WsMessage::text(frame.to_string())).await.unwrap();
    }

    async fn hear(&mut self) -> Value {
        loop {
            match self.0.next().await.unwrap().unwrap() {
                WsMessage::Text(frame) => return serde_json::from_str(&frame).unwrap(),
                WsMessage::Ping(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Everything up to "ready", as texts.
    async fn replay(&mut self) -> Vec<String> {
        let mut texts = Vec::new();
        loop {
            let frame = self.hear().await;
            if frame["type"] == "ready" {
                return texts;
            }
            texts.push(frame["text"].as_str().unwrap().to_owned());
        }
    }

    /// The code that the server closes with.
    async fn closed(mut self) -> u16 {
        loop {
            if let WsMessage::Close(frame) = self.0.next().await.unwrap().unwrap() {
                return frame.unwrap().code.into();
            }
        }
    }
}

async fn gateway() -> (Arc<Memory>, String) {
    let hub = Arc::new(Memory::default());
    let url = serve(Webchat::routes(hub.clone()).unwrap()).await;
    (hub, url)
}

async fn connect(url: &str, after: i64) -> Client {
    let url = url.replace("http", "ws");
    Client(
        connect_async(format!("{url}/webchat/{CHANNEL}/ws?visitor={VISITOR}&after={after}")).await.unwrap().0,
    )
}

/// The status that a socket is refused with.
async fn refused(url: &str, path: &str, origin: Option<&str>) -> u16 {
    let mut request = format!("{}{path}", url.replace("http", "ws")).into_client_request().unwrap();
    if let Some(origin) = origin {
        request.headers_mut().insert("origin", origin.parse().unwrap());
    }
    match connect_async(request).await {
        Err(WsError::Http(response)) => response.status().as_u16(),
        Ok(_) => 101,
        Err(other) => panic!("{other}"),
    }
}

fn message(client_id: &str, text: &str) -> Value {
    json!({"type": "message", "client_id": client_id, "text": text})
}

#[tokio::test]
async fn a_conversation() {
    let (hub, url) = gateway().await;
    let mut client = connect(&url, 0).await;
    assert!(client.replay().await.is_empty());
    client.say(message("c1", "hello")).await;
    let ack = client.hear().await;
    let id = ack["id"].as_str().unwrap().to_owned();
    assert_eq!(ack, json!({"type": "ack", "client_id": "c1", "id": id, "duplicate": false}));
    client.say(message("c1", "hello")).await;
    assert_eq!(client.hear().await, json!({"type": "ack", "client_id": "c1", "id": id, "duplicate": true}));
    hub.answer(2, "hi there").await;
    let live = client.hear().await;
    assert_eq!(
        (&live["from"], &live["text"], &live["seq"]),
        (&json!("agent"), &json!("hi there"), &json!(2))
    );

    // A second tab sees all of it, the visitor's own message by the page's id; a later one what it has not seen.
    let mut second = connect(&url, 0).await;
    let mine = second.hear().await;
    assert_eq!(
        (&mine["id"], &mine["client_id"], &mine["from"]),
        (&json!(id), &json!("c1"), &json!("visitor"))
    );
    assert_eq!(second.hear().await, live);
    assert_eq!(second.hear().await["type"], "ready");
    hub.answer(3, "more").await;
    assert_eq!(connect(&url, 2).await.replay().await, ["hi there", "more"]);
    second.0.close(None).await.unwrap();
    while let Some(left) = second.0.next().await {
        left.unwrap();
    }
}

/// Something else than a message, as the backend does it.
fn outbound(seq: i64, extra: Value) -> HistoryItem {
    let mut json = json!({"recipient": conversation_id(CHANNEL, VISITOR)});
    let Value::Object(extra) = extra else { panic!("an object") };
    json.as_object_mut().unwrap().extend(extra);
    stored(seq, &serde_json::from_value::<Outbound>(json).unwrap())
}

#[tokio::test]
async fn a_pressed_button_says_what_is_on_it_and_sends_what_is_behind_it() {
    let (hub, url) = gateway().await;
    let mut client = connect(&url, 0).await;
    client.replay().await;
    hub.post(outbound(1, json!({"text": "sure?", "buttons": [[{"text": "Yes!", "data": "y"}]]}))).await;
    let question = client.hear().await;
    assert_eq!(question["buttons"], json!([[{"text": "Yes!", "data": "y"}]]));
    let pressed = json!({"data": "y", "message_id": question["id"]});
    let frame = json!({"type": "message", "client_id": "c1", "text": "Yes!", "pressed": pressed});
    client.say(frame).await;
    assert_eq!(client.hear().await["type"], "ack");
    let body: WebhookBody = serde_json::from_str(hub.messages.lock().unwrap()[1].payload.get()).unwrap();
    assert_eq!((body.content_type.as_str(), body.text.as_deref()), ("button", Some("y")));
    for (key, value) in
        [("callback_data", &json!("y")), ("message_id", &question["id"]), ("button_text", &json!("Yes!"))]
    {
        assert_eq!(&body.metadata[key], value, "{key}");
    }
    assert_eq!(connect(&url, 0).await.replay().await, ["sure?", "Yes!"]);
    for pressed in [
        json!({"data": "", "message_id": question["id"]}),
        json!({"data": "x".repeat(65), "message_id": question["id"]}),
        json!({"data": "y", "message_id": "<b>"}),
    ] {
        client.say(json!({"type": "message", "client_id": "c2", "text": "Yes!", "pressed": pressed})).await;
        assert_eq!(client.hear().await["client_id"], "c2");
    }
    assert_eq!(hub.messages.lock().unwrap().len(), 2, "made-up buttons are not stored");
}

#[tokio::test]
async fn what_is_done_to_a_message_reaches_open_pages_and_later_ones() {
    let (hub, url) = gateway().await;
    let mut client = connect(&url, 0).await;
    client.replay().await;
    hub.answer(1, "teh answer").await;
    let id = client.hear().await["id"].clone();
    hub.post(outbound(2, json!({"act": {"type": "edit", "message_id": id}, "text": "the answer"}))).await;
    let edit = client.hear().await;
    assert_eq!(edit, json!({"type": "edit", "id": id, "seq": 2, "text": "the answer", "buttons": []}));
    hub.publish(&[Frame::Typing.json().into()]).await;
    assert_eq!(client.hear().await, json!({"type": "typing"}));
    hub.post(outbound(3, json!({"act": {"type": "react", "message_id": id, "emoji": "👍"}}))).await;
    assert_eq!(client.hear().await["emoji"], "👍");
    let mut later = connect(&url, 0).await;
    let types: Vec<_> = [later.hear().await, later.hear().await, later.hear().await]
        .iter()
        .map(|frame| frame["type"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(types, ["message", "edit", "react"]);
    hub.post(outbound(4, json!({"act": {"type": "delete", "message_ids": [id]}}))).await;
    assert_eq!(client.hear().await, json!({"type": "delete", "id": id, "seq": 4}));
    let mut latest = connect(&url, 0).await;
    let mut frames = Vec::new();
    while frames.last().is_none_or(|frame: &Value| frame["type"] != "ready") {
        frames.push(latest.hear().await);
    }
    assert!(frames.iter().all(|frame| frame["text"].is_null()), "what was deleted is not told: {frames:?}");
}

#[tokio::test]
async fn a_visitor_changes_its_own_messages_where_the_backend_hears_of_it() {
    let (hub, url) = gateway().await;
    let mut client = connect(&url, 0).await;
    assert_eq!(client.hear().await, json!({"type": "ready", "can": [], "receipts": true}));
    let edit = json!({"type": "edit", "client_id": "e1", "message": "c1", "text": "new"});
    let delete = json!({"type": "delete", "client_id": "d1", "message": "c1"});
    for (frame, client_id) in [(&edit, "e1"), (&delete, "d1")] {
        client.say(frame.clone()).await;
        let error = client.hear().await;
        assert_eq!((&error["type"], &error["client_id"]), (&json!("error"), &json!(client_id)));
    }
    *hub.told.lock().unwrap() = vec!["edits", "deletions"];
    let mut client = connect(&url, 0).await;
    assert_eq!(
        client.hear().await,
        json!({"type": "ready", "can": ["edits", "deletions"], "receipts": true})
    );
    for (frame, client_id) in [(edit, "e1"), (delete, "d1")] {
        client.say(frame).await;
        assert_eq!(
            client.hear().await,
            json!({"type": "ack", "client_id": client_id, "id": null, "duplicate": false})
        );
    }
    let own = |client_id: &str| format!("{}:{client_id}", conversation_id(CHANNEL, VISITOR));
    let done = hub.done.lock().unwrap();
    assert_eq!(done[0].deed, Deed::Edited(own("c1")), "only in its own conversation");
    assert_eq!(done[0].dedup_key, Some(format!("edit:{}", own("e1"))));
    assert_eq!((done[0].text.as_deref(), done[1].text.as_deref()), (Some("new"), None));
    assert_eq!(done[1].deed, Deed::Deleted(own("c1")));
}

#[tokio::test]
async fn a_page_tells_what_arrived_without_taking_the_visitors_turn() {
    let (hub, url) = gateway().await;
    let mut client = connect(&url, 0).await;
    client.replay().await;
    let id = Uuid::from_u128(7).to_string();
    let frame = |n: usize, read: bool| json!({"type": "received", "client_id": format!("r{n}"), "messages": [id, format!("{id}:1")], "read": read});
    for n in 0..said::PACE {
        client.say(frame(n, n % 2 == 1)).await;
        assert_eq!(client.hear().await["type"], "ack", "{n}");
    }
    client.say(frame(said::PACE, false)).await;
    assert_eq!(client.hear().await["type"], "error", "too many");
    client.say(message("c1", "hello")).await;
    assert_eq!(client.hear().await["type"], "ack");
    let ours = || Named::Ours(MessageId(Uuid::from_u128(7)));
    let done = hub.done.lock().unwrap().clone();
    let (delivered, read) = (&done[0], &done[1].deed);
    assert_eq!(
        delivered.deed,
        Deed::Received(Receipts { messages: vec![ours(), ours()], ..Receipts::default() })
    );
    assert_eq!(delivered.recipient, conversation_id(CHANNEL, VISITOR), "only in its own conversation");
    assert_eq!(*read, Deed::Received(Receipts { messages: vec![ours(), ours()], read: true, failed: None }));
    for messages in [json!([]), json!(["m1"]), json!(["c:1"]), json!(vec![id.clone(); 201])] {
        let mut other = connect(&url, 0).await;
        while other.hear().await["type"] != "ready" {}
        other.say(json!({"type": "received", "client_id": "r", "messages": messages, "read": true})).await;
        let error = other.hear().await;
        assert_eq!((&error["type"], &error["client_id"]), (&json!("error"), &Value::Null), "{messages}");
    }
}

#[tokio::test]
async fn a_thumb_is_always_taken_and_nonsense_never() {
    let (hub, url) = gateway().await;
    let mut client = connect(&url, 0).await;
    client.replay().await;
    client.say(json!({"type": "react", "client_id": "r1", "message_id": "0a-1:1", "added": "👍", "removed": null})).await;
    assert_eq!(client.hear().await["type"], "ack");
    let thumb = Reaction { to: "0a-1:1".into(), added: vec!["👍".into()], ..Reaction::default() };
    assert_eq!(hub.done.lock().unwrap()[0].deed, Deed::Reacted(thumb));
    for frame in [
        json!({"type": "react", "client_id": "r", "message_id": "0a"}),
        json!({"type": "react", "client_id": "r", "message_id": "0a", "added": ""}),
        json!({"type": "react", "client_id": "r", "message_id": "0a", "added": "a b"}),
        json!({"type": "react", "client_id": "r", "message_id": "0a", "added": "x".repeat(65)}),
        json!({"type": "react", "client_id": "r", "message_id": "0a", "added": ["👍"]}),
        json!({"type": "react", "client_id": "r", "message_id": "<b>", "added": "👍"}),
        json!({"type": "react", "client_id": "r", "added": "👍"}),
        json!({"type": "edit", "client_id": "e", "text": "x"}),
        json!({"type": "edit", "client_id": "e", "message": "another:c1", "text": "x"}),
        json!({"type": "edit", "client_id": "e", "message": "c1", "text": " "}),
        json!({"type": "edit", "client_id": "e", "message": "c1", "text": "x".repeat(16_001)}),
        json!({"type": "delete", "client_id": "d", "message": "x".repeat(65)}),
    ] {
        client.say(frame.clone()).await;
        assert_eq!(client.hear().await["type"], "error", "{frame}");
    }
    assert_eq!(hub.done.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn what_is_refused_is_named_and_the_socket_stays() {
    let (_hub, url) = gateway().await;
    let mut client = connect(&url, 0).await;
    client.replay().await;
    for (frame, client_id) in [
        (message("c1", " \n"), json!("c1")),
        (message("c2", &"x".repeat(16_001)), json!("c2")),
        (message("c 3", "x"), json!(null)),
        (message(&"c".repeat(65), "x"), json!(null)),
        (json!({"type": "typing", "client_id": "c4"}), json!(null)),
        (json!([1]), json!(null)),
    ] {
        client.say(frame).await;
        let error = client.hear().await;
        assert_eq!((&error["type"], &error["client_id"]), (&json!("error"), &client_id));
        assert!(error["message"].as_str().unwrap().len() > 10);
    }
    client.say(message("long", &"\u{1}".repeat(16_000))).await;
    assert_eq!(client.hear().await["type"], "ack");
}

#[tokio::test]
async fn too_many_thumbs_at_once_are_refused() {
    let (hub, url) = gateway().await;
    let mut client = connect(&url, 0).await;
    client.replay().await;
    for n in 0..=said::PACE {
        client
            .say(json!({"type": "react", "client_id": format!("r{n}"), "message_id": "0a", "added": "👍"}))
            .await;
        let expected = if n < said::PACE { "ack" } else { "error" };
        assert_eq!(client.hear().await["type"], expected, "{n}");
    }
    assert_eq!(hub.done.lock().unwrap().len(), said::PACE);
}

#[tokio::test]
async fn too_many_messages_at_once_are_refused() {
    let (_hub, url) = gateway().await;
    let mut client = connect(&url, 0).await;
    client.replay().await;
    for n in 0..=said::PACE {
        client.say(message(&format!("c{n}"), "x")).await;
        let expected = if n < said::PACE { "ack" } else { "error" };
        assert_eq!(client.hear().await["type"], expected, "{n}");
    }
}

#[tokio::test]
async fn what_can_not_be_stored_ends_the_socket_so_that_it_is_sent_again() {
    let (hub, url) = gateway().await;
    let mut client = connect(&url, 0).await;
    client.replay().await;
    *hub.database_is_away.lock().unwrap() = true;
    client.say(message("c1", "x")).await;
    let error = client.hear().await;
    assert_eq!(
        error,
        json!({"type": "error", "client_id": null, "message": HubError::Unavailable.to_string()})
    );
    assert_eq!(client.closed().await, 1013);
    *hub.database_is_away.lock().unwrap() = false;
    let mut client = connect(&url, 0).await;
    client.replay().await;
    client.say(message("c1", "x")).await;
    assert_eq!(client.hear().await["duplicate"], false);
}

#[tokio::test]
async fn what_the_bus_loses_the_history_has() {
    let (hub, url) = gateway().await;
    let mut client = connect(&url, 0).await;
    client.replay().await;
    hub.answer(1, "first").await;
    assert_eq!(client.hear().await["text"], "first");
    // The bus goes away with an answer on it.
    *hub.bus_is_away.lock().unwrap() = true;
    hub.listeners.lock().unwrap().clear();
    hub.answer(2, "second").await;
    let mut texts = Vec::new();
    while !texts.contains(&json!("second")) {
        texts.push(client.hear().await["text"].clone());
    }
    *hub.bus_is_away.lock().unwrap() = false;
    while hub.listeners.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    hub.answer(3, "third").await;
    while client.hear().await["text"] != "third" {}
}

#[tokio::test]
async fn a_page_is_ready_only_once_it_was_brought_up_to_date() {
    let (hub, url) = gateway().await;
    hub.answer(1, "earlier").await;
    *hub.database_is_away.lock().unwrap() = true;
    let mut client = connect(&url, 0).await;
    let early = timeout(Duration::from_millis(50), client.hear()).await;
    assert!(early.is_err(), "{early:?}");
    *hub.database_is_away.lock().unwrap() = false;
    assert_eq!(client.replay().await, ["earlier"]);
}

#[tokio::test]
async fn a_draining_gateway_says_goodbye() {
    let (hub, url) = gateway().await;
    let mut client = connect(&url, 0).await;
    client.replay().await;
    hub.draining.cancel();
    assert_eq!(client.closed().await, 1001);
}

#[tokio::test(start_paused = true)]
async fn a_page_that_answers_pings_is_kept_and_a_silent_one_is_not() {
    let (hub, url) = gateway().await;
    let mut awake = connect(&url, 0).await;
    awake.replay().await;
    let mut asleep = connect(&url, 0).await;
    asleep.replay().await;
    // Reading is what answers pings.
    assert!(timeout(Duration::from_mins(5), awake.hear()).await.is_err());
    hub.answer(1, "still here").await;
    assert_eq!(awake.hear().await["text"], "still here");
    let end = loop {
        match asleep.0.next().await {
            Some(Ok(WsMessage::Ping(_))) => {}
            other => break other,
        }
    };
    assert!(!matches!(end, Some(Ok(_))), "{end:?}");
}

#[tokio::test]
async fn sockets_open_only_for_whom_they_should() {
    let (_hub, url) = gateway().await;
    let path = format!("/webchat/{CHANNEL}/ws?visitor={VISITOR}");
    assert_eq!(refused(&url, &path, None).await, 101);
    assert_eq!(refused(&url, &path, Some(&url)).await, 101);
    assert_eq!(refused(&url, &path, Some("https://SHOP.example")).await, 101);
    assert_eq!(refused(&url, &path, Some("https://evil.example")).await, 403);
    assert_eq!(refused(&url, &path, Some("null")).await, 403);
    for visitor in ["", "short", "0123456789abcde%20", &"x".repeat(129)] {
        let path = format!("/webchat/{CHANNEL}/ws?visitor={visitor}");
        assert_eq!(refused(&url, &path, None).await, 400, "{visitor}");
    }
    assert_eq!(refused(&url, &format!("{path}&after=x"), None).await, 400);
    assert_eq!(refused(&url, &path.replace('7', "8"), None).await, 404);
    assert_eq!(refused(&url, &format!("/webchat/none/ws?visitor={VISITOR}"), None).await, 404);
}

#[tokio::test]
async fn the_page_comes_with_its_policy() {
    let (_hub, url) = gateway().await;
    let http = crate::kit::http::operator_client(Duration::from_secs(5)).unwrap();
    for path in ["/".to_owned(), format!("/webchat/{CHANNEL}?embed=1")] {
        let response = http.get(format!("{url}{path}")).send().await.unwrap();
        assert_eq!(response.status(), 200);
        let nonce = "5a".repeat(16);
        assert_eq!(
            response.headers()["content-security-policy"],
            format!(
                "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; \
                 connect-src 'self' ws: wss:; img-src https: http: data:; media-src https: http:; base-uri 'none'; \
                 form-action 'none'; frame-ancestors 'self' https://shop.example"
            )
        );
        assert_eq!(response.headers()["cache-control"], "no-store");
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        assert_eq!(response.headers()["referrer-policy"], "no-referrer");
        let page = response.text().await.unwrap();
        assert!(page.contains("<h1>A &lt;b&gt;</h1>") && page.contains("data-greeting=\"Hi\""));
    }
    let widget = http.get(format!("{url}/webchat/widget.js")).send().await.unwrap();
    assert_eq!(widget.headers()["content-type"], "text/javascript; charset=utf-8");
    let missing = http.get(format!("{url}/webchat/{VISITOR}")).send().await.unwrap();
    assert_eq!(missing.status(), 404);
    assert_eq!(missing.headers()["content-type"], "text/html; charset=utf-8");
}

#[test]
fn a_conversation_does_not_tell_its_visitor() {
    let id = conversation_id(CHANNEL, VISITOR);
    // Computed by Python's hashlib over the channel's 16 bytes and the visitor.
    assert_eq!(id, "1ff81f8e3d2aa5875738a112ed58a1b7");
    assert_ne!(id, conversation_id(ChannelId(Uuid::from_u128(8)), VISITOR));
    assert_ne!(id, conversation_id(CHANNEL, "0123456789abcdeg"));
}
