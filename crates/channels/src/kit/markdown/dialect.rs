//! The signs of the dialects that are written between words, and how a text is kept from being read as one.
//!
//! Slack (<https://api.slack.com/reference/surfaces/formatting>, "Formatting text for app surfaces"): `&`, `<` and `>` as
//! entities, `*bold*`, `_italic_`, `~strike~`, `<address|words>`; no headings, no tables, and lists only as lines with bullets.
//! Discord (<https://support.discord.com/hc/en-us/articles/210298617>, "Markdown Text 101"): `**bold**`, `_italic_`,
//! `~~strike~~`, headings of three levels, lists, `[words](address)`, and a backslash makes text of a sign. `WhatsApp`
//! (<https://faq.whatsapp.com/539178204879377>, "How to format your messages"): `*bold*`, `_italic_`, `~strike~`, lists and
//! quotes; addresses are pressed as they stand. Teams
//! (<https://learn.microsoft.com/en-us/microsoftteams/platform/bots/how-to/format-your-bot-messages>, `textFormat` `markdown`):
//! `**bold**`, `_italic_`, `~~strike~~`, lists, quotes, code and `[words](address)`; no headings in texts and no tables; a line
//! ends with two spaces or is joined with the next one (<https://github.com/microsoft/botframework-sdk/issues/5575>). Google Chat
//! (<https://developers.google.com/workspace/chat/format-messages>): `*bold*`, `_italic_`, `~strike~`, code, lists and
//! `<address|words>`, but also `<users/all>`, which calls everybody and so is never written from a text.
//!
//! Slack, Google Chat and `WhatsApp` have no escape for their signs, and neither page says what ends a word. A sign within a word is left
//! as it is; any other that is text gets a zero width space behind it, which nobody sees, so that no word follows it directly.
//! That their programs take this as meant is an assumption, to be tried against the platform with its adapter.

use super::out::Mark;
use crate::caps::Dialect;

/// Stands where a platform has to see the end of a word and a person is to see nothing.
pub(super) const UNSEEN: char = '\u{200B}';

/// What is written around a mark's words.
pub(super) fn sign(dialect: Dialect, mark: Mark) -> &'static str {
    match (dialect, mark) {
        (Dialect::Discord | Dialect::Teams, Mark::Bold) => "**",
        (Dialect::Discord | Dialect::Teams, Mark::Strike) => "~~",
        (_, Mark::Bold) => "*",
        (_, Mark::Italic) => "_",
        (_, Mark::Strike) => "~",
    }
}

/// What an item of a list without numbers begins with.
pub(super) fn bullet(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Discord | Dialect::WhatsApp | Dialect::Teams | Dialect::GoogleChat => "- ",
        _ => "• ",
    }
}

/// What ends a line within a paragraph.
pub(super) fn line_break(dialect: Dialect) -> &'static str {
    if dialect == Dialect::Teams { "  \n" } else { "\n" }
}

/// Whether a backslash makes text of a sign.
pub(super) fn has_escapes(dialect: Dialect) -> bool {
    matches!(dialect, Dialect::Discord | Dialect::Teams)
}

/// Whether a link is written as `<address|words>`; else it is `[words](address)`.
pub(super) fn has_angled_links(dialect: Dialect) -> bool {
    matches!(dialect, Dialect::Slack | Dialect::GoogleChat)
}

/// Whether it depends on its words whether a link becomes one.
pub(super) fn has_doubtful_links(dialect: Dialect) -> bool {
    matches!(dialect, Dialect::Discord | Dialect::Teams | Dialect::GoogleChat)
}

/// How much of an open link stands before its words, where these keep it from being one.
pub(super) fn undone_link(dialect: Dialect, link: &str) -> Option<usize> {
    match dialect {
        Dialect::Slack => None,
        Dialect::GoogleChat => {
            let words = link.find('|')? + 1;
            link[words..].contains(['<', '>', '|']).then_some(words)
        }
        _ => link.contains("://").then_some(1),
    }
}

/// Whether an address may be pressed behind other words: some platforms have no such links, and none has those that run a
/// program.
pub(super) fn is_pressable(dialect: Dialect, address: &str) -> bool {
    let begins = |scheme: &&str| {
        address.get(..scheme.len()).is_some_and(|beginning| beginning.eq_ignore_ascii_case(scheme))
    };
    let schemes: &[&str] = match dialect {
        Dialect::Html => &["https://", "http://", "tg://", "mailto:", "tel:"],
        Dialect::Slack => &["https://", "http://", "mailto:", "tel:"],
        Dialect::Discord | Dialect::Teams | Dialect::GoogleChat => &["https://", "http://"],
        Dialect::Plain | Dialect::Markdown | Dialect::WhatsApp => &[],
    };
    schemes.iter().any(begins)
}

