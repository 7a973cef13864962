//! What the server says to a page; the other half of the protocol is at the head of the page's script.
//!
//! Must hold: a part that is sent live and the same part read from the history make the same frame, because the page
//! tells by the id what it has shown. So both are planned by the same function and built by the same function. Edits,
//! deletions and reactions are stored in the conversation as messages are, so a page that reads the history comes to the
//! same end as one that was there; only what was deleted is not told to pages that never saw it.
//!
//! Pages that were opened before know fewer keys than there are: what has a key of its own (a poll, a place) is in the text, too, as
//! on platforms that don't have it, and an album's first attachment is where a single one is.

mod shown;

use std::borrow::Cow;
use std::collections::HashSet;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use claw_types::bodies::event;
use claw_types::{Act, Button, Direction, Format, Location, MessageId, Outbound, Poll, WebhookBody};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tracing::warn;

pub use self::shown::Offered;
use self::shown::{Attachment, Below, Shown};
use super::CAPS;
use crate::kit::plan::{Content, Text, part_id, plan};
use crate::{Draft, HistoryItem, Part};

/// A frame to the page.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Frame<'a> {
    /// The replay is over.
    Ready {
        /// What the visitor may do to its own messages: the channel's field `events`.
        can: &'a [String],
        /// Whether the page may tell what arrived and was read; pages ask nothing of versions that do not say it.
        receipts: bool,
        /// What the visitor is offered to write.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        commands: Vec<Offered<'a>>,
    },
    /// The visitor's message, or what the visitor did to one, is stored.
    Ack {
        /// The page's id of it.
        client_id: &'a str,
        /// Ours; none of what was noted and is no message.
        id: Option<MessageId>,
        /// Its place, where it is new and has one: a socket does not repeat to its page what that wrote, so nothing else tells it.
        #[serde(skip_serializing_if = "Option::is_none")]
        seq: Option<i64>,
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
        /// The id of the message that it answers, as of [`Frame::React`].
        #[serde(skip_serializing_if = "Option::is_none")]
        reply_to: Option<&'a str>,
        /// What the visitor pressed to say it.
        #[serde(skip_serializing_if = "Option::is_none")]
        pressed: Option<Below<'a>>,
        /// The text or the caption; of a poll and of a place what they are in words.
        text: Option<Cow<'a, str>>,
        /// Whether the text is to be shown as it is.
        #[serde(skip_serializing_if = "Option::is_none")]
        format: Option<Format>,
        /// The attachment, or the first of several.
        media: Option<Attachment<'a>>,
        /// The others.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        album: Vec<Attachment<'a>>,
        /// A poll, shown in place of the text.
        #[serde(skip_serializing_if = "Option::is_none")]
        poll: Option<&'a Poll>,
        /// A place, shown in place of the text.
        #[serde(skip_serializing_if = "Option::is_none")]
        location: Option<&'a Location>,
        /// Rows of buttons below it.
        #[serde(skip_serializing_if = "<[_]>::is_empty")]
        buttons: &'a [Vec<Button>],
        /// When it was accepted.
        at: DateTime<Utc>,
        /// The draft whose place it takes.
        #[serde(skip_serializing_if = "Option::is_none")]
        replaces: Option<MessageId>,
    },
    /// What there is of an answer that is still being written. Belongs to no place: who is not there sees the whole answer later.
    Draft {
        /// Names it, and later the message that takes its place does.
        id: MessageId,
        /// The text so far.
        text: &'a str,
        /// Whether the text is to be shown as it is.
        #[serde(skip_serializing_if = "Option::is_none")]
        format: Option<Format>,
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

impl Frame<'_> {
    /// As it is sent.
    pub fn json(&self) -> String {
        // Can't fail: no map has keys other than strings. The page ignores what is no frame.
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// A part on its way out.
pub fn of_part<'a>(part: &Part<'a>) -> Option<Frame<'a>> {
    let (seq, buttons) = (part.seq, part.piece.buttons.as_slice());
    Some(match &part.piece.content {
        Content::Edit { message_id: id, text } => {
            let (text, format) = (text.as_ref().map(|text| text.body.as_str()), format_of(text.as_ref()));
            Frame::Edit { id, seq, text, format, buttons }
        }
        Content::Delete { message_id: id } => Frame::Delete { id, seq },
        Content::React { message_id: id, emoji } => Frame::React { id, seq, emoji: emoji.as_deref() },
        content => {
            let Shown { text, format, media, album, poll, location } = Shown::of(content)?;
            Frame::Message {
                id: part_id(part.message_id, part.index),
                seq,
                client_id: None,
                from: Side::Agent,
                reply_to: part.piece.reply_to.as_deref(),
                pressed: None,
                text,
                format,
                media,
                album,
                poll,
                location,
                buttons,
                at: part.accepted_at,
                replaces: part.replaces.filter(|_| part.index == 0),
            }
        }
    })
}

