//! What this adapter brings to the exam: answers of `/sync` as a homeserver gives them, and a homeserver as it answers.
//!
//! Calls are checked against `api.json`, which is extracted from the specification's own descriptions
//! (<https://github.com/matrix-org/matrix-spec>, `data/api/client-server` and `data/event-schemas`): of a call the parameters of its
//! query, of an event the keys of its content, by their names and which are required, without types and limits. The event of a poll is
//! that of the proposal which the adapter names.

use claw_types::MediaKind;
use http::Method;
use serde_json::{Value, json};

use super::calls::POLL;
use crate::exam::body::at;
use crate::exam::description::Description;
use crate::exam::{Answer, Asked, Examinee, Payload, Platform, Road, payloads};

pub(super) const ACCOUNT: &str = "@helper:example.org";
const TOKEN: &str = "syt_ZXhhbQ_QkdCfDoRtZsKqWmLxVyB_3fZ0xT";
/// A room with three people in it and the bot, and a direct chat.
pub(super) const GROUP: &str = "!research:example.org";
pub(super) const DIRECT: &str = "!direct:example.org";
/// Out of the platform's description: what is called here.
const API: &str = include_str!("api.json");

pub(super) struct Exam;

impl Examinee for Exam {
    fn fields(&self, server: &str) -> Value {
        json!({
            "homeserver_url": server, "user_id": ACCOUNT, "access_token_env": TOKEN,
            "allowed_rooms": format!("{GROUP}, {DIRECT}"), "auto_accept_invites": "true", "encryption": "false",
            "polls": "true",
        })
    }

    fn page(&self) -> &'static str {
        include_str!("../../../../../docs/channels/matrix.md")
    }

    fn road(&self) -> Road {
        Road::Poll {
            is_poll: |asked| asked.path().ends_with("/sync") && asked.target.contains("since="),
            answer: |payload| Answer::json(200, &serde_json::from_str(payload).unwrap_or_default()),
        }
    }

    fn payloads(&self) -> &'static [Payload] {
        payloads![
            "text",
            "text-again",
            "addressed",
            "named",
            "unaddressed",
            "reply",
            "thread",
            "notice",
            "image",
            "voice",
            "location",
            "sticker",
            "edited",
            "deleted",
            "reaction",
            "own",
            "encrypted",
            "encrypted-room",
        ]
    }

    fn chat(&self) -> (&'static str, Option<&'static str>) {
        (GROUP, Some("$root:example.org"))
    }

    fn message_id(&self) -> &'static str {
        "$asked:example.org"
    }

    fn texts(&self, body: &[u8]) -> Vec<String> {
        at(body, "/body")
    }

    fn answered(&self, body: &[u8]) -> Vec<String> {
        at(body, "/m.relates_to/m.in_reply_to/event_id")
    }

    fn platform(&self) -> Option<&'static dyn Platform> {
        Some(&Self)
    }
}

impl Platform for Exam {
    fn answer(&self, asked: &Asked) -> Answer {
        let path = asked.path();
        let answer = if path.ends_with("/sync") {
            look()
        } else if path.ends_with("/whoami") {
            json!({"user_id": ACCOUNT, "device_id": "EXAMDEVICE", "is_guest": false})
        } else if path.ends_with("/upload") {
            json!({"content_uri": "mxc://example.org/Uploaded"})
        } else if path.ends_with("/event/$text:example.org") {
            json!({"type": "m.room.message", "event_id": "$text:example.org", "sender": "@ada:example.org", "content": {"body": "hello"}})
        } else if path.contains("/event/") {
            json!({"type": "m.room.message", "event_id": "$before", "sender": ACCOUNT, "content": {"body": "Which one?"}})
        } else if path.contains("/relations/") {
            json!({"chunk": [{"type": "m.reaction", "event_id": "$ours", "sender": ACCOUNT, "content": {}}]})
        } else if path.contains("/send/") || path.contains("/redact/") {
            json!({"event_id": "$sent"})
        } else {
            json!({})
        };
        Answer::json(200, &answer)
    }

    fn refusal(&self, status: u16) -> Answer {
        let (code, wait) = match status {
            401 => ("M_UNKNOWN_TOKEN", None),
            429 => ("M_LIMIT_EXCEEDED", Some(7000)),
            _ => ("M_UNKNOWN", None),
        };
        let mut body = json!({"errcode": code, "error": "refused by the exam"});
        if let Some(wait) = wait {
            body["retry_after_ms"] = json!(wait);
        }
        Answer::json(status, &body)
    }

