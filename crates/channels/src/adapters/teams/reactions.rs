//! Reactions by the names that Teams has for them.
//!
//! A name is one of the few below, or an emoji's code and a word (`1f44b_wavinghand`), in one of five tones of skin where a person chose
//! one (<https://learn.microsoft.com/en-us/microsoftteams/platform/teams-sdk/in-depth-guides/message-reactions>). By such a name every
//! emoji can be read; to set one the word has to be known, which no rule tells, so only those can be set of which Microsoft's pages do.

/// Of <https://learn.microsoft.com/en-us/graph/api/resources/chatmessagereaction>, of the page above, of
/// <https://learn.microsoft.com/en-us/microsoftteams/platform/agents-in-teams/agent-reactions> and of
/// <https://microsoft.github.io/teams-sdk/blog/reaction-extensibility-preview>.
const NAMES: &[(&str, &str)] = &[
    ("like", "👍"),
    ("heart", "❤️"),
    ("laugh", "😆"),
    ("surprised", "😮"),
    ("sad", "😢"),
    ("angry", "😡"),
    ("1f440_eyes", "👀"),
    ("2705_whiteheavycheckmark", "✅"),
    ("launch", "🚀"),
    ("1f4cc_pushpin", "📌"),
    ("1f44b_wavinghand", "👋"),
    ("holdon", "⌛"),
];

/// The emoji of a reaction; what Teams names without one comes as it is.
pub(super) fn emoji(name: &str) -> String {
    if let Some((_, emoji)) = NAMES.iter().find(|(known, _)| *known == name) {
        return (*emoji).to_owned();
    }
    let code = name.split_once('_').and_then(|(code, _)| of_code(code));
    code.unwrap_or_else(|| name.to_owned())
}

/// Of scalar values in hexadecimal, with hyphens between.
fn of_code(code: &str) -> Option<String> {
    let one = |hex: &str| u32::from_str_radix(hex, 16).ok().and_then(char::from_u32);
    code.split('-').map(one).collect()
}

/// The name of an emoji; without the sign that only asks for colours.
pub(super) fn name(emoji: &str) -> Option<&'static str> {
    let bare = |text: &str| text.replace('\u{fe0f}', "");
    NAMES.iter().find(|(_, known)| bare(known) == bare(emoji)).map(|(name, _)| *name)
}

/// The emoji that have a name, for a sentence.
pub(super) fn known() -> String {
    NAMES.iter().map(|(_, emoji)| *emoji).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use claw_types::limits::is_emoji;

    use super::*;

    #[test]
    fn a_name_is_read_as_its_emoji() {
        for (name, expected) in [
            ("like", "👍"),
            ("1f44b_wavinghand", "👋"),
            ("1f44b_wavinghand-tone4", "👋"),
            ("1f389_partypopper", "🎉"),
            ("1f1e9-1f1ea_germany", "🇩🇪"),
        ] {
            assert_eq!(emoji(name), expected, "{name}");
        }
        for other in ["plusOne", "", "_", "xyz_word", "ffffffff_word", "d800_word"] {
            assert_eq!(emoji(other), other);
        }
    }

    #[test]
    fn what_can_be_set_is_read_as_the_same() {
        for (known, of) in NAMES {
            assert!(is_emoji(of), "{of}");
            assert_eq!((name(of), emoji(known).as_str()), (Some(*known), *of));
        }
        assert_eq!(name("❤"), Some("heart"));
        assert_eq!(name("🐈"), None);
    }
}
