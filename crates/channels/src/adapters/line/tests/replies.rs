//! Replies, quotes and marks of reading, by tokens that came with people's messages.

use claw_types::ReplyTo;
use serde_json::value::to_raw_value;

use super::*;
use crate::adapters::webhook::testing::NOW;
use crate::kit::graph::testing::{Asked, send};

const PUSH: &str = "/v2/bot/message/push";
const REPLY: &str = "/v2/bot/message/reply";

/// Has the channel read what LINE posts, and note what is stored of it.
fn ask(line: &Line, message: &Value, source: &Value) {
    let event = json!({"type": "message", "mode": "active", "timestamp": NOW * 1000, "webhookEventId": "1",
        "deliveryContext": {"isRedelivery": false}, "replyToken": "r1", "source": source, "message": message});
    let posted = posted(&json!({"destination": "U0", "events": [event]}).to_string());
    for read in line.decode(&posted).unwrap() {
        let reply_to = ReplyTo { channel: "line".to_owned(), recipient: read.recipient, thread_id: None };
        let stored = json!({"platform_message_id": read.platform_message_id, "timestamp": read.timestamp,
            "metadata": read.metadata, "reply_to": reply_to});
        line.question(&to_raw_value(&stored).unwrap());
    }
}

fn asked_by_a_person(line: &Line) {
    let message =
        json!({"id": "5", "type": "text", "text": "hi", "quoteToken": "q5", "markAsReadToken": "m5"});
    ask(line, &message, &json!({"type": "user", "userId": "U1"}));
}

/// The calls, each of which LINE describes.
fn calls(server: &Meta) -> Vec<Asked> {
    let asked = server.asked();
    for asked in &asked {
        let body: Value = serde_json::from_str(&asked.body).unwrap_or_default();
        let method = if body.is_null() { "GET" } else { "POST" };
        exam::call(method, &asked.path, &body).unwrap();
        assert_eq!(asked.headers["authorization"], "Bearer token");
    }
    asked
}

fn sent(id: &str) -> Value {
    json!({"sentMessages": [{"id": id, "quoteToken": format!("q{id}")}]})
}

#[tokio::test]
async fn the_first_part_of_an_answer_is_a_reply_and_the_others_are_pushed() {
    let server = Meta::start().await;
    let line = line_at(&server, &json!({}));
    asked_by_a_person(&line);
    for id in ["6", "7"] {
        server.will(200, &sent(id));
    }
    let text = json!({"text": "x".repeat(6000), "format": "plain"});
    let ids: Vec<_> = send(&line, &CAPS, "U1", &text)
        .await
        .into_iter()
        .map(|sent| sent.unwrap().platform_message_id)
        .collect();
    assert_eq!(ids, ["6", "7"]);
    let [reply, push] = calls(&server).try_into().unwrap();
    assert_eq!((reply.path.as_str(), &reply.json()["replyToken"]), (REPLY, &json!("r1")));
    assert!(!reply.headers.contains_key("x-line-retry-key"), "replies know none");
    assert_eq!((push.path.as_str(), &push.json()["to"]), (PUSH, &json!("U1")));
    assert!(push.headers.contains_key("x-line-retry-key"));
}

#[tokio::test]
async fn a_reply_token_that_is_good_no_more_costs_a_push_and_no_message() {
    let server = Meta::start().await;
    let line = line_at(&server, &json!({}));
    asked_by_a_person(&line);
    server.will(400, &json!({"message": "Invalid reply token"}));
    server.will(200, &sent("6"));
    assert!(send(&line, &CAPS, "U1", &json!({"text": "hi"})).await[0].is_ok());
    let paths: Vec<_> = calls(&server).into_iter().map(|asked| asked.path).collect();
    assert_eq!(paths, [REPLY, PUSH]);
}

#[tokio::test]
async fn a_reply_of_which_nobody_knows_is_uncertain_and_its_token_is_not_used_again() {
    let server = Meta::start().await;
    let line = line_at(&server, &json!({}));
    asked_by_a_person(&line);
    server.will(500, &json!({"message": "Internal server error"}));
    let uncertain = send(&line, &CAPS, "U1", &json!({"text": "hi"})).await.remove(0);
    assert!(matches!(uncertain, Err(ChannelError::Uncertain(_))), "{uncertain:?}");
    server.will(200, &sent("6"));
    send(&line, &CAPS, "U1", &json!({"text": "next"})).await.remove(0).unwrap();
    let paths: Vec<_> = calls(&server).into_iter().map(|asked| asked.path).collect();
    assert_eq!(paths, [REPLY, PUSH]);
}

