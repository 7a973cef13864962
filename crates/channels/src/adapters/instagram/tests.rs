mod renewal;

use std::sync::Arc;

use serde_json::Value;

use super::*;
use crate::Channel as _;
use crate::adapters::webhook::testing::{Notes, Recorder, deps};
use crate::kit::graph::exam::sign;
use crate::kit::graph::messaging::calls::{Handed, of_part};
use crate::kit::graph::testing::{Meta, listened, parts_of, send};

crate::exam::conformance!(Instagram);

fn config(more: &Value) -> Config {
    let mut config = json!({"page_token_env": "token", "verify_token": "verify", "app_secret": "secret"});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(config).unwrap()
}

fn instagram(more: &Value) -> Instagram {
    let deps = Deps { memory: Arc::new(Notes::default()), ..deps(Arc::new(Recorder::default())) };
    Instagram::new(config(more), deps).unwrap()
}

#[test]
fn a_pages_events_are_not_instagrams() {
    let body = r#"{"object": "page", "entry": []}"#;
    let read = instagram(&json!({})).decode(&sign("secret", body, 0));
    assert!(matches!(&read, Err(ChannelError::BadRequest(why)) if why.contains("instagram")), "{read:?}");
}

#[test]
fn a_text_is_cut_by_bytes() {
    let message = parts_of::message("42", &json!({"text": "é".repeat(1200), "format": "plain"}));
    let bodies = parts_of::each(&message, &CAPS, |part| of_part(part, &Handed::Linked, &BY_PAGE).unwrap());
    assert_eq!(bodies.len(), 3);
    for body in bodies {
        assert!(body["message"]["text"].as_str().unwrap().len() <= 1000);
    }
}

/// The bodies of a send.
fn bodies(extra: &Value, kind: &Kind) -> Vec<Result<Value, ChannelError>> {
    let message = parts_of::message("42", extra);
    parts_of::each(&message, &CAPS, |part| of_part(part, &Handed::Linked, kind))
}

fn body(extra: &Value) -> Value {
    bodies(extra, &BY_PAGE).remove(0).unwrap()
}

#[test]
fn attachments_are_fetched_by_instagram() {
    let url = "https://example.org/a.ogg";
    let attachment = json!({"attachment": {"type": "audio", "payload": {"url": url}}});
    assert_eq!(body(&json!({"media": [{"kind": "voice", "url": url}]}))["message"], attachment);
}

#[test]
fn of_files_pdf_goes_as_one_and_others_as_links() {
    let sent = |media: Value| body(&json!({"media": [media]}))["message"].clone();
    let (pdf, other) = ("https://example.org/a.PDF?x=1", "https://example.org/b?name=a.pdf");
    let attachment = |url: &str| json!({"attachment": {"type": "file", "payload": {"url": url}}});
    assert_eq!(sent(json!({"kind": "file", "url": pdf})), attachment(pdf));
    assert_eq!(sent(json!({"kind": "file", "url": other, "filename": "a.pdf"})), attachment(other));
    assert_eq!(sent(json!({"kind": "file", "url": other})), json!({"text": other}));
    assert_eq!(
        sent(json!({"kind": "file", "url": pdf, "filename": "a.zip"})),
        json!({"text": format!("a.zip: {pdf}")})
    );
    // A name that leaves the link no room is left out, and a link without room is refused.
    let long = format!("https://example.org/{}", "x".repeat(970));
    assert_eq!(
        sent(json!({"kind": "file", "url": long, "filename": "a.zip.of.mine"})),
        json!({"text": long})
    );
    let longer = json!({"media": [{"kind": "file", "url": format!("{long}{long}")}]});
    assert!(matches!(bodies(&longer, &BY_PAGE).remove(0), Err(ChannelError::Permanent(_))));
}

#[test]
fn pictures_that_go_together_are_one_message() {
    let picture = |name: &str| json!({"kind": "image", "url": format!("https://example.org/{name}")});
    let of = |name: &str| json!({"type": "image", "payload": {"url": format!("https://example.org/{name}")}});
    let both = json!({"media": [picture("a"), picture("b")]});
    assert_eq!(bodies(&both, &BY_PAGE).len(), 1);
    assert_eq!(body(&both)["message"], json!({"attachments": [of("a"), of("b")]}));
}

#[test]
fn a_page_can_set_a_heart_and_an_account_by_itself_any_emoji() {
    let react = |emoji: Value, kind: &Kind| {
        bodies(&json!({"act": {"type": "react", "message_id": "m1", "emoji": emoji}}), kind).remove(0)
    };
    let on = |reaction: &str| json!({"recipient": {"id": "42"}, "sender_action": "react", "payload": {"message_id": "m1", "reaction": reaction}});
    for heart in ["\u{2764}\u{fe0f}", "\u{2764}"] {
        assert_eq!(react(json!(heart), &BY_PAGE), Ok(on("love")));
    }
    assert_eq!(react(json!("👍"), &BY_ITSELF), Ok(on("👍")));
    let refused = react(json!("👍"), &BY_PAGE);
    assert!(matches!(&refused, Err(ChannelError::Permanent(why)) if why.contains("❤️")), "{refused:?}");
    let off = json!({"recipient": {"id": "42"}, "sender_action": "unreact", "payload": {"message_id": "m1"}});
    assert_eq!(react(json!(null), &BY_PAGE), Ok(off));
}

