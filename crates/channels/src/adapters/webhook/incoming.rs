//! What is posted to the channel: whether it is genuine, and what it says.

use chrono::{DateTime, Utc};
use claw_secrets::signature::{self, NotGenuine, Standard};
use claw_types::{Answered, Inbound, MediaKind, MediaRef, Sender};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::deed::{self, Event, Meaning};
use super::receipt::Outcome;
use super::{MAX_ID, Webhook, header, is_id};
use crate::RawRequest;
use crate::kit::answer::excerpt;

const UNSIGNED: &str = "the request is not signed; send \"X-Webhook-Signature: sha256=<hex HMAC-SHA256 of the body>\" \
                        or the headers of Standard Webhooks, made with the channel's secret_env";

impl Webhook {
    /// The message's id, where the signature covers one; else why the request may be anyone's.
    pub(super) fn verify(&self, request: &RawRequest) -> Result<Option<String>, &'static str> {
        let reason = match self.verify_standard(request) {
            Ok(id) => return Ok(Some(id)),
            Err(reason) => reason,
        };
        match header(&request.headers, signature::HEADER) {
            Some(given) if signature::verify(self.secret.as_bytes(), &request.body, given) => Ok(None),
            Some(_) => {
                Err("X-Webhook-Signature is not that of this exact body with the channel's secret_env")
            }
            None => Err(reason),
        }
    }

    fn verify_standard(&self, request: &RawRequest) -> Result<String, &'static str> {
        let header = |name| header(&request.headers, name);
        let (Some(id), Some(time), Some(signatures)) =
            (header("webhook-id"), header("webhook-timestamp"), header("webhook-signature"))
        else {
            return Err(UNSIGNED);
        };
        let given = Standard { id, time, signatures };
        let now = self.deps.clock.now().timestamp();
        given.verify(&self.secret, &request.body, now).map_err(|reason| match reason {
            NotGenuine::Time => "webhook-timestamp must be whole seconds since 1970",
            NotGenuine::Signature => {
                "webhook-signature is not that of this id, time and exact body with the channel's secret_env"
            }
            NotGenuine::Stale => {
                "webhook-timestamp is more than 5 minutes away from our time; sign the request again"
            }
        })?;
        Ok(id.to_owned())
    }

    /// The message that a body, already known to be genuine, holds, or what it says was done to one; else a sentence on what is
    /// wrong with it.
    pub(super) fn read(&self, body: &[u8], signed_id: Option<String>) -> Result<Inbound, String> {
        let mut incoming: Incoming =
            serde_json::from_slice(body).map_err(|e| format!("the body is not a message: {e}"))?;
        incoming.text = incoming.text.filter(|text| !text.trim().is_empty());
        if let Some(media) = &incoming.media {
            self.deps.http.check(&media.url).map_err(|e| format!("media.url {e}"))?;
        }
        let signed_id =
            signed_id.map(|id| Id::checked(id).map_err(|e| format!("webhook-id: {e}"))).transpose()?;
        let Meaning { deed, dedup_key, platform_message_id } = deed::of(&mut incoming, signed_id)?;
        let mut message = incoming.inbound();
        (message.deed, message.dedup_key, message.platform_message_id) =
            (deed, dedup_key, platform_message_id);
        add_session_keys(&mut message)?;
        Ok(message)
    }
}

impl Incoming {
    /// But for what was done and the ids of that.
    fn inbound(self) -> Inbound {
        let recipient = self.conversation_id.unwrap_or_else(|| self.sender.id.clone()).0;
        let display_name = self.sender.name.filter(|name| !name.trim().is_empty());
        let person = self.sender.id.0;
        let sender = Sender {
            display_name: display_name.unwrap_or_else(|| person.clone()),
            platform_id: person,
            internal_user: None,
        };
        Inbound {
            answers: self.reply_to.map(|id| Answered { message_id: id.0, is_own: None }),
            album: self.album.map(|id| id.0),
            sender: Some(sender),
            content_type: self.media.as_ref().map_or("text", |media| media.kind.as_str()).to_owned(),
            text: self.text,
            media_duration_seconds: self.media.as_ref().and_then(|media| media.duration_seconds),
            media: self.media.map(Attachment::reference),
            is_group: self.is_group.unwrap_or_default(),
            mentioned: self.mentioned,
            sender_is_bot: self.sender.is_bot.unwrap_or_default(),
            is_own: self.sender.is_self.unwrap_or_default(),
            recipient,
            thread_id: self.thread_id.map(|id| id.0),
            timestamp: self.timestamp,
            metadata: self.metadata.unwrap_or_default(),
            ..Inbound::default()
        }
    }
}

/// The backend keeps one session for each of these keys, which it takes for texts.
fn add_session_keys(message: &mut Inbound) -> Result<(), String> {
    let conversation = message.conversation();
    let metadata = &mut message.metadata;
    metadata.insert("chat_id".to_owned(), Value::String(message.recipient.clone()));
    if message.thread_id.is_some() {
        metadata.insert("thread_id".to_owned(), Value::String(conversation));
    }
    let keys = ["thread_id", "message_thread_id", "channel_id"];
    match keys.into_iter().find(|key| metadata.get(*key).is_some_and(|value| !value.is_string())) {
        Some(key) => Err(format!("metadata.{key} must be a string")),
        None => Ok(()),
    }
}

