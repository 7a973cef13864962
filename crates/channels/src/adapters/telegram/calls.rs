//! Parts as calls of the Bot API (<https://core.telegram.org/bots/api#available-methods>). Pure, so that every call can be
//! checked against the platform's own description.
//!
//! Attachments go along as [`File`]s: one under the name of its parameter, those of an album under names of their own, to
//! which the album refers.

use claw_types::{Button, ButtonAction, Location, Poll};
use serde_json::{Map, Value, json};

use super::files::File;
use crate::kit::plan::{Content, Text};
use crate::{ChannelError, Part};

/// One call.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Call {
    /// The method's name.
    pub(super) method: &'static str,
    /// Its parameters.
    pub(super) body: Map<String, Value>,
    /// What is uploaded with it, by name.
    pub(super) files: Vec<(String, File)>,
}

impl Call {
    fn new(method: &'static str) -> Self {
        Self { method, body: Map::new(), files: Vec::new() }
    }

    fn to(method: &'static str, recipient: &str) -> Self {
        Self::new(method).with("chat_id", json!(recipient))
    }

    fn with(mut self, key: &str, value: Value) -> Self {
        self.body.insert(key.to_owned(), value);
        self
    }

    fn with_file(mut self, name: &str, file: &File) -> Self {
        self.files.push((name.to_owned(), file.clone()));
        self
    }

    /// The same into the supergroup that the group has become. Its messages are numbered anew, so nothing is answered any more, and there
    /// is none for a call about a message of the group's.
    pub(super) fn moved(&self, supergroup: i64) -> Option<Self> {
        let is_about_one = ["message_id", "message_ids"].iter().any(|key| self.body.contains_key(*key));
        if is_about_one || !self.body.contains_key("chat_id") {
            return None;
        }
        let mut call = self.clone();
        call.body.remove("reply_parameters");
        Some(call.with("chat_id", json!(supergroup.to_string())))
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

/// The call that sends a part with its attachments, with or without its formatting.
pub(super) fn of_part(part: &Part<'_>, files: &[File], formatted: bool) -> Result<Call, ChannelError> {
    let to = |method| Call::to(method, part.recipient);
    let piece = part.piece;
    let call = match &piece.content {
        Content::Text(text) => to("sendMessage").with_text("text", Some(text), formatted),
        Content::Media { caption, .. } | Content::Album { caption, .. } => {
            with_files(files, caption.as_ref(), formatted, &to)
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
    Call::new("answerCallbackQuery").with("callback_query_id", json!(callback_id))
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

fn with_files(
    files: &[File],
    caption: Option<&Text>,
    formatted: bool,
    to: &dyn Fn(&'static str) -> Call,
) -> Call {
    if let [file] = files {
        let call = to(file.form.method()).with_file(file.form.key(), file);
        return call.with_text("caption", caption, formatted);
    }
    let mut call = to("sendMediaGroup");
    let mut items = Vec::with_capacity(files.len());
    for (i, file) in files.iter().enumerate() {
        let name = format!("file{i}");
        let mut item = Call::new("")
            .with("type", json!(file.form.key()))
            .with("media", json!(format!("attach://{name}")));
        if i == 0 {
            item = item.with_text("caption", caption, formatted);
        }
        items.push(Value::Object(item.body));
        call = call.with_file(&name, file);
    }
    call.with("media", Value::Array(items))
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
