//! The calls against the platform's own description of them, and against a server that records them.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Path, State};
use axum::response::IntoResponse;
use axum::routing::post;
use bytes::Bytes;
use chrono::DateTime;
use claw_types::{Inbound, MessageId, Outbound};
use futures::StreamExt as _;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use super::calls::{Call, of_part};
use super::exam::described;
use super::files::{self, File};
use super::*;
use crate::SinkError;
use crate::adapters::webhook::testing::{Recorder, deps, serve};
use crate::kit::fetch::Fetched;
use crate::kit::http::Http;
use crate::kit::plan::{Content, Piece, plan};

mod hooks;
mod menu;
mod moved;
mod own_name;
mod uploads;

crate::exam::conformance!(Telegram);

const TOKEN: &str = "123456:AAEabcdefghijklmnopqrstuvwxyz_-01234";

/// A Bot API server that answers what it is told to, and remembers what it was asked.
#[derive(Clone, Default)]
struct Server {
    answers: Arc<Mutex<VecDeque<(u16, Value)>>>,
    asked: Arc<Mutex<Vec<(String, Value)>>>,
    uploaded: Arc<Mutex<Vec<uploads::Uploaded>>>,
}

impl Server {
    async fn start() -> (Self, Telegram) {
        let server = Self::default();
        let url = serve(server.router()).await;
        (server, bot(&url, deps(Arc::new(Recorder::default()))))
    }

    fn router(&self) -> Router {
        Router::new().route("/{bot}/{method}", post(answer)).with_state(self.clone())
    }

    fn will(&self, result: Value) {
        let mut body = json!({"ok": true});
        body["result"] = result;
        self.answers.lock().unwrap().push_back((200, body));
    }

    fn will_refuse(&self, status: u16, description: &str) {
        let body = json!({"ok": false, "error_code": status, "description": description});
        self.answers.lock().unwrap().push_back((status, body));
    }

    /// What it was asked since the last time. Every call is checked against the description.
    fn asked(&self) -> Vec<(String, Value)> {
        let asked = std::mem::take(&mut *self.asked.lock().unwrap());
        for (method, body) in &asked {
            check(method, body);
        }
        asked
    }
}

fn bot(api_url: &str, deps: Deps) -> Telegram {
    let config = json!({"bot_token_env": TOKEN, "api_url": api_url, "poll_interval_secs": 1});
    Telegram::new(serde_json::from_value(config).unwrap(), deps).unwrap()
}

