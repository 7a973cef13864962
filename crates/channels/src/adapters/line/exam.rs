//! What this adapter brings to the exam: webhooks as LINE posts them, and LINE as it answers.
//!
//! Calls and payloads are checked against `api.json`, which is extracted from LINE's own descriptions
//! (<https://github.com/line/line-openapi>, `messaging-api.yml` and `webhook.yml`).

use claw_secrets::signature::sign_base64;
use claw_types::MediaKind;
use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};

use super::{SIGNATURE, api};
use crate::RawRequest;
use crate::exam::body::at;
use crate::exam::description::Description;
use crate::exam::{Answer, Asked, Case, Examinee, FILES, Payload, Platform, Road, payloads};

const SECRET: &str = "8c570fa6dd201bb328f1c1eac23a96d8";
const TOKEN: &str = "exam0zTG5rY2ZVpQx1lO3Wq7uB9kD4eF6hJ8mN2sT0vXyA";
/// By which a message that was sent is quoted.
const QUOTE: &str = "IStG5h1Tz7b";
/// Out of the platform's description: what is called here, and what is read.
pub(super) const API: &str = include_str!("api.json");

pub(super) struct Exam;

impl Examinee for Exam {
    fn fields(&self, server: &str) -> Value {
        json!({"channel_secret_env": SECRET, "access_token_env": TOKEN, "replies": "true", "api_url": server})
    }

    fn page(&self) -> &'static str {
        include_str!("../../../../../docs/channels/line.md")
    }

    fn road(&self) -> Road {
        Road::Webhook { secret: SECRET, sign }
    }

    fn payloads(&self) -> &'static [Payload] {
        payloads![
            "text",
            "text-again",
            "image",
            "audio",
            "file",
            "location",
            "sticker",
            "addressed",
            "unaddressed",
            "room",
            "reply",
            "postback",
            "edited",
            "unsend",
            "standby",
            "redelivered",
            "follow",
            "verify",
        ]
    }

    fn own(&self) -> Case {
        Case::PlatformCant("LINE tells an account nothing of what it wrote itself")
    }

    fn chat(&self) -> (&'static str, Option<&'static str>) {
        ("U4af4980629abcdef0123456789abcdef", None)
    }

    fn message_id(&self) -> &'static str {
        "461230966842064897"
    }

    fn texts(&self, body: &[u8]) -> Vec<String> {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        body["messages"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|message| message["text"].as_str().map(str::to_owned))
            .collect()
    }

    fn answered(&self, body: &[u8]) -> Vec<String> {
        at(body, "/messages/0/quoteToken")
    }

    fn answered_as(&self) -> &'static str {
        QUOTE
    }

    fn platform(&self) -> Option<&'static dyn Platform> {
        Some(&Self)
    }
}

impl Platform for Exam {
    fn answer(&self, asked: &Asked) -> Answer {
        match asked.path() {
            "/v2/bot/info" => Answer::json(
                200,
                &json!({"userId": "U0000000000000000000000000000b07", "basicId": "@216ruexam", "displayName": "Exam",
                    "chatMode": "bot", "markAsReadMode": "auto"}),
            ),
            "/v2/bot/chat/loading/start" => Answer::json(202, &json!({})),
            "/v2/bot/chat/markAsRead" => Answer::json(200, &json!({})),
            path if path.ends_with("/summary") => {
                Answer::json(200, &json!({"groupId": "C1", "groupName": "A group"}))
            }
            path if path.contains("/member/") || path.contains("/profile/") => {
                Answer::json(200, &json!({"displayName": "Ada", "userId": "U1"}))
            }
            _ => {
                Answer::json(200, &json!({"sentMessages": [{"id": self.message_id(), "quoteToken": QUOTE}]}))
            }
        }
    }

    fn refusal(&self, status: u16) -> Answer {
        Answer::json(status, &json!({"message": "refused by the exam"}))
    }

    /// LINE does not say for how long.
    fn wait(&self) -> std::time::Duration {
        api::PAUSE
    }

    fn check(&self, asked: &Asked) -> Result<(), String> {
        if asked.headers.get("authorization").is_none() {
            return Err(format!("{} lacks the token", asked.path()));
        }
        if self.texts(&asked.body).iter().any(|text| text.contains(FILES)) {
            return Err("an attachment that LINE plays goes as a link".to_owned());
        }
        // LINE fetches by https only; the exam's server, to which the sound belongs, has no certificate.
        let body =
            String::from_utf8_lossy(&asked.body).replace("\"http://127.0.0.1:", "\"https://127.0.0.1:");
        call(asked.method.as_str(), &asked.target, &serde_json::from_str(&body).unwrap_or_default())
    }

    fn described_by(&self) -> Option<&'static str> {
        Some("https://github.com/line/line-openapi")
    }

    /// By the retry key; the loading animation and the test change nothing.
    fn knows_repeated_calls(&self) -> bool {
        true
    }

    /// LINE fetches by itself, and only by https. At films and sounds the adapter looks, too; OGG, in which the exam has voice notes, LINE
    /// does not play.
    fn media_url(&self, server: &str, kind: MediaKind) -> String {
        match kind {
            MediaKind::Image | MediaKind::File => format!("https://example.org/{}", kind.as_str()),
            MediaKind::Video => format!("{server}{FILES}{}", kind.as_str()),
            MediaKind::Audio | MediaKind::Voice => format!("{server}{FILES}{}", MediaKind::Audio.as_str()),
        }
    }
}

/// Whether a call is one that LINE describes; a body that is none is null.
pub(super) fn call(method: &str, target: &str, body: &Value) -> Result<(), String> {
    Description::new(API).asked(method, target, body)
}

/// The signature has no time in it: what is posted again is known by its ids.
fn sign(secret: &str, body: &str, _: i64) -> RawRequest {
    let signature = sign_base64(secret.as_bytes(), body.as_bytes());
    let mut headers = HeaderMap::new();
    if let Ok(signature) = HeaderValue::try_from(signature) {
        headers.insert(SIGNATURE, signature);
    }
    RawRequest { headers, query: String::new(), body: body.to_owned().into() }
}
