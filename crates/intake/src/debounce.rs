//! Which messages may be joined with what comes after them: those of a channel with `debounce_ms` with what their sender writes
//! on, and the parts of an album with one another where the channel has `join_albums`. A backend that knows nothing of
//! `metadata.attachments` would see one file of an album only, so that is asked for.
//!
//! This is decided when a message is accepted and stored with it, so that neither a change of the channel nor another
//! owner of its shard changes what waits. How bursts are formed of the stored messages is the worker's
//! (`shard-worker/src/shard/queue/burst.rs`).

use claw_types::{Inbound, album};
use serde_json::{Map, Value};

/// One channel's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Debounce {
    ms: u32,
    albums: bool,
}

impl Debounce {
    /// As a channel's fields say, which were checked when they were stored.
    pub(crate) fn of(config: &Map<String, Value>) -> Self {
        let ms = config.get("debounce_ms").and_then(Value::as_u64);
        Self {
            ms: ms.and_then(|ms| u32::try_from(ms).ok()).unwrap_or(0),
            albums: config.get("join_albums").and_then(Value::as_bool).unwrap_or(false),
        }
    }

    /// What is not to be joined is no part of an album, from the first on: neither does one part address the bot for the others.
    pub(crate) fn divide(self, message: &mut Inbound) {
        message.album.take_if(|_| !self.albums);
    }

    /// For how many milliseconds after this message its sender may write on; 0 when it goes alone, at once. Who sent an album
    /// wrote one message, and nobody chooses for how long it takes to arrive.
    pub(crate) fn wait_after(self, message: &Inbound) -> u32 {
        if message.album.is_some() {
            album::WAIT_MS
        } else if self.ms > 0 && may_be_joined(message) {
            self.ms
        } else {
            0
        }
    }
}

/// What a person says in passing: texts, and attachments, which end a burst. A command, a pressed button, a place or what
/// a kind of message that is not known here brings means something by itself.
fn may_be_joined(message: &Inbound) -> bool {
    let text = message.text.as_deref().unwrap_or_default().trim_start();
    let said = message.media.is_some() || (message.content_type == "text" && !text.is_empty());
    said && message.sender.is_some() && !message.sender_is_bot && !text.starts_with('/')
}

#[cfg(test)]
mod tests {
    use claw_types::{MediaKind, MediaRef, Sender};
    use serde_json::json;

    use super::*;

    fn debounce(ms: &Value) -> Debounce {
        Debounce::of(&Map::from_iter([("debounce_ms".to_owned(), ms.clone())]))
    }

    fn said(content_type: &str, text: &str) -> Inbound {
        let sender =
            Sender { platform_id: "42".to_owned(), display_name: "Ada".to_owned(), internal_user: None };
        Inbound {
            sender: Some(sender),
            content_type: content_type.to_owned(),
            text: Some(text.to_owned()),
            ..Inbound::default()
        }
    }

    #[test]
    fn nothing_waits_unless_the_channel_says_so() {
        assert_eq!(Debounce::of(&Map::new()).wait_after(&said("text", "hi")), 0);
        assert_eq!(debounce(&json!(0)).wait_after(&said("text", "hi")), 0);
        assert_eq!(debounce(&json!(1500)).wait_after(&said("text", "hi")), 1500);
    }

    #[test]
    fn texts_and_attachments_may_be_joined_and_nothing_else() {
        let media = MediaRef { kind: MediaKind::Image, handle: "h".to_owned(), filename: None, mime: None };
        let photo = |text| Inbound { media: Some(media.clone()), ..said("image", text) };
        let table = [
            (said("text", "hi"), true),
            (said("text", "and/or"), true),
            (photo(""), true),
            (photo("look"), true),
            (said("text", "/new"), false),
            (said("text", "  /new"), false),
            (photo("/describe"), false),
            (said("text", " "), false),
            (said("button", "yes"), false),
            (said("location", "a place"), false),
            (said("edited", "hi"), false),
            (Inbound { sender: None, ..said("text", "hi") }, false),
            (Inbound { sender_is_bot: true, ..said("text", "hi") }, false),
        ];
        for (message, joined) in table {
            assert_eq!(debounce(&json!(1)).wait_after(&message) > 0, joined, "{message:?}");
        }
    }

    #[test]
    fn a_part_of_an_album_waits_for_the_others_where_the_channel_joins_them() {
        let part = |text| Inbound { album: Some("7".to_owned()), ..said("image", text) };
        let of = |ms: u32, albums: bool| {
            let fields = [("debounce_ms".to_owned(), json!(ms)), ("join_albums".to_owned(), json!(albums))];
            Debounce::of(&Map::from_iter(fields))
        };
        for ms in [0, 60_000] {
            for mut part in [part(""), part("/describe"), Inbound { sender: None, ..part("look") }] {
                of(ms, true).divide(&mut part);
                assert_eq!(of(ms, true).wait_after(&part), album::WAIT_MS, "{ms} {part:?}");
                of(ms, false).divide(&mut part);
                assert_eq!(part.album, None, "it goes by itself");
            }
        }
    }

    #[test]
    fn the_fields_are_among_those_that_the_api_takes() {
        for key in ["debounce_ms", "join_albums"] {
            assert!(claw_channels::common::COMMON.iter().any(|field| field.key == key), "{key}");
        }
    }
}
