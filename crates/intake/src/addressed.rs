//! Whether a message of a group addresses the bot, beside what its platform says: by a word that the channel names
//! (`mention_patterns`), or as a part of an album of which another part does.
//!
//! Words are literal. A pattern language would let whoever may configure a channel choose how long each message of a group is looked
//! at, and people look for names.

use std::collections::HashSet;

use claw_store::{Channel, Result, Store, albums};
use claw_types::{Deed, Inbound};
use serde_json::{Map, Value};

/// One channel's words, as they are compared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Names(Vec<String>);

impl Names {
    /// As a channel's fields say, which were checked when they were stored.
    pub(crate) fn of(config: &Map<String, Value>) -> Self {
        let listed = config.get("mention_patterns").and_then(Value::as_array).into_iter().flatten();
        let words = listed.filter_map(Value::as_str).map(plain);
        Self(words.filter(|word| !word.is_empty()).collect())
    }

    /// Has messages of groups address the bot that name it, and with a part of an album all of those that came with it. What a
    /// platform can't tell counts as addressed and stays so.
    pub(crate) fn address(&self, messages: &mut [Inbound]) {
        if !self.0.is_empty() {
            for message in messages.iter_mut().filter(|message| is_unaddressed(message)) {
                if message.text.as_deref().is_some_and(|text| self.occur_in(text)) {
                    message.mentioned = Some(true);
                }
            }
        }
        let addressed = |message: &&Inbound| message.is_group && message.mentioned != Some(false);
        let albums: HashSet<String> = messages.iter().filter(addressed).filter_map(album).collect();
        for message in messages.iter_mut().filter(|message| is_unaddressed(message)) {
            if album(message).is_some_and(|album| albums.contains(&album)) {
                message.mentioned = Some(true);
            }
        }
    }

    fn occur_in(&self, text: &str) -> bool {
        let text = plain(text);
        self.0.iter().any(|word| occurs(word, &text))
    }
}

/// What the album is known as that a message is written as a part of ([`albums::key`]).
pub(crate) fn album(message: &Inbound) -> Option<String> {
    let album = message.album.as_ref().filter(|_| message.deed == Deed::Wrote)?;
    Some(albums::key(&message.conversation(), album))
}

/// Has those parts of albums address the bot of which another part was passed on before. Without any, no query.
///
/// # Errors
/// When the database fails.
pub(crate) async fn address_later_parts(
    store: &Store,
    channel: &Channel,
    messages: &mut [Inbound],
) -> Result<()> {
    let unaddressed = messages.iter().filter(|message| is_unaddressed(message));
    let albums: Vec<String> = unaddressed.filter_map(album).collect();
    if albums.is_empty() {
        return Ok(());
    }
    let known = Box::pin(store.albums_passed_on(channel.id, &albums)).await?;
    for message in messages.iter_mut().filter(|message| is_unaddressed(message)) {
        if album(message).is_some_and(|album| known.contains(&album)) {
            message.mentioned = Some(true);
        }
    }
    Ok(())
}

fn is_unaddressed(message: &Inbound) -> bool {
    message.is_group && message.mentioned == Some(false)
}

/// Without what people don't see: the case, and how words are spaced.
fn plain(text: &str) -> String {
    text.to_lowercase().split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether a word stands in a text by itself, not within another one.
fn occurs(word: &str, text: &str) -> bool {
    text.match_indices(word).any(|(at, found)| {
        let before = text.get(..at).and_then(|text| text.chars().next_back());
        let after = text.get(at + found.len()..).and_then(|text| text.chars().next());
        is_bound(before, found.chars().next()) && is_bound(found.chars().next_back(), after)
    })
}

/// Whether a word can begin or end between these.
fn is_bound(left: Option<char>, right: Option<char>) -> bool {
    !(left.is_some_and(is_of_word) && right.is_some_and(is_of_word))
}

fn is_of_word(c: char) -> bool {
    (c.is_alphanumeric() || c == '_') && !stands_without_spaces(c)
}

/// Scripts that put no spaces between words, or hang endings on names: Thai and its neighbours, Chinese, Japanese, Korean
/// (<https://www.unicode.org/reports/tr29/#Word_Boundaries>). Where a word ends there only a dictionary says.
fn stands_without_spaces(c: char) -> bool {
    matches!(
        u32::from(c),
        0xe00..=0xeff | 0x1000..=0x109f | 0x1780..=0x17ff | 0x2e80..=0x9fff | 0xac00..=0xd7af | 0xf900..=0xfaff
            | 0x2_0000..=0x3_ffff
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn names(words: &[&str]) -> Names {
        Names::of(&Map::from_iter([("mention_patterns".to_owned(), json!(words))]))
    }

    fn said(text: &str) -> Inbound {
        Inbound {
            text: Some(text.to_owned()),
            is_group: true,
            mentioned: Some(false),
            recipient: "room".to_owned(),
            ..Inbound::default()
        }
    }

    fn mentioned(names: &Names, mut messages: Vec<Inbound>) -> Vec<Option<bool>> {
        names.address(&mut messages);
        messages.iter().map(|message| message.mentioned).collect()
    }

    #[test]
    fn words_count_by_themselves_in_any_case() {
        let names = names(&["Claw", "hey bot", "小爪", "c++", "@helper"]);
        for addressed in [
            "claw",
            "CLAW, what is new?",
            "well,claw!",
            "a claw",
            "clawed claw",
            "Hey  Bot",
            "so\nhey\nbot",
            "你好小爪你好",
            "I like C++",
            "ask @helper",
        ] {
            assert_eq!(mentioned(&names, vec![said(addressed)]), [Some(true)], "{addressed}");
        }
        for other in ["clawed", "my_claw", "claw2", "hey, bot", "they bother", "小", "", "c+", "@helpers"] {
            assert_eq!(mentioned(&names, vec![said(other)]), [Some(false)], "{other}");
        }
        assert_eq!(mentioned(&Names::default(), vec![said("claw")]), [Some(false)]);
    }

    #[test]
    fn what_is_addressed_or_no_group_stays_as_it_is() {
        let names = names(&["claw"]);
        for (is_group, before) in [(true, None), (true, Some(true)), (false, Some(false))] {
            let message = Inbound { is_group, mentioned: before, ..said("claw") };
            assert_eq!(mentioned(&names, vec![message]), [before], "{is_group}");
        }
    }

    #[test]
    fn an_album_is_addressed_by_what_is_written_to_any_of_its_parts() {
        let part = |album: &str, text: &str| Inbound { album: Some(album.to_owned()), ..said(text) };
        let hall = Inbound { recipient: "hall".to_owned(), ..part("7", "") };
        let edit = Inbound { deed: Deed::Edited("1".to_owned()), ..part("9", "claw") };
        let messages = vec![
            part("7", ""),
            said("and"),
            part("7", "Claw, look"),
            part("7", ""),
            part("8", ""),
            hall,
            edit,
            part("9", ""),
        ];
        let all = mentioned(&names(&["claw"]), messages);
        let no = Some(false);
        assert_eq!(all, [Some(true), no, Some(true), Some(true), no, no, Some(true), no]);
        let told = Inbound { mentioned: Some(true), ..part("7", "@bot look") };
        assert_eq!(mentioned(&Names::default(), vec![told, part("7", "")]), [Some(true), Some(true)]);
    }

    #[test]
    fn the_field_is_one_of_those_that_the_api_takes() {
        assert!(claw_channels::common::COMMON.iter().any(|field| field.key == "mention_patterns"));
    }
}
