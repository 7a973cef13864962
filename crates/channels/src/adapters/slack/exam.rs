//! What this adapter brings to the exam: events as Slack posts them and as it tells them over a socket, and Slack as it answers.
//!
//! Calls are checked against `api.json`: of Slack's own description (<https://github.com/slackapi/slack-api-specs>, archived) and, for
//! what is newer than it, of <https://docs.slack.dev/reference>.

use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};
use url::form_urlencoded::{self, Serializer};

use super::signed::{SIGNATURE, TIMESTAMP, sign};
use crate::RawRequest;
use crate::exam::body::at;
use crate::exam::description::Description;
use crate::exam::{Answer, Asked, Examinee, Payload, Platform, Road, Talk, payloads};

const BOT_TOKEN: &str = "xoxb-17653672481-19874698323-pdFZKVeTuE8sk7oOcBrzbqgy";
const APP_TOKEN: &str = "xapp-1-A0EXAM00001-1234567890123-3f2b8c9d";
const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
/// Out of the platform's description: what is called here, and what is read.
pub(super) const API: &str = include_str!("api.json");
/// The envelope of whatever is told over a socket.
const ENVELOPE: &str = "dbdd0ef3-1543-4f94-bfb4-133d0e6c1545";
/// Where the exam has Slack take files.
const UPLOADS: &str = "/upload/";

pub(super) struct Exam;

impl Examinee for Exam {
    fn fields(&self, server: &str) -> Value {
        json!({
            "bot_token_env": BOT_TOKEN, "app_token_env": APP_TOKEN, "signing_secret": SECRET,
            "allowed_channels": "C0EXAM00001, C0EXAM00002", "api_url": server,
        })
    }

    fn page(&self) -> &'static str {
        include_str!("../../../../../docs/channels/slack.md")
    }

    fn road(&self) -> Road {
        Road::Webhook { secret: SECRET, sign: posted }
    }

    /// An app with Socket Mode, of which nothing is posted.
    fn other_road(&self, server: &str) -> Option<(Value, Road)> {
        let mut fields = self.fields(server);
        fields["signing_secret"] = Value::Null;
        let talk = Talk {
            says: |heard| heard.map_or_else(|| vec![json!({"type": "hello"}).to_string()], |_| Vec::new()),
            is_ready: |heard| heard.is_none(),
            tells: |payload| vec![enveloped(payload)],
            is_taken: |heard| heard.contains(ENVELOPE),
        };
        Some((fields, Road::Socket(talk)))
    }

    fn payloads(&self) -> &'static [Payload] {
        payloads![
            "text",
            "text-again",
            "addressed",
            "app-mention",
            "unaddressed",
            "thread",
            "own",
            "program",
            "files",
            "voice",
            "edited",
            "unfurled",
            "deleted",
            "reaction",
            "reaction-removed",
            "joined",
            "command",
            "button",
            "select",
            "verify",
        ]
    }

    fn chat(&self) -> (&'static str, Option<&'static str>) {
        ("C0EXAM00001", Some("1699999980.000000"))
    }

    fn message_id(&self) -> &'static str {
        "1699999981.000000"
    }

    fn texts(&self, body: &[u8]) -> Vec<String> {
        at(body, "/text")
    }

    fn answered(&self, body: &[u8]) -> Vec<String> {
        at(body, "/thread_ts")
    }

    fn platform(&self) -> Option<&'static dyn Platform> {
        Some(&Self)
    }
}

impl Platform for Exam {
    fn answer(&self, asked: &Asked) -> Answer {
        if asked.path().starts_with(UPLOADS) {
            return Answer::json(200, &json!("OK"));
        }
        let host = asked.headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let mut answer = match method(asked) {
            "auth.test" => {
                json!({"url": "https://example.slack.com/", "team": "Example", "user": "exam", "team_id": "T061EG9R6",
                "user_id": "U0EXAMBOT", "bot_id": "B0EXAM00001", "is_enterprise_install": false})
            }
            "apps.connections.open" => json!({"url": format!("ws://{host}/link?ticket=1")}),
            "files.getUploadURLExternal" => {
                json!({"upload_url": format!("http://{host}{UPLOADS}v1/ABC"), "file_id": "F0EXAM0009"})
            }
            "files.info" => {
                json!({"file": {"shares": {"public": {"C0EXAM00001": [{"ts": "1700000000.000200"}]}}}})
            }
            "conversations.info" => json!({"channel": {"id": "C0EXAM00001", "name": "research"}}),
            "files.completeUploadExternal" => json!({"files": [{"id": "F0EXAM0009", "title": "x"}]}),
            "users.info" => json!({"user": {"id": "U061F7AUR", "name": "ada", "real_name": "Ada Lovelace",
                "profile": {"display_name": "Ada", "real_name": "Ada Lovelace"}}}),
            "reactions.get" => json!({"type": "message", "message": {"reactions": []}}),
            "assistant.threads.setStatus" | "reactions.add" => json!({}),
            _ => json!({"channel": "C0EXAM00001", "ts": "1700000000.000100"}),
        };
        answer["ok"] = json!(true);
        Answer::json(200, &answer)
    }

