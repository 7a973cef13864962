use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use claw_types::{Deed, Inbound, Named, Outbound, Receipts};
use serde_json::Value;

use super::*;
use crate::adapters::webhook::testing::{Recorder, deps};
use crate::kit::graph::exam::sign;
use crate::kit::graph::messaging::calls::{Handed, of_part};
use crate::kit::graph::testing::{Meta, listened, parts_of, send};
use crate::{Channel as _, Receipt};

crate::exam::conformance!(Messenger);

fn config(more: &Value) -> Config {
    let mut config = json!({"page_token_env": "token", "verify_token": "verify", "app_secret": "secret"});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(config).unwrap()
}

fn messenger(more: &Value) -> Messenger {
    Messenger::new(config(more), deps(Arc::new(Recorder::default()))).unwrap()
}

fn decoded(body: &Value) -> Result<Vec<Inbound>, ChannelError> {
    messenger(&json!({})).decode(&sign("secret", &body.to_string(), 0))
}

fn event(event: &Value) -> Value {
    let mut whole =
        json!({"sender": {"id": "42"}, "recipient": {"id": "7"}, "timestamp": 1_458_692_752_478_i64});
    whole.as_object_mut().unwrap().extend(event.as_object().unwrap().clone());
    json!({"object": "page", "entry": [{"id": "7", "messaging": [whole]}]})
}

/// The messages that a send becomes; attachments are uploaded as `a1` and `a2`.
fn bodies(extra: &Value) -> Vec<Result<Value, ChannelError>> {
    let message: Outbound = parts_of::message("42", extra);
    let handed = Handed::Uploaded(vec!["a1".to_owned(), "a2".to_owned()]);
    parts_of::each(&message, &CAPS, |part| of_part(part, &handed, &KIND))
}

#[test]
fn an_event_that_can_not_be_read_does_not_hide_the_others() {
    let mut body = event(&json!({"message": {"mid": "m1", "text": "hi"}}));
    let entry = &mut body["entry"];
    entry[0]["messaging"].as_array_mut().unwrap().insert(0, json!({"message": 7}));
    entry.as_array_mut().unwrap().insert(0, json!("x"));
    let read = decoded(&body).unwrap();
    assert_eq!(read.len(), 1, "{read:?}");
    assert_eq!((read[0].recipient.as_str(), read[0].text.as_deref()), ("42", Some("hi")));
}

#[test]
fn what_is_not_messengers_is_a_bad_request() {
    let about_instagram = json!({"object": "instagram", "entry": []}).to_string();
    for body in ["", "[]", "{}", r#"{"object": "page", "entry": 7}"#, &about_instagram] {
        let request = sign("secret", body, 0);
        assert!(matches!(messenger(&json!({})).decode(&request), Err(ChannelError::BadRequest(_))), "{body}");
    }
}

#[test]
fn an_echo_is_our_own_and_belongs_to_the_persons_conversation() {
    let echo = json!({"sender": {"id": "7"}, "recipient": {"id": "42"}, "message": {"mid": "m1", "text": "hi", "is_echo": true}});
    let read = decoded(&event(&echo)).unwrap().remove(0);
    assert!(read.is_own);
    assert_eq!(read.recipient, "42");
    assert_eq!(read.sender.unwrap().platform_id, "7", "never the chat's id");
}

#[test]
fn a_receipt_names_messages_or_a_time() {
    let told = |extra: Value| decoded(&event(&extra)).unwrap().pop().map(|told| told.deed);
    let receipt = |messages, read| Some(Deed::Received(Receipts { messages, read, failed: None }));
    let time = || vec![Named::UpTo(DateTime::from_timestamp_millis(1_458_668_856_253).unwrap())];
    for moment in [json!(1_458_668_856_253_i64), json!("1458668856253")] {
        assert_eq!(told(json!({"read": {"watermark": moment}})), receipt(time(), true));
        assert_eq!(told(json!({"delivery": {"watermark": moment}})), receipt(time(), false));
        let named = json!({"delivery": {"mids": ["m1"], "watermark": moment}});
        assert_eq!(
            told(named),
            receipt(vec![Named::Platform("m1".to_owned())], false),
            "more exact than a time"
        );
    }
    for nothing in [
        json!({"read": {}}),
        json!({"read": {"watermark": "soon"}}),
        json!({"delivery": {"watermark": i64::MAX}}),
    ] {
        assert_eq!(told(nothing.clone()), None, "{nothing}");
    }
}

