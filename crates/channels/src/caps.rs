//! What a platform can carry. Each adapter declares it once; the plan of a message, the API's answer and the catalogue go by it.

use std::time::Duration;

use claw_types::MediaKind;
use unicode_segmentation::UnicodeSegmentation as _;

use crate::lacks::Lack;
use crate::limits::Limits;

/// What a platform can carry. What it can't is degraded by [`crate::kit::plan`] or, where that makes no sense, refused.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a feature of its own, declared by name")]
pub struct Caps {
    /// Longest text of one message.
    pub max_text: usize,
    /// Longest caption of an attachment.
    pub max_caption: usize,
    /// Attachments that have no caption although others do: the text comes behind them.
    pub uncaptioned: &'static [MediaKind],
    /// How both are counted.
    pub unit: TextUnit,
    /// What Markdown is brought into.
    pub markdown: Dialect,
    /// Attachments it takes natively; the others are sent as links.
    pub media: &'static [MediaKind],
    /// Which attachments it shows as one message.
    pub albums: Option<&'static Albums>,
    /// Whether a chat has threads; where not, a `thread_id` is ignored.
    pub threads: bool,
    /// Whether a message can point to the one that it answers.
    pub reply_to: bool,
    /// Whether only a text without buttons can do that: of a message that has none, the reference is left out.
    pub only_texts_reply: bool,
    /// Which buttons it has.
    pub buttons: ButtonCaps,
    /// Whether it has polls.
    pub polls: bool,
    /// Whether it has places.
    pub location: bool,
    /// Whether a sent text can be changed.
    pub edit: bool,
    /// Whether a sent message can be taken back.
    pub delete: bool,
    /// Whether we can react to a message.
    pub reactions: bool,
    /// Whether it can show that an answer is being written.
    pub typing: bool,
    /// How often that sign is shown anew while the answer is being written, for it goes out by itself; `None` where no person
    /// watches, but a program reads.
    pub typing_every: Option<Duration>,
    /// What it tells of messages that are there already.
    pub reports: Reports,
    /// Whether people are offered the commands of the adapter's field `commands`.
    pub commands: bool,
    /// Whether it tells of a message that a program wrote it. Where it does not, any number or account may be another program's that
    /// answers ours for ever, so direct messages have a pace (crate `claw-intake`).
    pub tells_programs: bool,
    /// Whether a text that stands for an answer can become it: not where a program reads, and not where people read what we
    /// store, for there both would be seen after the page is loaded anew.
    pub placeholders: bool,
    /// Whether it shows an answer while it is being written without keeping what it shows ([`crate::Channel::draft`]). What stands for an
    /// answer there is deleted when that is sent, if it can be.
    pub drafts: bool,
    /// How fast it takes calls; `None` where it says nothing and refuses nobody for it.
    pub limits: Option<&'static Limits>,
    /// Why what is not declared is missing: each [`crate::Feature`] of it in one of these.
    pub lacks: &'static [Lack],
}

impl Caps {
    /// Plain text and nothing else; what an adapter's declaration begins with.
    pub const TEXT_ONLY: Self = Self {
        max_text: 4096,
        max_caption: 0,
        uncaptioned: &[],
        unit: TextUnit::Chars,
        markdown: Dialect::Plain,
        media: &[],
        albums: None,
        threads: false,
        reply_to: false,
        only_texts_reply: false,
        buttons: ButtonCaps::NONE,
        polls: false,
        location: false,
        edit: false,
        delete: false,
        reactions: false,
        typing: false,
        typing_every: None,
        reports: Reports::NONE,
        commands: false,
        tells_programs: false,
        placeholders: false,
        drafts: false,
        limits: None,
        lacks: &[],
    };
}

/// What a platform tells of messages that are there already. Whether the backend hears of it is the channel's field `events`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a feature of its own, declared by name")]
pub struct Reports {
    /// That a person changed a message of theirs.
    pub edits: bool,
    /// That a person deleted a message of theirs.
    pub deletions: bool,
    /// People's reactions.
    pub reactions: bool,
    /// Which message a person's message replies to.
    pub replies: bool,
    /// What became of a message of ours that the platform has, as far as it knows: that it arrived, that it was read, or that it did not
    /// arrive after all.
    pub receipts: bool,
}

