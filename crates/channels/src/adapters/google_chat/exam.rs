//! What this adapter brings to the exam: events as Google Chat posts them, and Google's servers as they answer.
//!
//! Calls are checked against `api.json`, which is extracted from Google's own description of the Chat API
//! (<https://chat.googleapis.com/$discovery/rest?version=v1>) and of the Google Workspace Events API
//! (<https://workspaceevents.googleapis.com/$discovery/rest?version=v1>): the names of keys and which are required, no types and no limits.

use claw_types::MediaKind;
use http::Method;
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use super::api;
use crate::RawRequest;
use crate::exam::bearer::{self, SECRET, list};
use crate::exam::body::at;
use crate::exam::description::Description;
use crate::exam::{Answer, Asked, Case, Examinee, Payload, Platform, Road, payloads};
use crate::kit::jwt::vectors::{RFC_7515, RFC_7520};

pub(super) const ADDRESS: &str = "https://claw.example/webhooks/google_chat/01a20614";
pub(super) const ADDON: &str = "service-123456789012@gcp-sa-gsuiteaddons.iam.gserviceaccount.com";
/// By whom Pub/Sub authenticates itself.
pub(super) const PUSHES: &str = "push@exam-project.iam.gserviceaccount.com";
pub(super) const TOPIC: &str = "projects/exam-project/topics/chat-events";
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
            "service_account_env": account().to_string(), "audience": ADDRESS, "addon_account": ADDON,
            "events_topic": TOPIC, "events_account": PUSHES, "space_ids": "spaces/AAAAdirect, spaces/AAAAroom", "api_url": server,
        })
    }

    fn page(&self) -> &'static str {
        include_str!("../../../../../docs/channels/google_chat.md")
    }

    fn road(&self) -> Road {
        Road::Webhook { secret: SECRET, sign }
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
            "addon-text",
            "addon-slash",
            "addon-command",
            "addon-button",
            "addon-added",
            "event-written",
            "event-batch",
            "event-mention",
            "event-own",
            "event-edited",
            "event-preview",
            "event-deleted",
            "event-reacted",
            "event-unreacted",
            "event-suspended",
        ]
    }

    fn own(&self) -> Case {
        Case::Payload("event-own")
    }

    fn unaddressed(&self) -> Case {
        Case::Payload("event-written")
    }

    fn chat(&self) -> (&'static str, Option<&'static str>) {
        ("spaces/AAAAroom", Some("TTTTone"))
    }

    fn message_id(&self) -> &'static str {
        "spaces/AAAAroom/messages/MMMMown.MMMMown"
    }

    fn texts(&self, body: &[u8]) -> Vec<String> {
        at(body, "/text")
    }

    fn answered(&self, body: &[u8]) -> Vec<String> {
        at(body, "/quotedMessageMetadata/name")
    }

    fn platform(&self) -> Option<&'static dyn Platform> {
        Some(&Self)
    }
}

impl Platform for Exam {
    fn answer(&self, asked: &Asked) -> Answer {
        match asked.path() {
            "/token" => bearer::grants(),
            "/oauth2/v3/certs" => Answer::json(200, &json!({"keys": [RFC_7515.jwk("unused")]})),
            _ if asked.method == Method::DELETE => Answer::json(200, &json!({})),
            _ => Answer::json(
                200,
                &json!({"name": "spaces/AAAAroom/messages/MMMMnew.MMMMnew", "createTime": "2023-11-14T22:13:20.123456Z"}),
            ),
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
        if ["/token", "/oauth2/v3/certs"].contains(&asked.path()) {
            return Ok(());
        }
        bearer::has_token(asked)?;
        described_call(asked)
    }

    fn described_by(&self) -> Option<&'static str> {
        Some("https://chat.googleapis.com/$discovery/rest?version=v1")
    }

