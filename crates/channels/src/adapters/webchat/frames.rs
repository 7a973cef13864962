//! What the server says to a page; the other half of the protocol is at the head of the page's script.
//!
//! Must hold: a part that is sent live and the same part read from the history make the same frame, because the page
//! tells by the id what it has shown. So both are planned by the same function and built by the same function. Edits,
//! deletions and reactions are stored in the conversation as messages are, so a page that reads the history comes to the
//! same end as one that was there; only what was deleted is not told to pages that never saw it.

use std::collections::HashSet;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use claw_types::{Act, Button, Direction, Format, Media, MediaKind, MessageId, Outbound, WebhookBody};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tracing::warn;

use super::CAPS;
use crate::kit::plan::{Content, Text, plan};
use crate::{HistoryItem, Part};

/// A frame to the page.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Frame<'a> {
    /// The replay is over.
    Ready,
    /// The visitor's message is stored.
    Ack {
        /// The page's id of it.
        client_id: &'a str,
        /// Ours.
        id: MessageId,
        /// Whether it had been stored before.
        duplicate: bool,
    },
    /// A message of either side.
    Message {
        /// Unique among the conversation's frames.
        id: String,
        /// The message's place.
        seq: i64,
        /// The page's id of it, when a page wrote it.
        client_id: Option<&'a str>,
        /// Which side.
        from: Side,
        /// The text or the caption.
        text: Option<&'a str>,
        /// Whether the text is to be shown as it is.
        #[serde(skip_serializing_if = "Option::is_none")]
        format: Option<Format>,
        /// The attachment.
        media: Option<Attachment<'a>>,
        /// Rows of buttons below it.
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        buttons: &'a [Vec<Button>],
        /// When it was accepted.
        at: DateTime<Utc>,
    },
    /// Another text and other buttons for a message that was sent.
    Edit {
        /// The message's id.
        id: &'a str,
        /// The edit's place.
        seq: i64,
        /// The text; none leaves it as it is.
        text: Option<&'a str>,
        /// Whether the text is to be shown as it is.
        #[serde(skip_serializing_if = "Option::is_none")]
        format: Option<Format>,
        /// Rows of buttons below it, in place of those before.
        buttons: &'a [Vec<Button>],
    },
    /// A message is gone.
    Delete {
        /// The message's id.
        id: &'a str,
        /// The deletion's place.
        seq: i64,
    },
    /// The backend reacted to a message.
    React {
        /// The message's id, or what the backend knows of a visitor's message as its platform's id.
        id: &'a str,
        /// The reaction's place.
        seq: i64,
        /// The reaction; none takes it away.
        emoji: Option<&'a str>,
    },
    /// An answer is being written. Belongs to no place: who is not there does not miss it.
    Typing,
    /// Something was refused; with an id, that message was not stored and is not worth repeating as it is.
    Error {
        /// The page's id of what was refused.
        client_id: Option<&'a str>,
        /// Why, for the person.
        message: &'a str,
    },
}

/// Who wrote.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The person at the page.
    Visitor,
    /// The backend.
    Agent,
}

/// An attachment as the page takes it.
#[derive(Debug, Serialize)]
pub struct Attachment<'a> {
    kind: MediaKind,
    url: &'a str,
    filename: Option<&'a str>,
}

