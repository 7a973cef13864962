use std::sync::{Arc, Mutex};

use chrono::{DateTime, TimeDelta};
use claw_runtime::ManualClock;
use claw_types::Inbound;
use serde_json::Value;
use tokio::sync::mpsc;

use super::*;
use crate::adapters::webhook::testing::{NOW, Recorder, deps};
use crate::kit::graph::exam::sign;
use crate::kit::graph::messaging::calls::{Handed, of_part};
use crate::kit::graph::testing::{Meta, parts_of, send};
use crate::{Channel as _, SinkError};

crate::exam::conformance!(Instagram);

fn config(more: &Value) -> Config {
    let mut config = json!({"page_token_env": "token", "verify_token": "verify", "app_secret": "secret"});
    config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(config).unwrap()
}

fn instagram(more: &Value) -> Instagram {
    Instagram::new(config(more), deps(Arc::new(Recorder::default()))).unwrap()
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
    let bodies = parts_of::each(&message, &CAPS, |part| of_part(&KIND, part, &Handed::Linked).unwrap());
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
        parts_of::each(&message, &CAPS, |part| of_part(&KIND, part, &Handed::Linked).unwrap()).remove(0)
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

/// Remembers the cursor, and passes on what the user is told.
struct Told {
    cursor: Mutex<Option<String>>,
    told: mpsc::UnboundedSender<String>,
}

#[async_trait]
impl Sink for Told {
    async fn accept(&self, _: Vec<Inbound>) -> Result<(), SinkError> {
        Ok(())
    }

    async fn cursor(&self) -> Result<Option<String>, SinkError> {
        Ok(self.cursor.lock().unwrap().clone())
    }

    async fn save_cursor(&self, cursor: String) -> Result<(), SinkError> {
        *self.cursor.lock().unwrap() = Some(cursor);
        Ok(())
    }

    async fn trouble(&self, error: Option<&str>) {
        self.told.send(error.unwrap_or_default().to_owned()).unwrap();
    }
}

/// For one look.
fn stopped() -> CancellationToken {
    let stop = CancellationToken::new();
    stop.cancel();
    stop
}

/// A channel whose clock is this many days after [`NOW`].
fn after(days: i64, token: &str) -> Instagram {
    let now = DateTime::from_timestamp(NOW, 0).unwrap() + TimeDelta::days(days);
    let deps = Deps { clock: Arc::new(ManualClock::new(now)), ..deps(Arc::new(Recorder::default())) };
    Instagram::new(config(&json!({"login": "instagram", "page_token_env": token})), deps).unwrap()
}

#[tokio::test]
async fn a_token_that_ends_soon_is_told_of_by_its_first_use_here() {
    let (told, mut heard) = mpsc::unbounded_channel();
    let sink = Told { cursor: Mutex::default(), told };
    for days in [0, 49] {
        after(days, "token").listen(&sink, stopped()).await.unwrap();
        assert!(heard.try_recv().is_err(), "day {days}");
    }
    let cursor = sink.cursor.lock().unwrap().clone().unwrap();
    assert!(!cursor.contains("\"token\":\"token\""), "the token is kept nowhere: {cursor}");
    after(50, "token").listen(&sink, stopped()).await.unwrap();
    let warning = heard.try_recv().unwrap();
    // NOW is 14 November 2023.
    assert!(warning.contains("2024-01-13") && warning.contains("generate a new one"), "{warning}");
    after(50, "another").listen(&sink, stopped()).await.unwrap();
    assert!(heard.try_recv().is_err(), "a new token has its own time");
}

#[tokio::test(start_paused = true)]
async fn a_token_is_looked_at_again_and_again() {
    let (told, mut heard) = mpsc::unbounded_channel();
    let sink = Told { cursor: Mutex::default(), told };
    let stop = CancellationToken::new();
    after(0, "token").listen(&sink, stopped()).await.unwrap();
    let channel = after(55, "token");
    let listening = channel.listen(&sink, stop.clone());
    let twice = async {
        let first = heard.recv().await.unwrap();
        assert_eq!(heard.recv().await.unwrap(), first);
        stop.cancel();
    };
    let (ended, ()) = tokio::join!(listening, twice);
    ended.unwrap();
}
