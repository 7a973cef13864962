//! Acme: the platform of `docs/write-an-adapter.md`, which is made up. The guide shows pieces of this file, and a test keeps both alike.
//!
//! It is compiled and sits its exam with all the others, but only in tests. An adapter in one file: when this becomes too much
//! to read at once, it is a folder, as the others are.
//!
//! What Acme says of itself: it posts each message as JSON, with `x-acme-signature: sha256=<hex HMAC-SHA256 of the body>`.
//! `POST /v1/messages` sends one, and twice under the same `idempotency-key` is once. `GET /v1/me` says whose token it is. Texts have
//! up to 2,000 characters. A 429 has `retry-after`, and every refusal is `{"error": "..."}`.
//!
//! Must hold: nothing is parsed before its signature was checked; each part has one key, whoever sends it and however often.

use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use claw_secrets::signature;
use claw_types::{Inbound, Sender};
use http::{HeaderMap, HeaderValue};
use reqwest::RequestBuilder;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use url::Url;

use crate::exam::body::at;
use crate::exam::{Answer, Asked, Examinee, Payload, Platform, Road};
use crate::kit::answer::{beginning, excerpt, retry_after};
use crate::kit::http::repeatable;
use crate::kit::plan::{Content, part_id};
use crate::{
    About, Adapter, Caps, Channel, ChannelError, Deps, Feature, Field, FieldKind, Lack, Part, Probe,
    RawRequest, Receipt,
};

const SERVER: &str = "https://api.acme.example";
const SIGNATURE: &str = "x-acme-signature";
const KEY: &str = "idempotency-key";
/// All that is read of an answer.
const MAX_ANSWER: usize = 64 * 1024;
/// After a 429 that does not say how long to wait.
const PAUSE: Duration = Duration::from_secs(5);

static CAPS: Caps = Caps { max_text: 2000, tells_programs: true, lacks: LACKS, ..Caps::TEXT_ONLY };

const LACKS: &[Lack] =
    &[Lack::cant(&Feature::ALL, "Acme has nothing but texts", "https://acme.example/bots")];

/// The fields.
#[derive(Deserialize)]
pub struct Config {
    signing_secret_env: String,
    token_env: String,
    api_url: Option<String>,
}

/// A bot of Acme's.
pub struct Acme {
    secret: String,
    token: String,
    messages: Url,
    me: Url,
    deps: Deps,
}

impl Adapter for Acme {
    const NAME: &'static str = "acme";
    const ABOUT: About = About {
        display_name: "Acme",
        category: "chat",
        description: "A bot of Acme's, in chats with one person and in groups.",
        setup: &[
            "Make a bot, and copy its token and its signing secret.",
            "Give the bot the channel's webhook_path, behind the gateway's address.",
        ],
        docs_url: "https://acme.example/bots",
    };
    const CAPS: &'static Caps = &CAPS;
    const FIELDS: &'static [Field] = &[
        Field::new(
            "signing_secret_env",
            "Signing secret",
            FieldKind::Secret,
            "with which Acme signs what it posts.",
        )
        .required(),
        Field::new("token_env", "Token", FieldKind::Secret, "the bot's token.").required(),
        Field::new("api_url", "API server", FieldKind::Url, "another server in place of Acme's own.")
            .advanced()
            .receives(&["token_env"])
            .like(SERVER),
    ];
    type Config = Config;

    fn new(config: Config, deps: Deps) -> Result<Self, ChannelError> {
        let Config { signing_secret_env: secret, token_env: token, api_url } = config;
        for (key, value) in [("signing_secret_env", &secret), ("token_env", &token)] {
            if value.is_empty() {
                return Err(ChannelError::Config(format!("{key} is empty; the bot's page shows it")));
            }
        }
        let server = api_url.as_deref().unwrap_or(SERVER).trim_end_matches('/');
        let address = |path: &str| {
            let url = deps.http.check(&format!("{server}/v1/{path}"));
            url.map_err(|why| ChannelError::Config(format!("api_url {why}")))
        };
        Ok(Self { secret, token, messages: address("messages")?, me: address("me")?, deps })
    }

    /// Acme posts each message to one address: that of one channel.
    fn credentials(config: &Config) -> Vec<String> {
        vec![hex::encode(signature::sha256(config.token_env.as_bytes()))]
    }

    fn examinee() -> &'static dyn Examinee {
        &Exam
    }
}

