//! Attachments: fetched from a host of the test, uploaded to a Bot API server that reads the form.

use axum::routing::get;
use chrono::TimeDelta;
use claw_runtime::{Clock as _, ManualClock};
use serde_json::Map;
use tokio::io::AsyncReadExt as _;

use super::*;
use crate::adapters::webhook::testing::NOW;

/// The first bytes of a picture.
const PNG: &[u8] = b"\x89PNG\r\n\x1a\n and so on";
const SECRET: &str = "?signature=c0ffee";

/// A file in a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Uploaded {
    pub(super) field: String,
    pub(super) name: String,
    content_type: String,
    bytes: Vec<u8>,
}

/// What separates the parts of a body that is a form.
pub(super) fn boundary(headers: &HeaderMap) -> Option<&str> {
    let content_type = headers.get(http::header::CONTENT_TYPE)?.to_str().unwrap();
    assert!(headers.contains_key(http::header::CONTENT_LENGTH), "Telegram is told how long it is");
    content_type.strip_prefix("multipart/form-data; boundary=")
}

/// Its parameters, and its files.
pub(super) fn read_form(boundary: &str, body: &[u8]) -> (Map<String, Value>, Vec<Uploaded>) {
    // Each byte a character, so that it can be cut as text.
    let text: String = body.iter().copied().map(char::from).collect();
    let bytes = |text: &str| text.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect::<Vec<u8>>();
    let utf8 = |text: &str| String::from_utf8(bytes(text)).unwrap();
    let (mut parameters, mut files) = (Map::new(), Vec::new());
    let separator = format!("--{boundary}");
    let mut parts: Vec<_> = text.split(&separator).skip(1).collect();
    assert_eq!(parts.pop(), Some("--\r\n"), "it ends as it must");
    for part in parts {
        let (head, content) = part.strip_suffix("\r\n").unwrap().split_once("\r\n\r\n").unwrap();
        let between = |start: &str, end: &str| {
            let value = head.split_once(start)?.1;
            Some(utf8(value.split(end).next().unwrap()))
        };
        let field = between("; name=\"", "\"").unwrap();
        if let Some(name) = between("; filename=\"", "\"") {
            let content_type = between("Content-Type: ", "\r\n").unwrap();
            files.push(Uploaded { field, name, content_type, bytes: bytes(content) });
        } else {
            let value = utf8(content);
            let structured =
                ["media", "message_thread_id", "reply_markup", "reply_parameters"].contains(&field.as_str());
            let value = if structured { serde_json::from_str(&value).unwrap() } else { json!(value) };
            parameters.insert(field, value);
        }
    }
    (parameters, files)
}

/// A host with files.
async fn host() -> String {
    let of = |content_type: &'static str, bytes: &'static [u8]| {
        get(async move || ([(http::header::CONTENT_TYPE, content_type)], bytes))
    };
    let router = Router::new()
        .route("/cat.png", of("image/png", PNG))
        .route("/page", of("text/html", b"<html>sign in"))
        .route("/busy", get(async || StatusCode::SERVICE_UNAVAILABLE))
        .route("/huge", get(async || vec![0; files::MAX_BYTES + 1]))
        .route("/large", get(async || vec![0; files::MAX_BYTES / 2 + 1]));
    serve(router).await
}

fn media(kind: &str, url: &str) -> Value {
    json!({"kind": kind, "url": url})
}

fn uploaded(server: &Server) -> Vec<Uploaded> {
    std::mem::take(&mut *server.uploaded.lock().unwrap())
}

