use std::sync::Arc;

use claw_types::{Deed, Named};
use futures::StreamExt as _;
use http::HeaderMap;
use serde_json::Value;

use super::*;
use crate::adapters::webhook::testing::{Recorder, deps};
use crate::exam::description::Description;
use crate::kit::graph::exam::sign;
use crate::kit::graph::testing::{Meta, parts_of, send};

mod commands;
mod sending;

crate::exam::conformance!(WhatsApp);

const NUMBER: &str = "106540352242922";

fn config(more: &Value) -> Config {
    let mut config = json!({
        "access_token_env": "token", "phone_number_id": NUMBER, "verify_token": "verify", "app_secret": "secret",
    });
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(config).unwrap()
}

fn whatsapp(more: &Value) -> WhatsApp {
    WhatsApp::new(config(more), deps(Arc::new(Recorder::default()))).unwrap()
}

fn decoded(mut value: Value) -> Vec<Inbound> {
    value["metadata"] = json!({"display_phone_number": "+1 (555) 078-3881", "phone_number_id": NUMBER});
    let body = json!({"object": "whatsapp_business_account", "entry": [{"changes": [{"value": value}]}]});
    whatsapp(&json!({})).decode(&sign("secret", &body.to_string(), 0)).unwrap()
}

fn message(more: &Value) -> Value {
    let mut message = json!({"from": "42", "id": "wamid.1", "timestamp": "1700000000", "type": "text"});
    message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    message
}

/// The payloads are what Meta says that it posts, but for people who hide their number, whom the description does not know yet,
/// and what is not about messages.
#[test]
fn payloads_fit_the_platforms_description() {
    let description = Description::new(exam::API);
    let mut seen = 0;
    for payload in exam::Exam.payloads() {
        let body: Value = serde_json::from_str(payload.sent).unwrap();
        description.fits("types/WebhookPayload", &body).unwrap();
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        for entry in list(&body["entry"]) {
            description.fits("types/Entry", &entry).unwrap();
            for change in list(&entry["changes"]) {
                description.fits("types/Change", &change).unwrap();
                for status in list(&change["value"]["statuses"]) {
                    description.fits("types/StatusMessageValue", &change["value"]).unwrap();
                    description.fits("types/Statuses", &status).unwrap();
                    seen += 1;
                }
                let known = !LATER.contains(&payload.name);
                for mut message in list(&change["value"]["messages"]).into_iter().filter(|_| known) {
                    // Which type it was came after the description, too.
                    message.as_object_mut().unwrap().remove("unsupported");
                    description.fits("types/IncomingMessage", &message).unwrap();
                    seen += 1;
                }
            }
        }
    }
    assert!(seen > 20, "only {seen} were looked at");
}

/// What is documented, but came after the description.
const LATER: [&str; 6] = ["hidden-number", "addressed", "unaddressed", "mentioned", "edit", "revoke"];

#[test]
fn a_message_that_can_not_be_read_does_not_hide_the_others() {
    let read = decoded(
        json!({"messages": [7, {"id": 1}, message(&json!({"text": {"body": "hi"}}))], "statuses": ["x"]}),
    );
    assert_eq!(read.len(), 1);
    assert_eq!((read[0].text.as_deref(), read[0].recipient.as_str()), (Some("hi"), "42"));
}

#[test]
fn what_is_of_another_number_of_the_app_is_counted_and_left_alone() {
    let of = |number: &str| {
        let metadata = json!({"display_phone_number": "1", "phone_number_id": number});
        let status = json!({"id": "wamid.9", "status": "read", "recipient_id": "42"});
        let value = json!({"metadata": metadata, "messages": [message(&json!({"text": {"body": "hi"}}))], "statuses": [status]});
        let body = json!({"object": "whatsapp_business_account", "entry": [{"changes": [{"value": value}]}]});
        incoming::read(body.to_string().as_bytes(), NUMBER).unwrap()
    };
    let ours = of(NUMBER);
    assert_eq!((ours.messages.len(), ours.elsewhere), (2, Vec::<String>::new()));
    let theirs = of("7");
    assert_eq!((theirs.messages, theirs.elsewhere), (vec![], vec!["7".to_owned(), "7".to_owned()]));
}

