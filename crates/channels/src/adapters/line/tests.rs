use std::sync::Arc;

use chrono::DateTime;
use claw_secrets::signature::sign_base64;
use claw_types::{Deed, MessageId, Outbound};
use http::{HeaderMap, HeaderValue};
use serde_json::Value;
use uuid::Uuid;

use super::*;
use crate::adapters::webhook::testing::{Recorder, deps};
use crate::exam::description::Description;
use crate::kit::graph::testing::Meta;
use crate::kit::plan::plan;

mod media;
mod names;
mod replies;

crate::exam::conformance!(Line);

fn line() -> Line {
    let config = json!({"channel_secret_env": "secret", "access_token_env": "token"});
    Line::new(serde_json::from_value(config).unwrap(), deps(Arc::new(Recorder::default()))).unwrap()
}

/// A channel whose LINE answers as it is told.
fn line_at(server: &Meta, more: &Value) -> Line {
    let mut config =
        json!({"channel_secret_env": "secret", "access_token_env": "token", "api_url": server.url()});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    Line::new(serde_json::from_value(config).unwrap(), deps(Arc::new(Recorder::default()))).unwrap()
}

fn posted(body: &str) -> RawRequest {
    let signature = HeaderValue::try_from(sign_base64(b"secret", body.as_bytes())).unwrap();
    let headers = HeaderMap::from_iter([(SIGNATURE.parse().unwrap(), signature)]);
    RawRequest { headers, query: String::new(), body: body.to_owned().into() }
}

/// The bodies of the pushes that a message becomes.
fn pushes(extra: &Value) -> Vec<Result<Value, ChannelError>> {
    let mut message = json!({"recipient": "U1"});
    message.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    let message: Outbound = serde_json::from_value(message).unwrap();
    message.validate().unwrap();
    let push = |(index, piece)| {
        let part = Part {
            message_id: MessageId(Uuid::from_u128(9)),
            seq: 1,
            index,
            recipient: &message.recipient,
            thread_id: None,
            piece,
            accepted_at: DateTime::UNIX_EPOCH,
            replaces: None,
        };
        let body = calls::push(part.recipient, &calls::message(&part, &Form::Plain, None)?);
        exam::call("POST", "/v2/bot/message/push", &body).unwrap();
        Ok(body)
    };
    plan(&message, &CAPS).unwrap().parts.iter().enumerate().map(push).collect()
}

fn refused(extra: &Value) -> String {
    match pushes(extra).remove(0) {
        Err(ChannelError::Permanent(why)) => why,
        other => panic!("{other:?}"),
    }
}

/// The payloads are what LINE says that it posts.
#[test]
fn payloads_fit_the_platforms_description() {
    let description = Description::new(exam::API);
    for payload in exam::Exam.payloads() {
        let body: Value = serde_json::from_str(payload.sent).unwrap();
        description.fits("types/CallbackRequest", &body).unwrap();
        for event in body["events"].as_array().unwrap() {
            let name = match event["type"].as_str().unwrap() {
                "message" => "types/MessageEvent",
                "messageEdited" => "types/MessageEditedEvent",
                "postback" => "types/PostbackEvent",
                "unsend" => "types/UnsendEvent",
                "follow" => "types/FollowEvent",
                other => panic!("{other}"),
            };
            description.fits(name, event).unwrap();
            if let Some(message) = event.get("message") {
                let kind = message["type"].as_str().unwrap();
                let name = format!("types/{}{}MessageContent", kind[..1].to_uppercase(), &kind[1..]);
                description.fits(&name, message).unwrap();
            }
        }
    }
}

#[test]
fn an_event_that_can_not_be_read_does_not_hide_the_others() {
    let good = r#"{"type": "message", "mode": "active", "timestamp": 1700000000000, "webhookEventId": "1",
        "deliveryContext": {"isRedelivery": false}, "source": {"type": "user", "userId": "U1"},
        "message": {"id": "5", "type": "of the future"}}"#;
    let body = format!(r#"{{"destination": "U0", "events": [{{"type": 7}}, {good}, "x"]}}"#);
    let read = line().decode(&posted(&body)).unwrap();
    assert_eq!(read.len(), 1);
    assert_eq!((read[0].content_type.as_str(), read[0].recipient.as_str()), ("other", "U1"));
}

#[test]
fn each_version_of_an_edited_message_counts_once() {
    let version = |event_id: &str, is_again: bool| {
        let event = json!({"type": "messageEdited", "mode": "active", "timestamp": 1_700_000_000_000_i64,
            "webhookEventId": event_id, "deliveryContext": {"isRedelivery": is_again}, "replyToken": "r",
            "source": {"type": "group", "groupId": "C1", "userId": "U1"},
            "message": {"id": "5", "type": "text", "text": "new", "quoteToken": "q"}});
        let body = json!({"destination": "U0", "events": [event]}).to_string();
        let read = line().decode(&posted(&body)).unwrap().remove(0);
        assert_eq!(read.deed, Deed::Edited("5".to_owned()), "under the key that the message had");
        assert_eq!(read.platform_message_id.as_deref(), Some("5"));
        read.dedup_key.unwrap()
    };
    let first = version("e1", false);
    assert_eq!(first, version("e1", true));
    assert_ne!(first, version("e2", false));
}

#[test]
fn what_is_not_lines_is_a_bad_request() {
    for body in ["", "[]", "{}", r#"{"events": 7}"#] {
        assert!(matches!(line().decode(&posted(body)), Err(ChannelError::BadRequest(_))), "{body}");
    }
}

