//! What this adapter brings to the exam: messages as another system posts them, and the callback that takes answers.

use claw_secrets::signature::{sign_standard, standard_key};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Value, json};

use crate::RawRequest;
use crate::exam::body::at;
use crate::exam::{Answer, Asked, Examinee, Payload, Platform, Road, payloads};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

pub(super) struct Exam;

impl Examinee for Exam {
    fn fields(&self, server: &str) -> Value {
        json!({"secret_env": SECRET, "callback_url": format!("{server}/in"), "post_albums": "true"})
    }

    fn page(&self) -> &'static str {
        include_str!("../../../../../docs/channels/webhook.md")
    }

    fn road(&self) -> Road {
        Road::Webhook { secret: SECRET, sign }
    }

    fn payloads(&self) -> &'static [Payload] {
        payloads![
            "text",
            "text-again",
            "image",
            "addressed",
            "unaddressed",
            "own",
            "edit",
            "delete",
            "reaction",
            "reply",
            "receipt"
        ]
    }

    fn chat(&self) -> (&'static str, Option<&'static str>) {
        ("room-1", Some("thread-1"))
    }

    fn message_id(&self) -> &'static str {
        "m-1"
    }

    fn texts(&self, body: &[u8]) -> Vec<String> {
        at(body, "/text")
    }

    fn answered(&self, body: &[u8]) -> Vec<String> {
        at(body, "/reply_to")
    }

    fn platform(&self) -> Option<&'static dyn Platform> {
        Some(&Self)
    }
}

impl Platform for Exam {
    fn answer(&self, _: &Asked) -> Answer {
        Answer::json(200, &json!({"id": "theirs-1"}))
    }

    fn refusal(&self, status: u16) -> Answer {
        let refusal = Answer::json(status, &json!({"error": "refused by the exam"}));
        if status == 429 { refusal.with("retry-after", "7") } else { refusal }
    }

    fn check(&self, _: &Asked) -> Result<(), String> {
        Ok(())
    }

    /// The vocabulary is ours: docs/channels.md.
    fn described_by(&self) -> Option<&'static str> {
        None
    }

    fn knows_repeated_calls(&self) -> bool {
        true
    }
}

/// By Standard Webhooks, the scheme that has a time in it.
fn sign(secret: &str, body: &str, time: i64) -> RawRequest {
    let id = "msg-of-the-exam";
    let signature = sign_standard(&standard_key(secret), id, time, body.as_bytes());
    let all = [
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", time.to_string()),
        ("webhook-signature", signature),
    ];
    let header = |(name, value): (&'static str, String)| {
        Some((HeaderName::from_static(name), HeaderValue::try_from(value).ok()?))
    };
    let headers: HeaderMap = all.into_iter().filter_map(header).collect();
    RawRequest { headers, query: String::new(), body: body.to_owned().into() }
}
