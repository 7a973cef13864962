//! Chat in a page that gateways serve themselves: no platform in between, so the database is the mailbox.
//!
//! A message to a visitor has arrived once it is stored; [`Channel::send`] only tells the pages that are open now.
//! What they miss they read from the history when they come back, and both ways make the same frames (`frames`), so
//! a page shows each once. The visitor's name for itself is a secret of its browser; the conversation's id in the
//! API is a hash of it (`door`). What a visitor sends along is stored by the gateway before the message is (`files`).
//!
//! Rejected: server-sent events with a POST for each message. Two connections to authorize and to keep in step,
//! where one socket also tells in what order things happened.

mod door;
mod exam;
mod files;
mod frames;
mod look;
mod origin;
mod page;
mod socket;
mod told;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use claw_types::{MediaKind, MediaRef};
use serde::Deserialize;

use crate::exam::Examinee;
use crate::kit::commands::COMMANDS;
use crate::kit::plan::part_id;
use crate::{
    About, Adapter, Albums, ButtonCaps, Caps, Channel, ChannelError, Deps, Dialect, Draft, Feature, Field,
    FieldKind, Hosted, Hub, Lack, MediaStream, Part, Probe, Receipt, Reports, TextUnit,
};

/// The page has no limit of its own; a live frame must fit a message of the bus (1 MiB) however it is escaped. The page reads
/// Markdown itself.
static CAPS: Caps = Caps {
    max_text: 65_536,
    max_caption: 65_536,
    uncaptioned: &[],
    unit: TextUnit::Chars,
    markdown: Dialect::Markdown,
    media: KINDS,
    albums: Some(&Albums { max: 10, groups: &[KINDS] }),
    threads: false,
    reply_to: true,
    only_texts_reply: false,
    buttons: ButtonCaps::ALL,
    polls: true,
    location: true,
    edit: true,
    delete: true,
    reactions: true,
    typing: true,
    typing_every: Some(Duration::from_secs(4)),
    reports: Reports { receipts: true, ..Reports::DEEDS },
    commands: true,
    // Visitors are people at our own page, whose sockets have a pace of their own.
    tells_programs: true,
    placeholders: false,
    drafts: true,
    limits: None,
    lacks: &[Lack::cant(
        &[Feature::Threads],
        "a visitor has one conversation, and its page shows one",
        "https://github.com/ii-claw/ii-claw/blob/main/docs/channels.md#webchat",
    )],
};

const KINDS: &[MediaKind] =
    &[MediaKind::Image, MediaKind::Video, MediaKind::Audio, MediaKind::Voice, MediaKind::File];

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
    /// Whether the page is light or dark.
    #[serde(default)]
    pub theme: look::Theme,
    /// The page's colour, `#rrggbb`.
    #[serde(default)]
    pub accent: Option<String>,
    /// MiB of a file from a visitor; 0 for none.
    #[serde(default)]
    pub max_file_mib: Option<u64>,
    /// What visitors' files may be.
    #[serde(default)]
    pub file_kinds: Option<Vec<String>>,
    /// What visitors are offered to write, each as `name: what it does`.
    #[serde(default)]
    pub commands: Vec<String>,
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
    const ABOUT: About = About {
        display_name: "Web chat",
        category: "web",
        description: "A chat page that the gateway serves itself, and a button that puts it on any site.",
        setup: &[
            "Make the channel; its address is /webchat/ and the channel's id.",
            "To have it on your own site, list the site under allowed origins and put the script widget.js on its pages.",
        ],
        docs_url: "https://github.com/ii-claw/ii-claw/blob/main/docs/channels.md#webchat",
    };
    const CAPS: &'static Caps = &CAPS;
    const FIELDS: &'static [Field] = &[
        Field::new(
            "allowed_origins",
            "Allowed origins",
            FieldKind::List,
            "sites that may embed the chat and open its socket, each as scheme, host and maybe port, like https://example.org, \
             without a path and without *; the gateway's own always may.",
        )
        .like("https://example.org"),
        Field::new(
            "greeting",
            "Greeting",
            FieldKind::Text,
            "what the page says before the conversation begins.",
        )
        .like("Hello! How can I help?"),
        Field::new("title", "Title", FieldKind::Text, "the page's title; the channel's instance_name if not set.")
            .like("Support"),
        Field::new(
            "theme",
            "Theme",
            FieldKind::Choice(look::THEMES),
            "whether the page is light or dark; auto, as the visitor's system is, if not set.",
        ),
        Field::new(
            "accent",
            "Accent colour",
            FieldKind::Text,
            "the page's colour, as # and six hexadecimal digits; the text on it is black or white, whichever can be read better.",
        )
        .like("#4f46e5"),
        Field::new(
            "max_file_mib",
            "Largest file",
            FieldKind::Number,
            "how large a file from a visitor may be, in MiB; 10 if not set, 0 for no files, and never more than the operator lets \
             attachments be.",
        )
        .up_to(files::MOST_MIB),
        Field::new(
            "file_kinds",
            "Kinds of files",
            FieldKind::Items(files::KINDS),
            "what visitors may send, told by a file's first bytes; all of them if not set.",
        ),
        Field {
            help: "commands that the page offers to visitors who type /, each as name: what it does.",
            ..COMMANDS
        },
    ];
    type Config = Config;

    fn new(config: Config, deps: Deps) -> Result<Self, ChannelError> {
        if let Some(text) = config.allowed_origins.iter().find(|text| origin::parse(text).is_none()) {
            return Err(ChannelError::Config(format!(
                "allowed_origins has {text:?}; write each as scheme, host and maybe port, like https://example.org"
            )));
        }
        told::RULES.read(&config.commands)?;
        let is_colour = |text: &String| text.starts_with('#') && look::Accent::parse(text).is_some();
        if let Some(text) = config.accent.filter(|text| !is_colour(text)) {
            return Err(ChannelError::Config(format!(
                "accent is {text:?}; write it as # and six hexadecimal digits, like #4f46e5"
            )));
        }
        Ok(Self { deps })
    }

    fn examinee() -> &'static dyn Examinee {
        &exam::Exam
    }

    fn routes(hub: Arc<dyn Hub>) -> Option<axum::Router> {
        Some(page::routes().merge(socket::routes()).merge(files::routes()).with_state(hub))
    }
}