#[tokio::test]
async fn replies_can_be_switched_off() {
    let server = Meta::start().await;
    let line = line_at(&server, &json!({"replies": false}));
    asked_by_a_person(&line);
    server.will(200, &sent("6"));
    send(&line, &CAPS, "U1", &json!({"text": "hi"})).await.remove(0).unwrap();
    assert_eq!(calls(&server)[0].path, PUSH);
}

#[tokio::test]
async fn messages_of_theirs_and_of_ours_are_quoted() {
    let server = Meta::start().await;
    let line = line_at(&server, &json!({"replies": false}));
    asked_by_a_person(&line);
    // Ids of messages that are known, one that is not, and a token itself.
    for (answered, quote) in
        [("5", json!("q5")), ("6", json!("q6")), ("99", json!(null)), ("a-token", json!("a-token"))]
    {
        server.will(200, &sent("6"));
        send(&line, &CAPS, "U1", &json!({"text": "hi", "reply_to": answered})).await.remove(0).unwrap();
        let call = calls(&server).remove(0).json();
        assert_eq!(call["messages"][0]["quoteToken"], quote, "{answered}");
    }
}

#[tokio::test]
async fn a_message_is_marked_as_read_once_while_it_is_answered() {
    let server = Meta::start().await;
    let line = line_at(&server, &json!({}));
    asked_by_a_person(&line);
    for _ in 0..3 {
        server.will(202, &json!({}));
    }
    for _ in 0..2 {
        line.answering("U1", None, "5").await.unwrap();
    }
    let asked = calls(&server);
    let paths: Vec<_> = asked.iter().map(|asked| asked.path.as_str()).collect();
    let loading = "/v2/bot/chat/loading/start";
    assert_eq!(paths, ["/v2/bot/chat/markAsRead", loading, loading]);
    assert_eq!(asked[0].json(), json!({"markAsReadToken": "m5"}));
}

#[tokio::test]
async fn what_can_not_be_marked_as_read_is_answered_all_the_same() {
    let server = Meta::start().await;
    let line = line_at(&server, &json!({}));
    asked_by_a_person(&line);
    server.will(400, &json!({"message": "The chat is off"}));
    server.will(202, &json!({}));
    line.answering("U1", None, "5").await.unwrap();
    assert_eq!(calls(&server).len(), 2);
    let message =
        json!({"id": "8", "type": "text", "text": "hi", "quoteToken": "q8", "markAsReadToken": "m8"});
    ask(&line, &message, &json!({"type": "group", "groupId": "C1", "userId": "U1"}));
    server.will(200, &json!({}));
    // In groups there is no sign of writing, but the mark.
    assert!(matches!(line.answering("C1", None, "8").await, Err(ChannelError::Unsupported(_))));
    assert_eq!(calls(&server)[0].json(), json!({"markAsReadToken": "m8"}));
}

#[tokio::test]
async fn every_call_heeds_the_limit_and_not_only_pushes() {
    let server = Meta::start().await;
    let line = line_at(&server, &json!({}));
    asked_by_a_person(&line);
    let limited = ChannelError::RateLimited(api::PAUSE);
    let refuse =
        || server.will(429, &json!({"message": "The API rate limit has been exceeded. Try again later."}));
    // The reply, then the push.
    for _ in 0..2 {
        refuse();
        assert_eq!(send(&line, &CAPS, "U1", &json!({"text": "hi"})).await, [Err(limited.clone())]);
    }
    refuse();
    assert_eq!(line.typing("U1", None).await, Err(limited.clone()));
    refuse();
    assert_eq!(line.probe().await, Err(limited.clone()));
    refuse();
    let media = MediaRef { kind: MediaKind::Image, handle: "77".to_owned(), filename: None, mime: None };
    assert_eq!(line.open_media(&media).await.map(drop), Err(limited));
}
