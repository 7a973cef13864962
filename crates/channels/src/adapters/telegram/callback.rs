//! A button that a person pressed (<https://core.telegram.org/bots/api#callbackquery>), as a message of theirs.
//!
//! Read by hand: all that is needed of the message below which the button stands is there even when Telegram calls the message
//! inaccessible because it is old.

use claw_types::Inbound;
use serde::Deserialize;
use serde_json::{Value, json};

use super::api::RawUpdate;
use super::who::{Chat, User};
use crate::kit::session;

#[derive(Deserialize)]
struct Update {
    callback_query: Query,
}

#[derive(Deserialize)]
struct Query {
    id: String,
    from: User,
    message: Option<Below>,
    #[serde(default)]
    data: Option<String>,
}

/// The message below which the button stands.
#[derive(Deserialize)]
struct Below {
    message_id: i64,
    chat: Chat,
    message_thread_id: Option<i64>,
    #[serde(default)]
    is_topic_message: bool,
    #[serde(default)]
    reply_markup: Value,
}

fn read(update: &RawUpdate) -> Option<Query> {
    serde_json::from_str::<Update>(update.json.get()).ok().map(|update| update.callback_query)
}

/// The id by which the press is answered; `None` for an update that is no press.
pub(super) fn id(update: &RawUpdate) -> Option<String> {
    read(update).map(|query| query.id)
}

/// The press as the person's message: what the button sends is its text.
pub(super) fn inbound(update: &RawUpdate) -> Option<Inbound> {
    let Query { id, from, message, data } = read(update)?;
    // A message that was sent through another chat's input has no chat to answer to.
    let message = message?;
    let data = data.unwrap_or_default();
    let chat = message.chat.id.to_string();
    let topic = message.message_thread_id.filter(|_| message.is_topic_message).map(|topic| topic.to_string());
    let mut metadata = session::keys(&chat, topic.as_deref());
    metadata.insert("callback_data".to_owned(), json!(data));
    metadata.insert("message_id".to_owned(), json!(message.message_id.to_string()));
    let optional = [
        ("button_text", label(&message.reply_markup, &data)),
        ("chat_title", message.chat.title.as_deref()),
        ("username", from.username.as_deref()),
    ];
    metadata.extend(optional.into_iter().filter_map(|(key, value)| Some((key.to_owned(), json!(value?)))));
    Some(Inbound {
        platform_message_id: Some(id.clone()),
        dedup_key: Some(format!("button:{id}")),
        sender: Some(from.sender()),
        content_type: "button".to_owned(),
        text: Some(data),
        is_group: message.chat.is_group(),
        // It is a button of the bot's.
        mentioned: Some(true),
        recipient: chat,
        thread_id: topic,
        metadata,
        ..Inbound::default()
    })
}

/// What is on the button.
fn label<'a>(markup: &'a Value, data: &str) -> Option<&'a str> {
    let rows = markup.get("inline_keyboard")?.as_array()?;
    let mut buttons = rows.iter().filter_map(Value::as_array).flatten();
    buttons.find(|button| button["callback_data"] == data)?["text"].as_str()
}