#[async_trait]
impl Channel for Acme {
    fn caps(&self) -> &'static Caps {
        &CAPS
    }

    fn decode(&self, request: &RawRequest) -> Result<Vec<Inbound>, ChannelError> {
        let given = request.headers.get(SIGNATURE).and_then(|value| value.to_str().ok());
        if !given.is_some_and(|given| signature::verify(self.secret.as_bytes(), &request.body, given)) {
            return Err(ChannelError::BadSignature(format!(
                "{SIGNATURE} is not that of this exact body with the channel's signing_secret_env"
            )));
        }
        read(&request.body).map_err(ChannelError::BadRequest)
    }

    fn fuzz(&self, data: &[u8]) {
        drop(read(data));
        drop(refused(400, data, None));
    }

    async fn send(&self, part: &Part<'_>) -> Result<Receipt, ChannelError> {
        let Content::Text(text) = &part.piece.content else {
            return Err(ChannelError::Permanent("Acme takes texts only".to_owned()));
        };
        let call = self.deps.http.calls().post(self.messages.clone());
        let call = call.header(KEY, part_id(part.message_id, part.index));
        let sent: Sent = self.answer(call.json(&json!({"chat": part.recipient, "text": text.body}))).await?;
        Ok(Receipt { platform_message_id: sent.id })
    }

    async fn probe(&self) -> Result<Probe, ChannelError> {
        let me: Me = self.answer(self.deps.http.calls().get(self.me.clone())).await?;
        Ok(Probe { account: Some(me.name), details: Map::new() })
    }
}

#[derive(Deserialize)]
struct Posted {
    message: Message,
}

#[derive(Deserialize)]
struct Message {
    id: String,
    chat: Chat,
    author: Author,
    text: String,
    mentions_bot: bool,
    sent_at: DateTime<Utc>,
}

#[derive(Deserialize)]
struct Chat {
    id: String,
    is_group: bool,
}

#[derive(Deserialize)]
struct Author {
    id: String,
    name: String,
    is_bot: bool,
    is_me: bool,
}

/// Reads a body that is known to be genuine.
fn read(body: &[u8]) -> Result<Vec<Inbound>, String> {
    let Posted { message } =
        serde_json::from_slice(body).map_err(|error| format!("the body is not Acme's: {error}"))?;
    let Message { chat, author, .. } = message;
    Ok(vec![Inbound {
        platform_message_id: Some(message.id),
        sender: Some(Sender { platform_id: author.id, display_name: author.name, internal_user: None }),
        content_type: "text".to_owned(),
        text: Some(message.text),
        is_group: chat.is_group,
        mentioned: chat.is_group.then_some(message.mentions_bot),
        sender_is_bot: author.is_bot,
        is_own: author.is_me,
        timestamp: Some(message.sent_at),
        metadata: Map::from_iter([("chat_id".to_owned(), json!(chat.id))]),
        recipient: chat.id,
        ..Inbound::default()
    }])
}

#[derive(Deserialize)]
struct Sent {
    id: String,
}

#[derive(Deserialize)]
struct Me {
    name: String,
}

#[derive(Deserialize, Default)]
struct Refusal {
    error: String,
}

impl Acme {
    /// Every call may be made again: a message has its key, and the other changes nothing.
    async fn answer<T: DeserializeOwned>(&self, call: RequestBuilder) -> Result<T, ChannelError> {
        let response = call.bearer_auth(&self.token).send().await.map_err(|error| repeatable(&error))?;
        let status = response.status();
        let wait = retry_after(response.headers(), self.deps.clock.now().timestamp());
        let answer = beginning(response, MAX_ANSWER).await;
        if !status.is_success() {
            return Err(refused(status.as_u16(), &answer, wait));
        }
        let unread = |_| ChannelError::Retryable("Acme's answer can't be read".to_owned());
        serde_json::from_slice(&answer).map_err(unread)
    }
}

fn refused(status: u16, answer: &[u8], wait: Option<Duration>) -> ChannelError {
    let Refusal { error } = serde_json::from_slice(answer).unwrap_or_default();
    let said = format!("Acme answered {status}: {}", excerpt(&error, 300));
    match status {
        401 => ChannelError::BadCredentials(said),
        429 => ChannelError::RateLimited(wait.unwrap_or(PAUSE)),
        400..=499 => ChannelError::Permanent(said),
        _ => ChannelError::Retryable(said),
    }
}

const SECRET: &str = "acme-signs-with-this-in-the-exam";
const TOKEN: &str = "the-bot-of-the-exam-has-this-token";

struct Exam;

impl Examinee for Exam {
    fn fields(&self, server: &str) -> Value {
        json!({"signing_secret_env": SECRET, "token_env": TOKEN, "api_url": server})
    }

    fn road(&self) -> Road {
        Road::Webhook { secret: SECRET, sign }
    }

    fn payloads(&self) -> &'static [Payload] {
        PAYLOADS
    }

    fn chat(&self) -> (&'static str, Option<&'static str>) {
        ("c-1", None)
    }

    fn message_id(&self) -> &'static str {
        "m-1"
    }

    fn texts(&self, body: &[u8]) -> Vec<String> {
        at(body, "/text")
    }

    fn platform(&self) -> Option<&'static dyn Platform> {
        Some(&Self)
    }
}

impl Platform for Exam {
    fn answer(&self, asked: &Asked) -> Answer {
        match asked.path() {
            "/v1/me" => Answer::json(200, &json!({"name": "helper"})),
            _ => Answer::json(201, &json!({"id": "m-9"})),
        }
    }

    fn refusal(&self, status: u16) -> Answer {
        Answer::json(status, &json!({"error": "refused by the exam"})).with("retry-after", "7")
    }

