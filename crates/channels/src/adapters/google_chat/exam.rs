//! What this adapter brings to the exam: events as Google Chat posts them, and Google's servers as they answer.
//!
//! Calls are checked against `api.json`, which is extracted from Google's own description of the Chat API
//! (<https://chat.googleapis.com/$discovery/rest?version=v1>).

use claw_types::MediaKind;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Method};
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use super::{CHAT, api};
use crate::RawRequest;
use crate::exam::description::Description;
use crate::exam::{Answer, Asked, Case, Examinee, Payload, Platform, Road, payloads};
use crate::kit::jwt::SigningKey;
use crate::kit::jwt::vectors::{RFC_7515, RFC_7520};

pub(super) const PROJECT: &str = "123456789012";
/// Out of the platform's description: what is called here.
const API: &str = include_str!("api.json");

pub(super) struct Exam;

/// A key file, of the public test vector.
pub(super) fn account() -> Value {
    json!({
        "type": "service_account", "project_id": "exam-project", "private_key_id": RFC_7520.kid, "private_key": RFC_7520.pem,
        "client_email": "bot@exam-project.iam.gserviceaccount.com", "client_id": "104857600000000000000",
        "token_uri": "https://oauth2.googleapis.com/token", "universe_domain": "googleapis.com",
    })
}

impl Examinee for Exam {
    fn fields(&self, server: &str) -> Value {
        json!({
            "service_account_env": account().to_string(), "audience": PROJECT,
            "space_ids": "spaces/AAAAdirect, spaces/AAAAroom", "api_url": server,
        })
    }

    fn page(&self) -> &'static str {
        include_str!("../../../../../docs/channels/google_chat.md")
    }

    fn road(&self) -> Road {
        Road::Webhook { secret: RFC_7515.kid, sign }
    }

    fn unsigned_body(&self) -> Option<&'static str> {
        Some("Google signs a token that names the project or the address, and not the body")
    }

    fn payloads(&self) -> &'static [Payload] {
        payloads![
            "text",
            "text-again",
            "image",
            "drive",
            "addressed",
            "thread",
            "quote",
            "slash",
            "command",
            "button",
            "added",
            "added-by-mention",
            "elsewhere",
        ]
    }

    fn own(&self) -> Case {
        Case::PlatformCant("Google Chat tells an app nothing of what it wrote itself")
    }

    fn unaddressed(&self) -> Case {
        Case::PlatformCant(
            "in spaces, Google Chat tells an app only of messages that mention it, its commands and its buttons",
        )
    }

    fn chat(&self) -> (&'static str, Option<&'static str>) {
        ("spaces/AAAAroom", Some("TTTTone"))
    }

    fn message_id(&self) -> &'static str {
        "spaces/AAAAroom/messages/MMMMown.MMMMown"
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
            "/token" => {
                let token = json!({"access_token": "exam-token", "expires_in": 3599, "token_type": "Bearer"});
                Answer::json(200, &token)
            }
            path if path.starts_with("/service_accounts/") => {
                Answer::json(200, &json!({"keys": [RFC_7515.jwk("unused")]}))
            }
            _ if asked.method == Method::DELETE => Answer::json(200, &json!({})),
            _ => Answer::json(200, &json!({"name": "spaces/AAAAroom/messages/MMMMnew.MMMMnew"})),
        }
    }

    fn refusal(&self, status: u16) -> Answer {
        Answer::json(
            status,
            &json!({"error": {"code": status, "message": "refused by the exam", "status": "REFUSED"}}),
        )
    }

    /// Google does not say for how long.
    fn wait(&self) -> std::time::Duration {
        api::PAUSE
    }

    fn check(&self, asked: &Asked) -> Result<(), String> {
        if asked.path() == "/token" {
            return Ok(());
        }
        if asked.headers.get(AUTHORIZATION).is_none_or(|token| token != "Bearer exam-token") {
            return Err(format!("{} lacks the token", asked.path()));
        }
        let segments: Vec<&str> = asked.path().split('/').skip(1).collect();
        let method = match (asked.method.as_str(), segments.as_slice()) {
            ("POST", ["v1", "spaces", _, "messages"]) => "create",
            ("PATCH", ["v1", "spaces", _, "messages", _]) => "patch",
            ("DELETE", ["v1", "spaces", _, "messages", _]) => "delete",
            (method, _) => return Err(format!("the Chat API has no {method} {}", asked.path())),
        };
        let description = Description::new(API);
        description.fits(&format!("methods/spaces.messages.{method}.query"), &query(asked))?;
        if method == "delete" { Ok(()) } else { described(&description, &asked.json()) }
    }

    fn described_by(&self) -> Option<&'static str> {
        Some("https://chat.googleapis.com/$discovery/rest?version=v1")
    }

    /// By the request id; the others change nothing the second time.
    fn knows_repeated_calls(&self) -> bool {
        true
    }

    /// Google fetches by itself, and only by https.
    fn media_url(&self, _: &str, kind: MediaKind) -> String {
        format!("https://example.org/{}", kind.as_str())
    }
}