async fn answer(
    State(server): State<Server>,
    Path((bot, method)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> impl IntoResponse {
    assert_eq!(bot, format!("bot{TOKEN}"));
    let body = match uploads::boundary(&headers) {
        None => serde_json::from_slice(&body).unwrap(),
        Some(boundary) => {
            let (body, files) = uploads::read_form(boundary, &body);
            let names = files.iter().map(|file| (file.field.clone(), file.name.clone()));
            let body = with_names(body, names);
            server.uploaded.lock().unwrap().extend(files);
            body
        }
    };
    server.asked.lock().unwrap().push((method, body));
    let answer = server.answers.lock().unwrap().pop_front();
    let (status, body) =
        answer.unwrap_or_else(|| (500, json!({"ok": false, "description": "nothing planned"})));
    (StatusCode::from_u16(status).unwrap(), axum::Json(body))
}

fn check(method: &str, body: &Value) {
    described(method, body).unwrap();
}

fn with(mut json: Value, extra: Value) -> Value {
    let Value::Object(extra) = extra else { panic!("an object") };
    json.as_object_mut().unwrap().extend(extra);
    json
}

fn message(extra: Value) -> Outbound {
    let json = with(json!({"recipient": "-100123"}), extra);
    let message: Outbound = serde_json::from_value(json).unwrap();
    message.validate().unwrap();
    message
}

fn parts(message: &Outbound) -> Vec<Piece> {
    let plan = plan(message, &CAPS).unwrap();
    assert_eq!(plan.degraded, [], "the platform has everything");
    plan.parts
}

fn part<'a>(message: &'a Outbound, index: usize, piece: &'a Piece) -> Part<'a> {
    Part {
        message_id: MessageId(Uuid::from_u128(9)),
        seq: 1,
        index,
        recipient: &message.recipient,
        thread_id: message.thread_id.as_deref(),
        piece,
        accepted_at: DateTime::UNIX_EPOCH,
        replaces: None,
    }
}

/// What was fetched of a part, everything being what it is said to be.
fn files_of(piece: &Piece) -> Vec<File> {
    let media = match &piece.content {
        Content::Media { media, .. } => std::slice::from_ref(media),
        Content::Album { media, .. } => media,
        _ => return Vec::new(),
    };
    let fetched = |kind: MediaKind| {
        let content_type = match kind {
            MediaKind::Image => "image/png",
            MediaKind::Video => "video/mp4",
            MediaKind::Audio | MediaKind::Voice => "audio/mpeg",
            MediaKind::File => "text/plain",
        };
        let (filename, bytes) = (Some(kind.as_str().to_owned()), Bytes::from_static(b"?"));
        Fetched { content_type: content_type.to_owned(), filename, bytes }
    };
    files::of(media, &media.iter().map(|media| fetched(media.kind)).collect::<Vec<_>>())
}

/// The parameters with the names of the files that stand for one. Those of an album must be where it says.
fn with_names(mut body: Map<String, Value>, files: impl Iterator<Item = (String, String)>) -> Value {
    let attached: BTreeSet<String> = match body.get("media") {
        Some(Value::Array(items)) => {
            items.iter().map(|item| item["media"].as_str().unwrap().to_owned()).collect()
        }
        _ => BTreeSet::new(),
    };
    let mut uploaded = BTreeSet::new();
    for (name, filename) in files {
        if attached.is_empty() {
            body.insert(name, json!(filename));
        } else {
            uploaded.insert(format!("attach://{name}"));
        }
    }
    assert_eq!(uploaded, attached, "what an album refers to goes along");
    Value::Object(body)
}

/// The calls that a message becomes.
fn calls_of(extra: Value) -> Vec<(&'static str, Value)> {
    let message = message(extra);
    let call = |(index, piece)| {
        let Call { method, body, files } =
            of_part(&part(&message, index, piece), &files_of(piece), true).unwrap();
        let body = with_names(body, files.into_iter().map(|(name, file)| (name, file.name)));
        check(method, &body);
        (method, body)
    };
    parts(&message).iter().enumerate().map(call).collect()
}

async fn send(bot: &Telegram, extra: Value) -> Vec<Result<Receipt, ChannelError>> {
    let message = message(extra);
    let mut receipts = Vec::new();
    for (index, piece) in parts(&message).iter().enumerate() {
        receipts.push(bot.send(&part(&message, index, piece)).await);
    }
    receipts
}

fn sent(id: &str) -> Receipt {
    Receipt { platform_message_id: id.to_owned() }
}

#[test]
fn tokens_are_recognised() {
    assert_eq!(bot_id(TOKEN), Some(123_456));
    for wrong in [
        "",
        "123456",
        ":AAEabcdefghijklmnopqrstuvwxyz_-01234",
        "+1:AAEabcdefghijklmnopqrstuvwxyz_-01234",
        "abc:AAEabcdefghijklmnopqrstuvwxyz_-01234",
        "1:short",
        "1:AAE abcdefghijklmnopqrst",
    ] {
        assert_eq!(bot_id(wrong), None, "{wrong}");
    }
}

#[test]
fn a_renewed_token_is_the_same_bot() {
    let config = |token: &str| -> Config { serde_json::from_value(json!({"bot_token_env": token})).unwrap() };
    for token in ["1:a", "1:b"] {
        assert_eq!(Telegram::credentials(&config(token)), ["1"]);
    }
    assert_eq!(Telegram::credentials(&config("2:a")), ["2"]);
}

#[test]
fn a_text_is_formatted_and_addressed() {
    let calls = calls_of(json!({
        "text": "**hi** <b>", "thread_id": "9", "reply_to": "41",
        "buttons": [[{"text": "Yes", "data": "y"}, {"text": "Site", "url": "https://x.org"}], [{"text": "No", "data": "n"}]],
    }));
    let keyboard = json!([
        [{"text": "Yes", "callback_data": "y"}, {"text": "Site", "url": "https://x.org"}],
        [{"text": "No", "callback_data": "n"}],
    ]);
    let expected = json!({
        "chat_id": "-100123", "text": "<b>hi</b> &lt;b&gt;", "parse_mode": "HTML", "message_thread_id": 9,
        "reply_parameters": {"message_id": 41, "allow_sending_without_reply": true},
        "reply_markup": {"inline_keyboard": keyboard},
    });
    assert_eq!(calls, [("sendMessage", expected)]);
    let plain = calls_of(json!({"text": "**hi** <b>", "format": "plain"}));
    assert_eq!(plain, [("sendMessage", json!({"chat_id": "-100123", "text": "**hi** <b>"}))]);
}

#[test]
fn every_kind_of_content_is_a_call_that_the_platform_knows() {
    let media = |kinds: &[&str]| -> Value {
        kinds.iter().map(|kind| json!({"kind": kind, "url": format!("https://x/{kind}")})).collect()
    };
    let methods = |extra: Value| calls_of(extra).into_iter().map(|(method, _)| method).collect::<Vec<_>>();
    for (kind, method) in [
        ("image", "sendPhoto"),
        ("video", "sendVideo"),
        ("audio", "sendAudio"),
        ("voice", "sendVoice"),
        ("file", "sendDocument"),
    ] {
        assert_eq!(methods(json!({"text": "*c*", "media": media(&[kind])})), [method]);
    }
    let mixed = json!({"text": "*look*", "media": media(&["image", "video", "file", "file", "voice"])});
    assert_eq!(methods(mixed.clone()), ["sendMediaGroup", "sendMediaGroup", "sendVoice"]);
    assert_eq!(
        calls_of(mixed)[0].1["media"],
        json!([{"type": "photo", "media": "attach://file0", "caption": "<i>look</i>", "parse_mode": "HTML"},
            {"type": "video", "media": "attach://file1"}])
    );
    let place = |extra: Value| {
        let place = with(json!({"latitude": 48.5, "longitude": -2.25}), extra);
        calls_of(json!({"location": place})).remove(0)
    };
    let bare = json!({"chat_id": "-100123", "latitude": 48.5, "longitude": -2.25});
    assert_eq!(place(json!({})), ("sendLocation", bare));
    let venue = place(json!({"title": "Here"}));
    assert_eq!(
        (venue.0, &venue.1["title"], &venue.1["address"]),
        ("sendVenue", &json!("Here"), &json!("48.5, -2.25"))
    );
    let poll =
        json!({"poll": {"question": "q", "options": ["a", "b"], "multiple": true, "anonymous": false}});
    let expected = json!({"chat_id": "-100123", "question": "q", "options": [{"text": "a"}, {"text": "b"}],
        "is_anonymous": false, "allows_multiple_answers": true});
    assert_eq!(calls_of(poll), [("sendPoll", expected)]);
}

#[test]
fn acts_are_calls_that_the_platform_knows() {
    let act = |act: Value, extra: Value| calls_of(with(json!({"act": act}), extra)).remove(0);
    let edit = json!({"type": "edit", "message_id": "5,6"});
    assert_eq!(
        act(edit.clone(), json!({"text": "*a*"})),
        (
            "editMessageText",
            json!({"chat_id": "-100123", "message_id": 5, "text": "<i>a</i>", "parse_mode": "HTML"})
        )
    );
    let (method, _) = act(edit, json!({"buttons": [[{"text": "a", "data": "b"}]]}));
    assert_eq!(method, "editMessageReplyMarkup");
    let delete = |ids: &str| act(json!({"type": "delete", "message_ids": [ids]}), json!({}));
    assert_eq!(delete("5"), ("deleteMessage", json!({"chat_id": "-100123", "message_id": 5})));
    assert_eq!(delete("5,6"), ("deleteMessages", json!({"chat_id": "-100123", "message_ids": [5, 6]})));
    let react = |emoji: Value| act(json!({"type": "react", "message_id": "5", "emoji": emoji}), json!({}));
    let (method, body) = react(json!("\u{2764}\u{fe0f}"));
    assert_eq!(
        (method, &body["reaction"]),
        ("setMessageReaction", &json!([{"type": "emoji", "emoji": "\u{2764}"}]))
    );
    assert_eq!(react(Value::Null).1["reaction"], json!([]));
}

#[test]
fn an_id_that_is_no_number_is_refused_with_a_sentence() {
    let message = message(json!({"text": "a", "reply_to": "abc"}));
    let pieces = parts(&message);
    assert_eq!(
        of_part(&part(&message, 0, &pieces[0]), &[], true),
        Err(ChannelError::Permanent(
            "reply_to \"abc\" is not a number: take it from platform_message_id".to_owned()
        ))
    );
}

#[tokio::test]
async fn refused_formatting_is_sent_again_as_plain_text() {
    let (server, bot) = Server::start().await;
    server
        .will_refuse(400, "Bad Request: can't parse entities: Unsupported start tag \"x\" at byte offset 0");
    server.will(json!({"message_id": 7}));
    assert_eq!(send(&bot, json!({"text": "**a** [b](https://x.org)"})).await, [Ok(sent("7"))]);
    let asked = server.asked();
    assert_eq!(asked[0].1["parse_mode"], "HTML");
    assert_eq!(asked[1].1, json!({"chat_id": "-100123", "text": "a b (https://x.org)"}));
    server.will_refuse(400, "Bad Request: chat not found");
    assert!(matches!(send(&bot, json!({"text": "a"})).await[0], Err(ChannelError::Permanent(_))));
    assert_eq!(server.asked().len(), 1, "only formatting is worth a second try");
}

#[tokio::test]
async fn an_edit_of_an_attachment_changes_its_caption() {
    let (server, bot) = Server::start().await;
    server.will_refuse(400, "Bad Request: there is no text in the message to edit");
    server.will(json!({"message_id": 5}));
    let edit = json!({"act": {"type": "edit", "message_id": "5"}, "text": "*a*"});
    assert_eq!(send(&bot, edit).await, [Ok(sent("5"))]);
    let asked = server.asked();
    assert_eq!(asked[1].0, "editMessageCaption");
    assert_eq!(asked[1].1["caption"], "<i>a</i>");
}

#[tokio::test]
async fn what_is_so_already_is_no_error() {
    let (server, bot) = Server::start().await;
    let edit = json!({"act": {"type": "edit", "message_id": "5"}, "text": "a"});
    server
        .will_refuse(400, "Bad Request: message is not modified: specified new message content is the same");
    assert_eq!(send(&bot, edit.clone()).await, [Ok(sent("5"))]);
    server.will_refuse(400, "Bad Request: message to delete not found");
    let delete = json!({"act": {"type": "delete", "message_ids": ["5"]}});
    assert_eq!(send(&bot, delete.clone()).await, [Ok(sent("5"))]);
    server.will_refuse(400, "Bad Request: message can't be deleted for everyone");
    assert!(matches!(send(&bot, delete).await[0], Err(ChannelError::Permanent(_))));
    server.will_refuse(400, "Bad Request: message to edit not found");
    assert!(matches!(send(&bot, edit).await[0], Err(ChannelError::Permanent(_))));
    server.will(json!(true));
    assert_eq!(
        send(&bot, json!({"act": {"type": "react", "message_id": "5", "emoji": "👍"}})).await,
        [Ok(sent("5"))]
    );
    server.asked();
}

#[tokio::test]
async fn an_act_that_may_have_happened_is_done_again_but_a_message_is_not() {
    let (server, bot) = Server::start().await;
    // A 200 whose body is no answer: it probably happened.
    let unreadable = || server.answers.lock().unwrap().push_back((200, json!("?")));
    unreadable();
    assert!(matches!(send(&bot, json!({"text": "a"})).await[0], Err(ChannelError::Uncertain(_))));
    unreadable();
    let edit = json!({"act": {"type": "edit", "message_id": "5"}, "text": "a"});
    assert!(matches!(send(&bot, edit).await[0], Err(ChannelError::Retryable(_))));
}

#[tokio::test]
async fn probing_tells_who_the_bot_is() {
    let (server, bot) = Server::start().await;
    server.will(json!({"id": 123_456, "is_bot": true, "first_name": "Claw", "username": "claw_bot"}));
    let probe = bot.probe().await.unwrap();
    assert_eq!((probe.account.as_deref(), &probe.details["id"]), (Some("@claw_bot"), &json!(123_456)));
    server.will_refuse(401, "Unauthorized");
    assert!(matches!(bot.probe().await, Err(ChannelError::BadCredentials(_))));
    assert!(server.asked().iter().all(|(method, _)| method == "getMe"));
}

#[tokio::test]
async fn typing_goes_to_the_topic() {
    let (server, bot) = Server::start().await;
    server.will(json!(true));
    bot.typing("-100123", Some("9")).await.unwrap();
    let body = json!({"chat_id": "-100123", "message_thread_id": 9, "action": "typing"});
    assert_eq!(server.asked(), [("sendChatAction".to_owned(), body)]);
}

/// Keeps what it is given, unless it is told not to.
#[derive(Default)]
struct Kept {
    messages: Mutex<Vec<Inbound>>,
    away: bool,
}

#[async_trait]
impl Sink for Kept {
    async fn accept(&self, messages: Vec<Inbound>) -> Result<(), SinkError> {
        if self.away {
            return Err(SinkError::NotCommitted("away".to_owned()));
        }
        self.messages.lock().unwrap().extend(messages);
        Ok(())
    }

    async fn cursor(&self) -> Result<Option<String>, SinkError> {
        Ok(None)
    }

    async fn save_cursor(&self, _: String) -> Result<(), SinkError> {
        Ok(())
    }

    async fn trouble(&self, _: Option<&str>) {}
}

fn press(message: Value) -> Value {
    let user = json!({"id": 42, "is_bot": false, "first_name": "Ada", "last_name": "L", "username": "ada"});
    let mut query = json!({"id": "4711", "from": user, "chat_instance": "1", "data": "y"});
    query["message"] = message;
    json!([{"update_id": 7, "callback_query": query}])
}

fn pressed_message() -> Value {
    json!({
        "message_id": 5, "date": 1_700_000_000, "text": "sure?", "message_thread_id": 9, "is_topic_message": true,
        "chat": {"id": -100_123, "type": "supergroup", "title": "research", "is_forum": true},
        "reply_markup": {"inline_keyboard": [[{"text": "No", "callback_data": "n"}, {"text": "Yes!", "callback_data": "y"}]]},
    })
}

#[tokio::test]
async fn a_pressed_button_is_a_message_and_is_answered_once_it_is_committed() {
    let (server, bot) = Server::start().await;
    server.will(press(pressed_message()));
    server.will(json!(true));
    let sink = Kept::default();
    assert_eq!(bot.poll_once(&sink, 0).await, Ok(8));
    let message = sink.messages.lock().unwrap().remove(0);
    assert_eq!((message.content_type.as_str(), message.text.as_deref()), ("button", Some("y")));
    assert_eq!((message.recipient.as_str(), message.thread_id.as_deref()), ("-100123", Some("9")));
    assert_eq!((message.is_group, message.dedup_key.as_deref()), (true, Some("button:4711")));
    assert_eq!(message.sender.unwrap().display_name, "Ada L");
    for (key, value) in [
        ("callback_data", "y"),
        ("message_id", "5"),
        ("button_text", "Yes!"),
        ("chat_id", "-100123"),
        ("username", "ada"),
    ] {
        assert_eq!(message.metadata[key], value, "{key}");
    }
    let asked = server.asked();
    assert_eq!(
        asked[0].1["allowed_updates"],
        json!(["message", "edited_message", "callback_query", "message_reaction", "message_reaction_count"])
    );
    assert_eq!(asked[1], ("answerCallbackQuery".to_owned(), json!({"callback_query_id": "4711"})));
}

#[tokio::test]
async fn a_press_that_was_not_committed_is_not_answered() {
    let (server, bot) = Server::start().await;
    server.will(press(pressed_message()));
    let sink = Kept { away: true, ..Kept::default() };
    assert!(bot.poll_once(&sink, 0).await.is_err());
    assert_eq!(server.asked().len(), 1, "the poll alone");
}

#[tokio::test]
async fn a_press_below_an_old_message_counts_and_one_without_a_chat_does_no_harm() {
    let (server, bot) = Server::start().await;
    let old = json!({"message_id": 5, "date": 0, "chat": {"id": 3, "type": "private"}});
    server.will(press(old));
    // Telegram refuses answers that come too late; the message is not held back by it.
    server.will_refuse(
        400,
        "Bad Request: query is too old and response timeout expired or query ID is invalid",
    );
    server.will(press(Value::Null));
    let sink = Kept::default();
    assert_eq!(bot.poll_once(&sink, 0).await, Ok(8));
    assert_eq!(bot.poll_once(&sink, 8).await, Ok(8));
    let messages = sink.messages.lock().unwrap();
    assert_eq!(messages.len(), 1);
    assert!(!messages[0].is_group && messages[0].thread_id.is_none());
}

#[tokio::test]
async fn an_edit_does_not_go_out_as_a_new_message() {
    let (server, bot) = Server::start().await;
    server.will(json!({"message_id": 5}));
    let edit = json!({"act": {"type": "edit", "message_id": "5"}, "text": "a", "thread_id": "9"});
    assert_eq!(send(&bot, edit).await, [Ok(sent("5"))]);
    let body = json!({"chat_id": "-100123", "message_id": 5, "text": "a", "parse_mode": "HTML"});
    assert_eq!(server.asked(), [("editMessageText".to_owned(), body)], "one call, which names the message");
}

#[tokio::test]
async fn what_the_platform_says_is_quoted_short_and_clean() {
    let (server, bot) = Server::start().await;
    server.will_refuse(400, &format!("no\0{}", "x".repeat(100_000)));
    let said = format!("Telegram answered 400: no {}", "x".repeat(297));
    assert_eq!(send(&bot, json!({"text": "a"})).await, [Err(ChannelError::Permanent(said))]);
}

/// A server that answers everything without an end.
async fn endless(status: StatusCode) -> Telegram {
    let body = async move || {
        let start = futures::stream::iter([Bytes::from_static(b"{\"ok\":true,\"result\":[\"")]);
        let chunk = Bytes::from(vec![b'x'; 1 << 20]);
        let body = start.chain(futures::stream::repeat(chunk)).map(Ok::<_, std::io::Error>);
        (status, axum::body::Body::from_stream(body))
    };
    bot(&serve(Router::new().fallback(body)).await, deps(Arc::new(Recorder::default())))
}

#[tokio::test]
async fn an_answer_without_an_end_is_given_up() {
    let bad = endless(StatusCode::BAD_REQUEST).await;
    assert!(matches!(bad.probe().await, Err(ChannelError::Permanent(_))));
    let good = endless(StatusCode::OK).await;
    assert!(matches!(send(&good, json!({"text": "a"})).await[0], Err(ChannelError::Uncertain(_))));
    assert!(matches!(good.poll_once(&Kept::default(), 0).await, Err(ChannelError::Uncertain(_))));
}

#[tokio::test]
async fn a_name_that_leads_home_is_a_matter_of_the_configuration() {
    let http = Http::new(false).unwrap();
    let bot = bot("http://localhost:1", Deps { http, ..deps(Arc::new(Recorder::default())) });
    let told = send(&bot, json!({"text": "a"})).await.remove(0);
    assert!(matches!(&told, Err(ChannelError::Config(why)) if why.contains("private")), "{told:?}");
}
