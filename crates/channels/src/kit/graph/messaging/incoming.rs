//! What people wrote and did, out of webhook events
//! (<https://developers.facebook.com/documentation/business-messaging/messenger-platform/webhooks/webhook-events>,
//! <https://developers.facebook.com/documentation/business-messaging/instagram-messaging/webhooks>).
//!
//! Messages of a conversation that another app has taken over (`standby`) are left alone. An event that can't be read must not hide
//! the others.

use chrono::{DateTime, Utc};
use claw_types::limits::is_emoji;
use claw_types::{Answered, Deed, Ident, Inbound, Named, Reaction, Receipts, Sender};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::attachment::Attachments;
use crate::kit::graph::posted::{Posted, entries, parsed};

/// Reads a body that is known to be genuine: what was done in conversations of `account` (of any, if not given) on the platform that
/// calls itself `object`.
///
/// # Errors
/// What is wrong with it.
pub fn read(body: &[u8], object: &str, account: Option<&str>) -> Result<Posted, String> {
    let mut read = Posted::default();
    for entry in entries(body, object)?.into_iter().filter_map(parsed::<Entry<'_>>) {
        if account.is_some_and(|account| entry.id.0 != account) {
            read.elsewhere.extend(std::iter::repeat_n(entry.id.0, entry.messaging.len()));
            continue;
        }
        let events = entry.messaging.into_iter().filter_map(parsed::<Event>);
        read.messages.extend(events.flat_map(understood));
    }
    Ok(read)
}

#[derive(Deserialize)]
struct Entry<'a> {
    id: Ident,
    #[serde(borrow, default)]
    messaging: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Event {
    sender: Option<Party>,
    recipient: Option<Party>,
    /// Milliseconds, at times as a text.
    timestamp: Option<Value>,
    message: Option<Message>,
    postback: Option<Postback>,
    reaction: Option<Reacted>,
    message_edit: Option<Changed>,
    delivery: Option<Delivery>,
    read: Option<Read>,
}

#[derive(Deserialize)]
struct Party {
    id: Ident,
}

#[derive(Deserialize)]
struct Message {
    mid: String,
    text: Option<String>,
    #[serde(default)]
    is_echo: bool,
    #[serde(default)]
    is_deleted: bool,
    quick_reply: Option<QuickReply>,
    reply_to: Option<ReplyTo>,
    attachments: Option<Attachments>,
}

#[derive(Deserialize)]
struct QuickReply {
    payload: String,
}

/// A message or, on Instagram, a story.
#[derive(Deserialize)]
struct ReplyTo {
    mid: Option<String>,
    story: Option<Value>,
}

#[derive(Deserialize)]
struct Postback {
    mid: Option<String>,
    title: Option<String>,
    payload: String,
}

#[derive(Deserialize)]
struct Reacted {
    mid: String,
    action: String,
    emoji: Option<String>,
    /// The emoji in a word.
    reaction: Option<String>,
}

#[derive(Deserialize)]
struct Changed {
    mid: String,
    text: Option<String>,
    num_edit: Value,
}

/// Messages, if the person's program tells which, else only a time
/// (<https://developers.facebook.com/documentation/business-messaging/messenger-platform/webhooks/webhook-events/message-deliveries>).
#[derive(Deserialize)]
struct Delivery {
    #[serde(default)]
    mids: Vec<String>,
    watermark: Option<Value>,
}

/// On Instagram a message, on Messenger a time: all that was sent until then was read
/// (<https://developers.facebook.com/documentation/business-messaging/messenger-platform/webhooks/webhook-events/message-reads>).
#[derive(Deserialize)]
struct Read {
    mid: Option<String>,
    watermark: Option<Value>,
}

fn understood(event: Event) -> Vec<Inbound> {
    let is_echo = event.message.as_ref().is_some_and(|message| message.is_echo);
    let (Some(sender), Some(recipient)) = (event.sender, event.recipient) else { return Vec::new() };
    let time = event.timestamp.as_ref().and_then(millis);
    let person = if is_echo { &recipient } else { &sender };
    let base = Inbound {
        recipient: person.id.0.clone(),
        // Neither platform tells names unless it is asked for them (`profile`).
        sender: Some(Sender {
            display_name: sender.id.0.clone(),
            platform_id: sender.id.0.clone(),
            internal_user: None,
        }),
        is_own: is_echo,
        mentioned: Some(true),
        timestamp: time.and_then(DateTime::<Utc>::from_timestamp_millis),
        metadata: Map::from_iter([("chat_id".to_owned(), json!(person.id.0))]),
        ..Inbound::default()
    };
    if let Some(message) = event.message {
        return messages(&base, message);
    }
    let moment = time.unwrap_or_default();
    let one = event.postback.map(|postback| pressed(base.clone(), postback, moment));
    let one = one.or_else(|| event.reaction.and_then(|reaction| reacted(base.clone(), reaction, moment)));
    let one = one.or_else(|| event.message_edit.and_then(|edit| edited(base.clone(), edit)));
    let delivered = |told: Delivery| received(base.clone(), told.mids, told.watermark.as_ref(), false);
    let one = one.or_else(|| event.delivery.and_then(delivered));
    let read =
        |told: Read| received(base.clone(), told.mid.into_iter().collect(), told.watermark.as_ref(), true);
    one.or_else(|| event.read.and_then(read)).into_iter().collect()
}

