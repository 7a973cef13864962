mod renewal;

use std::sync::Arc;

use serde_json::Value;

use super::*;
use crate::Channel as _;
use crate::adapters::webhook::testing::{Notes, Recorder, deps};
use crate::kit::graph::exam::sign;
use crate::kit::graph::messaging::calls::{Handed, of_part};
use crate::kit::graph::testing::{Meta, parts_of, send};

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
    let bodies = parts_of::each(&message, &CAPS, |part| of_part(part, &Handed::Linked).unwrap());
    assert_eq!(bodies.len(), 3);
    for body in bodies {
        assert!(body["message"]["text"].as_str().unwrap().len() <= 1000);
    }
}

#[test]
fn attachments_are_fetched_by_instagram_and_files_are_links() {
    let url = "https://example.org/a.pdf";
    let sent = |kind: &str| {
        let message = parts_of::message("42", &json!({"media": [{"kind": kind, "url": url}]}));
        parts_of::each(&message, &CAPS, |part| of_part(part, &Handed::Linked).unwrap()).remove(0)
    };
    let attachment = json!({"attachment": {"type": "audio", "payload": {"url": url}}});
    assert_eq!(sent("voice")["message"], attachment);
    assert_eq!(sent("file")["message"], json!({"text": url}));
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
    assert!(LOGINS.iter().all(|login| serde_json::from_value::<Login>(json!(login)).is_ok()));
}
