//! What this adapter brings to the exam: webhooks as the Cloud API posts them, and the API as it answers.
//!
//! Calls and payloads are checked against `api.json`, which is extracted from Meta's own description
//! (<https://github.com/facebook/openapi>, `business-messaging-api_v23.0.yaml`).

use serde_json::{Value, json};

use crate::exam::body::at;
use crate::exam::description::Description;
use crate::exam::{Answer, Asked, Examinee, Payload, Platform, Road, payloads};
use crate::kit::graph::exam::{SECRET, VERIFY, api_url, path, proven, refusal, sign};

const TOKEN: &str = "EAAJexamTokenOfASystemUser0123456789";
const NUMBER: &str = "106540352242922";
/// Out of the platform's description: what is called here, and what is read.
pub(super) const API: &str = include_str!("api.json");

pub(super) struct Exam;

impl Examinee for Exam {
    fn fields(&self, server: &str) -> Value {
        json!({
            "access_token_env": TOKEN, "phone_number_id": NUMBER, "verify_token": VERIFY,
            "app_secret": SECRET, "commands": "ask: Ask the assistant", "api_url": api_url(server),
        })
    }

    fn page(&self) -> &'static str {
        include_str!("../../../../../docs/channels/whatsapp.md")
    }

    fn road(&self) -> Road {
        Road::Webhook { secret: SECRET, sign }
    }

    fn payloads(&self) -> &'static [Payload] {
        payloads![
            "text",
            "text-again",
            "hidden-number",
            "reply",
            "addressed",
            "unaddressed",
            "mentioned",
            "image",
            "voice",
            "document",
            "sticker",
            "location",
            "contacts",
            "button-reply",
            "list-reply",
            "template-button",
            "reaction",
            "unreact",
            "edit",
            "revoke",
            "unsupported",
            "system",
            "own",
            "sent",
            "delivered",
            "seen",
            "failed",
            "other-number",
            "account-update",
        ]
    }

    fn chat(&self) -> (&'static str, Option<&'static str>) {
        ("16505551234", None)
    }

    fn message_id(&self) -> &'static str {
        "wamid.HBgLMTY1MDM4Nzk0MzkVAgASGBQzQTRBNjU5OUFFRTAzODEwMTQ0RgA="
    }

    fn texts(&self, body: &[u8]) -> Vec<String> {
        at(body, "/text/body")
    }

    fn answered(&self, body: &[u8]) -> Vec<String> {
        at(body, "/context/message_id")
    }

    fn offered(&self, body: &[u8]) -> Vec<String> {
        at(body, "/commands/0/command_name")
    }

    fn platform(&self) -> Option<&'static dyn Platform> {
        Some(&Self)
    }
}

impl Platform for Exam {
    fn answer(&self, asked: &Asked) -> Answer {
        let answer = match path(asked).strip_prefix(NUMBER) {
            Some("") => {
                json!({"id": NUMBER, "display_phone_number": "+1 555-078-3881", "verified_name": "Exam",
                "quality_rating": "GREEN"})
            }
            Some("/conversational_automation") => json!({"success": true}),
            Some("/media") => json!({"id": "4490709327384033"}),
            _ if asked.json().get("status").is_some() => json!({"success": true}),
            _ => {
                json!({"messaging_product": "whatsapp", "contacts": [{"input": "16505551234", "wa_id": "16505551234"}],
                "messages": [{"id": "wamid.gBGGSFcCNEOPAgkO_KJ55r4w_ww", "message_status": "accepted"}]})
            }
        };
        Answer::json(200, &answer)
    }

    fn refusal(&self, status: u16) -> Answer {
        refusal(status)
    }

    fn check(&self, asked: &Asked) -> Result<(), String> {
        proven(asked)?;
        let description = Description::new(API);
        let body = match asked.form() {
            Some(form) => {
                let fields = form.into_iter();
                let fields = fields.map(|(name, text)| (name, text.unwrap_or_else(|| "a file".to_owned())));
                description.of_form("calls/uploadMedia/body", fields)
            }
            None => asked.json(),
        };
        description.asked(asked.method.as_str(), &asked.target, &body)
    }

    fn described_by(&self) -> Option<&'static str> {
        Some("https://github.com/facebook/openapi")
    }

    fn knows_repeated_calls(&self) -> bool {
        false
    }
}

/// Whether a message is one that Meta knows.
#[cfg(test)]
pub(super) fn described(body: &Value) -> Result<(), String> {
    Description::new(API).fits("calls/sendMessage/body", body)
}
