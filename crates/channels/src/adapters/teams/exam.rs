//! What this adapter brings to the exam: activities as the Bot Connector posts them, and Microsoft's servers as they answer.
//!
//! Calls are checked against `api.json`, which is extracted from Microsoft's description of the Bot Connector
//! (<https://github.com/microsoft/botbuilder-js/blob/main/libraries/swagger/ConnectorAPI.json>) and the schema of Adaptive Cards
//! (<https://adaptivecards.io/schemas/adaptive-card.json>; `msteams` is what Teams adds to it); the cards about files are as in
//! <https://learn.microsoft.com/en-us/microsoftteams/platform/bots/how-to/bots-filesv4>. It has the names of keys and which are required, no
//! types and no limits.

use claw_types::MediaKind;
use http::Method;
use serde_json::{Value, json};

use super::CHANNEL;
use super::consent::{ASKS, SHOWS};
use crate::RawRequest;
use crate::exam::bearer::{self, SECRET, list};
use crate::exam::body::at;
use crate::exam::description::Description;
use crate::exam::{Answer, Asked, Case, Examinee, FILES, Payload, Platform, Road, payloads};
use crate::kit::jwt::vectors::RFC_7515;

pub(super) const APP: &str = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";
pub(super) const TENANT: &str = "6ba7b810-9dad-41d1-80b4-00c04fd430c8";
pub(super) const PASSWORD: &str = "exm8Q~vT2kLpX9wRfZ0sYdBnC4uGhJ7aE1iMoVtK";
/// Out of the platform's descriptions: what is called here.
const API: &str = include_str!("api.json");

pub(super) struct Exam;

impl Examinee for Exam {
    fn fields(&self, server: &str) -> Value {
        json!({
            "app_id": APP, "app_password_env": PASSWORD, "tenant_id": TENANT, "cloud": "public", "files": "consent",
            "service_url": "https://smba.trafficmanager.net/emea", "api_url": server,
        })
    }

    fn page(&self) -> &'static str {
        include_str!("../../../../../docs/channels/teams.md")
    }

    fn road(&self) -> Road {
        Road::Webhook { secret: SECRET, sign }
    }

    fn unsigned_body(&self) -> Option<&'static str> {
        Some("Microsoft signs a token that names the bot and the serviceUrl, and not the body")
    }

    fn payloads(&self) -> &'static [Payload] {
        payloads![
            "text",
            "text-again",
            "image",
            "file",
            "addressed",
            "unaddressed",
            "channel",
            "reply",
            "quote",
            "edited",
            "deleted",
            "reaction",
            "reaction-named",
            "button",
            "consent",
            "installed",
            "read",
        ]
    }

    fn own(&self) -> Case {
        Case::PlatformCant("Teams tells a bot nothing of what it wrote itself")
    }

    /// With one person, because only they can get files.
    fn chat(&self) -> (&'static str, Option<&'static str>) {
        ("a:1nyu3RTK8xH4nQm1jH0cQ9oF6kYx3W", Some("1700000009000"))
    }

    fn message_id(&self) -> &'static str {
        "1700000021000"
    }

    /// Of a card, as far as the first change of its formatting.
    fn texts(&self, body: &[u8]) -> Vec<String> {
        let card = at(body, "/attachments/0/content/body/0/inlines/0/text");
        at(body, "/text").into_iter().chain(card).collect()
    }

    fn answered(&self, body: &[u8]) -> Vec<String> {
        at(body, "/entities/0/quotedReply/messageId")
    }

    fn platform(&self) -> Option<&'static dyn Platform> {
        Some(&Self)
    }
}

impl Platform for Exam {
    fn answer(&self, asked: &Asked) -> Answer {
        match asked.path() {
            "/v1/.well-known/keys" => Answer::json(200, &json!({"keys": [RFC_7515.jwk(CHANNEL)]})),
            path if path.ends_with("/token") => bearer::grants(),
            _ if asked.method == Method::DELETE => Answer::json(200, &json!({})),
            _ => Answer::json(201, &json!({"id": "1700000022000"})),
        }
    }

