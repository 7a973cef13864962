use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::response::IntoResponse;
use axum::routing::any;
use bytes::Bytes;
use claw_types::{MediaKind, MessageId, Outbound};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::testing::{NOW, Recorder, SECRET, channel, deps, serve};
use super::super::{CAPS, Config};
use super::*;
use crate::kit::plan::{Piece, plan};
use crate::{Adapter as _, Channel as _, RawRequest, Receipt};

const ID: &str = "00000000-0000-0000-0000-000000000009:1";

/// A server that answers with `answer` and remembers what it was asked.
async fn receiver(
    answer: impl IntoResponse + Clone + Send + Sync + 'static,
) -> (String, Arc<Mutex<Vec<RawRequest>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let requests = Arc::clone(&seen);
    let handler = any(move |headers: HeaderMap, body: Bytes| {
        requests.lock().unwrap().push(RawRequest { headers, query: String::new(), body });
        std::future::ready(answer.clone())
    });
    (serve(Router::new().route("/in", handler)).await + "/in", seen)
}

fn media() -> Content {
    let media = Media { kind: MediaKind::File, url: "https://x/y".into(), filename: None };
    let text = Text { body: "*hello*".into(), formatted: true, plain: "hello".into() };
    Content::Media { media, caption: Some(text) }
}

async fn send_content(callback_url: Option<String>, content: Content) -> Result<Receipt, ChannelError> {
    let piece = Piece { content, reply_to: None, buttons: Vec::new() };
    send_piece(callback_url, &piece).await
}

async fn send_piece(callback_url: Option<String>, piece: &Piece) -> Result<Receipt, ChannelError> {
    let part = Part {
        message_id: MessageId(Uuid::from_u128(9)),
        seq: 1,
        index: 1,
        recipient: "room",
        thread_id: Some("t"),
        piece,
        accepted_at: DateTime::from_timestamp(NOW - 7200, 0).unwrap(),
        replaces: None,
    };
    channel(callback_url).send(&part).await
}

async fn send(callback_url: Option<String>) -> Result<Receipt, ChannelError> {
    send_content(callback_url, media()).await
}

fn body(seen: &Mutex<Vec<RawRequest>>) -> Value {
    serde_json::from_slice(&seen.lock().unwrap().remove(0).body).unwrap()
}

#[tokio::test]
async fn a_callback_gets_a_signed_message() {
    let (url, seen) = receiver("ok").await;
    assert_eq!(send(Some(url)).await, Ok(Receipt { platform_message_id: ID.to_owned() }));
    let request = seen.lock().unwrap().remove(0);
    assert_eq!(
        serde_json::from_slice::<Value>(&request.body).unwrap(),
        json!({"id": ID, "act": "post", "recipient": "room", "text": "*hello*", "format": "markdown",
            "thread_id": "t", "media": {"kind": "file", "url": "https://x/y"},
            "timestamp": "2023-11-14T20:13:20Z"})
    );
    // Either scheme alone is enough, and our own receiving side is as strict as any.
    let receiving = channel(None);
    assert_eq!(receiving.verify(&request), Ok(Some(ID.to_owned())));
    let mut plain = request;
    plain.headers.remove("webhook-signature");
    assert_eq!(receiving.verify(&plain), Ok(None));
}

#[tokio::test]
async fn everything_goes_as_data() {
    let (url, seen) = receiver("ok").await;
    let message: Outbound = serde_json::from_value(json!({
        "recipient": "room", "format": "plain", "text": "*a*", "reply_to": "5",
        "buttons": [[{"text": "Yes", "data": "y"}]],
    }))
    .unwrap();
    let plan = plan(&message, &CAPS).unwrap();
    assert_eq!(plan.degraded, []);
    send_piece(Some(url.clone()), &plan.parts[0]).await.unwrap();
    assert_eq!(
        body(&seen),
        json!({"id": ID, "act": "post", "recipient": "room", "text": "*a*", "format": "plain", "thread_id": "t",
            "reply_to": "5", "buttons": [[{"text": "Yes", "data": "y"}]], "timestamp": "2023-11-14T20:13:20Z"})
    );
    let head = |act: &str, message_id: &str| {
        json!({"id": ID, "act": act, "recipient": "room", "thread_id": "t", "message_id": message_id,
            "timestamp": "2023-11-14T20:13:20Z"})
    };
    let delete = Content::Delete { message_id: "5".into() };
    let receipt = send_content(Some(url.clone()), delete).await;
    assert_eq!(receipt, Ok(Receipt { platform_message_id: "5".to_owned() }));
    assert_eq!(body(&seen), head("delete", "5"));
    let react = Content::React { message_id: "5".into(), emoji: Some("👍".into()) };
    send_content(Some(url.clone()), react).await.unwrap();
    let mut expected = head("react", "5");
    expected["emoji"] = json!("👍");
    assert_eq!(body(&seen), expected);
    let place = Location { latitude: 1.0, longitude: 2.0, title: None, address: None };
    send_content(Some(url.clone()), Content::Location(place)).await.unwrap();
    assert_eq!(body(&seen)["location"], json!({"latitude": 1.0, "longitude": 2.0}));
    let poll = Poll { question: "q".into(), options: vec!["a".into()], multiple: false, anonymous: true };
    send_content(Some(url), Content::Poll(poll)).await.unwrap();
    assert_eq!(body(&seen)["poll"]["question"], "q");
}

