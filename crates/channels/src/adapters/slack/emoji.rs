//! Emoji by the names that Slack has for them: reactions are told and made by name
//! (<https://docs.slack.dev/reference/methods/reactions.add>).
//!
//! Slack's names are those of <https://github.com/iamcal/emoji-data> (MIT licence, © 2013 Cal Henderson), whose list is in `emoji.txt`:
//! an emoji and its names a line. A colour of skin is a name of its own behind the emoji's: `wave::skin-tone-3`. Pictures that a
//! workspace made itself have names, too; these stay names, between colons as people write them.

const NAMES: &str = include_str!("emoji.txt");
/// Asks for the coloured picture of what is also a sign; Slack has one name for both.
const COLOURED: char = '\u{fe0f}';
/// The first colour of skin, which is `skin-tone-2`; there are five.
const LIGHTEST: u32 = 0x1f3fb;

/// The name of an emoji, or of a picture that is given by its name; `None` for what Slack has no name for.
pub(super) fn name(emoji: &str) -> Option<String> {
    let named = emoji.strip_prefix(':').and_then(|rest| rest.strip_suffix(':'));
    if let Some(name) = named {
        return is_name(name).then(|| name.to_owned());
    }
    let tone = emoji.chars().find_map(tone);
    let plain: String = emoji.chars().filter(|c| self::tone(*c).is_none()).collect();
    let name = lines().find(|(known, _)| same(known, &plain)).and_then(|(_, mut names)| names.next())?;
    Some(tone.map_or_else(|| name.to_owned(), |tone| format!("{name}::skin-tone-{tone}")))
}

/// The emoji of a name; the name itself, between colons, for a picture of the workspace's own.
pub(super) fn of(name: &str) -> String {
    let (base, tone) =
        name.split_once("::skin-tone-").map_or((name, None), |(base, tone)| (base, Some(tone)));
    let emoji = lines().find(|(_, names)| names.clone().any(|known| known == base)).map(|(emoji, _)| emoji);
    let tone = tone.map(|tone| tone.parse().ok().and_then(modifier));
    match (emoji, tone) {
        (Some(emoji), None) => emoji.to_owned(),
        (Some(emoji), Some(Some(tone))) => coloured(emoji, tone),
        _ => format!(":{name}:"),
    }
}

fn lines() -> impl Iterator<Item = (&'static str, std::str::SplitWhitespace<'static>)> {
    NAMES
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(emoji, names)| (emoji, names.split_whitespace()))
}

/// The colour stands behind the person or the hand, before what is joined to it.
fn coloured(emoji: &str, tone: char) -> String {
    let mut rest = emoji.chars();
    let first = rest.next();
    first.into_iter().chain([tone]).chain(rest.skip_while(|c| *c == COLOURED)).collect()
}

fn same(known: &str, given: &str) -> bool {
    let plain = |c: &char| *c != COLOURED;
    known.chars().filter(plain).eq(given.chars().filter(plain))
}

fn tone(c: char) -> Option<u32> {
    let n = u32::from(c).checked_sub(LIGHTEST)?;
    (n < 5).then_some(n + 2)
}

fn modifier(tone: u32) -> Option<char> {
    (2..=6).contains(&tone).then(|| char::from_u32(LIGHTEST + tone - 2)).flatten()
}

/// What people call a picture of their own: lower case, digits and some signs.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '+' | '\'' | ':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emoji_have_their_names_in_slack() {
        for (emoji, known) in
            [("👍", "+1"), ("❤️", "heart"), ("❤", "heart"), ("🎉", "tada"), ("👋🏼", "wave::skin-tone-3")]
        {
            assert_eq!(name(emoji).as_deref(), Some(known), "{emoji}");
        }
        assert_eq!(name("👩🏽‍🚀").as_deref(), Some("female-astronaut::skin-tone-4"));
        assert_eq!(name(":party_parrot:").as_deref(), Some("party_parrot"));
        for none in ["", "x", ":", "::", ":a b:", "👍👍"] {
            assert_eq!(name(none), None, "{none:?}");
        }
    }

    #[test]
    fn names_are_emoji_again() {
        for (known, emoji) in [("+1", "👍"), ("thumbsup", "👍"), ("heart", "❤️"), ("wave::skin-tone-3", "👋🏼")]
        {
            assert_eq!(of(known), emoji, "{known}");
        }
        assert_eq!(of("female-astronaut::skin-tone-4"), "👩🏽‍🚀");
        for own in ["party_parrot", "wave::skin-tone-9", "party_parrot::skin-tone-2", ""] {
            assert_eq!(of(own), format!(":{own}:"));
        }
    }

    #[test]
    fn every_line_has_an_emoji_and_names_that_lead_back_to_it() {
        let all: Vec<_> = lines().collect();
        assert_eq!(all.len(), NAMES.lines().count());
        for (emoji, names) in all {
            assert!(names.clone().count() > 0, "{emoji}");
            names.for_each(|name| assert_eq!(of(name), emoji, "{name}"));
        }
    }
}
