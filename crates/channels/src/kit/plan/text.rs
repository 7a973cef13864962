//! A text in the form that its platform takes, cut so that every piece fits.

use claw_types::Format;

use crate::Caps;
use crate::caps::{Dialect, TextUnit};
use crate::kit::{markdown, split};

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
    pub(super) fn fitting(
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
        let counted = if dialect.counts_markup() { &rendered.body } else { &rendered.shown };
        if unit.count(counted) > limit {
            return None;
        }
        let plain = match dialect {
            Dialect::Plain => return Some(Self::verbatim(&rendered.body, dialect)),
            // No character takes more bytes.
            Dialect::Html | Dialect::Slack | Dialect::Discord | Dialect::WhatsApp => {
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

/// The pieces of a text. Cut as Markdown, before it is formatted, so that each piece is formatted by itself.
pub(super) fn split(source: &str, format: Format, caps: &Caps) -> Vec<Text> {
    let mut texts = Vec::new();
    cut(source, format, caps, caps.max_text, &mut texts);
    texts
}

fn cut(source: &str, format: Format, caps: &Caps, limit: usize, into: &mut Vec<Text>) {
    for piece in split::split(source, format, limit, caps.unit) {
        match Text::fitting(&piece, format, caps.markdown, caps.unit, caps.max_text) {
            Some(text) => into.push(text),
            // A table that was aligned, or addresses that came out from behind their words.
            // Or escapes, which no piece is too short for.
            None if limit > SHORTEST || caps.markdown.always_read() && limit > 1 => {
                cut(&piece, format, caps, limit / 2, into);
            }
            None => into.push(Text::verbatim(&piece, caps.markdown)),
        }
    }
}
