//! What this adapter brings to the exam: events as Discord's gateway tells them, and Discord as it answers.
//!
//! Calls are checked against `api.json`, which is extracted from Discord's own description
//! (<https://github.com/discord/discord-api-spec>).

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use crate::exam::body::at;
use crate::exam::description::Description;
use crate::exam::{Answer, Asked, Examinee, Payload, Platform, Road, Talk, payloads};

const TOKEN: &str = "MTEwMDAwMDAwMDAwMDAwMDAwMQ.GexamQ.abcdefghijklmnopqrstuvwxyz_-0123456789";
/// Out of the platform's description: what is called here.
const API: &str = include_str!("api.json");

pub(super) const BOT: &str = "1100000000000000001";
const GUILD: &str = "900000000000000001";
const CHAT: &str = "700000000000000001";
const THREAD: &str = "710000000000000001";
/// The place of every payload in its session.
const SEQ: u64 = 2;

pub(super) struct Exam;

impl Examinee for Exam {
    fn fields(&self, server: &str) -> Value {
        json!({"bot_token_env": TOKEN, "allowed_guilds": GUILD, "intents": "46593", "auto_thread": "false",
            "commands": "ask: Ask the assistant", "private_commands": "false", "api_url": server})
    }

    fn page(&self) -> &'static str {
        include_str!("../../../../../docs/channels/discord.md")
    }

    fn road(&self) -> Road {
        Road::Socket(Talk {
            says,
            is_ready: |heard| matches!(heard.map(op), Some(2 | 6)),
            // Asked for a heartbeat, the bot says what it has taken.
            tells: |payload| vec![payload.to_owned(), json!({"op": 1, "d": null}).to_string()],
            is_taken: |heard| op(heard) == 1 && frame(heard)["d"] == SEQ,
        })
    }

    fn payloads(&self) -> &'static [Payload] {
        payloads![
            "text",
            "text-again",
            "addressed",
            "unaddressed",
            "role",
            "reply",
            "thread",
            "attachments",
            "voice",
            "sticker",
            "sticker-picture",
            "poll",
            "forward",
            "forward-embed",
            "embed",
            "components",
            "own",
            "webhook",
            "joined",
            "edited",
            "preview",
            "deleted",
            "deleted-many",
            "reaction",
            "reaction-removed",
            "button",
            "menu",
            "command",
            "subcommand",
        ]
    }

    fn chat(&self) -> (&'static str, Option<&'static str>) {
        (CHAT, Some(THREAD))
    }

    fn message_id(&self) -> &'static str {
        "800000000000000001"
    }

    fn texts(&self, body: &[u8]) -> Vec<String> {
        at(body, "/content")
    }

    fn answered(&self, body: &[u8]) -> Vec<String> {
        at(body, "/message_reference/message_id")
    }

    fn offered(&self, body: &[u8]) -> Vec<String> {
        at(body, "/0/name")
    }

    fn platform(&self) -> Option<&'static dyn Platform> {
        Some(&Self)
    }
}

fn frame(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_default()
}

fn op(text: &str) -> u64 {
    frame(text)["op"].as_u64().unwrap_or(u64::MAX)
}

fn says(heard: Option<&str>) -> Vec<String> {
    let said = match heard.map(op) {
        None => json!({"op": 10, "d": {"heartbeat_interval": 41_250}}),
        Some(1) => json!({"op": 11}),
        Some(2) => json!({"op": 0, "t": "READY", "s": 1, "d": {"v": 10, "session_id": "exam",
            "resume_gateway_url": "ws://127.0.0.1:1", "user": {"id": BOT, "username": "exam_bot", "bot": true},
            "guilds": [], "application": {"id": BOT, "flags": 0}}}),
        Some(6) => json!({"op": 0, "t": "RESUMED", "s": 1, "d": {}}),
        Some(_) => return Vec::new(),
    };
    vec![said.to_string()]
}

