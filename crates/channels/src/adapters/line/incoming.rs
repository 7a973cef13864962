//! What people wrote, out of webhook events (<https://developers.line.biz/en/reference/messaging-api/#webhook-event-objects>).
//!
//! Events that are no message, such as a person who follows the account, are nothing to an agent and are left out.

use chrono::{DateTime, Utc};
use claw_types::{Answered, Deed, Inbound, MediaKind, MediaRef, Sender};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::tokens::{Given, KEY};

/// Reads a body that is known to be genuine. An event that can't be read must not hide the others.
pub(super) fn read(body: &[u8]) -> Result<Vec<Inbound>, String> {
    let posted: Posted<'_> =
        serde_json::from_slice(body).map_err(|error| format!("the body is not LINE's: {error}"))?;
    let events =
        posted.events.into_iter().filter_map(|event| serde_json::from_str::<Event>(event.get()).ok());
    Ok(events.filter_map(understood).collect())
}

#[derive(Deserialize)]
struct Posted<'a> {
    #[serde(borrow)]
    events: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    r#type: String,
    /// `standby` while another program has the chat; then nobody else may answer.
    mode: String,
    webhook_event_id: String,
    /// In milliseconds.
    timestamp: i64,
    delivery_context: Option<Delivery>,
    reply_token: Option<String>,
    source: Option<Source>,
    message: Option<Message>,
    postback: Option<Postback>,
    unsend: Option<Unsend>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Delivery {
    is_redelivery: bool,
}

#[derive(Deserialize)]
struct Source {
    #[serde(rename = "userId")]
    user: Option<String>,
    #[serde(rename = "groupId")]
    group: Option<String>,
    #[serde(rename = "roomId")]
    room: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    id: String,
    r#type: String,
    text: Option<String>,
    mention: Option<Mention>,
    quoted_message_id: Option<String>,
    quote_token: Option<String>,
    mark_as_read_token: Option<String>,
    package_id: Option<String>,
    sticker_id: Option<String>,
    content_provider: Option<Provider>,
    /// In milliseconds.
    duration: Option<u64>,
    file_name: Option<String>,
    title: Option<String>,
    address: Option<String>,
    latitude: Option<f64>,
    longitude: Option<f64>,
    #[serde(default)]
    keywords: Vec<String>,
}

#[derive(Deserialize)]
struct Mention {
    mentionees: Vec<Mentionee>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Mentionee {
    #[serde(default)]
    is_self: bool,
}

/// Who keeps an attachment.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Provider {
    original_content_url: Option<String>,
}

#[derive(Deserialize)]
struct Postback {
    data: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Unsend {
    message_id: String,
}

fn understood(event: Event) -> Option<Inbound> {
    if event.mode != "active" {
        return None;
    }
    let base = base(event.source.as_ref()?, event.timestamp)?;
    // The first delivery may have used it.
    let is_again = event.delivery_context.is_some_and(|delivery| delivery.is_redelivery);
    let tokens = Given { reply: event.reply_token.filter(|_| !is_again), ..Given::default() };
    match event.r#type.as_str() {
        "message" => Some(message(base, event.message?, tokens)),
        "messageEdited" => edited(message(base, event.message?, tokens), &event.webhook_event_id),
        "postback" => {
            let pressed = pressed(base, &event.webhook_event_id, event.postback?.data);
            Some(with_tokens(pressed, &tokens))
        }
        "unsend" => Some(unsent(base, event.unsend?.message_id)),
        _ => None,
    }
}

/// For [`super::tokens`].
fn with_tokens(mut message: Inbound, tokens: &Given) -> Inbound {
    if *tokens != Given::default() {
        message.metadata.insert(KEY.to_owned(), json!(tokens));
    }
    message
}

/// Who did it where, and when.
fn base(source: &Source, timestamp: i64) -> Option<Inbound> {
    let group = source.group.as_ref().or(source.room.as_ref());
    let recipient = group.or(source.user.as_ref())?.clone();
    // LINE tells no names unless it is asked for them (`names`).
    let sender = source.user.clone().map(|id| Sender {
        display_name: id.clone(),
        platform_id: id,
        internal_user: None,
    });
    Some(Inbound {
        sender,
        is_group: group.is_some(),
        mentioned: Some(group.is_none()),
        timestamp: DateTime::<Utc>::from_timestamp_millis(timestamp),
        metadata: Map::from_iter([("chat_id".to_owned(), json!(recipient))]),
        recipient,
        ..Inbound::default()
    })
}

