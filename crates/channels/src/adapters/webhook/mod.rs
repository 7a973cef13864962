//! Generic signed HTTP, in and out: for a platform that has no adapter of its own, or a system that is no chat at all.
//!
//! In: one JSON message a request. Out: the same vocabulary, posted to `callback_url`. Both directions are signed
//! with the same secret in the two schemes of [`claw_secrets::signature`], so that II-Agent's receiver and any library
//! for Standard Webhooks (<https://www.standardwebhooks.com>) work as they are.
//!
//! Must hold: nothing is parsed before its signature was checked; an id from a header counts only where a signature
//! covers that header; what is sent again carries the same id, by which receivers drop what they have.

mod incoming;
mod media;
mod outgoing;
#[cfg(test)]
pub(super) mod testing;

use async_trait::async_trait;
use claw_types::{Inbound, MediaKind, MediaRef};
use http::HeaderMap;
use serde::Deserialize;

use crate::kit::http::classify;
use crate::{
    Adapter, Caps, Channel, ChannelError, Deps, Field, FieldKind, MediaStream, Part, RawRequest, Receipt,
    TextUnit,
};

const CAPS: Caps = Caps {
    max_text: 64 * 1024,
    max_caption: 64 * 1024,
    unit: TextUnit::Bytes,
    media: &[MediaKind::Image, MediaKind::Video, MediaKind::Audio, MediaKind::Voice, MediaKind::File],
    threads: true,
};

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
}

/// A channel of this type.
pub struct Webhook {
    secret: String,
    callback_url: Option<String>,
    deps: Deps,
}

impl Adapter for Webhook {
    const NAME: &'static str = "webhook";
    const FIELDS: &'static [Field] = &[
        Field {
            key: "secret_env",
            kind: FieldKind::Secret,
            required: true,
            help: "the secret that signs requests in both directions, as you like it or \"whsec_\" and base64.",
        },
        Field {
            key: "callback_url",
            kind: FieldKind::Url,
            required: false,
            help: "where messages to people are posted; without it the channel can only receive.",
        },
    ];
    type Config = Config;

    fn new(config: Config, deps: Deps) -> Result<Self, ChannelError> {
        if config.secret_env.is_empty() {
            return Err(ChannelError::Config(
                "secret_env is empty; set the secret that signs requests".to_owned(),
            ));
        }
        Ok(Self { secret: config.secret_env, callback_url: config.callback_url, deps })
    }
}

#[async_trait]
impl Channel for Webhook {
    fn caps(&self) -> &'static Caps {
        &CAPS
    }

    fn decode(&self, request: &RawRequest) -> Result<Vec<Inbound>, ChannelError> {
        let signed_id =
            self.verify(request).map_err(|reason| ChannelError::BadSignature(reason.to_owned()))?;
        self.read(&request.body, signed_id).map(|message| vec![message]).map_err(ChannelError::BadRequest)
    }

    async fn send(&self, part: &Part<'_>) -> Result<Receipt, ChannelError> {
        let Some(callback) = &self.callback_url else {
            let reason = "this channel has no callback_url, so it can only receive; configure one to send";
            return Err(ChannelError::Permanent(reason.to_owned()));
        };
        self.post(callback, part).await
    }

    async fn open_media(&self, media: &MediaRef) -> Result<MediaStream, ChannelError> {
        media::open(&self.deps.http, &media.handle).await
    }
}

/// Whether another system's id can become part of keys and of database text, which does not hold every character.
fn is_id(text: &str) -> bool {
    (1..=MAX_ID).contains(&text.len()) && !text.contains(char::is_control)
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The first `limit` characters, fit for a log line and for the database, which takes no NUL.
fn excerpt(text: &str, limit: usize) -> String {
    text.chars().take(limit).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Where elsewhere nobody knows whether a broken call happened, here it may just be made again: receivers know a
/// repeated message by its id, and fetching an attachment twice changes nothing.
fn repeatable(error: &reqwest::Error) -> ChannelError {
    match classify(error) {
        ChannelError::Uncertain(reason) => ChannelError::Retryable(reason),
        other => other,
    }
}