#[test]
fn one_attachment_may_come_without_a_list() {
    let image = json!({"type": "image", "payload": {"url": "https://example.org/a.jpg"}});
    let read = decoded(&event(&json!({"message": {"mid": "m1", "attachments": image}}))).unwrap().remove(0);
    assert_eq!(read.media.unwrap().handle, "https://example.org/a.jpg");
}

#[test]
fn the_first_version_of_a_message_is_no_edit() {
    let edit = |number: Value| {
        decoded(&event(&json!({"message_edit": {"mid": "m1", "text": "x", "num_edit": number}})))
            .unwrap()
            .len()
    };
    assert_eq!((edit(json!(0)), edit(json!("2")), edit(json!(null))), (0, 1, 0));
}

#[test]
fn choices_are_quick_replies() {
    let sent =
        bodies(&json!({"text": "sure?", "buttons": [[{"text": "Yes, and tell everybody", "data": "y"}]]}));
    let quick = json!([{"content_type": "text", "title": "Yes, and tell every…", "payload": "y"}]);
    let body = json!({"recipient": {"id": "42"}, "messaging_type": "RESPONSE",
        "message": {"text": "sure?", "quick_replies": quick}});
    assert_eq!(sent, [Ok(body)]);
}

#[test]
fn an_address_makes_a_template_of_up_to_three_buttons() {
    let link = json!({"text": "Site", "url": "https://example.org"});
    let yes = json!({"text": "Yes", "data": "y"});
    let sent = bodies(&json!({"text": "sure?", "buttons": [[yes, link]]})).remove(0).unwrap();
    let buttons = json!([{"type": "postback", "title": "Yes", "payload": "y"},
        {"type": "web_url", "url": "https://example.org", "title": "Site"}]);
    let payload = json!({"template_type": "button", "text": "sure?", "buttons": buttons});
    assert_eq!(sent["message"], json!({"attachment": {"type": "template", "payload": payload}}));
    // Four, or a long text, do not fit: addresses are written, choices stay.
    let long = "x".repeat(641);
    for message in [
        json!({"text": "sure?", "buttons": [[yes, yes, yes, link]]}),
        json!({"text": long, "buttons": [[yes, link]]}),
    ] {
        let sent = bodies(&message).remove(0).unwrap();
        let text = sent["message"]["text"].as_str().unwrap();
        assert!(text.ends_with("\n\nSite: https://example.org"), "{text}");
        assert!(sent["message"]["quick_replies"].is_array());
    }
}

#[test]
fn buttons_that_do_not_fit_are_lines_of_the_text() {
    let row = |n: usize| (0..n).map(|i| json!({"text": i.to_string(), "data": "d"})).collect::<Vec<_>>();
    let sent = |extra: &Value| {
        let all = bodies(extra).into_iter().map(|body| body.unwrap()["message"].clone());
        all.collect::<Vec<_>>()
    };
    let many = sent(&json!({"text": "pick", "buttons": [row(8), row(6)]}));
    let text = many[0]["text"].as_str().unwrap();
    assert!(text.starts_with("pick\n\n1. 0\n") && text.ends_with("\n14. 5"), "{text}");
    assert_eq!((many.len(), &many[0]["quick_replies"]), (1, &json!(null)));
    let site = json!([[{"text": "Site", "url": "https://example.org"}]]);
    let media = json!([{"kind": "image", "url": "https://example.org/a.png"}]);
    let picture = sent(&json!({"media": media, "buttons": site}));
    assert_eq!(picture[0], json!({"attachment": {"type": "image", "payload": {"attachment_id": "a1"}}}));
    assert_eq!(picture[1], json!({"text": "Site: https://example.org"}));
    let full = sent(&json!({"text": "x".repeat(2000), "buttons": site}));
    assert_eq!(full.len(), 2);
    assert!(full[1]["text"].as_str().unwrap().ends_with("Site: https://example.org"), "{full:?}");
}