/// Writes a stretch of one line so that all of it is text, but for addresses, which stay as they are to be pressed.
pub(super) fn text(dialect: Dialect, text: &str, line_start: bool, body: &mut String) {
    let mut rest = text;
    if line_start {
        rest = first_word(dialect, text, body);
    }
    while let Some(c) = rest.chars().next() {
        let before = body.chars().next_back();
        let address = if before.is_some_and(is_word) { 0 } else { address_length(rest) };
        if address > 0 {
            address_as_is(dialect, &rest[..address], body);
            rest = &rest[address..];
            continue;
        }
        rest = &rest[c.len_utf8()..];
        character(dialect, c, before, rest.chars().next(), body);
    }
}

/// Text within a block of code: what would end the block is broken up.
pub(super) fn code(dialect: Dialect, code: &str, body: &mut String) {
    let mut before = None;
    for c in code.chars() {
        if c == '`' && before == Some('`') {
            body.push(UNSEEN);
        }
        if dialect == Dialect::Slack {
            entity(c, body);
        } else {
            body.push(c);
        }
        before = Some(c);
    }
}

/// An address where a link has it: without what would end the link, or begin code.
pub(super) fn target(dialect: Dialect, address: &str, body: &mut String) {
    for c in address.chars() {
        match c {
            '<' | '>' | '|' | '(' | ')' | '\\' | '`' => {
                body.extend(percent_encoding::percent_encode(&[c as u8], percent_encoding::NON_ALPHANUMERIC));
            }
            c if c.is_whitespace() || c.is_control() => body.push_str("%20"),
            '&' if dialect == Dialect::Slack => body.push_str("&amp;"),
            c => body.push(c),
        }
    }
}

/// Whether a platform sees the character as part of a word.
pub(super) fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Keeps the line's beginning from being read as that of a quote, a list or a heading; gives what follows it.
fn first_word<'t>(dialect: Dialect, text: &'t str, body: &mut String) -> &'t str {
    let rest = text.trim_start();
    body.push_str(&text[..text.len() - rest.len()]);
    let starts = |signs: &[char]| rest.starts_with(signs);
    match dialect {
        Dialect::Slack if starts(&['>']) => body.push(UNSEEN),
        Dialect::WhatsApp | Dialect::GoogleChat if starts(&['>', '-', '*']) => body.push(UNSEEN),
        Dialect::Discord | Dialect::Teams if starts(&['>', '-', '+', '#']) => body.push('\\'),
        Dialect::Discord | Dialect::Teams => {
            let behind = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            if behind.len() < rest.len() && behind.starts_with(['.', ')']) {
                body.push_str(&rest[..rest.len() - behind.len()]);
                body.push('\\');
                body.push_str(&behind[..1]);
                return &behind[1..];
            }
            return rest;
        }
        _ => return rest,
    }
    // A sign in front of which the backslash stands is not to get another one.
    if has_escapes(dialect) {
        body.push_str(&rest[..1]);
        return &rest[1..];
    }
    rest
}

fn character(dialect: Dialect, c: char, before: Option<char>, next: Option<char>, body: &mut String) {
    match dialect {
        Dialect::Discord => {
            if matches!(c, '\\' | '*' | '_' | '~' | '`' | '|' | '<' | '[' | ']') {
                body.push('\\');
            }
            body.push(c);
        }
        Dialect::Teams => {
            if matches!(c, '\\' | '*' | '_' | '~' | '`' | '|' | '<' | '>' | '[' | ']' | '&') {
                body.push('\\');
            }
            body.push(c);
        }
        Dialect::Slack => entity(c, body),
        // Not the beginning of an address or of a mention.
        Dialect::GoogleChat if c == '<' => body.extend([c, UNSEEN]),
        _ => body.push(c),
    }
    let within = |side: Option<char>| side.is_some_and(char::is_alphanumeric);
    let sign = matches!(c, '*' | '_' | '~' | '`') && !has_escapes(dialect);
    if sign && !(within(before) && within(next)) {
        body.push(UNSEEN);
    }
}

fn entity(c: char, body: &mut String) {
    match c {
        '&' => body.push_str("&amp;"),
        '<' => body.push_str("&lt;"),
        '>' => body.push_str("&gt;"),
        c => body.push(c),
    }
}

/// The bytes of the address that `text` begins with; 0 where it begins with none.
pub(super) fn address_length(text: &str) -> usize {
    let Some(scheme) = ["https://", "http://"].into_iter().find(|scheme| text.starts_with(scheme)) else {
        return 0;
    };
    let ends =
        |c: char| c.is_whitespace() || c.is_control() || matches!(c, '<' | '>' | '"' | '|' | '`' | '\\');
    let address = &text[..text.find(ends).unwrap_or(text.len())];
    let address = address.trim_end_matches(['.', ',', ':', ';', '!', '?', '\'', ')', ']', '*', '_', '~']);
    if address.len() > scheme.len() { address.len() } else { 0 }
}

fn address_as_is(dialect: Dialect, address: &str, body: &mut String) {
    if dialect == Dialect::Slack {
        address.chars().for_each(|c| entity(c, body));
    } else {
        body.push_str(address);
    }
}