#[test]
fn choices_are_quick_replies() {
    let push = pushes(
        &json!({"text": "sure?", "buttons": [[{"text": "Yes, and tell everybody else", "data": "y"}]]}),
    );
    let items = json!([{"type": "action", "action": {"type": "postback", "label": "Yes, and tell every…",
        "data": "y", "displayText": "Yes, and tell everybody else"}}]);
    let message = json!({"type": "text", "text": "sure?", "quickReply": {"items": items}});
    assert_eq!(push, [Ok(json!({"to": "U1", "messages": [message]}))]);
}

#[test]
fn an_address_makes_a_card_whose_buttons_stay() {
    let link = json!([[{"text": "Yes", "data": "y"}], [{"text": "Site", "url": "https://example.org"}]]);
    let card = pushes(&json!({"text": "sure?", "buttons": link})).remove(0).unwrap();
    let message = &card["messages"][0];
    assert_eq!((&message["type"], &message["altText"]), (&json!("flex"), &json!("sure?")));
    let text = json!([{"type": "text", "text": "sure?", "wrap": true}]);
    assert_eq!(message["contents"]["body"]["contents"], text);
    let buttons = json!([
        {"type": "button", "action": {"type": "postback", "label": "Yes", "data": "y", "displayText": "Yes"}},
        {"type": "button", "action": {"type": "uri", "label": "Site", "uri": "https://example.org"}},
    ]);
    assert_eq!(message["contents"]["footer"]["contents"], buttons);
    let long = pushes(&json!({"text": "x".repeat(1501), "buttons": link})).remove(0).unwrap();
    assert_eq!(long["messages"][0]["quickReply"]["items"].as_array().unwrap().len(), 2);
}

#[test]
fn what_line_would_refuse_is_refused_with_a_sentence() {
    let plain = json!({"media": [{"kind": "image", "url": "http://example.org/a.png"}]});
    assert!(refused(&plain).contains("https://"), "{}", refused(&plain));
    let link = format!("https://example.org/{}", "a".repeat(1000));
    let link = json!({"text": "look", "buttons": [[{"text": "Site", "url": link}]]});
    assert!(refused(&link).contains("1000"), "{}", refused(&link));
}

#[test]
fn more_buttons_than_fit_are_lines_of_the_text() {
    let row = |n: usize| (0..n).map(|i| json!({"text": i.to_string(), "data": "d"})).collect::<Vec<_>>();
    let push = pushes(&json!({"text": "pick", "buttons": [row(8), row(6)]})).remove(0).unwrap();
    let text = push["messages"][0]["text"].as_str().unwrap();
    assert!(text.starts_with("pick\n\n1. 0\n") && text.ends_with("\n14. 5"), "{text}");
    assert_eq!(push["messages"][0]["quickReply"], json!(null));
}

#[test]
fn a_label_has_20_characters_as_people_count_and_a_place_100_units() {
    let thai = "กี่".repeat(20);
    let push = pushes(&json!({"text": "?", "buttons": [[{"text": thai, "data": "d"}]]})).remove(0).unwrap();
    assert_eq!(push["messages"][0]["quickReply"]["items"][0]["action"]["label"], thai.as_str());
    let place = json!({"latitude": 48.5, "longitude": -2.25, "title": "กี่".repeat(60)});
    let push = pushes(&json!({"location": place})).remove(0).unwrap();
    let title = push["messages"][0]["title"].as_str().unwrap();
    assert!(title.ends_with('…') && title.encode_utf16().count() <= 100, "{title}");
}

#[test]
fn a_place_has_a_name_and_an_address_whatever_was_given() {
    let place = |extra: Value| {
        let mut place = json!({"latitude": 48.5, "longitude": -2.25});
        place.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        let body = pushes(&json!({"location": place})).remove(0).unwrap();
        (body["messages"][0]["title"].clone(), body["messages"][0]["address"].clone())
    };
    assert_eq!(place(json!({})), (json!("48.5, -2.25"), json!("48.5, -2.25")));
    assert_eq!(place(json!({"title": "Here"})), (json!("Here"), json!("48.5, -2.25")));
    assert_eq!(place(json!({"address": "Main St"})), (json!("Main St"), json!("Main St")));
}

#[tokio::test]
async fn the_loading_animation_is_not_for_groups() {
    for recipient in ["C1", "R1"] {
        assert!(matches!(line().typing(recipient, None).await, Err(ChannelError::Unsupported(_))));
        assert!(line().is_group(recipient));
    }
    assert!(!line().is_group("U1"));
}

#[test]
fn one_account_is_in_one_channel() {
    let credentials = |secret: &str, token: &str| {
        let config = json!({"channel_secret_env": secret, "access_token_env": token});
        Line::credentials(&serde_json::from_value(config).unwrap())
    };
    let one = credentials("secret a", "token 1");
    let renewed = credentials("secret a", "token 2");
    assert_eq!((one.len(), &one[0]), (2, &renewed[0]), "a renewed token is the same account");
    assert_ne!(one[1], renewed[1]);
    let other = credentials("secret b", "token 1");
    assert_ne!(one[0], other[0]);
    assert_eq!(one[1], other[1], "a token sends for its account, whatever secret stands beside it");
    assert!(!one.concat().contains("secret") && !one.concat().contains("token"));
}