#[tokio::test]
async fn a_page_without_an_account_is_told_by_the_test() {
    let meta = Meta::start().await;
    let page = instagram(&json!({"api_url": meta.api_url()}));
    meta.will(200, &json!({"id": "7"}));
    let probed = page.probe().await;
    assert!(
        matches!(&probed, Err(ChannelError::Permanent(why)) if why.contains("link a professional")),
        "{probed:?}"
    );
    meta.will(200, &json!({"id": "7", "instagram_business_account": {"id": "8", "username": "ada"}}));
    assert_eq!(page.probe().await.unwrap().account.as_deref(), Some("@ada"));
    let asked = meta.asked();
    assert!(asked.iter().all(|asked| asked.path == "/v25.0/me" && !asked.query.contains("access_token")));
    assert_eq!(asked[0].headers["authorization"], "Bearer token");
}

#[tokio::test]
async fn by_instagram_login_the_account_itself_is_asked_and_written_to() {
    let meta = Meta::start().await;
    let page = instagram(&json!({"login": "instagram", "api_url": meta.api_url()}));
    // Meta's pages show both forms.
    for me in
        [json!({"data": [{"user_id": "8", "username": "ada"}]}), json!({"user_id": 8, "username": "ada"})]
    {
        meta.will(200, &me);
        let probed = page.probe().await.unwrap();
        assert_eq!((probed.account.as_deref(), &probed.details["id"]), (Some("@ada"), &json!("8")));
    }
    meta.will(200, &json!({"recipient_id": "42", "message_id": "m9"}));
    assert!(send(&page, &CAPS, "42", &json!({"text": "hi"})).await[0].is_ok());
    let asked = meta.asked();
    let paths: Vec<_> = asked.iter().map(|asked| asked.path.as_str()).collect();
    assert_eq!(paths, ["/v25.0/me", "/v25.0/me", "/v25.0/me/messages"]);
    for asked in asked {
        assert_eq!(asked.headers["authorization"], "Bearer token");
        assert!(
            !asked.query.contains("appsecret_proof"),
            "no page of this server's knows it: {}",
            asked.query
        );
    }
}

#[test]
fn each_login_has_its_server() {
    assert_eq!(
        (Login::Facebook.server(), Login::Instagram.server()),
        (CLOUD, "https://graph.instagram.com/v25.0")
    );
    assert_eq!(config(&json!({})).login, Login::Facebook);
    assert_eq!([Login::Facebook, Login::Instagram].map(|login| login.kind().only_hearts), [true, false]);
    assert!(LOGINS.iter().all(|login| serde_json::from_value::<Login>(json!(login)).is_ok()));
}

#[tokio::test]
async fn commands_are_the_menu_and_what_is_chosen_is_the_command() {
    let meta = Meta::start().await;
    let page =
        instagram(&json!({"api_url": meta.api_url(), "commands": ["/ask: Ask the assistant", "help"]}));
    let entry = |title: &str, payload: &str| json!({"type": "postback", "title": title, "payload": payload});
    let entries = json!([entry("Ask the assistant", "/ask"), entry("help", "/help")]);
    let menu = json!([{"locale": "default", "call_to_actions": entries}]);
    meta.will(200, &json!({"data": []}));
    meta.will(200, &json!({"result": "success"}));
    let [read, set] = listened(&page, &meta, 2).await.try_into().unwrap();
    assert!(read.query.ends_with("&fields=persistent_menu&platform=instagram"), "{}", read.query);
    assert!(
        set.path == "/v25.0/me/messenger_profile" && set.query.ends_with("&platform=instagram"),
        "{set:?}"
    );
    assert_eq!(set.json(), json!({"persistent_menu": menu}));
    meta.will(200, &json!({"data": [{"persistent_menu": menu}]}));
    page.offer_commands().await;
    assert_eq!(meta.asked().len(), 1);

    let pressed = json!({"sender": {"id": "42"}, "recipient": {"id": "7"}, "timestamp": 1,
        "postback": {"mid": "m1", "title": "Ask the assistant", "payload": "/ask"}});
    let body = json!({"object": "instagram", "entry": [{"id": "7", "messaging": [pressed]}]}).to_string();
    let heard = page.decode(&sign("secret", &body, 0)).unwrap().remove(0);
    assert_eq!((heard.text.as_deref(), heard.content_type.as_str()), (Some("/ask"), "button"));
}

#[test]
fn a_menu_has_short_entries_and_not_too_many() {
    let made = |lines: &[String]| {
        let config = config(&json!({"commands": lines}));
        Instagram::new(config, deps(Arc::new(Recorder::default()))).map(drop)
    };
    let many: Vec<String> = (0..21).map(|n| format!("c{n}: {}", "x".repeat(30))).collect();
    assert!(made(&many[..20]).is_ok() && made(&many).is_err());
    let refused = made(&[format!("ask: {}", "x".repeat(31))]);
    assert!(matches!(&refused, Err(ChannelError::Config(why)) if why.contains("30")), "{refused:?}");
}