fn query(asked: &Asked) -> Value {
    let (_, query) = asked.target.split_once('?').unwrap_or_default();
    let pairs = form_urlencoded::parse(query.as_bytes());
    Value::Object(pairs.map(|(key, value)| (key.into_owned(), json!(value))).collect::<Map<_, _>>())
}

fn described(description: &Description, message: &Value) -> Result<(), String> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    description.fits("methods/spaces.messages.create", message)?;
    message.get("thread").map_or(Ok(()), |thread| description.fits("types/Thread", thread))?;
    for card in list(&message["cardsV2"]) {
        description.fits("types/CardWithId", &card)?;
        description.fits("types/GoogleAppsCardV1Card", &card["card"])?;
        for section in list(&card["card"]["sections"]) {
            description.fits("types/GoogleAppsCardV1Section", &section)?;
            list(&section["widgets"]).iter().try_for_each(|widget| widget_described(description, widget))?;
        }
    }
    Ok(())
}

fn widget_described(description: &Description, widget: &Value) -> Result<(), String> {
    if let Some(image) = widget.get("image") {
        return description.fits("types/GoogleAppsCardV1Image", image);
    }
    description.fits("types/GoogleAppsCardV1ButtonList", &widget["buttonList"])?;
    for button in widget["buttonList"]["buttons"].as_array().map(Vec::as_slice).unwrap_or_default() {
        description.fits("types/GoogleAppsCardV1Button", button)?;
        let click = &button["onClick"];
        description.fits("types/GoogleAppsCardV1OnClick", click)?;
        if let Some(link) = click.get("openLink") {
            description.fits("types/GoogleAppsCardV1OpenLink", link)?;
            continue;
        }
        let action = &click["action"];
        description.fits("types/GoogleAppsCardV1Action", action)?;
        for parameter in action["parameters"].as_array().map(Vec::as_slice).unwrap_or_default() {
            description.fits("types/GoogleAppsCardV1ActionParameter", parameter)?;
        }
    }
    Ok(())
}

/// As Google Chat signs for a project's number: with a key of its own. Another `secret` is another key.
pub(super) fn sign(secret: &str, body: &str, time: i64) -> RawRequest {
    let claims = json!({"iss": CHAT, "aud": PROJECT, "iat": time, "exp": time + 3600});
    let pem = if secret == RFC_7515.kid { RFC_7515.pem } else { RFC_7520.pem };
    let token =
        SigningKey::from_pem(pem).and_then(|key| key.token(RFC_7515.kid, &claims)).unwrap_or_default();
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::try_from(format!("Bearer {token}")) {
        headers.insert(AUTHORIZATION, value);
    }
    RawRequest { headers, query: String::new(), body: body.to_owned().into() }
}