/// A person's message as it is posted to us, or what a person did to one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Incoming {
    #[serde(default)]
    pub(super) event: Event,
    pub(super) event_id: Option<Id>,
    pub(super) message_id: Option<Id>,
    conversation_id: Option<Id>,
    sender: Person,
    pub(super) text: Option<String>,
    pub(super) reply_to: Option<Id>,
    album: Option<Id>,
    pub(super) added: Option<Vec<String>>,
    pub(super) removed: Option<Vec<String>>,
    pub(super) receipt: Option<Outcome>,
    pub(super) reason: Option<String>,
    is_group: Option<bool>,
    mentioned: Option<bool>,
    thread_id: Option<Id>,
    pub(super) media: Option<Attachment>,
    metadata: Option<Map<String, Value>>,
    timestamp: Option<DateTime<Utc>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Person {
    id: Id,
    name: Option<String>,
    is_bot: Option<bool>,
    is_self: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Attachment {
    kind: MediaKind,
    url: String,
    filename: Option<String>,
    duration_seconds: Option<u32>,
}

impl Attachment {
    fn reference(self) -> MediaRef {
        MediaRef { kind: self.kind, handle: self.url, filename: self.filename, mime: None }
    }
}

/// An id of the caller's.
#[derive(Clone, Deserialize)]
#[serde(try_from = "Value")]
pub(super) struct Id(pub(super) String);

impl Id {
    fn checked(text: String) -> Result<Self, String> {
        if is_id(&text) {
            return Ok(Self(text));
        }
        let given = excerpt(&text, 40);
        Err(format!("an id has 1 to {MAX_ID} bytes and no control characters; {given:?} is none"))
    }
}

impl TryFrom<Value> for Id {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        match value {
            Value::String(text) => Self::checked(text),
            other => Err(format!("an id must be a string, not {}", excerpt(&other.to_string(), 40))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use chrono::TimeDelta;
    use claw_runtime::ManualClock;
    use claw_types::Deed;
    use http::{HeaderName, HeaderValue};
    use serde_json::json;

    use super::super::testing::{NOW, SECRET, channel};
    use super::*;
    use crate::{Channel as _, ChannelError};

    fn request(body: &Value, headers: &[(&str, String)]) -> RawRequest {
        let header = |(name, value): &(&str, String)| {
            (HeaderName::try_from(*name).unwrap(), HeaderValue::try_from(value.as_str()).unwrap())
        };
        let body = Bytes::from(body.to_string());
        RawRequest { headers: headers.iter().map(header).collect(), query: String::new(), body }
    }

    fn signed(body: &Value) -> RawRequest {
        let signature = signature::sign(SECRET.as_bytes(), body.to_string().as_bytes());
        request(body, &[(signature::HEADER, signature)])
    }

    /// Signed, with another signature before the right one.
    fn standard(body: &Value, time: i64) -> RawRequest {
        let own = standard_signature(body, time);
        request(
            body,
            &[
                ("webhook-id", "msg_1".to_owned()),
                ("webhook-timestamp", time.to_string()),
                ("webhook-signature", format!("v1,bm9uZQ== {own}")),
            ],
        )
    }

    fn standard_signature(body: &Value, time: i64) -> String {
        signature::sign_standard(&signature::standard_key(SECRET), "msg_1", time, body.to_string().as_bytes())
    }

    fn hello() -> Value {
        json!({"sender": {"id": "ann"}, "text": "hello"})
    }

    fn bad_request(body: &Value) -> String {
        match channel(None).decode(&signed(body)) {
            Err(ChannelError::BadRequest(reason)) => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_signed_message_is_understood() {
        let body = json!({
            "message_id": "m1", "conversation_id": "room", "sender": {"id": "ann", "name": "Ann", "is_bot": true, "is_self": false},
            "text": "hi\u{0}", "is_group": true, "mentioned": false, "thread_id": "t", "timestamp": "2026-01-02T03:04:05+01:00",
            "media": {"kind": "voice", "url": "http://10.0.0.1/v", "filename": "v.ogg", "duration_seconds": 3},
            "metadata": {"chat_id": "mine", "chat_title": "general", "n": 1}, "album": "m1-m3",
        });
        let expected = Inbound {
            id: None,
            deed: Deed::Wrote,
            answers: None,
            dedup_key: None,
            album: Some("m1-m3".into()),
            platform_message_id: Some("m1".into()),
            sender: Some(Sender {
                platform_id: "ann".into(),
                display_name: "Ann".into(),
                internal_user: None,
            }),
            content_type: "voice".into(),
            text: Some("hi\u{0}".into()),
            media: Some(MediaRef {
                kind: MediaKind::Voice,
                handle: "http://10.0.0.1/v".into(),
                filename: Some("v.ogg".into()),
                mime: None,
            }),
            media_duration_seconds: Some(3),
            is_group: true,
            mentioned: Some(false),
            sender_is_bot: true,
            is_own: false,
            recipient: "room".into(),
            thread_id: Some("t".into()),
            timestamp: Some("2026-01-02T02:04:05Z".parse().unwrap()),
            metadata: json!({"chat_id": "room", "thread_id": "room:t", "chat_title": "general", "n": 1})
                .as_object()
                .cloned()
                .unwrap(),
        };
        assert_eq!(channel(None).decode(&signed(&body)), Ok(vec![expected]));
    }

    #[test]
    fn a_short_message_is_answered_to_its_sender() {
        let message = channel(None).decode(&signed(&hello())).unwrap().remove(0);
        assert_eq!((message.recipient.as_str(), message.content_type.as_str()), ("ann", "text"));
        assert_eq!(message.sender.unwrap().display_name, "ann");
        assert_eq!(Value::Object(message.metadata), json!({"chat_id": "ann"}));
        assert_eq!(message.platform_message_id, None);
    }

    #[test]
    fn only_a_signed_id_counts() {
        let message = channel(None).decode(&standard(&hello(), NOW)).unwrap().remove(0);
        assert_eq!(message.platform_message_id.as_deref(), Some("msg_1"));
        let mut plain = signed(&hello());
        plain.headers.insert("webhook-id", HeaderValue::from_static("msg_1"));
        assert_eq!(channel(None).decode(&plain).unwrap()[0].platform_message_id, None);
        let own = json!({"message_id": "mine", "sender": {"id": "ann"}, "text": "x"});
        let message = channel(None).decode(&standard(&own, NOW)).unwrap().remove(0);
        assert_eq!(message.platform_message_id.as_deref(), Some("mine"));
    }

    #[test]
    fn forged_old_and_unsigned_requests_are_refused() {
        let forged = |change: fn(&mut RawRequest)| {
            let mut request = standard(&hello(), NOW);
            change(&mut request);
            request
        };
        let mut other_secret = signed(&hello());
        other_secret
            .headers
            .insert(signature::HEADER, signature::sign(b"other", &other_secret.body).parse().unwrap());
        let cases = [
            (request(&hello(), &[]), "is not signed"),
            (other_secret, "X-Webhook-Signature is not"),
            (standard(&hello(), NOW - 301), "5 minutes"),
            (standard(&hello(), NOW + 301), "5 minutes"),
            (forged(|r| r.body = Bytes::from_static(b"{}")), "webhook-signature is not"),
            (
                forged(|r| drop(r.headers.insert("webhook-id", "msg_2".parse().unwrap()))),
                "webhook-signature is not",
            ),
            (
                forged(|r| drop(r.headers.insert("webhook-timestamp", "1700000001".parse().unwrap()))),
                "webhook-signature is not",
            ),
            (
                forged(|r| drop(r.headers.insert("webhook-timestamp", "soon".parse().unwrap()))),
                "whole seconds",
            ),
            (forged(|r| drop(r.headers.remove("webhook-signature"))), "is not signed"),
        ];
        for (request, reason) in cases {
            match channel(None).decode(&request) {
                Err(ChannelError::BadSignature(said)) => assert!(said.contains(reason), "{said}"),
                other => panic!("{reason}: {other:?}"),
            }
        }
        assert!(channel(None).decode(&standard(&hello(), NOW - 300)).is_ok());
    }

    #[test]
    fn what_can_not_be_read_is_named() {
        let with = |key: &str, value: Value| {
            let mut body = hello();
            body[key] = value;
            body
        };
        for (body, reason) in [
            (with("sendr", json!(1)), "unknown field `sendr`"),
            (json!({"sender": {"id": "a", "nick": "b"}, "text": "x"}), "unknown field `nick`"),
            (json!({"text": "x"}), "missing field `sender`"),
            (with("message_id", json!(5)), "an id must be a string, not 5"),
            (with("thread_id", json!("")), "1 to 256 bytes"),
            (with("conversation_id", json!("a\u{0}")), "no control characters"),
            (with("conversation_id", json!("x".repeat(257))), "1 to 256 bytes"),
            (json!({"sender": {"id": "a"}}), "the message is empty"),
            (with("text", json!(" \n")), "the message is empty"),
            (
                with("media", json!({"kind": "image", "url": "file:///etc/passwd"})),
                "media.url must start with",
            ),
            (with("metadata", json!({"channel_id": 5})), "metadata.channel_id must be a string"),
            (with("timestamp", json!("yesterday")), "the body is not a message"),
        ] {
            let said = bad_request(&body);
            assert!(said.contains(reason), "{said}");
        }
    }

    #[test]
    fn a_late_clock_moves_the_window() {
        let clock = Arc::new(ManualClock::new(DateTime::from_timestamp(NOW, 0).unwrap()));
        let mut channel = channel(None);
        channel.deps.clock = clock.clone();
        let request = standard(&hello(), NOW);
        assert!(channel.decode(&request).is_ok());
        clock.advance(TimeDelta::seconds(301));
        assert!(matches!(channel.decode(&request), Err(ChannelError::BadSignature(_))));
    }
}
