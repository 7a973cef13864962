use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use serde_json::Value;

use super::exam::API;
use super::*;
use crate::adapters::webhook::testing::{NOW, Recorder, deps};
use crate::exam::Examinee as _;
use crate::exam::description::Description;

mod fake;
mod names;
mod peer;
mod reading;
mod sending;
mod socket;

crate::exam::conformance!(Slack);

const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";

fn slack(fields: &Value) -> Result<Slack, ChannelError> {
    let mut config = json!({"bot_token_env": "xoxb-1-2-bot", "app_token_env": "xapp-1-A1-2-3"});
    config.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    Slack::new(serde_json::from_value(config).unwrap(), deps(Arc::new(Recorder::default())))
}

fn posted(body: &str, content_type: &'static str) -> RawRequest {
    let signature = signed::sign(SECRET, &NOW.to_string(), body.as_bytes());
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(signed::SIGNATURE, signature.parse().unwrap());
    headers.insert(signed::TIMESTAMP, NOW.into());
    RawRequest { headers, query: String::new(), body: body.to_owned().into() }
}

/// The payloads are wrapped as Slack says that it wraps them.
#[test]
fn payloads_fit_the_platforms_description() {
    let description = Description::new(API);
    let events =
        exam::Exam.payloads().iter().map(|payload| serde_json::from_str::<Value>(payload.sent).unwrap());
    let events: Vec<_> = events.filter(|event| event["type"] == "event_callback").collect();
    assert!(events.len() > 10);
    for event in events {
        description.fits("types/event wrapper", &event).unwrap();
    }
}

#[test]
fn tokens_that_are_none_are_told_apart() {
    for (fields, key) in [
        (json!({"bot_token_env": "xapp-1-A1-2-3"}), "bot_token_env"),
        (json!({"bot_token_env": "xoxp-1-2-3"}), "bot_token_env"),
        (json!({"app_token_env": "xoxb-1-2-3"}), "app_token_env"),
        (json!({"api_url": "ftp://example.org"}), "api_url"),
    ] {
        let told = slack(&fields).err();
        assert!(
            matches!(&told, Some(ChannelError::Config(why)) if why.starts_with(key)),
            "{fields}: {told:?}"
        );
    }
    assert!(
        slack(&json!({"bot_token_env": "xoxe.xoxb-1-Mi0yLTQz", "app_token_env": "",
        "signing_secret": SECRET}))
        .is_ok()
    );
    let neither = slack(&json!({"app_token_env": ""})).err();
    assert!(
        matches!(&neither, Some(ChannelError::Config(why)) if why.contains("signing_secret")),
        "{neither:?}"
    );
}

#[test]
fn one_app_is_in_one_channel() {
    let credentials = |fields: Value| {
        let mut config = json!({"bot_token_env": "xoxb-1-2-secretsecret"});
        config.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        Slack::credentials(&serde_json::from_value(config).unwrap())
    };
    let socket = |token: &str| credentials(json!({"app_token_env": token}));
    let renewed = socket("xapp-1-A0EXAM00001-2-new");
    assert_eq!(socket("xapp-1-A0EXAM00001-1-old"), renewed, "a renewed token is the same app");
    assert_ne!(renewed[0], socket("xapp-1-A0EXAM00002-1-old")[0]);
    let posts = |secret: &str| credentials(json!({"signing_secret": secret}));
    assert_ne!(posts("one")[0], posts("another")[0]);
    for shown in [posts("secretsecret"), credentials(json!({})), socket("xapp-secretsecret")] {
        assert!(!shown.concat().contains("secretsecret"), "{shown:?}");
    }
}

#[test]
fn one_bot_is_in_one_channel_whichever_road_it_takes() {
    let credentials = |bot: &str, fields: Value| {
        let mut config = json!({"bot_token_env": bot});
        config.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        Slack::credentials(&serde_json::from_value(config).unwrap())
    };
    let shared = |one: &[String], other: &[String]| one.iter().filter(|name| other.contains(name)).count();
    let (app, secret) = (json!({"app_token_env": "xapp-1-A0EXAM00001-1-a"}), json!({"signing_secret": "s"}));
    let both = json!({"app_token_env": "xapp-1-A0EXAM00001-1-b", "signing_secret": "s"});
    let (socket, posts) = (credentials("xoxb-1", app), credentials("xoxb-1", secret));
    assert_eq!(shared(&socket, &posts), 1, "the bot's token");
    // The same app in another workspace.
    let elsewhere = credentials("xoxb-2", both);
    assert_eq!((shared(&elsewhere, &socket), shared(&elsewhere, &posts)), (1, 1));
    let other = credentials("xoxb-3", json!({"signing_secret": "t"}));
    assert_eq!((shared(&other, &socket), shared(&other, &posts)), (0, 0));
    // What a version before this one compares.
    assert_eq!((socket[0].as_str(), &elsewhere[0]), ("A0EXAM00001", &socket[0]));
    assert_eq!(posts[0], hex::encode(signature::sha256(b"s")));
}

#[test]
fn the_question_whether_the_address_is_ours_is_answered_to_slack_only() {
    let slack = slack(&json!({"signing_secret": SECRET})).unwrap();
    let question = r#"{"token": "x", "challenge": "3eZbrw1aBm2rZgRNFdxV", "type": "url_verification"}"#;
    let genuine = posted(question, "application/json");
    assert_eq!(slack.handshake(&genuine), Ok(Some(Reply::text("3eZbrw1aBm2rZgRNFdxV"))));
    let forged = RawRequest { headers: HeaderMap::new(), ..genuine };
    assert!(matches!(slack.handshake(&forged), Err(ChannelError::BadSignature(_))));
    for none in
        [r#"{"type": "event_callback", "text": "\"url_verification\""}"#, r#"["url_verification"]"#, "{}"]
    {
        assert_eq!(slack.handshake(&posted(none, "application/json")), Ok(None), "{none}");
    }
}

#[test]
fn a_channel_without_the_secret_takes_no_posts() {
    let slack = slack(&json!({})).unwrap();
    let told = slack.decode(&posted("{}", "application/json"));
    assert!(
        matches!(&told, Err(ChannelError::BadRequest(why)) if why.contains("signing_secret")),
        "{told:?}"
    );
}

#[test]
fn people_have_no_groups() {
    let slack = slack(&json!({})).unwrap();
    let groups: Vec<_> = ["C1", "G1", "D1", "U1", "W1"].into_iter().filter(|id| slack.is_group(id)).collect();
    assert_eq!(groups, ["C1", "G1"]);
}
