//! Parts as calls of the Bot API (<https://core.telegram.org/bots/api#available-methods>). Pure, so that every call can be
//! checked against the platform's own description.
//!
//! Attachments go by their address, which Telegram fetches itself (up to 5 MB for photos, 20 MB for the rest). Uploading
//! them instead would only change [`file`].

use claw_types::{Button, ButtonAction, Location, Media, MediaKind, Poll};
use serde_json::{Map, Value, json};

use crate::kit::plan::{Content, Text};
use crate::{ChannelError, Part};

/// One call.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Call {
    /// The method's name.
    pub(super) method: &'static str,
    /// Its parameters.
    pub(super) body: Map<String, Value>,
}

impl Call {
    fn to(method: &'static str, recipient: &str) -> Self {
        Self { method, body: Map::from_iter([("chat_id".to_owned(), json!(recipient))]) }
    }

    fn with(mut self, key: &str, value: Value) -> Self {
        self.body.insert(key.to_owned(), value);
        self
    }

    /// A text with its formatting or, when the platform could not read that, without.
    fn with_text(self, key: &str, text: Option<&Text>, formatted: bool) -> Self {
        match text {
            None => self,
            Some(text) if text.formatted && formatted => {
                self.with(key, json!(text.body)).with("parse_mode", json!("HTML"))
            }
            Some(text) => self.with(key, json!(text.plain)),
        }
    }

    fn with_buttons(self, rows: &[Vec<Button>]) -> Self {
        if rows.is_empty() {
            self
        } else {
            self.with("reply_markup", json!({"inline_keyboard": keyboard(rows)}))
        }
    }
}

/// The call that sends a part, with or without its formatting.
pub(super) fn of_part(part: &Part<'_>, formatted: bool) -> Result<Call, ChannelError> {
    let to = |method| Call::to(method, part.recipient);
    let piece = part.piece;
    let call = match &piece.content {
        Content::Text(text) => to("sendMessage").with_text("text", Some(text), formatted),
        Content::Media { media, caption } => {
            let (method, key) = media_method(media.kind);
            to(method).with(key, file(media)).with_text("caption", caption.as_ref(), formatted)
        }
        Content::Album { media, caption } => {
            to("sendMediaGroup").with("media", album(media, caption.as_ref(), formatted))
        }
        Content::Location(place) => location(place, &to),
        Content::Poll(poll) => with_poll(to("sendPoll"), poll),
        Content::Edit { message_id, text: Some(text) } => {
            let call = to("editMessageText").with("message_id", number("message_id", message_id)?);
            return Ok(call.with_text("text", Some(text), formatted).with_buttons(&piece.buttons));
        }
        Content::Edit { message_id, text: None } => {
            let call = to("editMessageReplyMarkup").with("message_id", number("message_id", message_id)?);
            return Ok(call.with_buttons(&piece.buttons));
        }
        Content::Delete { message_id } => return delete(message_id, &to),
        Content::React { message_id, emoji } => {
            let call = to("setMessageReaction").with("message_id", number("message_id", message_id)?);
            return Ok(call.with("reaction", reaction(emoji.as_deref())));
        }
    };
    addressed(call, part)
}

/// An edit of what turned out to be an attachment: its caption.
pub(super) fn caption_edit(mut edit: Call) -> Call {
    if let Some(text) = edit.body.remove("text") {
        edit.body.insert("caption".to_owned(), text);
    }
    Call { method: "editMessageCaption", ..edit }
}

/// Shows that an answer is being written, for five seconds or until it comes.
pub(super) fn typing(recipient: &str, thread_id: Option<&str>) -> Result<Call, ChannelError> {
    with_thread(Call::to("sendChatAction", recipient).with("action", json!("typing")), thread_id)
}

/// Ends the waiting sign on a button that was pressed.
pub(super) fn answer(callback_id: &str) -> Call {
    let body = Map::from_iter([("callback_query_id".to_owned(), json!(callback_id))]);
    Call { method: "answerCallbackQuery", body }
}