impl Platform for Exam {
    fn answer(&self, asked: &Asked) -> Answer {
        let nothing =
            Answer { status: StatusCode::NO_CONTENT, headers: HeaderMap::new(), body: Bytes::new() };
        let body = match operation(asked).as_deref() {
            Ok("get_bot_gateway") => {
                let host = asked.headers.get("host").and_then(|host| host.to_str().ok()).unwrap_or_default();
                json!({"url": format!("ws://{host}/"), "shards": 1, "session_start_limit":
                    {"total": 1000, "remaining": 999, "reset_after": 14_400_000, "max_concurrency": 1}})
            }
            Ok("get_channel") if asked.path().ends_with(THREAD) => {
                json!({"id": THREAD, "type": 11, "parent_id": CHAT, "name": "deep_research"})
            }
            Ok("get_channel") => {
                json!({"id": CHAT, "type": 0, "parent_id": "690000000000000001", "name": "general"})
            }
            Ok("list_guild_roles") => json!([{"id": "900000000000000001", "name": "@everyone"},
                {"id": "930000000000000001", "name": "exam", "tags": {"bot_id": BOT}}]),
            Ok("list_application_commands" | "bulk_set_application_commands") => json!([]),
            Ok("create_message" | "update_message" | "get_message") => {
                json!({"id": "800000000000000077", "content": "?"})
            }
            Ok("get_my_user" | "get_my_application") => json!({"id": BOT, "username": "exam_bot"}),
            _ => return nothing,
        };
        Answer::json(200, &body)
    }

    fn refusal(&self, status: u16) -> Answer {
        let mut body = json!({"message": "refused by the exam", "code": 0});
        if status == 429 {
            body = json!({"message": "You are being rate limited.", "retry_after": 7.0, "global": false});
        }
        Answer::json(status, &body)
    }

    fn check(&self, asked: &Asked) -> Result<(), String> {
        if asked.headers.get("authorization").is_none() && !asked.path().contains("/interactions/") {
            return Err(format!("{} lacks the token", asked.path()));
        }
        let body = match asked.form() {
            None => asked.json(),
            Some(form) => uploaded(&form)?,
        };
        described(asked.method.as_str(), &asked.target, &body)
    }

    fn described_by(&self) -> Option<&'static str> {
        Some("https://github.com/discord/discord-api-spec")
    }

    /// By the nonce, and because the other calls do the same twice.
    fn knows_repeated_calls(&self) -> bool {
        true
    }
}

/// The body beside files, of which there must be as many as it describes.
fn uploaded(form: &[(String, Option<String>)]) -> Result<Value, String> {
    let json = form.iter().find(|(name, _)| name == "payload_json").and_then(|(_, text)| text.as_deref());
    let body = frame(json.ok_or("a form without payload_json")?);
    let files: Vec<_> = form.iter().filter(|(name, _)| name.starts_with("files[")).collect();
    let described = body["attachments"].as_array().map_or(0, Vec::len);
    let numbered = files.iter().enumerate().all(|(n, (name, _))| *name == format!("files[{n}]"));
    if files.len() == described && numbered {
        Ok(body)
    } else {
        Err(format!("{described} attachments for {files:?}"))
    }
}

/// The name that the description has for a call.
fn operation(asked: &Asked) -> Result<String, String> {
    let (description, path) = (Description::new(API), unversioned(asked.path())?);
    description.call(asked.method.as_str(), path).map(str::to_owned)
}

/// Whether a call is one that the platform knows.
pub(super) fn described(method: &str, target: &str, body: &Value) -> Result<(), String> {
    Description::new(API).asked(method, unversioned(target)?, body)
}

/// The description has paths without the version.
fn unversioned(target: &str) -> Result<&str, String> {
    target
        .strip_prefix("/api/v10")
        .ok_or_else(|| format!("{target} is of no version of the API that is known here"))
}
