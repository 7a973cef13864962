//! What the server says to a page; the other half of the protocol is at the head of the page's script.
//!
//! Must hold: a part that is sent live and the same part read from the history make the same frame, because the page
//! tells by the id what it has shown. So both are cut by the same splitter and built by the same function.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use claw_types::{Direction, Media, MediaKind, MessageId, Outbound, WebhookBody};
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::CAPS;
use crate::kit::split::parts;
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
        /// The attachment.
        media: Option<Attachment<'a>>,
        /// When it was accepted.
        at: DateTime<Utc>,
    },
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

/// A part on its way out.
pub fn of_part<'a>(part: &Part<'a>) -> Frame<'a> {
    let media = part.media.map(|Media { kind, url, filename }| Attachment {
        kind: *kind,
        url,
        filename: filename.as_deref(),
    });
    Frame::Message {
        id: part_id(part.message_id, part.index),
        seq: part.seq,
        client_id: None,
        from: Side::Agent,
        text: part.text,
        media,
        at: part.accepted_at,
    }
}

/// A stored message, as frames ready to be sent.
pub fn of_history(item: &HistoryItem) -> Vec<String> {
    let read = match item.direction {
        Direction::In => serde_json::from_str(item.payload.get()).map(|body| of_visitor(item, &body)),
        Direction::Out => serde_json::from_str(item.payload.get()).map(|message| of_outbound(item, &message)),
    };
    read.unwrap_or_else(|error| {
        warn!(message.id = %item.id, %error, "a stored message can't be read; the page goes without it");
        Vec::new()
    })
}

fn of_visitor(item: &HistoryItem, body: &WebhookBody) -> Vec<String> {
    // An event for the backend that shares the conversation; the visitor did not write it.
    if body.sender.is_none() {
        return Vec::new();
    }
    let platform_id = body.platform_message_id.as_deref();
    let frame = Frame::Message {
        id: item.id.to_string(),
        seq: item.seq,
        client_id: platform_id.and_then(|id| id.rsplit_once(':')).map(|(_, client_id)| client_id),
        from: Side::Visitor,
        text: body.text.as_deref(),
        media: None,
        at: item.accepted_at,
    };
    vec![frame.json()]
}

fn of_outbound(item: &HistoryItem, message: &Outbound) -> Vec<String> {
    let contents = parts(message, &CAPS);
    let frame = |(index, content): (usize, &crate::kit::split::Content)| {
        let part = Part {
            message_id: item.id,
            seq: item.seq,
            index,
            recipient: &message.recipient,
            thread_id: message.thread_id.as_deref(),
            text: content.text.as_deref(),
            media: content.media.as_ref(),
            accepted_at: item.accepted_at,
        };
        of_part(&part).json()
    };
    contents.iter().enumerate().map(frame).collect()
}

/// The place of the message in a frame that came over the bus; `None` when it is no such frame.
pub fn seq_of(frame: &Bytes) -> Option<i64> {
    #[derive(Deserialize)]
    struct Placed {
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
        let message = Outbound {
            recipient: recipient.to_owned(),
            text: Some(text.to_owned()),
            media,
            ..Outbound::default()
        };
        HistoryItem {
            id: MessageId(Uuid::from_u128(u128::try_from(seq).unwrap())),
            seq,
            direction: Direction::Out,
            payload: to_raw_value(&message).unwrap(),
            accepted_at: DateTime::UNIX_EPOCH,
        }
    }

    /// Sends a stored message as its channel's owner does; what it published.
    pub async fn send(item: &HistoryItem) -> Vec<Bytes> {
        let live = Arc::new(Recorder::default());
        let channel = Webchat::new(Config::default(), deps(live.clone())).unwrap();
        let message: Outbound = serde_json::from_str(item.payload.get()).unwrap();
        for (index, content) in parts(&message, channel.caps()).iter().enumerate() {
            let part = Part {
                message_id: item.id,
                seq: item.seq,
                index,
                recipient: &message.recipient,
                thread_id: None,
                text: content.text.as_deref(),
                media: content.media.as_ref(),
                accepted_at: item.accepted_at,
            };
            let receipt = channel.send(&part).await.unwrap();
            assert_eq!(receipt.platform_message_id, part_id(item.id, index));
        }
        let published = std::mem::take(&mut *live.0.lock().unwrap());
        assert!(published.iter().all(|(_, conversation, _)| *conversation == message.recipient));
        published.into_iter().map(|(_, _, frame)| frame).collect()
    }

    fn media(kind: MediaKind) -> Media {
        Media { kind, url: "https://x/y".to_owned(), filename: Some("y".to_owned()) }
    }

    #[tokio::test]
    async fn the_history_and_the_live_way_make_the_same_frames() {
        let cases = [
            answer(1, "c", "hello", vec![]),
            answer(2, "c", "see", vec![media(MediaKind::Image), media(MediaKind::File)]),
            answer(3, "c", "", vec![media(MediaKind::Voice)]),
            answer(4, "c", &"word ".repeat(20_000), vec![media(MediaKind::Video)]),
        ];
        for (item, count) in cases.iter().zip([1, 2, 1, 3]) {
            let live = send(item).await;
            assert_eq!(live.len(), count);
            assert_eq!(
                of_history(item),
                live.iter().map(|f| String::from_utf8(f.to_vec()).unwrap()).collect::<Vec<_>>()
            );
            assert!(live.iter().all(|frame| seq_of(frame) == Some(item.seq)));
        }
    }

    #[test]
    fn frames_are_as_the_page_expects_them() {
        let item = answer(2, "c", "see", vec![media(MediaKind::Image), media(MediaKind::File)]);
        let frames: Vec<Value> =
            of_history(&item).iter().map(|frame| serde_json::from_str(frame).unwrap()).collect();
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
    fn what_is_no_message_is_left_out() {
        let item = HistoryItem { payload: to_raw_value(&json!({})).unwrap(), ..answer(1, "c", "x", vec![]) };
        assert!(of_history(&item).is_empty());
        assert_eq!(seq_of(&Bytes::from_static(b"noise")), None);
    }
}
