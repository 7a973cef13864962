//! Commands that WhatsApp offers, each call checked against Meta's own description.

use super::*;
use crate::kit::graph::testing::{Asked, listened};

const LINES: [&str; 2] = ["/ask: Ask the assistant", "Help_2"];

fn with_commands(meta: &Meta) -> WhatsApp {
    whatsapp(&json!({"api_url": meta.api_url(), "commands": LINES}))
}

fn offered() -> Value {
    json!([{"command_name": "ask", "command_description": "Ask the assistant"},
        {"command_name": "Help_2", "command_description": "Help_2"}])
}

/// What it was asked, as paths; the body of the last call.
fn told(asked: &[Asked]) -> (Vec<&str>, Value) {
    let bodies = asked.iter().map(|one| if one.body.is_empty() { Value::Null } else { one.json() });
    let bodies: Vec<Value> = bodies.collect();
    for (one, body) in asked.iter().zip(&bodies) {
        let method = if body.is_null() { "GET" } else { "POST" };
        let target = format!("{}?{}", one.path, one.query);
        Description::new(exam::API).asked(method, &target, body).unwrap();
    }
    let paths = asked.iter().map(|one| one.path.strip_prefix("/v25.0/106540352242922").unwrap()).collect();
    (paths, bodies.last().cloned().unwrap_or_default())
}

#[tokio::test]
async fn what_is_there_already_is_not_set_again() {
    let meta = Meta::start().await;
    let channel = with_commands(&meta);
    meta.will(200, &json!({"id": NUMBER}));
    meta.will(200, &json!({"success": true}));
    let asked = listened(&channel, &meta, 2).await;
    assert!(asked[0].query.ends_with("fields=conversational_automation"), "{}", asked[0].query);
    assert_eq!(told(&asked), (vec!["", "/conversational_automation"], json!({"commands": offered()})));
    meta.will(200, &json!({"conversational_automation": {"commands": offered()}, "id": NUMBER}));
    channel.offer_commands().await;
    assert_eq!(told(&meta.asked()), (vec![""], Value::Null));
}

/// One call sets all of it.
#[tokio::test]
async fn ice_breakers_and_the_greeting_stay_as_they_are() {
    let meta = Meta::start().await;
    let channel = with_commands(&meta);
    let rest = json!({"prompts": ["Where is my order?"], "enable_welcome_message": true});
    let mut there = rest.clone();
    there["commands"] = json!([{"command_name": "old", "command_description": "Something else"}]);
    meta.will(200, &json!({"conversational_automation": there, "id": NUMBER}));
    meta.will(200, &json!({"success": true}));
    channel.offer_commands().await;
    let mut wanted = rest;
    wanted["commands"] = offered();
    assert_eq!(told(&meta.asked()).1, wanted);
}

#[tokio::test]
async fn a_number_without_commands_is_left_alone_and_a_refusal_stops_nothing() {
    let meta = Meta::start().await;
    whatsapp(&json!({"api_url": meta.api_url()})).offer_commands().await;
    assert!(meta.asked().is_empty());
    let channel = with_commands(&meta);
    meta.will(403, &json!({"error": {"code": 200, "message": "no permission"}}));
    channel.offer_commands().await;
    assert_eq!(told(&meta.asked()).0, [""], "what is not known is not replaced");
    meta.will(200, &json!({"id": NUMBER}));
    meta.will(400, &json!({"error": {"code": 100, "message": "Invalid command name format"}}));
    channel.offer_commands().await;
    assert_eq!(meta.asked().len(), 2);
}

#[test]
fn what_whatsapp_would_refuse_is_refused() {
    let made = |lines: &[String]| {
        WhatsApp::new(config(&json!({"commands": lines})), deps(Arc::new(Recorder::default()))).map(drop)
    };
    let name = "x".repeat(31);
    for bad in ["grüße", "a-b", "a b", ": x", name.as_str(), &format!("a: {}", "x".repeat(257))] {
        let refused = made(&[bad.to_owned()]);
        assert!(matches!(&refused, Err(ChannelError::Config(why)) if why.starts_with("commands")), "{bad}");
    }
    let many: Vec<String> = (0..31).map(|n| format!("c{n}")).collect();
    assert!(made(&many[..30]).is_ok() && made(&many).is_err());
}