    fn hands_out(&self) -> &'static [&'static str] {
        &[bearer::TOKEN]
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

/// Whether a call of either API is as Google describes it.
pub(super) fn described_call(asked: &Asked) -> Result<(), String> {
    let segments: Vec<&str> = asked.path().split('/').skip(1).collect();
    let (method, has_body) = match (asked.method.as_str(), segments.as_slice()) {
        ("POST", ["v1", "spaces", _, "messages"]) => ("spaces.messages.create", true),
        // The Chat API describes the body of an edit as that of a new message.
        ("PATCH", ["v1", "spaces", _, "messages", _]) => ("spaces.messages.patch", true),
        ("DELETE", ["v1", "spaces", _, "messages", _]) => ("spaces.messages.delete", false),
        ("GET", ["v1", "spaces", _, "messages", _] | ["v1", "media", ..]) => return Ok(()),
        ("GET", ["v1", "spaces"]) => ("spaces.list", false),
        (method, ["v1", "subscriptions", name @ ..]) => return described_subscription(method, name, asked),
        (method, _) => return Err(format!("the Chat API has no {method} {}", asked.path())),
    };
    let description = Description::new(API);
    description.fits(&format!("methods/{method}.query"), &query(asked))?;
    if has_body { described(&description, &asked.json()) } else { Ok(()) }
}

fn described_subscription(method: &str, name: &[&str], asked: &Asked) -> Result<(), String> {
    let (method, body) = match (method, name) {
        ("GET", []) => ("list", None),
        ("POST", []) => ("create", Some("types/Subscription")),
        ("PATCH", [_]) => ("patch", Some("types/SubscriptionChange")),
        ("DELETE", [_]) => ("delete", None),
        ("POST", [name]) if name.ends_with(":reactivate") => {
            ("reactivate", Some("types/ReactivateSubscriptionRequest"))
        }
        _ => return Err(format!("the Google Workspace Events API has no {method} {}", asked.path())),
    };
    let description = Description::new(API);
    description.fits(&format!("methods/subscriptions.{method}.query"), &query(asked))?;
    let Some(body) = body else { return Ok(()) };
    let given = asked.json();
    description.fits(body, &given)?;
    if method != "create" {
        return Ok(());
    }
    description.fits("types/PayloadOptions", &given["payloadOptions"])?;
    description.fits("types/NotificationEndpoint", &given["notificationEndpoint"])
}

fn query(asked: &Asked) -> Value {
    let (_, query) = asked.target.split_once('?').unwrap_or_default();
    let pairs = form_urlencoded::parse(query.as_bytes());
    Value::Object(pairs.map(|(key, value)| (key.into_owned(), json!(value))).collect::<Map<_, _>>())
}

fn described(description: &Description, message: &Value) -> Result<(), String> {
    description.fits("methods/spaces.messages.create", message)?;
    for (key, kind) in [("thread", "types/Thread"), ("quotedMessageMetadata", "types/QuotedMessageMetadata")]
    {
        message.get(key).map_or(Ok(()), |given| description.fits(kind, given))?;
    }
    for card in list(&message["cardsV2"]) {
        description.fits("types/CardWithId", card)?;
        description.fits("types/GoogleAppsCardV1Card", &card["card"])?;
        for section in list(&card["card"]["sections"]) {
            description.fits("types/GoogleAppsCardV1Section", section)?;
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
    for button in list(&widget["buttonList"]["buttons"]) {
        description.fits("types/GoogleAppsCardV1Button", button)?;
        let click = &button["onClick"];
        description.fits("types/GoogleAppsCardV1OnClick", click)?;
        if let Some(link) = click.get("openLink") {
            description.fits("types/GoogleAppsCardV1OpenLink", link)?;
            continue;
        }
        let action = &click["action"];
        description.fits("types/GoogleAppsCardV1Action", action)?;
        for parameter in list(&action["parameters"]) {
            description.fits("types/GoogleAppsCardV1ActionParameter", parameter)?;
        }
    }
    Ok(())
}

/// As Google's sign-in signs for an add-on and for Pub/Sub: with a key of its own. Another `secret` is another key.
fn sign(secret: &str, body: &str, time: i64) -> RawRequest {
    let account = if body.contains("ce-type") { PUSHES } else { ADDON };
    bearer::signed(secret, body, &claims_of(account, time))
}

/// What Google's sign-in says of this account, for the address of the exam.
pub(super) fn claims_of(account: &str, time: i64) -> Value {
    json!({
        "iss": "https://accounts.google.com", "aud": ADDRESS, "exp": time + 3600, "email": account, "email_verified": true,
    })
}