/// An answer that is still being written.
pub fn of_draft<'a>(draft: &Draft<'a>) -> Frame<'a> {
    Frame::Draft { id: draft.question, text: &draft.text.body, format: format_of(Some(draft.text)) }
}

/// Said only where it is not the usual Markdown.
fn format_of(text: Option<&Text>) -> Option<Format> {
    text.filter(|text| !text.formatted).map(|_| Format::Plain)
}

/// The messages that others among `items` delete.
pub fn deleted(items: &[HistoryItem]) -> HashSet<String> {
    // Looked for before it is parsed: next to none of a visitor's are deletions.
    let inbound = items
        .iter()
        .filter(|item| item.direction == Direction::In && item.payload.get().contains(event::DELETED));
    let taken_back = inbound.filter_map(|item| {
        let body: WebhookBody = serde_json::from_str(item.payload.get()).ok()?;
        done_to(&body, event::DELETED, event::DELETED_ID).map(str::to_owned)
    });
    let outbound = items.iter().filter(|item| item.direction == Direction::Out);
    let acts = outbound.filter_map(|item| serde_json::from_str::<Outbound>(item.payload.get()).ok());
    let ids = acts.filter_map(|message| match message.act {
        Act::Delete { message_ids } => Some(message_ids),
        _ => None,
    });
    ids.flatten().chain(taken_back).collect()
}

/// The message that a stored one of the visitor's tells this of; `None` when it tells something else.
fn done_to<'a>(body: &'a WebhookBody, what: &str, id: &str) -> Option<&'a str> {
    let is = body.metadata.get("event").and_then(Value::as_str) == Some(what);
    body.metadata.get(id).and_then(Value::as_str).filter(|_| is)
}

/// A stored message, as frames ready to be sent, without those of messages that are `gone`.
pub fn of_history(item: &HistoryItem, gone: &HashSet<String>) -> Vec<String> {
    let read = match item.direction {
        Direction::In => serde_json::from_str(item.payload.get()).map(|body| of_visitor(item, &body, gone)),
        Direction::Out => {
            serde_json::from_str(item.payload.get()).map(|message| of_outbound(item, &message, gone))
        }
    };
    read.unwrap_or_else(|error| {
        warn!(message.id = %item.id, %error, "a stored message can't be read; the page goes without it");
        Vec::new()
    })
}

fn of_visitor(item: &HistoryItem, body: &WebhookBody, gone: &HashSet<String>) -> Vec<String> {
    let (seq, text) = (item.seq, body.text.as_deref());
    if let Some(id) = done_to(body, event::EDITED, event::EDITED_ID) {
        let frame = Frame::Edit { id, seq, text, format: None, buttons: &[] };
        return if gone.contains(id) { Vec::new() } else { vec![frame.json()] };
    }
    if let Some(id) = done_to(body, event::DELETED, event::DELETED_ID) {
        return vec![Frame::Delete { id, seq }.json()];
    }
    // The page has its own thumbs, and what the visitor did not write is an event for the backend that shares the conversation.
    let reacted = done_to(body, event::REACTION, event::ANSWER_ID).is_some();
    if reacted || body.sender.is_none() || gone.contains(&item.id.to_string()) {
        return Vec::new();
    }
    let platform_id = body.platform_message_id.as_deref();
    let told = |key: &str| body.metadata.get(key).and_then(Value::as_str);
    // What was on the button is what the visitor said; its data is between the backend and itself.
    let pressed = told("button_text");
    let frame = Frame::Message {
        id: item.id.to_string(),
        seq: item.seq,
        client_id: platform_id.and_then(|id| id.rsplit_once(':')).map(|(_, client_id)| client_id),
        from: Side::Visitor,
        reply_to: told("reply_to_message"),
        pressed: pressed.and_then(|_| told("message_id")).map(|message_id| Below { message_id }),
        text: pressed.or(body.text.as_deref()).map(Cow::Borrowed),
        format: None,
        media: item.media.as_ref().map(Attachment::of),
        album: Vec::new(),
        poll: None,
        location: None,
        buttons: &[],
        at: item.accepted_at,
        replaces: None,
    };
    vec![frame.json()]
}

fn of_outbound(item: &HistoryItem, message: &Outbound, gone: &HashSet<String>) -> Vec<String> {
    // A message is deleted whole, which is known by its first part's id. The others may be new to us: a version before may have sent
    // what is several parts today as one.
    if gone.contains(&part_id(item.id, 0)) {
        return Vec::new();
    }
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
            replaces: message.replaces,
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
pub mod tests;
