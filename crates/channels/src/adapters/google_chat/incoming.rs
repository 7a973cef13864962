//! What people wrote, out of interaction events
//! (<https://developers.google.com/workspace/chat/receive-respond-interactions>).
//!
//! In spaces, Chat tells an app only of messages that mention it and of its commands; of the others a subscription tells (`told`). Whose message
//! an agent should hear of is told from the message all the same, not from its having come.

use chrono::{DateTime, Utc};
use claw_types::{Answered, Inbound, MediaKind, MediaRef};
use serde_json::{Value, json};

use super::calls::PRESSED;
use super::event::{ADDED, Annotation, Attachment, Event, Message, Space, User};
use crate::kit::attachments::one_each;
use crate::kit::session;

/// What an event means; nothing where it means nothing to an agent.
pub(super) fn understood(event: Event) -> Vec<Inbound> {
    let messages = match event.r#type.as_str() {
        "CARD_CLICKED" => pressed(event).map(|message| vec![message]),
        "APP_COMMAND" => commanded(event).map(|message| vec![message]),
        // An app that is mentioned where it is not yet, is added, and told of the message with that.
        "MESSAGE" | ADDED => said(event),
        _ => None,
    };
    messages.unwrap_or_default()
}

fn said(event: Event) -> Option<Vec<Inbound>> {
    let Event { message, space, .. } = event;
    let mut message = message?;
    let space = space.or(message.space.take())?;
    let sender = message.sender.take();
    let base = base(&space, sender.as_ref(), Some(&message), message.create_time.as_deref());
    Some(written(base, message))
}

/// Who did it where, and when.
pub(super) fn base(
    space: &Space,
    user: Option<&User>,
    message: Option<&Message>,
    time: Option<&str>,
) -> Inbound {
    let is_group = !is_direct(space);
    let thread = message.and_then(|message| thread(space, message));
    let mut metadata = session::keys(&space.name, thread.as_deref());
    let optional = [
        ("chat_title", space.display_name.as_deref()),
        ("email", user.and_then(|user| user.email.as_deref())),
    ];
    let told = optional
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), json!(value.filter(|v| !v.is_empty())?))));
    metadata.extend(told);
    Inbound {
        sender: user.map(|user| session::sender(&user.name, user.display_name.as_deref())),
        content_type: "text".to_owned(),
        is_group,
        mentioned: Some(!is_group),
        sender_is_bot: user.is_some_and(is_program),
        recipient: space.name.clone(),
        thread_id: thread,
        timestamp: time.and_then(self::time),
        metadata,
        ..Inbound::default()
    }
}

/// A time as Google writes it.
pub(super) fn time(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.with_timezone(&Utc))
}

fn is_direct(space: &Space) -> bool {
    match &space.kind {
        Some(kind) => kind == "DIRECT_MESSAGE",
        None => space.r#type.as_deref() == Some("DM"),
    }
}

pub(super) fn is_program(user: &User) -> bool {
    user.r#type.as_deref() == Some("BOT")
}

/// The id of the thread in which a message is. Each message begins one, also where nobody sees threads: there, only one in which
/// somebody answers counts.
fn thread(space: &Space, message: &Message) -> Option<String> {
    let name = message.thread.as_ref()?.name.as_deref()?;
    let is_threaded = match space.threading.as_deref() {
        Some(state) => matches!(state, "THREADED_MESSAGES" | "GROUPED_MESSAGES"),
        None => !is_direct(space),
    };
    let counts = is_threaded && !is_direct(space) || message.thread_reply == Some(true);
    counts.then(|| name.rsplit('/').next().unwrap_or(name).to_owned())
}

/// A message, which addresses the app in a direct message, by a mention of a program and by a command.
pub(super) fn written(base: Inbound, message: Message) -> Vec<Inbound> {
    let annotations: Vec<Annotation> = each(message.annotations).collect();
    // Programs that are mentioned are this one: Chat tells an app of no other.
    let is_named = annotations
        .iter()
        .filter_map(|one| one.user_mention.as_ref())
        .any(|mention| is_program(&mention.user));
    let command = annotations.iter().find_map(|one| one.slash_command.as_ref()?.command_name.clone());
    let is_command = message.slash_command.is_some() || command.is_some();
    let command_id = message.slash_command.as_ref().and_then(|command| id(&command["commandId"]));
    let attachments: Vec<Attachment> = each(message.attachment).collect();
    let mut attached = attachments.iter().filter_map(media);
    let media = attached.next();
    let mut metadata = base.metadata;
    let told = [("command", command), ("command_id", command_id)];
    metadata.extend(told.into_iter().filter_map(|(key, value)| Some((key.to_owned(), json!(value?)))));
    // A command's text has its name in it, which the agent may want to see.
    let text = if is_command { message.text } else { message.argument_text.or(message.text) };
    let text = text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    // What is on Drive is told by its name.
    let on_drive = || attachments.iter().find(|file| file.data.is_none())?.content_name.clone();
    let first = Inbound {
        answers: message
            .quoted_message_metadata
            .map(|quoted| Answered { message_id: quoted.name, is_own: None }),
        content_type: media.as_ref().map_or("text", |media| media.kind.as_str()).to_owned(),
        text: text.or_else(on_drive),
        mentioned: Some(base.mentioned == Some(true) || is_named || is_command),
        dedup_key: Some(message.name.clone()),
        platform_message_id: Some(message.name),
        media,
        metadata,
        ..base
    };
    one_each(first, attached)
}

