//! Chat in a page that gateways serve themselves: no platform in between, so the database is the mailbox.
//!
//! A message to a visitor has arrived once it is stored; [`Channel::send`] only tells the pages that are open now.
//! What they miss they read from the history when they come back, and both ways make the same frames (`frames`), so
//! a page shows each once. The visitor's name for itself is a secret of its browser; the conversation's id in the
//! API is a hash of it (`socket`).
//!
//! Rejected: server-sent events with a POST for each message. Two connections to authorize and to keep in step,
//! where one socket also tells in what order things happened.

mod frames;
mod origin;
mod page;
mod socket;

use std::sync::Arc;

use async_trait::async_trait;
use claw_types::MediaKind;
use serde::Deserialize;

use crate::{
    Adapter, Caps, Channel, ChannelError, Deps, Field, FieldKind, Hosted, Hub, Part, Receipt, TextUnit,
};

/// The page has no limit of its own; a live frame must fit a message of the bus (1 MiB) however it is escaped.
const CAPS: Caps = Caps {
    max_text: 65_536,
    max_caption: 65_536,
    unit: TextUnit::Chars,
    media: &[MediaKind::Image, MediaKind::Video, MediaKind::Audio, MediaKind::Voice, MediaKind::File],
    threads: false,
};

/// The fields.
#[derive(Debug, Default, Deserialize)]
pub struct Config {
    /// Sites that may show the chat in a frame and open its socket.
    #[serde(default)]
    pub allowed_origins: Vec<String>,
    /// What the page says before anyone else does.
    #[serde(default)]
    pub greeting: Option<String>,
    /// The page's title; else the channel's name.
    #[serde(default)]
    pub title: Option<String>,
}

impl Config {
    /// Of a channel whose fields passed [`Adapter::new`]; what an older version let pass counts as absent.
    fn of(hosted: &Hosted) -> Self {
        serde_json::from_value(hosted.config.clone().into()).unwrap_or_default()
    }

    fn origins(&self) -> Vec<String> {
        self.allowed_origins.iter().filter_map(|text| origin::parse(text)).collect()
    }
}

/// A channel of this type.
pub struct Webchat {
    deps: Deps,
}

impl Adapter for Webchat {
    const NAME: &'static str = "webchat";
    const FIELDS: &'static [Field] = &[
        Field {
            key: "allowed_origins",
            kind: FieldKind::List,
            required: false,
            help: "sites that may embed the chat, like https://example.org; the gateway's own always may.",
        },
        Field {
            key: "greeting",
            kind: FieldKind::Text,
            required: false,
            help: "what the page says before the conversation begins.",
        },
        Field { key: "title", kind: FieldKind::Text, required: false, help: "the page's title." },
    ];
    type Config = Config;

    fn new(config: Config, deps: Deps) -> Result<Self, ChannelError> {
        match config.allowed_origins.iter().find(|text| origin::parse(text).is_none()) {
            Some(text) => Err(ChannelError::Config(format!(
                "allowed_origins has {text:?}; write each as scheme, host and maybe port, like https://example.org"
            ))),
            None => Ok(Self { deps }),
        }
    }

    fn routes(hub: Arc<dyn Hub>) -> Option<axum::Router> {
        Some(page::routes().merge(socket::routes()).with_state(hub))
    }
}

#[async_trait]
impl Channel for Webchat {
    fn caps(&self) -> &'static Caps {
        &CAPS
    }

    async fn send(&self, part: &Part<'_>) -> Result<Receipt, ChannelError> {
        let frame = frames::of_part(part).json().into();
        self.deps.live.publish(self.deps.channel_id, part.recipient, frame).await;
        Ok(Receipt { platform_message_id: frames::part_id(part.message_id, part.index) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::webhook::testing::{Recorder, deps};

    #[test]
    fn an_origin_that_is_none_is_refused_with_a_sentence() {
        let new = |origin: &str| {
            let config = Config { allowed_origins: vec![origin.to_owned()], ..Config::default() };
            Webchat::new(config, deps(Arc::new(Recorder::default()))).err()
        };
        assert_eq!(new("https://example.org"), None);
        assert_eq!(
            new("example.org"),
            Some(ChannelError::Config(
                "allowed_origins has \"example.org\"; write each as scheme, host and maybe port, like https://example.org"
                    .to_owned()
            ))
        );
    }
}