impl Reports {
    /// Nothing.
    pub const NONE: Self =
        Self { edits: false, deletions: false, reactions: false, replies: false, receipts: false };
    /// All that people do, and nothing of what became of messages of ours.
    pub const DEEDS: Self =
        Self { edits: true, deletions: true, reactions: true, replies: true, receipts: false };
}

/// How a platform counts text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TextUnit {
    /// UTF-16 code units.
    Utf16,
    /// Bytes of UTF-8.
    Bytes,
    /// Unicode scalar values.
    Chars,
    /// What a person sees as one character: extended grapheme clusters.
    Graphemes,
}

impl TextUnit {
    /// What it is called in a sentence.
    pub fn name(self) -> &'static str {
        match self {
            Self::Utf16 => "UTF-16 code units",
            Self::Bytes => "bytes",
            Self::Chars | Self::Graphemes => "characters",
        }
    }

    /// The length of `text` in this unit.
    pub fn count(self, text: &str) -> usize {
        match self {
            Self::Bytes => text.len(),
            Self::Graphemes => text.graphemes(true).count(),
            Self::Utf16 | Self::Chars => text.chars().map(|c| self.width(c)).sum(),
        }
    }

    /// The length of one scalar value, when it stands alone.
    pub fn width(self, c: char) -> usize {
        match self {
            Self::Utf16 => c.len_utf16(),
            Self::Bytes => c.len_utf8(),
            Self::Chars | Self::Graphemes => 1,
        }
    }
}

/// What formatting a platform reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// None: markup is taken out.
    Plain,
    /// The small HTML of <https://core.telegram.org/bots/api#html-style>.
    Html,
    /// Markdown as it was written.
    Markdown,
    /// The mrkdwn of <https://api.slack.com/reference/surfaces/formatting>.
    Slack,
    /// The Markdown of <https://support.discord.com/hc/en-us/articles/210298617>.
    Discord,
    /// The signs of <https://faq.whatsapp.com/539178204879377>.
    WhatsApp,
    /// The Markdown of <https://learn.microsoft.com/en-us/microsoftteams/platform/bots/how-to/format-your-bot-messages>.
    Teams,
    /// The signs of <https://developers.google.com/workspace/chat/format-messages>.
    GoogleChat,
}

impl Dialect {
    /// Whether the platform's limits count the formatting, too, and not only what a person sees.
    pub fn counts_markup(self) -> bool {
        !matches!(self, Self::Plain | Self::Html)
    }

    /// Whether the platform reads formatting in every text, so that one without any has to be escaped.
    pub fn always_read(self) -> bool {
        matches!(self, Self::Slack | Self::Discord | Self::WhatsApp | Self::GoogleChat)
    }
}

/// Which attachments are shown as one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Albums {
    /// Most of them together; at least two.
    pub max: usize,
    /// Kinds that may be mixed, group by group; a kind in none of them always stands alone.
    pub groups: &'static [&'static [MediaKind]],
}

/// Which buttons a platform has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ButtonCaps {
    /// Those that open an address.
    pub url: bool,
    /// Those that send something back.
    pub data: bool,
    /// How many of them stand below what; `None` where they stand below anything.
    pub room: Option<&'static ButtonRoom>,
}

impl ButtonCaps {
    /// No buttons at all.
    pub const NONE: Self = Self { url: false, data: false, room: None };
    /// Both kinds.
    pub const ALL: Self = Self { url: true, data: true, room: None };
}

/// How many buttons stand below what. Those of a message that has more, or that has nothing they can stand below, become lines of its
/// text: first those that open an address, then all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ButtonRoom {
    /// Below a text.
    pub text: Most,
    /// Below an attachment.
    pub media: Most,
    /// Below a place.
    pub place: Most,
    /// Whether they stand below an attachment without a caption, too.
    pub bare_media: bool,
    /// The longest text above buttons of which one opens an address.
    pub url_text: usize,
    /// How that is counted.
    pub unit: TextUnit,
}

/// Most buttons in one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Most {
    /// When all of them send something back.
    pub choices: usize,
    /// When one of them opens an address, all together.
    pub with_url: usize,
}

impl Most {
    /// Not even one.
    pub const NONE: Self = Self { choices: 0, with_url: 0 };
}