fn media(attachment: &Attachment) -> Option<MediaRef> {
    let handle = attachment.data.as_ref()?.resource_name.clone()?;
    let kind = match attachment.content_type.split('/').next()? {
        "image" => MediaKind::Image,
        "audio" => MediaKind::Audio,
        "video" => MediaKind::Video,
        _ => MediaKind::File,
    };
    let mime = Some(attachment.content_type.clone()).filter(|mime| !mime.is_empty());
    Some(MediaRef { kind, handle, filename: attachment.content_name.clone(), mime })
}

/// A button that was pressed: only one below a message of the app can be.
fn pressed(event: Event) -> Option<Inbound> {
    let data = parameter(&event)?;
    let Event { message, space, user, time, .. } = event;
    let mut message = message?;
    let space = space.or(message.space.take())?;
    let user = user?;
    let time = time.unwrap_or_default();
    let base = base(&space, Some(&user), Some(&message), Some(&time));
    let mut metadata = base.metadata;
    metadata.insert("callback_data".to_owned(), json!(data));
    metadata.insert("message_id".to_owned(), json!(message.name));
    if let Some(text) = label(&message.cards_v2, &data) {
        metadata.insert("button_text".to_owned(), json!(text));
    }
    let key = format!("button:{}:{}:{time}", message.name, user.name);
    Some(Inbound {
        content_type: "button".to_owned(),
        text: Some(data),
        mentioned: Some(true),
        platform_message_id: Some(key.clone()),
        dedup_key: Some(key),
        metadata,
        ..base
    })
}

/// What the button sends.
fn parameter(event: &Event) -> Option<String> {
    let common = event.common.as_ref().and_then(|common| common.parameters.as_ref()?.get(PRESSED)?.as_str());
    let older = || {
        let parameters = event.action.as_ref()?.parameters.as_ref()?;
        parameters.iter().find(|parameter| parameter.key == PRESSED)?.value.clone()
    };
    common.map(str::to_owned).or_else(older)
}

/// What is on the button.
fn label<'a>(cards: &'a Value, data: &str) -> Option<&'a str> {
    let list = |value: &'a Value| value.as_array().map(Vec::as_slice).unwrap_or_default().iter();
    let sections = list(cards).flat_map(|card| list(&card["card"]["sections"]));
    let mut buttons = sections
        .flat_map(|section| list(&section["widgets"]))
        .flat_map(|widget| list(&widget["buttonList"]["buttons"]));
    let sends = |button: &Value| {
        let parameters = button["onClick"]["action"]["parameters"].as_array();
        parameters.is_some_and(|all| all.iter().any(|one| one["key"] == PRESSED && one["value"] == data))
    };
    buttons.find(|button| sends(button))?["text"].as_str()
}

/// A command of the app's menu, which has no message.
fn commanded(event: Event) -> Option<Inbound> {
    let id = id(&event.app_command_metadata?.app_command_id)?;
    let (space, user) = (event.space?, event.user?);
    let time = event.time.unwrap_or_default();
    let base = base(&space, Some(&user), event.message.as_ref(), Some(&time));
    let key = format!("command:{}:{}:{id}:{time}", space.name, user.name);
    let mut metadata = base.metadata;
    let in_thread = event.thread.and_then(|thread| thread.name);
    let thread =
        in_thread.and_then(|name| name.rsplit('/').next().map(str::to_owned)).filter(|_| base.is_group);
    metadata.extend(session::keys(&space.name, thread.as_deref().or(base.thread_id.as_deref())));
    metadata.insert("command_id".to_owned(), json!(id));
    // Chosen in the menu of a message, which somebody else may have written.
    if let Some(message) = event.message {
        metadata.insert("message_id".to_owned(), json!(message.name));
    }
    Some(Inbound {
        content_type: "command".to_owned(),
        text: Some(format!("/{id}")),
        mentioned: Some(true),
        platform_message_id: Some(key.clone()),
        dedup_key: Some(key),
        thread_id: thread.or(base.thread_id),
        metadata,
        ..base
    })
}

/// A command's number, as a number or in quotes.
fn id(value: &Value) -> Option<String> {
    match value {
        Value::String(id) => Some(id.clone()),
        Value::Number(id) => Some(id.to_string()),
        _ => None,
    }
}

fn each<T: serde::de::DeserializeOwned>(values: Option<Vec<Value>>) -> impl Iterator<Item = T> {
    values.into_iter().flatten().filter_map(|value| serde_json::from_value(value).ok())
}