fn message(base: Inbound, message: Message, tokens: Given) -> Inbound {
    let is_self = |mention: &Mention| mention.mentionees.iter().any(|one| one.is_self);
    let mentioned = base.mentioned == Some(true) || message.mention.as_ref().is_some_and(is_self);
    let mut metadata = base.metadata;
    let content_type = match message.r#type.as_str() {
        kind @ ("text" | "image" | "video" | "audio" | "file" | "location" | "sticker") => kind,
        _ => "other",
    };
    let text = match content_type {
        "location" => place(&message, &mut metadata),
        "sticker" => sticker(&message, &mut metadata),
        _ => message.text,
    };
    let tokens = Given { quote: message.quote_token, read: message.mark_as_read_token, ..tokens };
    let read = Inbound {
        answers: message.quoted_message_id.map(|message_id| Answered { message_id, is_own: None }),
        content_type: content_type.to_owned(),
        text: text.or_else(|| message.content_provider.as_ref()?.original_content_url.clone()),
        media: attachment(content_type, &message.id, message.file_name, message.content_provider.as_ref()),
        media_duration_seconds: message.duration.and_then(|ms| u32::try_from(ms.div_ceil(1000)).ok()),
        mentioned: Some(mentioned),
        dedup_key: Some(message.id.clone()),
        platform_message_id: Some(message.id),
        metadata,
        ..base
    };
    with_tokens(read, &tokens)
}

/// The message as it reads now (<https://developers.line.biz/en/reference/messaging-api/#edit-event>). Two versions may come in the wrong
/// order, and their times tell which is the later one; an event that is posted again keeps its id.
fn edited(message: Inbound, event_id: &str) -> Option<Inbound> {
    let key = message.dedup_key.clone()?;
    Some(Inbound { dedup_key: Some(format!("edit:{key}:{event_id}")), deed: Deed::Edited(key), ..message })
}

/// What the sticker stands for, in LINE's own words, or what its sender wrote on it.
fn sticker(message: &Message, metadata: &mut Map<String, Value>) -> Option<String> {
    if let (Some(package), Some(sticker)) = (&message.package_id, &message.sticker_id) {
        metadata.insert("sticker".to_owned(), json!({"package_id": package, "sticker_id": sticker}));
    }
    Some(message.keywords.join(", ")).filter(|words| !words.is_empty()).or_else(|| message.text.clone())
}

/// What LINE keeps is fetched by the message's id. What is kept elsewhere stays a link: it is on a server of somebody's.
fn attachment(
    kind: &str,
    id: &str,
    filename: Option<String>,
    provider: Option<&Provider>,
) -> Option<MediaRef> {
    let kind = match kind {
        "image" => MediaKind::Image,
        "video" => MediaKind::Video,
        "audio" => MediaKind::Audio,
        "file" => MediaKind::File,
        _ => return None,
    };
    let is_elsewhere = provider.is_some_and(|provider| provider.original_content_url.is_some());
    (!is_elsewhere).then(|| MediaRef { kind, handle: id.to_owned(), filename, mime: None })
}

/// Words for a place, so that a backend which reads only text is told something; the numbers go to `metadata`.
fn place(message: &Message, metadata: &mut Map<String, Value>) -> Option<String> {
    let (latitude, longitude) = (message.latitude?, message.longitude?);
    metadata.insert("location".to_owned(), json!({"latitude": latitude, "longitude": longitude}));
    let named = [message.title.clone(), message.address.clone()].into_iter().flatten();
    Some(named.chain([format!("{latitude}, {longitude}")]).collect::<Vec<_>>().join("\n"))
}

/// A button that was pressed: only one below a message of the bot can be.
fn pressed(base: Inbound, event_id: &str, data: String) -> Inbound {
    let mut metadata = base.metadata;
    metadata.insert("callback_data".to_owned(), json!(data));
    Inbound {
        content_type: "button".to_owned(),
        text: Some(data),
        mentioned: Some(true),
        platform_message_id: Some(event_id.to_owned()),
        dedup_key: Some(format!("postback:{event_id}")),
        metadata,
        ..base
    }
}

fn unsent(base: Inbound, message_id: String) -> Inbound {
    Inbound {
        dedup_key: Some(format!("unsend:{message_id}")),
        platform_message_id: Some(message_id.clone()),
        deed: Deed::Deleted(message_id),
        content_type: "text".to_owned(),
        ..base
    }
}
