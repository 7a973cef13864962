//! Parts as events (<https://spec.matrix.org/latest/client-server-api/#mroommessage>). Pure, so that every event can be checked
//! against the platform's own description.
//!
//! A text goes twice, without formatting and as HTML, and in an edit four times, because programs that know no edits show it as a
//! message. All of it has to fit an event: where it does not, HTML is left out first.

use claw_secrets::signature;
use claw_types::{Location, MediaKind, Poll};
use serde_json::{Map, Value, json};

use super::mention;
use crate::caps::Dialect;
use crate::kit::markdown;
use crate::kit::plan::{Content, Text, part_id};
use crate::{ChannelError, Part};

/// Bytes of an event's content. All of an event has 65,536 (<https://spec.matrix.org/latest/client-server-api/#size-limits>); servers
/// add who wrote it where, what came before it, and hashes and signatures.
pub(super) const MAX_CONTENT: usize = 65_536 - 4096;
/// Bytes of an event's content that is encrypted: as base64 text, with what stands beside it, it has to fit the same.
pub(super) const MAX_SEALED: usize = 44 * 1024;
/// Bytes of a text: both forms fit in a message, and the plain one in an edit whatever signs it has.
pub(super) const MAX_TEXT: usize = 16_000;
/// Bytes of the same without its formatting: addresses that were behind their words stand in it.
const MAX_PLAIN: usize = 2 * MAX_TEXT;
/// The event of a poll. The specification has none: this is the form that programs know until it has, of an accepted proposal
/// (<https://github.com/matrix-org/matrix-spec-proposals/blob/main/proposals/3381-polls.md#unstable-prefix>).
pub(super) const POLL: &str = "org.matrix.msc3381.poll.start";
/// The key of its texts.
const POLL_TEXT: &str = "org.matrix.msc1767.text";
/// How long an account is shown to write, in milliseconds; shown anew every
/// [`super::TYPING_EVERY`] (<https://spec.matrix.org/latest/client-server-api/#typing-notifications>).
const TYPING_MS: u64 = 12_000;

/// An event to be put into a room.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Call {
    /// Its type.
    pub(super) kind: &'static str,
    /// By which the homeserver knows it when it is put there again.
    pub(super) transaction: String,
    /// Its content.
    pub(super) content: Value,
}

/// An attachment that the homeserver has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) mxc: String,
    pub(super) name: String,
    pub(super) content_type: String,
    pub(super) size: usize,
    /// By what it is read, where it is encrypted.
    pub(super) secret: Option<Value>,
}

/// The event that a part is, with a content of so many bytes; of what is taken back, see [`super::send`].
pub(super) fn of_part(part: &Part<'_>, stored: Option<&Stored>, most: usize) -> Result<Call, ChannelError> {
    let mut kind = "m.room.message";
    let mut content = match &part.piece.content {
        Content::Text(text) => said(text),
        Content::Media { media, caption } => {
            let stored = stored
                .ok_or_else(|| ChannelError::Retryable("the attachment was not uploaded".to_owned()))?;
            attached(media.kind, stored, caption.as_ref())
        }
        Content::Location(place) => located(place),
        Content::Poll(poll) => {
            kind = POLL;
            asked(poll)
        }
        Content::Edit { message_id, text: Some(text) } => {
            let content = fitting_edit(text, event_id("message_id", message_id)?, most);
            return Ok(act(part, "m.room.message", content));
        }
        Content::React { message_id, emoji: Some(emoji) } => {
            let to = event_id("message_id", message_id)?;
            let relation = json!({"rel_type": "m.annotation", "event_id": to, "key": emoji});
            return Ok(act(part, "m.reaction", json!({"m.relates_to": relation})));
        }
        _ => return Err(ChannelError::Unsupported("a Matrix room has no such message")),
    };
    if let Some(relation) = relation(part)? {
        content.insert("m.relates_to".to_owned(), relation);
    }
    let content = fitting(content, most);
    Ok(Call { kind, transaction: part_id(part.message_id, part.index), content })
}

/// That the account writes.
pub(super) fn typing() -> Value {
    json!({"typing": true, "timeout": TYPING_MS})
}