    fn refusal(&self, status: u16) -> Answer {
        let body = json!({"error": {"code": "Refused", "message": "refused by the exam"}});
        let answer = Answer::json(status, &body);
        if status == 429 { answer.with("retry-after", "7") } else { answer }
    }

    fn check(&self, asked: &Asked) -> Result<(), String> {
        if asked.path() == format!("/{TENANT}/oauth2/v2.0/token") || asked.path() == "/v1/.well-known/keys" {
            return Ok(());
        }
        let segments: Vec<&str> = asked.path().split('/').skip(1).collect();
        bearer::has_token(asked)?;
        let name = match (asked.method.as_str(), segments.as_slice()) {
            ("POST", ["v3", "conversations", _, "activities"]) => "methods/Conversations_SendToConversation",
            ("PUT", ["v3", "conversations", _, "activities", _]) => "methods/Conversations_UpdateActivity",
            ("DELETE", ["v3", "conversations", _, "activities", _])
            | ("PUT", ["v3", "conversations", _, "activities", _, "reactions", _]) => return Ok(()),
            (method, _) => return Err(format!("the connector has no {method} {}", asked.path())),
        };
        described(name, &asked.json())
    }

    fn described_by(&self) -> Option<&'static str> {
        Some("https://github.com/microsoft/botbuilder-js/blob/main/libraries/swagger/ConnectorAPI.json")
    }

    fn hands_out(&self) -> &'static [&'static str] {
        &[bearer::TOKEN]
    }

    /// A message that is posted twice is there twice.
    fn knows_repeated_calls(&self) -> bool {
        false
    }

    /// Teams fetches pictures by itself, and only by https; other files are uploaded.
    fn media_url(&self, server: &str, kind: MediaKind) -> String {
        match kind {
            MediaKind::Image => "https://example.org/image".to_owned(),
            other => format!("{server}{FILES}{}", other.as_str()),
        }
    }
}

fn described(name: &str, activity: &Value) -> Result<(), String> {
    let description = Description::new(API);
    description.fits(name, activity)?;
    let attachments = list(&activity["attachments"]);
    if attachments.len() + usize::from(activity.get("text").is_some()) > 1 {
        return Err("Teams makes several messages of one activity and names none of them".to_owned());
    }
    for attachment in attachments {
        description.fits("types/Attachment", attachment)?;
        let content = &attachment["content"];
        match attachment["contentType"].as_str() {
            Some(ASKS) => description.fits("types/FileConsentCard", content)?,
            Some(SHOWS) => description.fits("types/FileInfoCard", content)?,
            _ => card(&description, content)?,
        }
    }
    Ok(())
}

fn card(description: &Description, card: &Value) -> Result<(), String> {
    description.fits("types/AdaptiveCard", card)?;
    for element in list(&card["body"]) {
        let kind = element["type"].as_str().unwrap_or_default();
        description.fits(&format!("types/{kind}"), element)?;
        let runs = list(&element["inlines"]);
        let pressed = runs.iter().filter_map(|run| run.get("selectAction"));
        for one in list(&element["actions"]).iter().chain(runs).chain(pressed) {
            let kind = one["type"].as_str().unwrap_or_default();
            description.fits(&format!("types/{kind}"), one)?;
        }
    }
    Ok(())
}

/// What Microsoft's token says for the bot and the body's serviceUrl.
pub(super) fn claims(body: &str, time: i64) -> Value {
    let activity: Value = serde_json::from_str(body).unwrap_or_default();
    json!({
        "iss": "https://api.botframework.com", "aud": APP, "serviceurl": activity["serviceUrl"], "nbf": time, "exp": time + 3600,
    })
}

/// As Microsoft signs. Another `secret` is another key.
pub(super) fn sign(secret: &str, body: &str, time: i64) -> RawRequest {
    bearer::signed(secret, body, &claims(body, time))
}
