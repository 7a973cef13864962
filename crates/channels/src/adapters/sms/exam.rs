//! What this adapter brings to the exam: webhooks as Twilio posts them, and Twilio as it answers.
//!
//! Payloads are the fields of forms, as JSON. Calls are checked against `api.json`, which is extracted from Twilio's own description
//! (<https://github.com/twilio/twilio-oai>, `twilio_api_v2010.json`): the names of keys and which are required, no types and no limits.

use claw_secrets::signature::sign_sha1_base64;
use claw_types::MediaKind;
use http::{HeaderMap, HeaderValue, Method};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::address::SIGNATURE;
use super::{api, incoming::Form};
use crate::RawRequest;
use crate::exam::description::Description;
use crate::exam::{Answer, Asked, Case, Examinee, Payload, Platform, Road, payloads};

const ACCOUNT: &str = "AC0123456789abcdef0123456789abcdef";
const TOKEN: &str = "exam5ce5a1b2c3d4e5f60718293a4b5c6d7e";
const KEY: &str = "SK0123456789abcdef0123456789abcdef";
const KEY_SECRET: &str = "examkey0aB1cD2eF3gH4iJ5kL6mN7oP8q";
const NO_GROUPS: &str = "text messages have no groups";
/// Out of the platform's description: what is called here.
const API: &str = include_str!("api.json");

pub(super) struct Exam;

impl Examinee for Exam {
    fn fields(&self, server: &str) -> Value {
        json!({"account_sid": ACCOUNT, "auth_token_env": TOKEN, "from": "+15017122661",
            "public_url": "https://claw.example.org", "api_url": server, "api_key_sid": KEY, "api_key_secret_env": KEY_SECRET,
            "smart_encoding": "true"})
    }

    fn page(&self) -> &'static str {
        include_str!("../../../../../docs/channels/sms.md")
    }

    fn road(&self) -> Road {
        Road::Webhook { secret: TOKEN, sign }
    }

    fn payloads(&self) -> &'static [Payload] {
        payloads![
            "text",
            "text-again",
            "other-person",
            "pictures",
            "card",
            "stop",
            "help",
            "sent",
            "delivered",
            "undelivered",
        ]
    }

    fn own(&self) -> Case {
        Case::PlatformCant("Twilio posts what comes to a number, and nothing that was sent from it")
    }

    fn addressed(&self) -> Case {
        Case::PlatformCant(NO_GROUPS)
    }

    fn unaddressed(&self) -> Case {
        Case::PlatformCant(NO_GROUPS)
    }

    fn chat(&self) -> (&'static str, Option<&'static str>) {
        ("+15558675310", None)
    }

    fn message_id(&self) -> &'static str {
        "SM00112233445566778899aabbccddeeff"
    }

    fn texts(&self, body: &[u8]) -> Vec<String> {
        let fields = url::form_urlencoded::parse(body).into_owned();
        fields.filter(|(name, _)| name == "Body").map(|(_, text)| text).collect()
    }

    fn platform(&self) -> Option<&'static dyn Platform> {
        Some(&Self)
    }
}

impl Platform for Exam {
    fn answer(&self, asked: &Asked) -> Answer {
        if asked.method == Method::GET {
            return Answer::json(200, &json!({"messages": [], "page": 0, "page_size": 1}));
        }
        Answer::json(201, &json!({"sid": self.message_id(), "status": "queued", "error_code": null}))
    }

    fn refusal(&self, status: u16) -> Answer {
        Answer::json(status, &json!({"code": 20000, "message": "refused by the exam", "status": status}))
    }

    /// Twilio does not say for how long.
    fn wait(&self) -> std::time::Duration {
        api::PAUSE
    }

    fn check(&self, asked: &Asked) -> Result<(), String> {
        if asked.headers.get("authorization").is_none() {
            return Err(format!("{} lacks the token", asked.path()));
        }
        let account = format!("/2010-04-01/Accounts/{ACCOUNT}");
        match asked.path().strip_prefix(&account) {
            Some(path) if asked.method == Method::GET && path.starts_with("/Messages") => Ok(()),
            Some("/Messages.json") => {
                let fields = url::form_urlencoded::parse(&asked.body).into_owned();
                let fields: Map<_, _> = fields.map(|(name, value)| (name, json!(value))).collect();
                Description::new(API).fits("methods/CreateMessage", &Value::Object(fields))
            }
            _ => Err(format!("Twilio has no {}", asked.path())),
        }
    }

    fn described_by(&self) -> Option<&'static str> {
        Some("https://github.com/twilio/twilio-oai")
    }

    fn knows_repeated_calls(&self) -> bool {
        false
    }

    /// Twilio fetches by itself.
    fn media_url(&self, _: &str, kind: MediaKind) -> String {
        format!("https://example.org/{}", kind.as_str())
    }
}

/// The signature has no time in it: what is posted again is known by its ids.
fn sign(secret: &str, body: &str, _: i64) -> RawRequest {
    let fields: Map<String, Value> = serde_json::from_str(body).unwrap_or_default();
    let pairs = fields.iter().filter_map(|(name, value)| Some((name, value.as_str()?)));
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
    // The exam's channel.
    let address = format!("https://claw.example.org/webhooks/sms/{}", Uuid::from_u128(7));
    let signed = format!("{address}{}", Form::of(body.as_bytes()).signed());
    let mut headers = HeaderMap::new();
    if let Ok(signature) = HeaderValue::try_from(sign_sha1_base64(secret.as_bytes(), signed.as_bytes())) {
        headers.insert(SIGNATURE, signature);
    }
    RawRequest { headers, query: String::new(), body: body.into() }
}