impl Frame<'_> {
    /// As it is sent.
    pub fn json(&self) -> String {
        // Can't fail: no map has keys other than strings. The page ignores what is no frame.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// The id of a message's part.
pub fn part_id(message: MessageId, index: usize) -> String {
    match index {
        0 => message.to_string(),
        _ => format!("{message}:{index}"),
    }
}

/// A part on its way out; `None` for what the page can't show, which is not planned for it.
pub fn of_part<'a>(part: &Part<'a>) -> Option<Frame<'a>> {
    let (seq, buttons) = (part.seq, part.piece.buttons.as_slice());
    let message = |text: Option<&'a Text>, media: Option<&'a Media>| Frame::Message {
        id: part_id(part.message_id, part.index),
        seq,
        client_id: None,
        from: Side::Agent,
        text: text.map(|text| text.body.as_str()),
        format: format_of(text),
        media: media.map(|Media { kind, url, filename }| Attachment {
            kind: *kind,
            url,
            filename: filename.as_deref(),
        }),
        buttons,
        at: part.accepted_at,
    };
    Some(match &part.piece.content {
        Content::Text(text) => message(Some(text), None),
        Content::Media { media, caption } => message(caption.as_ref(), Some(media)),
        Content::Edit { message_id: id, text } => {
            let (text, format) = (text.as_ref().map(|text| text.body.as_str()), format_of(text.as_ref()));
            Frame::Edit { id, seq, text, format, buttons }
        }
        Content::Delete { message_id: id } => Frame::Delete { id, seq },
        Content::React { message_id: id, emoji } => Frame::React { id, seq, emoji: emoji.as_deref() },
        Content::Album { .. } | Content::Location(_) | Content::Poll(_) => return None,
    })
}

/// Said only where it is not the usual Markdown.
fn format_of(text: Option<&Text>) -> Option<Format> {
    text.filter(|text| !text.formatted).map(|_| Format::Plain)
}

/// The messages that others among `items` delete.
pub fn deleted(items: &[HistoryItem]) -> HashSet<String> {
    let outbound = items.iter().filter(|item| item.direction == Direction::Out);
    let acts = outbound.filter_map(|item| serde_json::from_str::<Outbound>(item.payload.get()).ok());
    let ids = acts.filter_map(|message| match message.act {
        Act::Delete { message_ids } => Some(message_ids),
        _ => None,
    });
    ids.flatten().collect()
}

/// A stored message, as frames ready to be sent, without those of messages that are `gone`.
pub fn of_history(item: &HistoryItem, gone: &HashSet<String>) -> Vec<String> {
    let read = match item.direction {
        Direction::In => serde_json::from_str(item.payload.get()).map(|body| vec![of_visitor(item, &body)]),
        Direction::Out => {
            serde_json::from_str(item.payload.get()).map(|message| of_outbound(item, &message, gone))
        }
    };
    read.unwrap_or_else(|error| {
        warn!(message.id = %item.id, %error, "a stored message can't be read; the page goes without it");
        Vec::new()
    })
}

fn of_visitor(item: &HistoryItem, body: &WebhookBody) -> String {
    let platform_id = body.platform_message_id.as_deref();
    // What was on the button is what the visitor said; its data is between the backend and itself.
    let pressed = body.metadata.get("button_text").and_then(Value::as_str);
    Frame::Message {
        id: item.id.to_string(),
        seq: item.seq,
        client_id: platform_id.and_then(|id| id.rsplit_once(':')).map(|(_, client_id)| client_id),
        from: Side::Visitor,
        text: pressed.or(body.text.as_deref()),
        format: None,
        media: None,
        buttons: &[],
        at: item.accepted_at,
    }
    .json()
}

fn of_outbound(item: &HistoryItem, message: &Outbound, gone: &HashSet<String>) -> Vec<String> {
    // What can't be planned was never sent.
    let pieces = plan(message, &CAPS).map(|plan| plan.parts).unwrap_or_default();
    let frame = |(index, piece)| {
        let part = Part {
            message_id: item.id,
            seq: item.seq,
            index,
            recipient: &message.recipient,
            thread_id: message.thread_id.as_deref(),
            piece,
            accepted_at: item.accepted_at,
        };
        let frame = of_part(&part)?;
        let hidden = match &frame {
            Frame::Message { id, .. } => gone.contains(id),
            Frame::Edit { id, .. } => gone.contains(*id),
            _ => false,
        };
        (!hidden).then(|| frame.json())
    };
    pieces.iter().enumerate().filter_map(frame).collect()
}

/// The place of the message in a frame that came over the bus, 0 when it belongs to no place; `None` when it is no frame.
pub fn seq_of(frame: &Bytes) -> Option<i64> {
    #[derive(Deserialize)]
    struct Placed {
        #[serde(rename = "type")]
        _type: String,
        #[serde(default)]
        seq: i64,
    }
    serde_json::from_slice::<Placed>(frame).ok().map(|placed| placed.seq)
}

