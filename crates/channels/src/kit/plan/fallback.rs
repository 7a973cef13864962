//! What a platform does not have, as text. Written in the message's own format: what comes from a caller's keys must not turn
//! into formatting by accident.

use claw_types::{Button, ButtonAction, Format, Location, Media, Poll};

use crate::caps::ButtonCaps;
use crate::kit::fence;
use crate::kit::markdown::literal;

/// Puts a block behind the text.
pub(super) fn append(source: &mut Option<String>, format: Format, block: &str) {
    let text = source.get_or_insert_default();
    if !text.is_empty() {
        let open = fence::open(text).filter(|_| format == Format::Markdown);
        if let Some(closing) = open.map(|fence| fence.closing()) {
            // Or the block would be code.
            text.push('\n');
            text.push_str(&closing);
        }
        text.push_str("\n\n");
    }
    text.push_str(block);
}

/// An attachment as a link, with its name where it has one.
pub fn media(media: &Media, format: Format) -> String {
    match &media.filename {
        Some(name) => format!("{}: {}", words(name, format), address(&media.url, format)),
        None => address(&media.url, format),
    }
}

/// A place as its name, its address and a link to a map.
pub fn location(place: &Location, format: Format) -> String {
    let Location { latitude, longitude, .. } = place;
    let map = format!(
        "https://www.openstreetmap.org/?mlat={latitude}&mlon={longitude}#map=16/{latitude}/{longitude}"
    );
    let named = [&place.title, &place.address].into_iter().flatten().map(|text| words(text, format));
    named.chain([address(&map, format)]).collect::<Vec<_>>().join("\n")
}

/// A poll as its question and numbered answers.
pub fn poll(poll: &Poll, format: Format) -> String {
    let question = words(poll.question.trim(), format);
    let question = if format == Format::Markdown { format!("**{question}**") } else { question };
    let options = poll.options.iter().enumerate();
    let options = options.map(|(i, option)| numbered(i + 1, option, format));
    std::iter::once(question).chain(options).collect::<Vec<_>>().join("\n")
}

/// The buttons that the platform has, and lines for the others: those with data numbered, so that a person can answer with the
/// number, those with an address as links.
pub(super) fn buttons(
    rows: &[Vec<Button>],
    caps: ButtonCaps,
    format: Format,
) -> (Vec<Vec<Button>>, Vec<String>) {
    let has = |button: &Button| match button.action {
        ButtonAction::Url(_) => caps.url,
        ButtonAction::Data(_) => caps.data,
    };
    let kept = rows.iter().map(|row| row.iter().filter(|b| has(b)).cloned().collect::<Vec<_>>());
    let kept = kept.filter(|row| !row.is_empty()).collect();
    let (mut lines, mut addresses) = (Vec::new(), Vec::new());
    for button in rows.iter().flatten().filter(|button| !has(button)) {
        match &button.action {
            ButtonAction::Data(_) => lines.push(numbered(lines.len() + 1, &button.text, format)),
            ButtonAction::Url(url) => {
                addresses.push(format!("{}: {}", words(button.text.trim(), format), address(url, format)));
            }
        }
    }
    lines.extend(addresses);
    (kept, lines)
}

/// Not as a list of Markdown's: one list behind another would go on with its numbers.
fn numbered(number: usize, text: &str, format: Format) -> String {
    words(&format!("{number}. {}", text.trim()), format)
}

fn words(text: &str, format: Format) -> String {
    match format {
        Format::Markdown => literal(text),
        Format::Plain => text.to_owned(),
    }
}

fn address(url: &str, format: Format) -> String {
    let linkable = !url.contains(|c: char| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>'));
    match format {
        Format::Markdown if linkable => format!("<{url}>"),
        _ => words(url, format),
    }
}