#[async_trait]
impl Channel for Webchat {
    fn caps(&self) -> &'static Caps {
        &CAPS
    }

    fn fuzz(&self, data: &[u8]) {
        let text = String::from_utf8_lossy(data);
        socket::fuzz(&text);
        let origins = [text.clone().into_owned()];
        let _ = origin::admits(Some(&text), Some(&text), &origins);
    }

    async fn send(&self, part: &Part<'_>) -> Result<Receipt, ChannelError> {
        let frame = frames::of_part(part);
        let frame = frame.ok_or(ChannelError::Unsupported("the chat page can't show this"))?.json().into();
        self.deps.live.publish(self.deps.channel_id, part.recipient, frame).await;
        let id = part.piece.content.target().map(str::to_owned);
        let id = id.unwrap_or_else(|| part_id(part.message_id, part.index));
        Ok(Receipt { platform_message_id: id })
    }

    /// There is no platform that could refuse: gateways serve the page.
    async fn probe(&self) -> Result<Probe, ChannelError> {
        Ok(Probe::default())
    }

    /// A visitor's file was stored before its message was: there is no other place to look for it.
    async fn open_media(&self, _media: &MediaRef) -> Result<MediaStream, ChannelError> {
        Err(ChannelError::Permanent(
            "the visitor's file has expired, or another gateway has it, whose media store is not this one's"
                .to_owned(),
        ))
    }

    async fn draft(&self, draft: &Draft<'_>) -> Result<(), ChannelError> {
        let frame = frames::of_draft(draft).json().into();
        self.deps.live.publish(self.deps.channel_id, draft.recipient, frame).await;
        Ok(())
    }

    async fn typing(&self, recipient: &str, _thread_id: Option<&str>) -> Result<(), ChannelError> {
        let frame = frames::Frame::Typing.json().into();
        self.deps.live.publish(self.deps.channel_id, recipient, frame).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::webhook::testing::{Recorder, deps};

    crate::exam::conformance!(Webchat);

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

    #[test]
    fn a_command_that_is_none_is_refused_with_a_sentence() {
        let new = |command: &str| {
            let config = Config { commands: vec![command.to_owned()], ..Config::default() };
            Webchat::new(config, deps(Arc::new(Recorder::default()))).err()
        };
        assert_eq!(new("/hülf-1_a: Ask: anything"), None);
        for none in ["", "two words", "Ask: x", "a.b"] {
            let refused = new(none);
            assert!(
                matches!(&refused, Some(ChannelError::Config(why)) if why.contains("lower-case letters, digits, - and _")),
                "{none:?}: {refused:?}"
            );
        }
    }

    #[test]
    fn a_colour_that_is_none_is_refused_with_a_sentence() {
        let new = |accent: &str| {
            let config = Config { accent: Some(accent.to_owned()), ..Config::default() };
            Webchat::new(config, deps(Arc::new(Recorder::default()))).err()
        };
        assert_eq!(new("#4f46e5"), None);
        for none in ["4f46e5", "red", "#fff", "#4f46e5;}"] {
            let sentence =
                format!("accent is {none:?}; write it as # and six hexadecimal digits, like #4f46e5");
            assert_eq!(new(none), Some(ChannelError::Config(sentence)));
        }
    }
}