fn millis(timestamp: &Value) -> Option<i64> {
    timestamp.as_i64().or_else(|| timestamp.as_str()?.parse().ok())
}

/// One for each attachment, because a message has one here; the text goes with the first.
fn messages(base: &Inbound, message: Message) -> Vec<Inbound> {
    let Message { mid, text, is_deleted, quick_reply, reply_to, attachments, .. } = message;
    if is_deleted {
        return vec![Inbound {
            dedup_key: Some(format!("deleted:{mid}")),
            platform_message_id: Some(mid.clone()),
            deed: Deed::Deleted(mid),
            content_type: "text".to_owned(),
            ..base.clone()
        }];
    }
    let mut metadata = base.metadata.clone();
    if let Some(story) = reply_to.as_ref().and_then(|to| to.story.as_ref()?.get("id")) {
        metadata.insert("story_id".to_owned(), story.clone());
    }
    let answered = reply_to.and_then(|to| to.mid);
    let base = Inbound {
        answers: answered.map(|message_id| Answered { message_id, is_own: None }),
        platform_message_id: Some(mid.clone()),
        metadata,
        ..base.clone()
    };
    if let Some(QuickReply { payload }) = quick_reply {
        return vec![button(Inbound { dedup_key: Some(mid), ..base }, payload, text)];
    }
    let shown = attachments.map(Attachments::shown).unwrap_or_default().into_iter();
    let mut parts: Vec<_> = shown.map(|one| one.read(base.clone())).collect();
    if parts.is_empty() {
        parts.push(Inbound { content_type: "text".to_owned(), ..base });
    }
    for (n, part) in parts.iter_mut().enumerate() {
        part.dedup_key = Some(if n == 0 { mid.clone() } else { format!("{mid}:{n}") });
    }
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        let first = &mut parts[0];
        first.text = match first.text.take() {
            // The preview of a link says nothing that its writer did not.
            Some(more) if first.content_type != "text" => Some(format!("{text}\n{more}")),
            _ => Some(text),
        };
    }
    if parts.len() == 1 && parts[0].content_type == "text" && parts[0].text.is_none() {
        // A kind that did not exist when this was written, or one that the platform does not pass on.
        "other".clone_into(&mut parts[0].content_type);
    }
    parts
}

/// A button that was pressed: only one below a message of ours can be.
fn button(base: Inbound, data: String, title: Option<String>) -> Inbound {
    let mut metadata = base.metadata;
    metadata.insert("callback_data".to_owned(), json!(data));
    if let Some(title) = title {
        metadata.insert("button_text".to_owned(), json!(title));
    }
    Inbound { content_type: "button".to_owned(), text: Some(data), metadata, ..base }
}

fn pressed(base: Inbound, postback: Postback, moment: i64) -> Inbound {
    let key = postback.mid.clone().unwrap_or_else(|| format!("{}:{moment}", base.recipient));
    let base = Inbound {
        dedup_key: Some(format!("postback:{key}")),
        platform_message_id: postback.mid.or(Some(key)),
        ..base
    };
    button(base, postback.payload, postback.title)
}

fn reacted(base: Inbound, reacted: Reacted, moment: i64) -> Option<Inbound> {
    let emoji = reacted.emoji.or(reacted.reaction).filter(|emoji| is_emoji(emoji))?;
    let mut reaction = Reaction { to: reacted.mid, ..Reaction::default() };
    match reacted.action.as_str() {
        "react" => reaction.added.push(emoji),
        "unreact" => reaction.removed.push(emoji),
        _ => return None,
    }
    Some(Inbound {
        dedup_key: Some(format!("reaction:{}:{moment}:{}", base.recipient, reaction.to)),
        platform_message_id: Some(reaction.to.clone()),
        deed: Deed::Reacted(reaction),
        content_type: "text".to_owned(),
        ..base
    })
}

fn edited(base: Inbound, edit: Changed) -> Option<Inbound> {
    let number = edit.num_edit.as_i64().or_else(|| edit.num_edit.as_str()?.parse().ok())?;
    // The first version is told as a message.
    (number > 0).then(|| Inbound {
        dedup_key: Some(format!("edit:{number}:{}", edit.mid)),
        platform_message_id: Some(edit.mid.clone()),
        deed: Deed::Edited(edit.mid),
        content_type: "text".to_owned(),
        text: edit.text,
        ..base
    })
}

/// Messages of ours arrived, or were read: those, or all up to a time.
fn received(base: Inbound, mids: Vec<String>, watermark: Option<&Value>, read: bool) -> Option<Inbound> {
    let how = if read { "read" } else { "delivered" };
    let (key, messages): (String, Vec<Named>) = if let Some(mid) = mids.first() {
        (format!("{how}:{mid}"), mids.into_iter().map(Named::Platform).collect())
    } else {
        let moment = watermark.and_then(millis)?;
        let until = DateTime::<Utc>::from_timestamp_millis(moment)?;
        (format!("{how}:{}:{moment}", base.recipient), vec![Named::UpTo(until)])
    };
    Some(Inbound {
        dedup_key: Some(key),
        deed: Deed::Received(Receipts { messages, read, failed: None }),
        content_type: "text".to_owned(),
        ..base
    })
}
