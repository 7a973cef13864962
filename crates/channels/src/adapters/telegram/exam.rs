//! What this adapter brings to the exam: updates as Telegram sends them, polled and posted, and Telegram as it answers.
//!
//! Calls are checked against `bot-api.json`, which is extracted from a description of the Bot API made of its official page
//! (<https://github.com/PaulSonOfLars/telegram-bot-api-spec>).

use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};

use super::{WEBHOOK, hook};
use crate::RawRequest;
use crate::exam::body::at;
use crate::exam::description::Description;
use crate::exam::{Answer, Asked, CHANNEL, Examinee, Payload, Platform, Road, payloads};

const TOKEN: &str = "123456:AAEabcdefghijklmnopqrstuvwxyz_-01234";
/// Out of the platform's description: the parameters of what is called here.
const BOT_API: &str = include_str!("bot-api.json");

pub(super) struct Exam;

impl Examinee for Exam {
    fn fields(&self, server: &str) -> Value {
        json!({
            "bot_token_env": TOKEN, "poll_interval_secs": "1", "mode": "polling",
            "public_url": "https://claw.example.org", "commands": "ask: Ask the assistant", "api_url": server,
        })
    }

    fn page(&self) -> &'static str {
        include_str!("../../../../../docs/channels/telegram.md")
    }

    fn road(&self) -> Road {
        Road::Poll {
            is_poll: |asked| method(asked) == "getUpdates",
            answer: |payload| {
                let update: Value = serde_json::from_str(payload).unwrap_or_default();
                Answer::json(200, &json!({"ok": true, "result": [update]}))
            },
        }
    }

    fn other_road(&self, server: &str) -> Option<(Value, Road)> {
        let mut fields = self.fields(server);
        fields["mode"] = json!(WEBHOOK);
        Some((fields, Road::Webhook { secret: TOKEN, sign: posted }))
    }

    fn unsigned_body(&self) -> Option<&'static str> {
        Some("Telegram sends the secret back that it was told, and signs no body")
    }

    fn payloads(&self) -> &'static [Payload] {
        payloads![
            "text",
            "text-again",
            "voice",
            "photo",
            "album",
            "location",
            "addressed",
            "unaddressed",
            "topic",
            "reply",
            "own",
            "edited",
            "reaction",
            "button",
        ]
    }

    fn chat(&self) -> (&'static str, Option<&'static str>) {
        ("-100123", Some("9"))
    }

    fn message_id(&self) -> &'static str {
        "5"
    }

    fn texts(&self, body: &[u8]) -> Vec<String> {
        at(body, "/text")
    }

    fn answered(&self, body: &[u8]) -> Vec<String> {
        at(body, "/reply_parameters/message_id")
    }

    fn offered(&self, body: &[u8]) -> Vec<String> {
        at(body, "/commands/0/command")
    }

    fn platform(&self) -> Option<&'static dyn Platform> {
        Some(&Self)
    }
}

impl Platform for Exam {
    fn answer(&self, asked: &Asked) -> Answer {
        let message = json!({"message_id": 77});
        let result = match method(asked) {
            "getMe" => json!({"id": 123_456, "is_bot": true, "first_name": "Exam", "username": "exam_bot"}),
            "getMyCommands" => json!([]),
            "getWebhookInfo" => {
                json!({"url": "", "has_custom_certificate": false, "pending_update_count": 0})
            }
            "sendMediaGroup" => json!([message, {"message_id": 78}]),
            "sendChatAction"
            | "deleteMessage"
            | "deleteMessages"
            | "setMessageReaction"
            | "answerCallbackQuery"
            | "setMyCommands"
            | "setWebhook" => json!(true),
            _ => message,
        };
        Answer::json(200, &json!({"ok": true, "result": result}))
    }

    fn refusal(&self, status: u16) -> Answer {
        let mut body = json!({"ok": false, "error_code": status, "description": "refused by the exam"});
        if status == 429 {
            body["parameters"] = json!({"retry_after": 7});
        }
        Answer::json(status, &body)
    }

    fn check(&self, asked: &Asked) -> Result<(), String> {
        let (description, name) = (Description::new(BOT_API), format!("methods/{}", method(asked)));
        let body = match asked.form() {
            Some(form) => parameters(&description, &name, form),
            None => asked.json(),
        };
        description.fits(&name, &body)
    }

    fn described_by(&self) -> Option<&'static str> {
        Some("https://core.telegram.org/bots/api")
    }

    fn knows_repeated_calls(&self) -> bool {
        false
    }

    fn secret_in_addresses(&self, _: &Value) -> Option<&'static str> {
        Some("the Bot API has the token in the path of every call")
    }
}

/// To the address with the bot's name, with the secret that Telegram was told for the channel. Another token makes another secret.
fn posted(token: &str, payload: &str, _: i64) -> RawRequest {
    let mut headers = HeaderMap::new();
    if let Ok(secret) = HeaderValue::try_from(hook::secret(token, CHANNEL)) {
        headers.insert(hook::SECRET, secret);
    }
    RawRequest { headers, query: format!("{}=exam_bot", hook::NAME), body: payload.to_owned().into() }
}

fn method(asked: &Asked) -> &str {
    asked.path().rsplit('/').next().unwrap_or_default()
}

/// A form's parameters, of which a file is the text that stands for it. What only an album refers to is no parameter.
fn parameters(description: &Description, name: &str, form: Vec<(String, Option<String>)>) -> Value {
    let fields = form.into_iter().filter(|(key, _)| !key.starts_with("file"));
    description.of_form(name, fields.map(|(key, text)| (key, text.unwrap_or_else(|| "a file".to_owned()))))
}

/// Whether a call is one that the platform knows.
#[cfg(test)]
pub(super) fn described(method: &str, body: &Value) -> Result<(), String> {
    Description::new(BOT_API).fits(&format!("methods/{method}"), body)
}
