//! Generic signed HTTP, in and out: for a platform that has no adapter of its own, or a system that is no chat at all.
//!
//! In: one JSON message a request, or what was done to one. Out: the same vocabulary, posted to `callback_url`. Both directions are signed
//! with the same secret in the two schemes of [`claw_secrets::signature`], so that II-Agent's receiver and any library
//! for Standard Webhooks (<https://www.standardwebhooks.com>) work as they are.
//!
//! Must hold: nothing is parsed before its signature was checked; an id from a header counts only where a signature
//! covers that header; what is sent again carries the same id, by which receivers drop what they have.

mod deed;
mod exam;
mod incoming;
mod outgoing;
mod receipt;
#[cfg(test)]
pub(crate) mod testing;

use async_trait::async_trait;
use bytes::Bytes;
use claw_types::{Inbound, MediaKind, MediaRef};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;
use serde_json::{Value, json};

use self::outgoing::Outgoing;
use crate::exam::Examinee;
use crate::kit::plan::part_id;
use crate::kit::public;
use crate::{
    About, Adapter, Albums, ButtonCaps, Caps, Channel, ChannelError, Deps, Dialect, Feature, Field,
    FieldKind, Lack, MediaStream, Part, Probe, RawRequest, Receipt, Reports, TextUnit,
};

/// The other side gets everything as data and does with it what it can.
const ALL: Caps = Caps {
    max_text: 64 * 1024,
    max_caption: 64 * 1024,
    uncaptioned: &[],
    unit: TextUnit::Bytes,
    markdown: Dialect::Markdown,
    media: KINDS,
    albums: Some(&Albums { max: 10, groups: &[KINDS] }),
    threads: true,
    reply_to: true,
    only_texts_reply: false,
    buttons: ButtonCaps::ALL,
    polls: true,
    location: true,
    edit: true,
    delete: true,
    reactions: true,
    typing: true,
    typing_every: None,
    reports: Reports { receipts: true, ..Reports::DEEDS },
    commands: false,
    tells_programs: true,
    placeholders: false,
    drafts: false,
    limits: None,
    lacks: &[Lack::cant(
        &[Feature::Commands],
        "what is offered to people is the other system's own affair",
        "https://github.com/ii-claw/ii-claw/blob/main/docs/channels/webhook.md",
    )],
};

/// What the type can.
static CAPS: Caps = ALL;

/// Of a channel whose other side did not ask for albums: a receiver that reads `media` only, which has one attachment, would lose all others.
static ONE_BY_ONE: Caps = Caps { albums: None, ..ALL };

const KINDS: &[MediaKind] =
    &[MediaKind::Image, MediaKind::Video, MediaKind::Audio, MediaKind::Voice, MediaKind::File];

/// Longest id of another system's that we keep, in bytes.
const MAX_ID: usize = 256;

/// The fields.
#[derive(Deserialize)]
pub struct Config {
    /// Signs both directions.
    pub secret_env: String,
    /// Where messages are posted to.
    #[serde(default)]
    pub callback_url: Option<String>,
    /// Whether attachments that go together are one post.
    #[serde(default)]
    pub post_albums: bool,
}

/// A channel of this type.
pub struct Webhook {
    secret: String,
    callback_url: Option<String>,
    caps: &'static Caps,
    deps: Deps,
}