/// What the people of an encrypted room are told.
pub(super) fn cant_read() -> Value {
    json!({
        "msgtype": "m.notice", "m.mentions": {},
        "body": "This room is encrypted, and I can't read encrypted messages. Please write to me in a room without encryption: \
                 encryption can't be switched off again, so that has to be a new room.",
    })
}

/// What the people of a room are told whose message's key never came.
pub(super) fn cant_open() -> Value {
    json!({
        "msgtype": "m.notice", "m.mentions": {},
        "body": "I could not read a message here, because its key did not reach me. Please write it again.",
    })
}

/// By which what is done to a message is known when it is done again: unlike a message, the same one may be changed several times in
/// the name of one message of ours, as an answer is that grows.
pub(super) fn act_id(part: &Part<'_>, what: &Value) -> String {
    let hash = signature::sha256(what.to_string().as_bytes());
    format!("{}.{}", part_id(part.message_id, part.index), hex::encode(&hash[..8]))
}

/// An event's id, as a receipt gives it.
pub(super) fn event_id<'i>(key: &str, id: &'i str) -> Result<&'i str, ChannelError> {
    if id.starts_with('$') && id.len() > 1 {
        return Ok(id);
    }
    Err(ChannelError::Permanent(format!(
        "{key} {id:?} is not an event's id: take it from platform_message_id"
    )))
}

/// A room's id, as a message that comes in gives it.
pub(super) fn room_id(recipient: &str) -> Result<&str, ChannelError> {
    if recipient.starts_with('!') && recipient.len() > 1 {
        return Ok(recipient);
    }
    Err(ChannelError::Permanent(format!(
        "recipient {recipient:?} is not a room's id, which is like !abc:example.org: take it from reply_to"
    )))
}

fn act(part: &Part<'_>, kind: &'static str, content: Value) -> Call {
    Call { kind, transaction: act_id(part, &content), content }
}

/// Where a message stands: in a thread, below the message that it answers. What a thread's message answers, programs that know no
/// threads are told (<https://spec.matrix.org/latest/client-server-api/#fallback-for-unthreaded-clients>).
fn relation(part: &Part<'_>) -> Result<Option<Value>, ChannelError> {
    let answered = part.piece.reply_to.as_deref().map(|id| event_id("reply_to", id)).transpose()?;
    let Some(thread) = part.thread_id else {
        return Ok(answered.map(|id| json!({"m.in_reply_to": {"event_id": id}})));
    };
    let thread = event_id("thread_id", thread)?;
    let shown = json!({"event_id": answered.unwrap_or(thread)});
    let falling_back = answered.is_none();
    Ok(Some(json!({
        "rel_type": "m.thread", "event_id": thread, "m.in_reply_to": shown, "is_falling_back": falling_back,
    })))
}

/// A text in both forms.
fn said(text: &Text) -> Map<String, Value> {
    let mut content = worded(text);
    content.insert("msgtype".to_owned(), json!("m.text"));
    content
}

/// The words of a message, with whom they name. Control characters, which nobody sees and of which each takes six bytes of an event, are
/// left out.
fn worded(text: &Text) -> Map<String, Value> {
    let source: String = text.body.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect();
    let (body, html) = if text.formatted {
        let plain = markdown::render(&source, Dialect::Plain, MAX_PLAIN);
        let html = markdown::document(&source, MAX_CONTENT);
        (plain.map_or(source, |plain| plain.body), html)
    } else {
        (source, None)
    };
    let named = mention::named_in(&body);
    let mentions = if named.is_empty() { json!({}) } else { json!({"user_ids": named}) };
    let mut content = Map::from_iter([("m.mentions".to_owned(), mentions), ("body".to_owned(), json!(body))]);
    if let Some(html) = html {
        content.insert("format".to_owned(), json!("org.matrix.custom.html"));
        content.insert("formatted_body".to_owned(), json!(html));
    }
    content
}