fn reason(result: &Result<Receipt, ChannelError>) -> &str {
    match result {
        Err(ChannelError::Permanent(reason) | ChannelError::Retryable(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_picture_is_fetched_and_uploaded() {
    let (server, bot) = Server::start().await;
    let host = host().await;
    server.will(json!({"message_id": 7}));
    let url = format!("{host}/cat.png{SECRET}");
    let message = json!({"text": "*März* & co", "thread_id": "9", "reply_to": "41", "media": [media("image", &url)],
        "buttons": [[{"text": "Yes", "data": "y"}]]});
    assert_eq!(send(&bot, message).await, [Ok(sent("7"))]);
    let body = json!({
        "chat_id": "-100123", "photo": "cat.png", "caption": "<i>März</i> &amp; co", "parse_mode": "HTML",
        "message_thread_id": 9, "reply_markup": {"inline_keyboard": [[{"text": "Yes", "callback_data": "y"}]]},
        "reply_parameters": {"message_id": 41, "allow_sending_without_reply": true},
    });
    assert_eq!(server.asked(), [("sendPhoto".to_owned(), body)]);
    let cat = Uploaded {
        field: "photo".to_owned(),
        name: "cat.png".to_owned(),
        content_type: "image/png".to_owned(),
        bytes: PNG.to_vec(),
    };
    assert_eq!(uploaded(&server), [cat]);
}

#[tokio::test]
async fn the_callers_name_goes_along_in_any_language() {
    let (server, bot) = Server::start().await;
    let url = format!("{}/cat.png", host().await);
    server.will(json!({"message_id": 7}));
    let file = json!({"kind": "file", "url": url, "filename": "Bericht März; 猫.png"});
    assert_eq!(send(&bot, json!({"media": [file]})).await, [Ok(sent("7"))]);
    assert_eq!(server.asked()[0].0, "sendDocument");
    assert_eq!(uploaded(&server)[0].name, "Bericht März_ 猫.png");
}

#[tokio::test]
async fn an_album_goes_in_one_form_and_has_the_ids_of_its_messages() {
    let (server, bot) = Server::start().await;
    let image = media("image", &format!("{}/cat.png", host().await));
    server.will(json!([{"message_id": 7, "chat": {}}, {"message_id": 8, "chat": {}}]));
    let album = json!({"text": "two", "media": [image, image]});
    assert_eq!(send(&bot, album).await, [Ok(sent("7,8"))]);
    let asked = server.asked();
    assert_eq!(asked[0].0, "sendMediaGroup");
    let items = json!([{"type": "photo", "media": "attach://file0", "caption": "two", "parse_mode": "HTML"},
        {"type": "photo", "media": "attach://file1"}]);
    assert_eq!(asked[0].1["media"], items);
    let files = uploaded(&server);
    assert_eq!(files.iter().map(|file| file.field.as_str()).collect::<Vec<_>>(), ["file0", "file1"]);
    assert!(files.iter().all(|file| file.bytes == PNG));
}

#[tokio::test]
async fn refused_formatting_and_a_refused_picture_are_sent_again() {
    let (server, bot) = Server::start().await;
    let image = media("image", &format!("{}/cat.png", host().await));
    server.will_refuse(400, "Bad Request: can't parse entities: whatever");
    server.will_refuse(400, "Bad Request: PHOTO_INVALID_DIMENSIONS");
    server.will(json!({"message_id": 7}));
    assert_eq!(send(&bot, json!({"text": "*a*", "media": [image]})).await, [Ok(sent("7"))]);
    let asked = server.asked();
    let methods: Vec<_> = asked.iter().map(|(method, _)| method.as_str()).collect();
    assert_eq!(methods, ["sendPhoto", "sendPhoto", "sendDocument"]);
    assert_eq!((&asked[0].1["caption"], &asked[2].1["caption"]), (&json!("<i>a</i>"), &json!("a")));
    assert!(uploaded(&server).iter().all(|file| file.bytes == PNG), "whole each time");
}

#[tokio::test]
async fn what_can_not_be_fetched_for_good_ends_the_send_with_a_sentence() {
    let (server, bot) = Server::start().await;
    let host = host().await;
    let of = async |kind: &str, path: &str| {
        let url = format!("{host}/{path}{SECRET}");
        send(&bot, json!({"media": [media(kind, &url)]})).await.remove(0)
    };
    for (kind, path, says) in [
        (
            "image",
            "gone",
            "the image at 127.0.0.1 answered with status 404 and no file; check that it can be opened without signing in",
        ),
        ("image", "page", "the image at 127.0.0.1 is of the type text/html; allowed here: image/*"),
        (
            "file",
            "huge",
            "the file at 127.0.0.1 has more than the 50000000 bytes that are allowed here; give a smaller file",
        ),
    ] {
        assert_eq!(of(kind, path).await, Err(ChannelError::Permanent(says.to_owned())));
    }
    let voice = of("voice", "page").await;
    assert!(reason(&voice).starts_with("the voice note at 127.0.0.1 is of the type text/html"), "{voice:?}");
    assert_eq!(server.asked(), [], "nothing was handed over");
}

#[tokio::test]
async fn an_album_has_fifty_megabytes_together() {
    let (server, bot) = Server::start().await;
    let large = media("file", &format!("{}/large", host().await));
    let told = send(&bot, json!({"media": [large, large]})).await.remove(0);
    assert!(matches!(told, Err(ChannelError::Permanent(_))), "{told:?}");
    assert!(reason(&told).contains("send them in several messages"), "{told:?}");
    assert_eq!(server.asked(), []);
}

#[tokio::test]
async fn a_host_that_is_away_is_asked_again_for_a_while() {
    let clock = Arc::new(ManualClock::new(DateTime::from_timestamp(NOW, 0).unwrap()));
    let deps = Deps { clock: clock.clone(), ..deps(Arc::new(Recorder::default())) };
    let bot = bot("http://127.0.0.1:1", deps);
    let url = format!("{}/busy{SECRET}", host().await);
    let message = message(json!({"media": [media("image", &url)]}));
    let piece = parts(&message).remove(0);
    let part = Part { accepted_at: clock.now(), ..part(&message, 0, &piece) };
    let told = bot.send(&part).await;
    assert!(matches!(&told, Err(ChannelError::Retryable(_))), "{told:?}");
    assert!(reason(&told).starts_with("the image at 127.0.0.1 answered with status 503"), "{told:?}");
    clock.advance(TimeDelta::minutes(16));
    let told = bot.send(&part).await;
    assert!(
        matches!(&told, Err(ChannelError::Permanent(_))),
        "not in the way of the next for a day: {told:?}"
    );
    assert!(!reason(&told).contains("c0ffee"));
}

#[tokio::test]
async fn private_addresses_are_not_fetched_where_they_are_not_allowed() {
    const API: &str = "api.example";
    let server = Server::default();
    let address: std::net::SocketAddr =
        serve(server.router()).await.trim_start_matches("http://").parse().unwrap();
    let http = Http::guarded_except(API, address);
    let bot = bot(
        &format!("http://{API}:{}", address.port()),
        Deps { http, ..deps(Arc::new(Recorder::default())) },
    );
    server.will(json!({"message_id": 7}));
    assert_eq!(send(&bot, json!({"text": "a"})).await, [Ok(sent("7"))], "the server itself is reached");
    server.asked();
    let port = host().await.rsplit_once(':').unwrap().1.to_owned();
    for host in ["127.0.0.1", "localhost", "2130706433", "[::ffff:127.0.0.1]"] {
        let url = format!("http://{host}:{port}/cat.png{SECRET}");
        let told = send(&bot, json!({"media": [media("image", &url)]})).await.remove(0);
        assert!(matches!(told, Err(ChannelError::Permanent(_))), "{told:?}");
        assert!(reason(&told).contains("points to a private or loopback address"), "{told:?}");
        assert!(!reason(&told).contains("c0ffee"), "{told:?}");
    }
    assert_eq!(server.asked(), []);
}

#[tokio::test]
#[expect(clippy::disallowed_methods, reason = "a test has no lifecycle; its runtime ends the task")]
async fn an_upload_that_breaks_is_uncertain() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // Takes the beginning of the request and hangs up.
    tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        assert!(connection.read(&mut [0; 100]).await.unwrap() > 0);
    });
    let bot = bot(&format!("http://{address}"), deps(Arc::new(Recorder::default())));
    let image = media("image", &format!("{}/cat.png", host().await));
    let told = send(&bot, json!({"media": [image]})).await;
    assert!(matches!(told[0], Err(ChannelError::Uncertain(_))), "{told:?}");
    // The listener is gone: nothing can be sent, so it can be sent later.
    let told = send(&bot, json!({"media": [image]})).await;
    assert!(matches!(told[0], Err(ChannelError::Retryable(_))), "{told:?}");
}
