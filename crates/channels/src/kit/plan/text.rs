//! A text in the form that its platform takes, cut so that every piece fits.

use claw_types::Format;

use crate::Caps;
use crate::caps::{Dialect, TextUnit};
use crate::kit::markdown::{self, Part, Rendered, Room};
use crate::kit::split;

/// A piece's tags and escapes may take this many bytes for each unit that a person sees, or it is sent as it was written.
const MARKUP_LIMIT: usize = 8;
/// Pieces shorter than this are not cut again for the sake of their formatting.
const SHORTEST: usize = 64;

/// A text as a platform takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text {
    /// In the platform's dialect when `formatted`; else character by character.
    pub body: String,
    /// Whether `body` has formatting that the platform is to read.
    pub formatted: bool,
    /// The same without formatting, for a platform that refuses it after all.
    pub plain: String,
}

impl Text {
    /// `source` as one piece; `None` when that is longer than `limit`.
    pub fn fitting(
        source: &str,
        format: Format,
        dialect: Dialect,
        unit: TextUnit,
        limit: usize,
    ) -> Option<Self> {
        if format == Format::Plain {
            let text = (unit.count(source) <= limit).then(|| Self::verbatim(source, dialect));
            return text.filter(|text| unit.count(&text.body) <= limit);
        }
        if unit.count(source) > MARKUP_LIMIT * limit.max(SHORTEST) {
            // Reading all of a long text only to find that it is no caption is not worth it.
            return None;
        }
        let rendered = markdown::render(source, dialect, MARKUP_LIMIT * limit.max(SHORTEST))?;
        if counted(&rendered, dialect, unit) > limit {
            return None;
        }
        let plain = match dialect {
            Dialect::Plain => return Some(Self::verbatim(&rendered.body, dialect)),
            // No character takes more bytes.
            Dialect::Html
            | Dialect::Slack
            | Dialect::Discord
            | Dialect::WhatsApp
            | Dialect::Teams
            | Dialect::GoogleChat => {
                markdown::render(source, Dialect::Plain, 4 * limit).map(|plain| plain.body)
            }
            Dialect::Markdown => Some(source.to_owned()),
        };
        // Addresses that were behind their words stand in the text now.
        let plain = plain.filter(|plain| unit.count(plain) <= limit).unwrap_or(rendered.shown);
        Some(Self { body: rendered.body, formatted: true, plain })
    }

    /// `text` character by character.
    fn verbatim(text: &str, dialect: Dialect) -> Self {
        let formatted = dialect.always_read();
        let body = if formatted { markdown::verbatim(text, dialect).body } else { text.to_owned() };
        Self { body, formatted, plain: text.to_owned() }
    }
}

/// Whether the text has formatting that a platform without any loses.
pub(super) fn is_formatted(text: &str, format: Format) -> bool {
    let shown = || markdown::render(text, Dialect::Plain, text.len());
    format == Format::Markdown && shown().is_none_or(|plain| plain.body != text.trim())
}

/// The length of a text as its platform counts it.
fn counted(rendered: &Rendered, dialect: Dialect, unit: TextUnit) -> usize {
    unit.count(if dialect.counts_markup() { &rendered.body } else { &rendered.shown })
}

/// The pieces of a text, in order, none empty.
pub(super) fn split(source: &str, format: Format, caps: &Caps) -> Vec<Text> {
    let &Caps { markdown: dialect, unit, max_text: limit, .. } = caps;
    let source = source.trim_end();
    if let Some(whole) = Text::fitting(source, format, dialect, unit, limit) {
        return vec![whole];
    }
    let mut texts = Vec::new();
    if format == Format::Plain || dialect == Dialect::Markdown {
        cut(source, format, caps, limit, &mut texts);
        return texts;
    }
    let fits = |rendered: &Rendered| counted(rendered, dialect, unit) <= limit;
    let room = Room { dialect, unit, limit, at_most: MARKUP_LIMIT * limit.max(SHORTEST), fits: &fits };
    for part in markdown::parts(source, room) {
        match part {
            Part::Written(Rendered { body, .. }, plain) if dialect == Dialect::Plain => {
                texts.push(Text { body, formatted: false, plain });
            }
            Part::Written(Rendered { body, .. }, plain) => texts.push(Text { body, formatted: true, plain }),
            Part::Bare(text) => cut(&text, Format::Plain, caps, limit, &mut texts),
        }
    }
    if texts.is_empty() {
        // Nothing in it is seen, as of a block of code without any: sent as it was written.
        cut(source, Format::Plain, caps, limit, &mut texts);
    }
    texts
}

/// Cuts a text as it was written.
fn cut(source: &str, format: Format, caps: &Caps, limit: usize, into: &mut Vec<Text>) {
    for piece in split::split(source, format, limit, caps.unit) {
        match Text::fitting(&piece, format, caps.markdown, caps.unit, caps.max_text) {
            Some(text) => into.push(text),
            // Escapes, which no piece is too short for.
            None if limit > 1 => cut(&piece, format, caps, limit / 2, into),
            None => into.push(Text::verbatim(&piece, caps.markdown)),
        }
    }
}