/// An attachment; with a caption, its name stands beside it.
fn attached(kind: MediaKind, stored: &Stored, caption: Option<&Text>) -> Map<String, Value> {
    let Stored { mxc, name, content_type, size, secret } = stored;
    let mut content = caption.map(worded).unwrap_or_default();
    content.entry("body").or_insert_with(|| json!(name));
    content.entry("m.mentions").or_insert_with(|| json!({}));
    let msgtype = match kind {
        MediaKind::Image => "m.image",
        MediaKind::Video => "m.video",
        MediaKind::Audio | MediaKind::Voice => "m.audio",
        MediaKind::File => "m.file",
    };
    content.insert("msgtype".to_owned(), json!(msgtype));
    content.insert("filename".to_owned(), json!(name));
    if let Some(secret) = secret {
        let mut file = secret.clone();
        file["url"] = json!(mxc);
        content.insert("file".to_owned(), file);
    } else {
        content.insert("url".to_owned(), json!(mxc));
    }
    content.insert("info".to_owned(), json!({"mimetype": content_type, "size": size}));
    if kind == MediaKind::Voice {
        content.insert("org.matrix.msc3245.voice".to_owned(), json!({}));
    }
    content
}

/// A place (<https://spec.matrix.org/latest/client-server-api/#mlocation>).
fn located(place: &Location) -> Map<String, Value> {
    let Location { latitude, longitude, title, address } = place;
    let words: Vec<_> = [title, address].into_iter().flatten().map(String::as_str).collect();
    let body = if words.is_empty() { format!("{latitude}, {longitude}") } else { words.join(", ") };
    Map::from_iter([
        ("msgtype".to_owned(), json!("m.location")),
        ("m.mentions".to_owned(), json!({})),
        ("body".to_owned(), json!(body)),
        ("geo_uri".to_owned(), json!(format!("geo:{latitude},{longitude}"))),
    ])
}

/// A poll. Its votes are shown while it is open: nobody closes it, and of one that hides them they would never be shown. In a room they
/// are events like any other, so they are never anonymous.
fn asked(poll: &Poll) -> Map<String, Value> {
    let Poll { question, options, multiple, .. } = poll;
    let numbered = options.iter().enumerate().map(|(index, option)| format!("{}. {option}", index + 1));
    let words: Vec<_> = std::iter::once(question.clone()).chain(numbered).collect();
    let answer =
        |(index, option): (usize, &String)| json!({"id": (index + 1).to_string(), POLL_TEXT: option});
    let answers: Vec<_> = options.iter().enumerate().map(answer).collect();
    let most = if *multiple { options.len() } else { 1 };
    let poll = json!({
        "kind": "org.matrix.msc3381.poll.disclosed", "max_selections": most, "question": {POLL_TEXT: question},
        "answers": answers,
    });
    Map::from_iter([(POLL_TEXT.to_owned(), json!(words.join("\n"))), (POLL.to_owned(), poll)])
}

fn fitting(mut content: Map<String, Value>, most: usize) -> Value {
    if length(&content) > most {
        without_html(&mut content);
    }
    Value::Object(content)
}

/// An edit (<https://spec.matrix.org/latest/client-server-api/#event-replacements>). Nobody is told again of being named.
fn fitting_edit(text: &Text, original: &str, most: usize) -> Value {
    let mut new = said(text);
    let mut content = new.clone();
    let star = |value: &mut Value| *value = json!(format!("* {}", value.as_str().unwrap_or_default()));
    ["body", "formatted_body"].iter().filter_map(|key| content.get_mut(*key).map(star)).for_each(drop);
    content.insert("m.mentions".to_owned(), json!({}));
    content.insert("m.relates_to".to_owned(), json!({"rel_type": "m.replace", "event_id": original}));
    let together =
        |content: &Map<String, Value>, new: &Map<String, Value>| length(content) + length(new) + 32;
    if together(&content, &new) > most {
        without_html(&mut content);
    }
    if together(&content, &new) > most {
        without_html(&mut new);
    }
    if together(&content, &new) > most {
        // Only who knows no edits sees it.
        let shown: String = text.plain.chars().take(1000).collect();
        content.insert("body".to_owned(), json!(format!("* {shown}…")));
    }
    content.insert("m.new_content".to_owned(), Value::Object(new));
    Value::Object(content)
}

fn without_html(content: &mut Map<String, Value>) {
    content.remove("format");
    content.remove("formatted_body");
}

fn length(content: &Map<String, Value>) -> usize {
    serde_json::to_vec(content).map_or(usize::MAX, |json| json.len())
}