#[test]
fn what_is_not_whatsapps_is_a_bad_request() {
    for body in
        ["", "[]", "{}", r#"{"object": "page", "entry": []}"#, r#"{"object": "whatsapp_business_account"}"#]
    {
        let read = whatsapp(&json!({})).decode(&sign("secret", body, 0));
        assert!(matches!(read, Err(ChannelError::BadRequest(_))), "{body}: {read:?}");
    }
}

#[test]
fn a_request_is_refused_without_its_signature_whatever_is_in_it() {
    let genuine = sign("secret", "not even JSON", 0);
    for headers in [HeaderMap::new(), sign("other", "not even JSON", 0).headers] {
        let forged = RawRequest { headers, ..genuine.clone() };
        assert!(matches!(whatsapp(&json!({})).decode(&forged), Err(ChannelError::BadSignature(_))));
    }
}

#[test]
fn the_handshake_gives_the_challenge_back() {
    let request = |token: &str| RawRequest {
        headers: HeaderMap::new(),
        query: format!("hub.mode=subscribe&hub.verify_token={token}&hub.challenge=77"),
        body: bytes::Bytes::new(),
    };
    assert_eq!(whatsapp(&json!({})).handshake(&request("verify")), Ok(Some(Reply::text("77"))));
    assert!(whatsapp(&json!({})).handshake(&request("other")).is_err());
}

#[test]
fn in_a_group_only_a_reply_or_the_number_addresses_the_business() {
    let said = |text: &str, from: Value| {
        let context = json!({"from": from, "id": "wamid.0"});
        let written = message(&json!({"group_id": "g1", "text": {"body": text}, "context": context}));
        let read = decoded(json!({"messages": [written]})).remove(0);
        assert_eq!((read.recipient.as_str(), read.is_group), ("g1", true));
        assert_eq!(read.sender.unwrap().platform_id, "42", "never the chat's id");
        read.mentioned
    };
    assert_eq!(said("so?", json!("15550783881")), Some(true));
    assert_eq!(said("@15550783881 so?", json!("43")), Some(true));
    for text in ["so?", "call 15550783881", "@155507838810", "@ 15550783881", "a@b.c"] {
        assert_eq!(said(text, json!("43")), Some(false), "{text}");
    }
}

#[test]
fn what_became_of_a_message_of_ours_is_told_but_not_that_it_was_taken() {
    let status = |status: &str| {
        decoded(
            json!({"statuses": [{"id": "wamid.9", "status": status, "timestamp": "1", "recipient_id": "42"}]}),
        )
    };
    assert_eq!(status("sent"), []);
    for (name, read) in [("delivered", false), ("read", true)] {
        let told = status(name).remove(0);
        let Deed::Received(receipts) = &told.deed else { panic!("{told:?}") };
        assert_eq!((receipts.read, &receipts.messages), (read, &vec![Named::Platform("wamid.9".to_owned())]));
        assert_eq!((told.recipient.as_str(), &receipts.failed), ("42", &None));
    }
}

#[test]
fn that_a_message_fails_after_all_is_told_with_what_to_do() {
    let failed = |errors: Value| {
        let status = json!({"id": "wamid.9", "status": "failed", "recipient_id": "42", "errors": errors});
        match decoded(json!({"statuses": [status]})).remove(0).deed {
            Deed::Received(receipts) => receipts.failed.unwrap(),
            other => panic!("{other:?}"),
        }
    };
    let late = failed(json!([{"code": 131_047, "title": "Re-engagement message"}]));
    assert!(late.contains("24 hours") && late.contains("approved template"), "{late}");
    assert_eq!(failed(json!([])), "WhatsApp did not deliver it: no explanation");
}

#[test]
fn a_reaction_that_was_taken_away_says_not_which() {
    for emoji in [json!(""), json!(null)] {
        let taken =
            message(&json!({"type": "reaction", "reaction": {"message_id": "wamid.9", "emoji": emoji}}));
        assert_eq!(decoded(json!({"messages": [taken]})), []);
    }
}

#[test]
fn who_a_message_goes_to_shows_in_the_id() {
    for (recipient, to) in [
        ("16505551234", To::Number),
        ("+1 (650) 555-1234", To::Number),
        ("US.13491208655302741918", To::Hidden),
        ("US.ENT.11815799212886844830", To::Hidden),
        ("Y2FwaV9ncm91cDoxNzA1NTU1MDEzOToxMjAzNjM0MDQ2OTQyMzM4MjAZD", To::Group),
    ] {
        assert_eq!(To::of(recipient), to, "{recipient}");
        assert_eq!(whatsapp(&json!({})).is_group(recipient), to == To::Group, "{recipient}");
    }
}

#[test]
fn the_number_itself_is_not_its_id() {
    for number in ["", "+1 555 078 3881", "abc"] {
        let made =
            WhatsApp::new(config(&json!({"phone_number_id": number})), deps(Arc::new(Recorder::default())));
        assert!(matches!(made.map(drop), Err(ChannelError::Config(why)) if why.contains("phone_number_id")));
    }
    assert_eq!(
        WhatsApp::credentials(&config(&json!({}))),
        [NUMBER],
        "one number, one channel; a token has several"
    );
}

#[tokio::test]
async fn an_attachment_is_fetched_in_two_steps_with_the_token_in_no_address() {
    let meta = Meta::start().await;
    let channel = whatsapp(&json!({"api_url": meta.api_url()}));
    meta.will(
        200,
        &json!({"id": "77", "url": format!("{}/attachments?mid=77", meta.url()), "mime_type": "image/png"}),
    );
    meta.will(200, &json!("the bytes"));
    let media = MediaRef { kind: MediaKind::Image, handle: "77".to_owned(), filename: None, mime: None };
    let opened = channel.open_media(&media).await.unwrap_or_else(|error| panic!("{error}"));
    let bytes: Vec<_> = opened.bytes.map(Result::unwrap).collect().await;
    assert_eq!(bytes.concat(), b"\"the bytes\"");
    let [named, fetched] = meta.asked().try_into().unwrap();
    assert_eq!((named.path.as_str(), fetched.path.as_str()), ("/v25.0/77", "/attachments"));
    assert!(named.query.ends_with(&format!("phone_number_id={NUMBER}")), "{}", named.query);
    for asked in [named, fetched] {
        assert_eq!(asked.headers["authorization"], "Bearer token");
        assert!(!asked.query.contains("token="), "{}", asked.query);
    }
}

#[tokio::test]
async fn the_token_goes_nowhere_else_even_if_the_platforms_answer_says_so() {
    let (meta, elsewhere) = (Meta::start().await, Meta::start().await);
    let channel = whatsapp(&json!({"api_url": meta.api_url()}));
    meta.will(200, &json!({"id": "77", "url": format!("{}/steal", elsewhere.url())}));
    let media = MediaRef { kind: MediaKind::Image, handle: "77".to_owned(), filename: None, mime: None };
    assert!(matches!(channel.open_media(&media).await.map(drop), Err(ChannelError::Permanent(_))));
    assert!(elsewhere.asked().is_empty());
}

#[tokio::test]
async fn the_sign_that_an_answer_is_written_is_for_a_message() {
    let meta = Meta::start().await;
    let channel = whatsapp(&json!({"api_url": meta.api_url()}));
    assert!(matches!(channel.typing("42", None).await, Err(ChannelError::Unsupported(_))));
    assert!(matches!(channel.answering("group", None, "wamid.1").await, Err(ChannelError::Unsupported(_))));
    assert!(meta.asked().is_empty());
    meta.will(200, &json!({"success": true}));
    channel.answering("42", None, "wamid.1").await.unwrap();
    let body = json!({"messaging_product": "whatsapp", "status": "read", "message_id": "wamid.1",
        "typing_indicator": {"type": "text"}});
    assert_eq!(meta.asked()[0].json(), body);
}

#[tokio::test]
async fn every_call_heeds_the_limit_and_not_only_sends() {
    let meta = Meta::start().await;
    let channel = whatsapp(&json!({"api_url": meta.api_url()}));
    let limited = ChannelError::RateLimited(Duration::from_secs(60));
    let refuse =
        || meta.will(400, &json!({"error": {"code": 80_007, "message": "(#80007) Rate limit issue"}}));
    refuse();
    assert_eq!(send(&channel, &CAPS, "42", &json!({"text": "hi"})).await, [Err(limited.clone())]);
    refuse();
    let upload = json!({"media": [{"kind": "image", "url": meta.file_url()}]});
    assert_eq!(send(&channel, &CAPS, "42", &upload).await, [Err(limited.clone())]);
    refuse();
    assert_eq!(channel.answering("42", None, "wamid.1").await, Err(limited.clone()));
    refuse();
    assert_eq!(channel.probe().await, Err(limited.clone()));
    refuse();
    let media = MediaRef { kind: MediaKind::Image, handle: "77".to_owned(), filename: None, mime: None };
    assert_eq!(channel.open_media(&media).await.map(drop), Err(limited));
}