impl Adapter for Webhook {
    const NAME: &'static str = "webhook";
    const ABOUT: About = About {
        display_name: "Webhook",
        category: "integration",
        description: "Signed HTTP both ways, for a platform that has no type of its own, or for your own programs.",
        setup: &[
            "Choose a secret, and give it to your program too: both sides sign with it.",
            "Have your program post people's messages to the channel's webhook_path.",
            "To receive answers, give the address where your program takes them.",
        ],
        docs_url: "https://github.com/ii-claw/ii-claw/blob/main/docs/channels.md#webhook",
    };
    const CAPS: &'static Caps = &CAPS;
    const FIELDS: &'static [Field] = &[
        Field::new(
            "secret_env",
            "Secret",
            FieldKind::Secret,
            "the secret that signs requests in both directions, as you like it or \"whsec_\" and base64.",
        )
        .required(),
        // It is sent signatures and never the secret, which no number of them gives away: it may move.
        Field::new(
            "callback_url",
            "Callback address",
            FieldKind::Url,
            "where messages to people are posted; without it the channel can only receive.",
        )
        .like("https://example.org/in"),
        Field::new(
            "post_albums",
            "Post albums",
            FieldKind::Bool,
            "whether several attachments of a message are one post, with all of them in album; false if not set: each is a post with its \
             media, as a receiver needs it that does not read album.",
        )
        .advanced(),
    ];
    type Config = Config;

    fn new(config: Config, deps: Deps) -> Result<Self, ChannelError> {
        if config.secret_env.is_empty() {
            return Err(ChannelError::Config(
                "secret_env is empty; set the secret that signs requests".to_owned(),
            ));
        }
        let caps = if config.post_albums { &CAPS } else { &ONE_BY_ONE };
        Ok(Self { secret: config.secret_env, callback_url: config.callback_url, caps, deps })
    }

    fn examinee() -> &'static dyn Examinee {
        &exam::Exam
    }
}

#[async_trait]
impl Channel for Webhook {
    fn caps(&self) -> &'static Caps {
        self.caps
    }

    fn decode(&self, request: &RawRequest) -> Result<Vec<Inbound>, ChannelError> {
        let signed_id =
            self.verify(request).map_err(|reason| ChannelError::BadSignature(reason.to_owned()))?;
        self.read(&request.body, signed_id).map(|message| vec![message]).map_err(ChannelError::BadRequest)
    }

    fn fuzz(&self, data: &[u8]) {
        let id = String::from_utf8_lossy(data);
        drop(self.read(data, None));
        drop(self.read(br#"{"sender":{"id":"1"},"text":"x"}"#, Some(id.into_owned())));
        outgoing::fuzz(data);
        let body = Bytes::copy_from_slice(data);
        let value = HeaderValue::from_bytes(data).unwrap_or(HeaderValue::from_static("v1,"));
        let names = ["webhook-id", "webhook-timestamp", "webhook-signature", "x-webhook-signature"];
        let headers = names.map(|name| (HeaderName::from_static(name), value.clone()));
        drop(self.decode(&RawRequest { headers: headers.into_iter().collect(), query: String::new(), body }));
    }

    async fn send(&self, part: &Part<'_>) -> Result<Receipt, ChannelError> {
        let callback = self.callback()?;
        let id = part_id(part.message_id, part.index);
        let answered = self.post(callback, &id, &Outgoing::of(part, &id)).await?;
        // What is done to a message leaves it its id.
        let known = part.piece.content.target().map(str::to_owned);
        Ok(Receipt { platform_message_id: known.or(answered).unwrap_or(id) })
    }

    async fn probe(&self) -> Result<Probe, ChannelError> {
        let Some(callback) = &self.callback_url else {
            let details = [("callback_url".to_owned(), Value::Null)];
            return Ok(Probe { account: None, details: details.into_iter().collect() });
        };
        self.notify(callback, "ping", None, None).await?;
        let details = [("callback_url".to_owned(), json!(callback))];
        Ok(Probe { account: None, details: details.into_iter().collect() })
    }

    async fn typing(&self, recipient: &str, thread_id: Option<&str>) -> Result<(), ChannelError> {
        self.notify(self.callback()?, "typing", Some(recipient), thread_id).await
    }

    async fn open_media(&self, media: &MediaRef) -> Result<MediaStream, ChannelError> {
        public::open(&self.deps.http, &media.handle, "media.url").await
    }
}

impl Webhook {
    fn callback(&self) -> Result<&str, ChannelError> {
        let reason = "this channel has no callback_url, so it can only receive; configure one to send";
        self.callback_url.as_deref().ok_or_else(|| ChannelError::Permanent(reason.to_owned()))
    }
}

/// Whether another system's id can become part of keys and of database text, which does not hold every character.
fn is_id(text: &str) -> bool {
    (1..=MAX_ID).contains(&text.len()) && !text.contains(char::is_control)
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
crate::exam::conformance!(Webhook);