#[cfg(test)]
pub mod tests {
    use std::sync::Arc;

    use serde_json::value::to_raw_value;
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;
    use crate::adapters::webchat::{Config, Webchat};
    use crate::adapters::webhook::testing::{Recorder, deps};
    use crate::{Adapter as _, Channel as _};

    /// An answer of the backend's, stored as message number `seq`.
    pub fn answer(seq: i64, recipient: &str, text: &str, media: Vec<Media>) -> HistoryItem {
        let (recipient, text) = (recipient.to_owned(), Some(text.to_owned()));
        stored(seq, &Outbound { recipient, text, media, ..Outbound::default() })
    }

    /// Something of the backend's, stored as message number `seq`.
    pub fn stored(seq: i64, message: &Outbound) -> HistoryItem {
        HistoryItem {
            id: MessageId(Uuid::from_u128(u128::try_from(seq).unwrap())),
            seq,
            direction: Direction::Out,
            payload: to_raw_value(message).unwrap(),
            accepted_at: DateTime::UNIX_EPOCH,
        }
    }

    /// Sends a stored message as its channel's owner does; what it published.
    pub async fn send(item: &HistoryItem) -> Vec<Bytes> {
        let live = Arc::new(Recorder::default());
        let channel = Webchat::new(Config::default(), deps(live.clone())).unwrap();
        let message: Outbound = serde_json::from_str(item.payload.get()).unwrap();
        for (index, piece) in plan(&message, channel.caps()).unwrap().parts.iter().enumerate() {
            let part = Part {
                message_id: item.id,
                seq: item.seq,
                index,
                recipient: &message.recipient,
                thread_id: None,
                piece,
                accepted_at: item.accepted_at,
            };
            let receipt = channel.send(&part).await.unwrap();
            let id = piece.content.target().map_or_else(|| part_id(item.id, index), str::to_owned);
            assert_eq!(receipt.platform_message_id, id);
        }
        let published = std::mem::take(&mut *live.0.lock().unwrap());
        assert!(published.iter().all(|(_, conversation, _)| *conversation == message.recipient));
        published.into_iter().map(|(_, _, frame)| frame).collect()
    }

    fn media(kind: MediaKind) -> Media {
        Media { kind, url: "https://x/y".to_owned(), filename: Some("y".to_owned()) }
    }

    fn act(seq: i64, act: Act) -> HistoryItem {
        stored(seq, &Outbound { recipient: "c".to_owned(), act, ..Outbound::default() })
    }

    fn rich() -> Outbound {
        serde_json::from_value(json!({
            "recipient": "c", "text": "*pick*", "format": "plain",
            "buttons": [[{"text": "Yes", "data": "y"}, {"text": "Site", "url": "https://x"}]],
            "poll": {"question": "q", "options": ["a", "b"]},
        }))
        .unwrap()
    }

    #[tokio::test]
    async fn the_history_and_the_live_way_make_the_same_frames() {
        let cases = [
            answer(1, "c", "hello", vec![]),
            answer(2, "c", "see", vec![media(MediaKind::Image), media(MediaKind::File)]),
            answer(3, "c", "", vec![media(MediaKind::Voice)]),
            answer(4, "c", &"word ".repeat(20_000), vec![media(MediaKind::Video)]),
            stored(5, &rich()),
            stored(6, &Outbound { act: Act::Edit { message_id: "m".into() }, poll: None, ..rich() }),
            act(7, Act::Delete { message_ids: vec!["m".into(), "m:1".into()] }),
            act(8, Act::React { message_id: "m".into(), emoji: Some("👍".into()) }),
        ];
        for (item, count) in cases.iter().zip([1, 2, 1, 3, 1, 1, 2, 1]) {
            let live = send(item).await;
            assert_eq!(live.len(), count);
            assert_eq!(
                of_history(item, &HashSet::new()),
                live.iter().map(|f| String::from_utf8(f.to_vec()).unwrap()).collect::<Vec<_>>()
            );
            assert!(live.iter().all(|frame| seq_of(frame) == Some(item.seq)));
        }
    }