/// Where a new message goes: the topic, the message that it answers, the buttons below it.
fn addressed(call: Call, part: &Part<'_>) -> Result<Call, ChannelError> {
    let mut call = with_thread(call, part.thread_id)?;
    if let Some(id) = &part.piece.reply_to {
        // What was deleted in the meantime must not keep the answer back.
        let reply = json!({"message_id": number("reply_to", id)?, "allow_sending_without_reply": true});
        call = call.with("reply_parameters", reply);
    }
    Ok(call.with_buttons(&part.piece.buttons))
}

fn with_thread(call: Call, thread_id: Option<&str>) -> Result<Call, ChannelError> {
    let Some(thread) = thread_id else { return Ok(call) };
    let thread: i64 = thread.parse().map_err(|_| {
        ChannelError::Permanent(format!("thread_id {thread:?} is not a number: take it from reply_to"))
    })?;
    Ok(call.with("message_thread_id", json!(thread)))
}

/// The number of a message; of an album, of its first one, which has the caption.
fn number(key: &str, id: &str) -> Result<Value, ChannelError> {
    let first = id.split(',').next().unwrap_or_default();
    let number: Result<i64, _> = first.trim().parse();
    number.map(|number| json!(number)).map_err(|_| {
        ChannelError::Permanent(format!("{key} {id:?} is not a number: take it from platform_message_id"))
    })
}

fn media_method(kind: MediaKind) -> (&'static str, &'static str) {
    match kind {
        MediaKind::Image => ("sendPhoto", "photo"),
        MediaKind::Video => ("sendVideo", "video"),
        MediaKind::Audio => ("sendAudio", "audio"),
        MediaKind::Voice => ("sendVoice", "voice"),
        MediaKind::File => ("sendDocument", "document"),
    }
}

/// How an attachment is handed over.
fn file(media: &Media) -> Value {
    json!(media.url)
}

fn album(media: &[Media], caption: Option<&Text>, formatted: bool) -> Value {
    let items = media.iter().enumerate().map(|(i, media)| {
        let mut item = Call { method: "", body: Map::new() }
            .with("type", json!(media_method(media.kind).1))
            .with("media", file(media));
        if i == 0 {
            item = item.with_text("caption", caption, formatted);
        }
        Value::Object(item.body)
    });
    items.collect()
}

fn location(place: &Location, to: &dyn Fn(&'static str) -> Call) -> Call {
    let at =
        |call: Call| call.with("latitude", json!(place.latitude)).with("longitude", json!(place.longitude));
    if place.title.is_none() && place.address.is_none() {
        return at(to("sendLocation"));
    }
    // A venue must have both.
    let degrees = format!("{}, {}", place.latitude, place.longitude);
    let title = place.title.as_ref().or(place.address.as_ref()).unwrap_or(&degrees);
    let address = place.address.as_ref().unwrap_or(&degrees);
    at(to("sendVenue")).with("title", json!(title)).with("address", json!(address))
}

fn with_poll(call: Call, poll: &Poll) -> Call {
    let options: Vec<_> = poll.options.iter().map(|option| json!({"text": option})).collect();
    call.with("question", json!(poll.question))
        .with("options", json!(options))
        .with("is_anonymous", json!(poll.anonymous))
        .with("allows_multiple_answers", json!(poll.multiple))
}

fn keyboard(rows: &[Vec<Button>]) -> Value {
    let button = |button: &Button| match &button.action {
        ButtonAction::Url(url) => json!({"text": button.text, "url": url}),
        ButtonAction::Data(data) => json!({"text": button.text, "callback_data": data}),
    };
    rows.iter().map(|row| row.iter().map(button).collect::<Value>()).collect()
}

fn delete(message_id: &str, to: &dyn Fn(&'static str) -> Call) -> Result<Call, ChannelError> {
    let ids: Result<Vec<_>, _> = message_id.split(',').map(|id| number("message_id", id)).collect();
    Ok(match ids?.as_slice() {
        [one] => to("deleteMessage").with("message_id", one.clone()),
        several => to("deleteMessages").with("message_ids", json!(several)),
    })
}

/// Telegram knows its reactions without the selector that asks for a coloured picture.
fn reaction(emoji: Option<&str>) -> Value {
    let emoji = emoji.map(|emoji| emoji.replace('\u{fe0f}', ""));
    emoji.into_iter().map(|emoji| json!({"type": "emoji", "emoji": emoji})).collect()
}
