//! What this adapter brings to the exam: activities as the Bot Connector posts them, and Microsoft's servers as they answer.
//!
//! Calls are checked against `api.json`, which is extracted from Microsoft's description of the Bot Connector
//! (<https://github.com/microsoft/botbuilder-js/blob/main/libraries/swagger/ConnectorAPI.json>) and the schema of Adaptive Cards
//! (<https://adaptivecards.io/schemas/adaptive-card.json>; `msteams` is what Teams adds to it).

use claw_types::MediaKind;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method};
use serde_json::{Value, json};

use super::{CHANNEL, ISSUER};
use crate::RawRequest;
use crate::exam::description::Description;
use crate::exam::{Answer, Asked, Case, Examinee, Payload, Platform, Road, payloads};
use crate::kit::jwt::SigningKey;
use crate::kit::jwt::vectors::{RFC_7515, RFC_7520};

pub(super) const APP: &str = "3f2504e0-4f89-41d3-9a0c-0305e82c3301";
pub(super) const TENANT: &str = "6ba7b810-9dad-41d1-80b4-00c04fd430c8";
const PASSWORD: &str = "exm8Q~vT2kLpX9wRfZ0sYdBnC4uGhJ7aE1iMoVtK";
/// Out of the platform's descriptions: what is called here.
const API: &str = include_str!("api.json");

pub(super) struct Exam;

impl Examinee for Exam {
    fn fields(&self, server: &str) -> Value {
        json!({"app_id": APP, "app_password_env": PASSWORD, "tenant_id": TENANT, "api_url": server})
    }

    fn page(&self) -> &'static str {
        include_str!("../../../../../docs/channels/teams.md")
    }

    fn road(&self) -> Road {
        Road::Webhook { secret: RFC_7515.kid, sign }
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
            "edited",
            "deleted",
            "reaction",
            "button",
            "installed",
        ]
    }

    fn own(&self) -> Case {
        Case::PlatformCant("Teams tells a bot nothing of what it wrote itself")
    }

    fn chat(&self) -> (&'static str, Option<&'static str>) {
        ("19:253b1f341670408fb6fe51050b6e5ceb@thread.tacv2", Some("1700000009000"))
    }

    fn message_id(&self) -> &'static str {
        "1700000021000"
    }

    fn texts(&self, body: &[u8]) -> Vec<String> {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        body["text"].as_str().map(str::to_owned).into_iter().collect()
    }

    fn platform(&self) -> Option<&'static dyn Platform> {
        Some(&Self)
    }
}

impl Platform for Exam {
    fn answer(&self, asked: &Asked) -> Answer {
        match asked.path() {
            "/v1/.well-known/keys" => Answer::json(200, &json!({"keys": [RFC_7515.jwk(CHANNEL)]})),
            path if path.ends_with("/token") => {
                let token = json!({"token_type": "Bearer", "expires_in": 3599, "access_token": "exam-token"});
                Answer::json(200, &token)
            }
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
        if asked.path() == format!("/{TENANT}/oauth2/v2.0/token") {
            return Ok(());
        }
        let segments: Vec<&str> = asked.path().split('/').skip(1).collect();
        if asked.headers.get(AUTHORIZATION).is_none_or(|token| token != "Bearer exam-token") {
            return Err(format!("{} lacks the token", asked.path()));
        }
        let name = match (asked.method.as_str(), segments.as_slice()) {
            ("POST", ["v3", "conversations", _, "activities"]) => "methods/Conversations_SendToConversation",
            ("PUT", ["v3", "conversations", _, "activities", _]) => "methods/Conversations_UpdateActivity",
            ("DELETE", ["v3", "conversations", _, "activities", _]) => return Ok(()),
            (method, _) => return Err(format!("the connector has no {method} {}", asked.path())),
        };
        described(name, &asked.json())
    }

    fn described_by(&self) -> Option<&'static str> {
        Some("https://github.com/microsoft/botbuilder-js/blob/main/libraries/swagger/ConnectorAPI.json")
    }

    /// A message that is posted twice is there twice.
    fn knows_repeated_calls(&self) -> bool {
        false
    }

    /// Teams fetches by itself, and only by https.
    fn media_url(&self, _: &str, kind: MediaKind) -> String {
        format!("https://example.org/{}", kind.as_str())
    }
}

fn described(name: &str, activity: &Value) -> Result<(), String> {
    let description = Description::new(API);
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    description.fits(name, activity)?;
    for attachment in list(&activity["attachments"]) {
        description.fits("types/Attachment", &attachment)?;
        let card = &attachment["content"];
        description.fits("types/AdaptiveCard", card)?;
        for element in list(&card["body"]) {
            let kind = element["type"].as_str().unwrap_or_default();
            description.fits(&format!("types/{kind}"), &element)?;
            for action in list(&element["actions"]) {
                let kind = action["type"].as_str().unwrap_or_default();
                description.fits(&format!("types/{kind}"), &action)?;
            }
        }
    }
    Ok(())
}

/// As Microsoft signs: with a key of its own for the bot and the body's serviceUrl. Another `secret` is another key.
pub(super) fn sign(secret: &str, body: &str, time: i64) -> RawRequest {
    let activity: Value = serde_json::from_str(body).unwrap_or_default();
    let claims = json!({
        "iss": ISSUER, "aud": APP, "serviceurl": activity["serviceUrl"], "nbf": time, "exp": time + 3600,
    });
    let pem = if secret == RFC_7515.kid { RFC_7515.pem } else { RFC_7520.pem };
    let token =
        SigningKey::from_pem(pem).and_then(|key| key.token(RFC_7515.kid, &claims)).unwrap_or_default();
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::try_from(format!("Bearer {token}")) {
        headers.insert(AUTHORIZATION, value);
    }
    RawRequest { headers, query: String::new(), body: body.to_owned().into() }
}