#[test]
fn a_label_is_cut_between_characters_and_fits() {
    let hindi = "क्या आप सहमत हैं या नहीं बताइए";
    let sent = bodies(&json!({"text": "?", "buttons": [[{"text": hindi, "data": "d"}]]})).remove(0).unwrap();
    let title = sent["message"]["quick_replies"][0]["title"].as_str().unwrap();
    assert!(title.ends_with('…') && title.encode_utf16().count() <= 20, "{title}");
}

#[test]
fn a_reaction_is_put_on_and_taken_off() {
    let react = |emoji: Value| {
        bodies(&json!({"act": {"type": "react", "message_id": "m1", "emoji": emoji}})).remove(0)
    };
    let on = json!({"recipient": {"id": "42"}, "sender_action": "react", "payload": {"message_id": "m1", "reaction": "👍"}});
    assert_eq!(react(json!("👍")), Ok(on));
    let off = json!({"recipient": {"id": "42"}, "sender_action": "unreact", "payload": {"message_id": "m1"}});
    assert_eq!(react(json!(null)), Ok(off));
}

#[tokio::test]
async fn an_attachment_is_uploaded_before_it_is_sent() {
    let meta = Meta::start().await;
    let page = messenger(&json!({"api_url": meta.api_url()}));
    meta.will(200, &json!({"attachment_id": "a1"}));
    meta.will(200, &json!({"recipient_id": "42", "message_id": "m9"}));
    let media = json!({"media": [{"kind": "image", "url": meta.file_url(), "filename": "cat.png"}], "reply_to": "m1"});
    let sent = send(&page, &CAPS, "42", &media).await;
    assert_eq!(sent, [Ok(Receipt { platform_message_id: "m9".to_owned() })]);
    let [upload, message] = meta.asked().try_into().unwrap();
    assert_eq!(upload.path, "/v25.0/me/message_attachments");
    assert!(
        upload.body.contains("filename=\"cat.png\"") && upload.body.contains("name=\"filedata\""),
        "{}",
        upload.body
    );
    assert_eq!(message.path, "/v25.0/me/messages");
    let attachment = json!({"type": "image", "payload": {"attachment_id": "a1"}});
    let body = json!({"recipient": {"id": "42"}, "messaging_type": "RESPONSE",
        "message": {"attachment": attachment}, "reply_to": {"mid": "m1"}});
    assert_eq!(message.json(), body);
}

#[tokio::test]
async fn pictures_that_go_together_are_uploaded_each_and_sent_as_one_message() {
    let meta = Meta::start().await;
    let page = messenger(&json!({"api_url": meta.api_url()}));
    meta.will(200, &json!({"attachment_id": "a1"}));
    meta.will(200, &json!({"attachment_id": "a2"}));
    meta.will(200, &json!({"recipient_id": "42", "message_id": "m9"}));
    let picture = json!({"kind": "image", "url": meta.file_url()});
    let sent = send(&page, &CAPS, "42", &json!({"media": [picture, picture], "reply_to": "m1"})).await;
    assert_eq!(sent, [Ok(Receipt { platform_message_id: "m9".to_owned() })]);
    let [first, second, message] = meta.asked().try_into().unwrap();
    assert!([first, second].iter().all(|upload| upload.path == "/v25.0/me/message_attachments"));
    let of = |id: &str| json!({"type": "image", "payload": {"attachment_id": id}});
    let body = json!({"recipient": {"id": "42"}, "messaging_type": "RESPONSE",
        "message": {"attachments": [of("a1"), of("a2")]}, "reply_to": {"mid": "m1"}});
    assert_eq!(message.json(), body);
}