    fn check(&self, asked: &Asked) -> Result<(), String> {
        let is_known = matches!(asked.path(), "/v1/me" | "/v1/messages");
        if is_known { Ok(()) } else { Err(format!("Acme has no {}", asked.path())) }
    }

    fn described_by(&self) -> Option<&'static str> {
        None
    }

    fn knows_repeated_calls(&self) -> bool {
        true
    }
}

fn sign(secret: &str, body: &str, _: i64) -> RawRequest {
    let signature = HeaderValue::try_from(signature::sign(secret.as_bytes(), body.as_bytes()));
    let headers = signature
        .map(|signature| HeaderMap::from_iter([(http::HeaderName::from_static(SIGNATURE), signature)]));
    RawRequest { headers: headers.unwrap_or_default(), query: String::new(), body: body.to_owned().into() }
}

const PAYLOADS: &[Payload] = &[
    Payload {
        name: "text",
        sent: r#"{"message": {"id": "m-1", "chat": {"id": "c-1", "is_group": false},
            "author": {"id": "p-1", "name": "Ada", "is_bot": false, "is_me": false},
            "text": "Good morning", "mentions_bot": false, "sent_at": "2023-11-14T22:13:20Z"}}"#,
        read: r#"[{"platform_message_id": "m-1", "recipient": "c-1", "metadata": {"chat_id": "c-1"},
            "sender": {"platform_id": "p-1", "display_name": "Ada"},
            "content_type": "text", "text": "Good morning", "timestamp": "2023-11-14T22:13:20Z"}]"#,
    },
    Payload {
        name: "text-again",
        sent: r#"{"message": {"id": "m-2", "chat": {"id": "c-1", "is_group": false},
            "author": {"id": "p-1", "name": "Ada", "is_bot": false, "is_me": false},
            "text": "One more thing", "mentions_bot": false, "sent_at": "2023-11-14T22:13:30Z"}}"#,
        read: r#"[{"platform_message_id": "m-2", "recipient": "c-1", "metadata": {"chat_id": "c-1"},
            "sender": {"platform_id": "p-1", "display_name": "Ada"},
            "content_type": "text", "text": "One more thing", "timestamp": "2023-11-14T22:13:30Z"}]"#,
    },
    Payload {
        name: "addressed",
        sent: r#"{"message": {"id": "m-3", "chat": {"id": "g-1", "is_group": true},
            "author": {"id": "p-1", "name": "Ada", "is_bot": false, "is_me": false},
            "text": "@helper hello", "mentions_bot": true, "sent_at": "2023-11-14T22:14:00Z"}}"#,
        read: r#"[{"platform_message_id": "m-3", "recipient": "g-1", "metadata": {"chat_id": "g-1"},
            "sender": {"platform_id": "p-1", "display_name": "Ada"}, "is_group": true, "mentioned": true,
            "content_type": "text", "text": "@helper hello", "timestamp": "2023-11-14T22:14:00Z"}]"#,
    },
    Payload {
        name: "unaddressed",
        sent: r#"{"message": {"id": "m-4", "chat": {"id": "g-1", "is_group": true},
            "author": {"id": "p-2", "name": "Ben", "is_bot": false, "is_me": false},
            "text": "hello all", "mentions_bot": false, "sent_at": "2023-11-14T22:14:10Z"}}"#,
        read: r#"[{"platform_message_id": "m-4", "recipient": "g-1", "metadata": {"chat_id": "g-1"},
            "sender": {"platform_id": "p-2", "display_name": "Ben"}, "is_group": true, "mentioned": false,
            "content_type": "text", "text": "hello all", "timestamp": "2023-11-14T22:14:10Z"}]"#,
    },
    Payload {
        name: "own",
        sent: r#"{"message": {"id": "m-5", "chat": {"id": "c-1", "is_group": false},
            "author": {"id": "b-1", "name": "helper", "is_bot": true, "is_me": true},
            "text": "Good morning, Ada", "mentions_bot": false, "sent_at": "2023-11-14T22:13:25Z"}}"#,
        read: r#"[{"platform_message_id": "m-5", "recipient": "c-1", "metadata": {"chat_id": "c-1"},
            "sender": {"platform_id": "b-1", "display_name": "helper"}, "sender_is_bot": true, "is_own": true,
            "content_type": "text", "text": "Good morning, Ada", "timestamp": "2023-11-14T22:13:25Z"}]"#,
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    crate::exam::conformance!(Acme);

    #[test]
    fn a_refusal_says_what_can_be_done() {
        let of = |status| refused(status, br#"{"error": "no such chat"}"#, None);
        assert_eq!(of(404), ChannelError::Permanent("Acme answered 404: no such chat".to_owned()));
        assert_eq!(of(429), ChannelError::RateLimited(PAUSE));
        assert!(matches!(of(401), ChannelError::BadCredentials(_)));
        assert!(matches!(refused(502, b"<html>", None), ChannelError::Retryable(_)));
    }
}