    /// A token that is not known is told with status 200, like most of what goes wrong.
    fn refusal(&self, status: u16) -> Answer {
        let refused = |status, error: &str| Answer::json(status, &json!({"ok": false, "error": error}));
        match status {
            401 => refused(200, "invalid_auth"),
            429 => refused(429, "ratelimited").with("retry-after", "7"),
            _ => refused(status, "service_unavailable"),
        }
    }

    fn check(&self, asked: &Asked) -> Result<(), String> {
        let is_authorized = asked.headers.get(AUTHORIZATION).is_some();
        if asked.path().starts_with(UPLOADS) {
            return if is_authorized {
                Err("the token goes to where files are taken".to_owned())
            } else {
                Ok(())
            };
        }
        if !is_authorized {
            return Err(format!("{} lacks the token", asked.path()));
        }
        described(method(asked), &asked.headers, &asked.body)
    }

    fn described_by(&self) -> Option<&'static str> {
        Some("https://github.com/slackapi/slack-api-specs")
    }

    /// Only a message's `client_msg_id` would tell, and `chat.postMessage` is not described as taking one.
    fn knows_repeated_calls(&self) -> bool {
        false
    }
}

fn method(asked: &Asked) -> &str {
    asked.path().rsplit('/').next().unwrap_or_default()
}

fn is_form(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind == "application/x-www-form-urlencoded")
}

/// Whether a call is one that the platform knows. Which verb it is made with is not looked at, because Slack takes the same by GET and
/// POST (<https://docs.slack.dev/apis/web-api/>).
pub(super) fn described(method: &str, headers: &HeaderMap, body: &[u8]) -> Result<(), String> {
    let (description, name) = (Description::new(API), format!("methods/{method}"));
    let arguments = if is_form(headers) {
        description.of_form(&name, form_urlencoded::parse(body).into_owned())
    } else {
        serde_json::from_slice(body).unwrap_or_default()
    };
    description.fits(&name, &arguments)
}

/// What is posted otherwise, as it comes over a socket (<https://docs.slack.dev/apis/events-api/using-socket-mode>): always as JSON.
fn enveloped(payload: &str) -> String {
    let payload: Value = serde_json::from_str(payload).unwrap_or_default();
    let kind = if payload.get("command").is_some() {
        "slash_commands"
    } else if payload["type"] == "block_actions" {
        "interactive"
    } else {
        "events_api"
    };
    json!({"type": kind, "envelope_id": ENVELOPE, "accepts_response_payload": false, "payload": payload})
        .to_string()
}

/// An event is posted as JSON; a command as a form of its fields, and what is pressed as a form of one field with JSON in it.
fn posted(secret: &str, payload: &str, time: i64) -> RawRequest {
    let json: Value = serde_json::from_str(payload).unwrap_or_default();
    let form = |pairs: Vec<(&str, &str)>| Serializer::new(String::new()).extend_pairs(pairs).finish();
    let fields = || {
        json.as_object()
            .into_iter()
            .flatten()
            .filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
    };
    let (content_type, body) = if json.get("command").is_some() {
        ("application/x-www-form-urlencoded", form(fields().collect()))
    } else if json["type"] == "block_actions" {
        ("application/x-www-form-urlencoded", form(vec![("payload", payload)]))
    } else {
        ("application/json", payload.to_owned())
    };
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(TIMESTAMP, time.into());
    if let Ok(signature) = HeaderValue::try_from(sign(secret, &time.to_string(), body.as_bytes())) {
        headers.insert(SIGNATURE, signature);
    }
    RawRequest { headers, query: String::new(), body: body.into() }
}