#[tokio::test]
async fn attachments_are_one_post_where_the_other_side_asked_for_albums() {
    let (url, seen) = receiver("ok").await;
    let of = |post_albums: bool| {
        let config = Config { secret_env: SECRET.to_owned(), callback_url: Some(url.clone()), post_albums };
        Webhook::new(config, deps(Arc::new(Recorder::default()))).unwrap()
    };
    let (image, file) =
        (json!({"kind": "image", "url": "https://x/a"}), json!({"kind": "file", "url": "https://x/b"}));
    let message: Outbound =
        serde_json::from_value(json!({"recipient": "room", "text": "two", "media": [image, file]})).unwrap();
    let together = plan(&message, of(true).caps()).unwrap();
    assert_eq!((together.parts.len(), together.degraded.len()), (1, 0));
    send_piece(Some(url.clone()), &together.parts[0]).await.unwrap();
    let posted = body(&seen);
    assert_eq!((&posted["album"], &posted["text"]), (&json!([image, file]), &json!("two")));
    assert_eq!(posted.get("media"), None, "it would be one of them");
    let apart = plan(&message, of(false).caps()).unwrap();
    assert_eq!((apart.parts.len(), apart.degraded[0].how), (2, "sent one by one"));
    for (piece, media) in apart.parts.iter().zip([image, file]) {
        send_piece(Some(url.clone()), piece).await.unwrap();
        let posted = body(&seen);
        assert_eq!((&posted["media"], posted.get("album")), (&media, None));
    }
}

#[tokio::test]
async fn a_ping_proves_that_the_callback_takes_our_signature() {
    let (url, seen) = receiver("ok").await;
    let probe = channel(Some(url.clone())).probe().await.unwrap();
    assert_eq!(probe.details["callback_url"], json!(url));
    let request = seen.lock().unwrap().remove(0);
    let ping: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(ping, json!({"id": ping["id"], "act": "ping", "timestamp": "2023-11-14T22:13:20Z"}));
    assert_eq!(channel(None).verify(&request), Ok(ping["id"].as_str().map(str::to_owned)));
    let (away, _) = receiver(StatusCode::UNAUTHORIZED).await;
    assert!(matches!(channel(Some(away)).probe().await, Err(ChannelError::BadCredentials(_))));
    assert_eq!(channel(None).probe().await.unwrap().details["callback_url"], Value::Null);
    channel(Some(url)).typing("room", Some("t")).await.unwrap();
    let typing = body(&seen);
    assert_eq!((&typing["act"], &typing["recipient"]), (&json!("typing"), &json!("room")));
    assert!(matches!(channel(None).typing("room", None).await, Err(ChannelError::Permanent(_))));
}

#[tokio::test]
async fn answers_mean_what_the_caller_can_do() {
    let (url, _) = receiver(r#"{"id": "theirs"}"#).await;
    assert_eq!(send(Some(url)).await, Ok(Receipt { platform_message_id: "theirs".to_owned() }));
    let (url, _) = receiver(r#"{"id": "\u0000"}"#).await;
    assert_eq!(send(Some(url)).await, Ok(Receipt { platform_message_id: ID.to_owned() }));
    let (url, _) = receiver((StatusCode::TOO_MANY_REQUESTS, [("retry-after", "7")])).await;
    assert_eq!(send(Some(url)).await, Err(ChannelError::RateLimited(Duration::from_secs(7))));
    let (url, _) = receiver((StatusCode::SERVICE_UNAVAILABLE, [("retry-after", "999999")])).await;
    assert_eq!(send(Some(url)).await, Err(ChannelError::RateLimited(Duration::from_hours(1))));
    let (url, _) = receiver(StatusCode::INTERNAL_SERVER_ERROR).await;
    let said = "the callback answered 500 Internal Server Error".to_owned();
    assert_eq!(send(Some(url)).await, Err(ChannelError::Retryable(said)));
    let (url, _) = receiver(StatusCode::UNAUTHORIZED).await;
    assert!(matches!(send(Some(url)).await, Err(ChannelError::BadCredentials(_))));
    let (url, _) = receiver((StatusCode::BAD_REQUEST, format!("no\0{}", "x".repeat(999)))).await;
    let said = format!("the callback answered 400 Bad Request: no {}", "x".repeat(197));
    assert_eq!(send(Some(url)).await, Err(ChannelError::Permanent(said)));
    let (url, _) = receiver((StatusCode::FOUND, [("location", "http://127.0.0.1:1/")])).await;
    assert!(matches!(send(Some(url)).await, Err(ChannelError::Permanent(_))));
}

#[tokio::test]
async fn what_never_arrived_or_may_have_is_sent_again() {
    // Bound and dropped: nobody listens there.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let refused = send(Some(format!("http://{address}/"))).await;
    assert_eq!(refused, Err(ChannelError::Retryable("can't connect to the platform".to_owned())));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let (broken, ()) = futures::join!(send(Some(url)), async { drop(listener.accept().await) });
    assert_eq!(broken, Err(ChannelError::Retryable("the connection to the platform broke".to_owned())));
    assert!(matches!(send(None).await, Err(ChannelError::Permanent(_))));
    let unsafe_url = send(Some("ftp://example.org".to_owned())).await;
    assert_eq!(
        unsafe_url,
        Err(ChannelError::Permanent("callback_url must start with https:// or http://".to_owned()))
    );
}
