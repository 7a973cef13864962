//! What this adapter brings to the exam. There is no platform: gateways serve the pages themselves.

use chrono::DateTime;
use serde_json::{Value, json};

use super::door::conversation_id;
use super::told::Told;
use super::{files, socket};
use crate::exam::body::at;
use crate::exam::{CHANNEL, Case, Examinee, NOW, Payload, Road, payloads};

pub(super) struct Exam;

impl Examinee for Exam {
    fn fields(&self, _: &str) -> Value {
        json!({"allowed_origins": "https://example.org, http://localhost:8000", "greeting": "Hello!", "title": "Support",
               "theme": "dark", "accent": "#4f46e5", "max_file_mib": 5, "file_kinds": "image, file",
               "commands": "ask: Ask the assistant"})
    }

    fn page(&self) -> &'static str {
        include_str!("../../../../../docs/channels/webchat.md")
    }

    /// A payload is the visitor's name for itself and the frame, or the file, that its page sent.
    fn road(&self) -> Road {
        Road::Gateway {
            read: |payload| {
                let sent: Value = serde_json::from_str(payload).map_err(|error| error.to_string())?;
                let visitor = sent["visitor"].as_str().unwrap_or_default();
                let now = DateTime::from_timestamp(NOW, 0).unwrap_or_default();
                if let Some(file) = sent.get("file") {
                    let told = |key: &str| file[key].as_str().unwrap_or_default();
                    let what = (told("name"), told("type"), told("bytes").as_bytes());
                    let conversation = conversation_id(CHANNEL, visitor);
                    return Ok(vec![files::understood(&conversation, told("client_id"), what, now)]);
                }
                Ok(vec![socket::understood(CHANNEL, visitor, &sent["frame"].to_string(), now)?])
            },
            welcome: |config| Told::of(config).ready(),
        }
    }

    fn payloads(&self) -> &'static [Payload] {
        payloads![
            "text",
            "text-again",
            "other-visitor",
            "button",
            "choice",
            "reply",
            "edit",
            "delete",
            "reaction",
            "file",
            "received",
        ]
    }

    fn own(&self) -> Case {
        Case::PlatformCant("a socket tells only what its visitor did")
    }

    fn addressed(&self) -> Case {
        Case::PlatformCant("there is nobody else in the chat")
    }

    fn unaddressed(&self) -> Case {
        self.addressed()
    }

    fn chat(&self) -> (&'static str, Option<&'static str>) {
        ("0123456789abcdef0123456789abcdef", None)
    }

    fn message_id(&self) -> &'static str {
        "01890a5d-ac96-774b-bcce-b302099a8057"
    }

    fn texts(&self, body: &[u8]) -> Vec<String> {
        at(body, "/text")
    }

    fn answered(&self, body: &[u8]) -> Vec<String> {
        at(body, "/reply_to")
    }

    fn offered(&self, body: &[u8]) -> Vec<String> {
        at(body, "/commands/0/name")
    }
}