    #[test]
    fn frames_are_as_the_page_expects_them() {
        let item = answer(2, "c", "see", vec![media(MediaKind::Image), media(MediaKind::File)]);
        let frames: Vec<Value> = of_history(&item, &HashSet::new())
            .iter()
            .map(|frame| serde_json::from_str(frame).unwrap())
            .collect();
        let id = "00000000-0000-0000-0000-000000000002";
        let attachment = |kind: &str| json!({"kind": kind, "url": "https://x/y", "filename": "y"});
        assert_eq!(
            frames,
            [
                json!({"type": "message", "id": id, "seq": 2, "client_id": null, "from": "agent", "text": "see",
                "media": attachment("image"), "at": "1970-01-01T00:00:00Z"}),
                json!({"type": "message", "id": format!("{id}:1"), "seq": 2, "client_id": null, "from": "agent",
                "text": null, "media": attachment("file"), "at": "1970-01-01T00:00:00Z"}),
            ]
        );
        assert_eq!(Frame::Ready.json(), r#"{"type":"ready"}"#);
    }

    #[test]
    fn what_is_new_is_as_the_page_expects_it() {
        let frames = |item: &HistoryItem| -> Vec<Value> {
            let frames = of_history(item, &HashSet::new());
            frames.iter().map(|frame| serde_json::from_str(frame).unwrap()).collect()
        };
        let buttons = json!([[{"text": "Yes", "data": "y"}, {"text": "Site", "url": "https://x"}]]);
        assert_eq!(
            frames(&stored(1, &Outbound { poll: None, ..rich() })),
            [
                json!({"type": "message", "id": "00000000-0000-0000-0000-000000000001", "seq": 1, "client_id": null,
                "from": "agent", "text": "*pick*", "format": "plain", "media": null, "buttons": buttons,
                "at": "1970-01-01T00:00:00Z"})
            ]
        );
        let edit = Outbound { act: Act::Edit { message_id: "m".into() }, poll: None, ..rich() };
        assert_eq!(
            frames(&stored(2, &Outbound { format: Format::Markdown, ..edit })),
            [json!({"type": "edit", "id": "m", "seq": 2, "text": "*pick*", "buttons": buttons})]
        );
        assert_eq!(
            frames(&act(3, Act::Delete { message_ids: vec!["m".into()] })),
            [json!({"type": "delete", "id": "m", "seq": 3})]
        );
        assert_eq!(
            frames(&act(4, Act::React { message_id: "m".into(), emoji: None })),
            [json!({"type": "react", "id": "m", "seq": 4, "emoji": null})]
        );
        assert_eq!(Frame::Typing.json(), r#"{"type":"typing"}"#);
        assert_eq!(seq_of(&Frame::Typing.json().into()), Some(0));
    }

    #[test]
    fn what_was_deleted_is_not_told_again() {
        let items = [
            answer(1, "c", "secret", vec![]),
            answer(2, "c", "see", vec![media(MediaKind::Image), media(MediaKind::File)]),
            act(3, Act::Edit { message_id: part_id(MessageId(Uuid::from_u128(1)), 0) }),
            act(
                4,
                Act::Delete {
                    message_ids: vec![
                        part_id(MessageId(Uuid::from_u128(1)), 0),
                        part_id(MessageId(Uuid::from_u128(2)), 1),
                    ],
                },
            ),
        ];
        let gone = deleted(&items);
        let counts: Vec<_> = items.iter().map(|item| of_history(item, &gone).len()).collect();
        assert_eq!(counts, [0, 1, 0, 2]);
    }

    #[test]
    fn what_is_no_message_is_left_out() {
        let item = HistoryItem { payload: to_raw_value(&json!({})).unwrap(), ..answer(1, "c", "x", vec![]) };
        assert!(of_history(&item, &HashSet::new()).is_empty());
        assert_eq!(seq_of(&Bytes::from_static(b"noise")), None);
    }
}