    fn check(&self, asked: &Asked) -> Result<(), String> {
        if asked.headers.get("authorization").is_none() {
            return Err(format!("{} lacks the token", asked.path()));
        }
        let query = asked.target.split_once('?').map_or("", |(_, query)| query);
        described(&asked.method, asked.path(), query, &asked.json())
    }

    fn described_by(&self) -> Option<&'static str> {
        Some("https://spec.matrix.org/latest/client-server-api/")
    }

    /// By the transaction's id.
    fn knows_repeated_calls(&self) -> bool {
        true
    }

    fn media_url(&self, server: &str, kind: MediaKind) -> String {
        format!("{server}/files-of-the-exam/{}", kind.as_str())
    }
}

/// How things are when receiving begins.
fn look() -> Value {
    let member = |id: &str, name: &str| {
        json!({"type": "m.room.member", "state_key": id, "sender": id, "event_id": format!("$member{name}"),
            "origin_server_ts": 1_699_000_000_000_u64, "content": {"membership": "join", "displayname": name}})
    };
    let people = [member(ACCOUNT, "Helper Bot"), member("@ada:example.org", "Ada L")];
    let name = json!({"type": "m.room.name", "state_key": "", "sender": "@ada:example.org", "event_id": "$name",
        "origin_server_ts": 1_699_000_000_000_u64, "content": {"name": "research"}});
    let of = |count: u64, state: Vec<Value>| {
        json!({
            "summary": {"m.joined_member_count": count, "m.invited_member_count": 0},
            "state": {"events": state}, "timeline": {"events": [], "limited": false, "prev_batch": "t0"},
            "ephemeral": {"events": []}, "account_data": {"events": []},
        })
    };
    let group = people.iter().cloned().chain([name]).collect();
    json!({"next_batch": "s1", "rooms": {"join": {GROUP: of(4, group), DIRECT: of(2, people.to_vec())}}})
}

/// Whether a call is one that the platform knows.
pub(super) fn described(method: &Method, path: &str, query: &str, body: &Value) -> Result<(), String> {
    let description = Description::new(API);
    let name = template(method, path);
    let query = url::form_urlencoded::parse(query.as_bytes());
    let query = Value::Object(query.map(|(key, value)| (key.into_owned(), json!(value))).collect());
    // A name that a pointer can take.
    description.fits(&format!("methods/{}", name.replace('/', "~1")), &query)?;
    if name.contains("/keys/") || name.contains("/sendToDevice/") {
        return description.fits(&format!("bodies/{}", name.replace('/', "~1")), body);
    }
    if name.contains("/send/m.room.encrypted/") {
        return description.fits("types/m.room.encrypted", body);
    }
    if name.contains("/send/") {
        return content(&description, body);
    }
    if name.contains("/typing/") {
        return description.fits("types/typing", body);
    }
    Ok(())
}

/// The call without the ids in its path.
fn template(method: &Method, path: &str) -> String {
    /// Parts of paths that are no ids.
    const WORDS: [&str; 36] = [
        "_matrix",
        "client",
        "media",
        "v1",
        "v3",
        "account",
        "whoami",
        "sync",
        "rooms",
        "messages",
        "event",
        "relations",
        "m.annotation",
        "m.reaction",
        "download",
        "upload",
        "join",
        "receipt",
        "m.read",
        "redact",
        "send",
        "m.room.message",
        POLL,
        "typing",
        "user",
        "account_data",
        "state",
        "profile",
        "keys",
        "query",
        "claim",
        "sendToDevice",
        "m.room.encrypted",
        "m.room.encryption",
        "members",
        "filter",
    ];
    let segments = path.split('/').skip(1);
    let named = segments.map(|segment| if WORDS.contains(&segment) { segment } else { "{}" });
    format!("{method} /{}", named.collect::<Vec<_>>().join("/"))
}

/// Whether an event has what its type asks for.
fn content(description: &Description, content: &Value) -> Result<(), String> {
    let untold = if content.get(POLL).is_some() { POLL } else { "m.reaction" };
    let kind = content["msgtype"].as_str().unwrap_or(untold);
    description.fits(&format!("types/{kind}"), content)?;
    if let Some(new) = content.get("m.new_content") {
        self::content(description, new)?;
    }
    if let Some(mentions) = content.get("m.mentions") {
        description.fits("types/m.mentions", mentions)?;
    }
    match content.get("m.relates_to") {
        None => Ok(()),
        Some(relation) => {
            let kind = relation["rel_type"].as_str().unwrap_or("m.in_reply_to");
            description.fits(&format!("types/{kind}"), relation)
        }
    }
}