#[test]
fn a_picture_that_was_not_uploaded_keeps_the_album_back() {
    let picture = json!({"kind": "image", "url": "https://example.org/a.png"});
    let three = bodies(&json!({"media": [picture, picture, picture]}));
    assert!(matches!(three.as_slice(), [Err(ChannelError::Retryable(_))]), "{three:?}");
}

#[tokio::test]
async fn a_failure_of_the_upload_shows_nothing_twice() {
    let meta = Meta::start().await;
    let page = messenger(&json!({"api_url": meta.api_url()}));
    meta.will(500, &json!({"error": {"code": 2, "message": "later"}}));
    let media = json!({"media": [{"kind": "image", "url": meta.file_url()}]});
    assert!(matches!(send(&page, &CAPS, "42", &media).await[0], Err(ChannelError::Retryable(_))));
    assert_eq!(meta.asked().len(), 1, "the message was not sent");
}

#[tokio::test]
async fn who_is_answered_sees_that_the_message_was_seen() {
    let meta = Meta::start().await;
    let page = messenger(&json!({"api_url": meta.api_url()}));
    for _ in 0..2 {
        meta.will(200, &json!({"recipient_id": "42"}));
    }
    page.answering("42", None, "m1").await.unwrap();
    let actions: Vec<_> = meta.asked().iter().map(|asked| asked.json()["sender_action"].clone()).collect();
    assert_eq!(actions, [json!("mark_seen"), json!("typing_on")]);
}

#[tokio::test]
async fn an_answer_that_is_not_counted_as_sent_is_an_error() {
    let meta = Meta::start().await;
    let page = messenger(&json!({"api_url": meta.api_url()}));
    meta.will(200, &json!({"recipient_id": "42"}));
    assert!(matches!(
        send(&page, &CAPS, "42", &json!({"text": "hi"})).await[0],
        Err(ChannelError::Uncertain(_))
    ));
    meta.will(
        400,
        &json!({"error": {"code": 10, "error_subcode": 2_018_278, "message": "outside of allowed window"}}),
    );
    let sent = send(&page, &CAPS, "42", &json!({"text": "hi"})).await.remove(0);
    assert!(
        matches!(&sent, Err(ChannelError::Permanent(why)) if why.contains("7 days") && why.contains("wait until they write again")),
        "{sent:?}"
    );
}

#[test]
fn one_page_is_in_one_channel() {
    let of = |token: &str, page: Value| {
        Messenger::credentials(&config(&json!({"page_token_env": token, "page_id": page})))
    };
    assert_eq!(of("a", json!("7"))[0], of("b", json!("7"))[0], "a renewed token is the same Page");
    assert_ne!(of("a", json!(null)), of("b", json!(null)));
    assert_eq!(of("a", json!("7"))[1..], of("a", json!(null)), "with its id or without");
    assert!(!of("secret token", json!("7")).concat().contains("secret"));
}

#[test]
fn what_is_of_another_page_of_the_app_is_left_alone() {
    let mut body = event(&json!({"message": {"mid": "m1", "text": "hi"}}));
    let mut other = body["entry"][0].clone();
    other["id"] = json!("8");
    body["entry"].as_array_mut().unwrap().push(other);
    let read = |more: Value| messenger(&more).decode(&sign("secret", &body.to_string(), 0)).unwrap().len();
    assert_eq!(read(json!({"page_id": "7"})), 1);
    assert_eq!(read(json!({})), 2, "without an id all of the app's are the channel's");
}

#[tokio::test]
async fn a_person_is_called_by_name_and_by_the_id_where_meta_tells_none() {
    let meta = Meta::start().await;
    let page = messenger(&json!({"api_url": meta.api_url()}));
    let body = event(&json!({"message": {"mid": "m1", "text": "hi"}})).to_string();
    let heard = async || {
        let mut read = page.decode(&sign("secret", &body, 0)).unwrap();
        page.complete(&mut read).await;
        read.remove(0).sender.unwrap().display_name
    };
    meta.will(
        400,
        &json!({"error": {"code": 100, "error_subcode": 2_018_218, "message": "No profile available"}}),
    );
    assert_eq!((heard().await, heard().await), ("42".to_owned(), "42".to_owned()));
    let [asked] = meta.asked().try_into().unwrap();
    assert_eq!(asked.path, "/v25.0/42");
    assert!(asked.query.ends_with("fields=name"), "{}", asked.query);
}

#[tokio::test]
async fn every_call_heeds_the_limit_and_not_only_sends() {
    let meta = Meta::start().await;
    let page = messenger(&json!({"api_url": meta.api_url()}));
    let limited = ChannelError::RateLimited(Duration::from_secs(60));
    let refuse = || {
        meta.will(400, &json!({"error": {"code": 4, "message": "(#4) Application request limit reached"}}));
    };
    refuse();
    assert_eq!(send(&page, &CAPS, "42", &json!({"text": "hi"})).await, [Err(limited.clone())]);
    refuse();
    let upload = json!({"media": [{"kind": "image", "url": meta.file_url()}]});
    assert_eq!(send(&page, &CAPS, "42", &upload).await, [Err(limited.clone())]);
    refuse();
    assert_eq!(page.answering("42", None, "m1").await, Err(limited.clone()));
    refuse();
    assert_eq!(page.probe().await, Err(limited));
}

/// Meta takes ten calls of a profile in ten minutes.
#[tokio::test]
async fn commands_that_are_there_already_are_not_set_again() {
    let meta = Meta::start().await;
    let page =
        messenger(&json!({"api_url": meta.api_url(), "commands": ["/Ask: Ask the assistant", "help"]}));
    let offered = json!([{"locale": "default", "commands":
        [{"name": "Ask", "description": "Ask the assistant"}, {"name": "help", "description": "help"}]}]);
    let old = json!([{"locale": "default", "commands": [{"name": "old", "description": "Something else"}]}]);
    for there in [json!([]), json!([{"commands": old}])] {
        meta.will(200, &json!({"data": there}));
        meta.will(200, &json!({"result": "success"}));
        let [read, set] = listened(&page, &meta, 2).await.try_into().unwrap();
        assert_eq!(
            (read.path.as_str(), set.path.as_str()),
            ("/v25.0/me/messenger_profile", read.path.as_str())
        );
        assert!(read.query.ends_with("&fields=commands"), "{}", read.query);
        assert_eq!(set.json(), json!({"commands": offered}));
    }
    meta.will(200, &json!({"data": [{"commands": offered}]}));
    page.offer_commands().await;
    assert_eq!(meta.asked().len(), 1);
}

#[tokio::test]
async fn without_commands_a_profile_is_left_alone_and_a_refusal_stops_nothing() {
    let meta = Meta::start().await;
    messenger(&json!({"api_url": meta.api_url()})).offer_commands().await;
    assert!(meta.asked().is_empty());
    let page = messenger(&json!({"api_url": meta.api_url(), "commands": ["help"]}));
    for answers in [vec![403], vec![200, 400]] {
        for status in &answers {
            meta.will(*status, &json!({"data": [], "error": {"code": 100, "message": "refused"}}));
        }
        page.offer_commands().await;
        assert_eq!(meta.asked().len(), answers.len());
    }
}

#[test]
fn commands_that_messenger_would_refuse_are_refused() {
    let made = |line: &str| {
        let config = config(&json!({"commands": [line]}));
        Messenger::new(config, deps(Arc::new(Recorder::default()))).map(drop)
    };
    assert!(made(&format!("{}: {}", "x".repeat(32), "y".repeat(64))).is_ok());
    for bad in ["a b", ":", &"x".repeat(33), &format!("a: {}", "y".repeat(65))] {
        let refused = made(bad);
        assert!(matches!(&refused, Err(ChannelError::Config(why)) if why.starts_with("commands")), "{bad}");
    }
}
