//! What people wrote and did, out of activities
//! (<https://learn.microsoft.com/en-us/microsoftteams/platform/bots/how-to/conversations/conversation-messages>).
//!
//! Activities that are no message, such as people who join a team, are nothing to an agent and are left out. Messages are numbered
//! by conversation, so their keys name that, too.

use chrono::{DateTime, Utc};
use claw_types::limits::is_emoji;
use claw_types::{Answered, Deed, Inbound, MediaKind, MediaRef, Named, Reaction, Receipts};
use serde_json::{Map, Value, json};

use super::activity::{Activity, Attachment, Mention, Quoted};
use super::calls::{PRESSED, QUOTED};
use super::reactions::emoji;
use crate::kit::attachments::one_each;
use crate::kit::session;

/// A file in a chat with one person (<https://learn.microsoft.com/en-us/microsoftteams/platform/bots/how-to/bots-filesv4>).
const FILE: &str = "application/vnd.microsoft.teams.file.download.info";
/// How far a person read in a chat with the bot
/// (<https://learn.microsoft.com/en-us/microsoftteams/platform/bots/how-to/conversations/conversation-messages#receive-a-read-receipt>).
const READ: &str = "application/vnd.microsoft.readReceipt";
/// What marks a message that another one quotes, in the HTML of it.
const QUOTE: &str = "itemtype=\"http://schema.skype.com/Reply\"";
/// What stands in a text for a message that is quoted, up to its end (<https://github.com/microsoft/teams.py/pull/321>).
const QUOTE_SIGN: &str = "<quoted messageId=\"";
/// What separates a channel from the message that a thread of it begins with.
const THREAD: &str = ";messageid=";

/// The bot itself.
pub(super) struct Bot {
    pub(super) app_id: String,
    /// As conversations name it.
    account: String,
}

impl Bot {
    pub(super) fn of_app(app_id: String) -> Self {
        Self { account: format!("28:{app_id}"), app_id }
    }

    fn is(&self, account: &str) -> bool {
        self.account.eq_ignore_ascii_case(account)
    }
}

/// What an activity means; nothing where it means nothing to an agent.
pub(super) fn understood(activity: Activity, bot: &Bot) -> Vec<Inbound> {
    let Some(base) = base(&activity, bot) else { return Vec::new() };
    if activity.r#type == "message" {
        let dedup_key = activity.id.as_ref().map(|id| format!("{}/{id}", base.recipient));
        let (message, others) = message(base, activity, bot);
        return one_each(Inbound { dedup_key, ..message }, others);
    }
    done(base, activity, bot).into_iter().collect()
}

/// What was done to a message.
fn done(base: Inbound, activity: Activity, bot: &Bot) -> Option<Inbound> {
    let key = |id: &str| format!("{}/{id}", base.recipient);
    let id = activity.id.clone();
    match activity.r#type.as_str() {
        // Also of one that was deleted and is there again.
        "messageUpdate" => {
            let of = key(id.as_deref()?);
            let version = activity.timestamp.clone().unwrap_or_default();
            let (mut message, _) = message(base, activity, bot);
            message.dedup_key = Some(format!("edit:{of}:{version}"));
            message.deed = Deed::Edited(of);
            Some(message)
        }
        "messageDelete" => {
            let of = key(id.as_deref()?);
            Some(Inbound { dedup_key: Some(format!("delete:{of}")), deed: Deed::Deleted(of), ..base })
        }
        "messageReaction" => reacted(base, &activity),
        "event" if activity.name.as_deref() == Some(READ) => read(base, &activity),
        _ => None,
    }
}

/// Who did it where, and when.
fn base(activity: &Activity, bot: &Bot) -> Option<Inbound> {
    let conversation = activity.conversation.as_ref()?;
    let (chat, thread) = match conversation.id.split_once(THREAD) {
        Some((chat, thread)) => (chat, Some(thread)),
        None => (conversation.id.as_str(), None),
    };
    let is_group = conversation.kind.as_deref() != Some("personal");
    let from = activity.from.as_ref();
    let timestamp = activity.timestamp.as_deref().and_then(|time| DateTime::parse_from_rfc3339(time).ok());
    let mut metadata = session::keys(chat, thread);
    let data = activity.channel_data.as_ref();
    let team = data.and_then(|data| data.team.as_ref()?.name.as_deref());
    let channel = data.and_then(|data| data.channel.as_ref()?.name.as_deref());
    let optional = [
        ("chat_title", conversation.name.as_deref().or(team)),
        ("channel_name", channel),
        ("aad_object_id", from.and_then(|from| from.aad_object_id.as_deref())),
        ("tenant_id", activity.tenant()),
    ];
    metadata.extend(optional.into_iter().filter_map(|(key, value)| Some((key.to_owned(), json!(value?)))));
    Some(Inbound {
        platform_message_id: activity.id.clone(),
        sender: from.map(|from| session::sender(&from.id, from.name.as_deref())),
        content_type: "text".to_owned(),
        is_group,
        mentioned: Some(!is_group),
        sender_is_bot: from
            .is_some_and(|from| from.role.as_deref() == Some("bot") || from.id.starts_with("28:")),
        is_own: from.is_some_and(|from| bot.is(&from.id)),
        recipient: chat.to_owned(),
        thread_id: thread.map(str::to_owned),
        timestamp: timestamp.map(|time| time.with_timezone(&Utc)),
        metadata,
        ..Inbound::default()
    })
}

/// The message with its first attachment, and the others.
fn message(base: Inbound, activity: Activity, bot: &Bot) -> (Inbound, Vec<MediaRef>) {
    if let Some(pressed) = activity.value.as_ref().and_then(|value| value.get(PRESSED)?.as_object()) {
        return (button(base, pressed, activity.reply_to_id), Vec::new());
    }
    let entities = activity.entities.as_deref().unwrap_or_default();
    let mentions: Vec<Mention> = of_kind(entities, "mention").collect();
    let attachments: Vec<Attachment> = each(activity.attachments).collect();
    let named = of_kind(entities, QUOTED).next().map(|entity| named(entity, bot));
    let answers = named.or_else(|| attachments.iter().find_map(|attachment| quoted(attachment, bot)));
    let mut attached = attachments.into_iter().filter_map(media);
    let media = attached.next();
    let is_meant = mentions.iter().any(|mention| bot.is(&mention.mentioned.id))
        || answers.as_ref().is_some_and(|answered| answered.is_own == Some(true));
    let message = Inbound {
        content_type: media.as_ref().map_or("text", |media| media.kind.as_str()).to_owned(),
        text: activity.text.as_deref().and_then(|text| without_own_name(text, &mentions, bot)),
        mentioned: Some(base.mentioned == Some(true) || is_meant),
        answers,
        media,
        ..base
    };
    (message, attached.collect())
}

/// The text as a person reads it, without the bot's own name.
fn without_own_name(text: &str, mentions: &[Mention], bot: &Bot) -> Option<String> {
    let mut text = without_quotes(&text.replace('\u{a0}', " "));
    for mention in mentions {
        let Some(written) = mention.text.as_deref().filter(|written| !written.is_empty()) else { continue };
        let name = mention.mentioned.name.as_deref().unwrap_or_default();
        let read = if bot.is(&mention.mentioned.id) { String::new() } else { format!("@{name}") };
        // A name that has itself in it is not replaced for ever.
        text = text.replace(written, &read);
    }
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// A picture in the text, which the connector keeps, or a file, which stays with the person who sent it: its address opens it for
/// some minutes, and is the only way to it for a bot.
fn media(attachment: Attachment) -> Option<MediaRef> {
    let Attachment { content_type, content_url, content, name } = attachment;
    if content_type == FILE {
        let handle = content.as_ref()?.get("downloadUrl")?.as_str()?.to_owned();
        return Some(MediaRef { kind: MediaKind::File, handle, filename: name, mime: None });
    }
    let kind = match content_type.split('/').next()? {
        "image" => MediaKind::Image,
        "audio" => MediaKind::Audio,
        "video" => MediaKind::Video,
        _ => return None,
    };
    // The type is often image/*, which says nothing.
    let mime = Some(content_type).filter(|mime| !mime.contains('*'));
    Some(MediaRef { kind, handle: content_url?, filename: name, mime })
}

/// The message that an entity says is quoted.
fn named(Quoted { quoted_reply: quoted }: Quoted, bot: &Bot) -> Answered {
    Answered { is_own: quoted.sender_id.map(|sender| bot.is(&sender)), message_id: quoted.message_id }
}

/// The text without the signs that stand for quoted messages.
fn without_quotes(text: &str) -> String {
    let (mut rest, mut kept) = (text, String::with_capacity(text.len()));
    while let Some((before, behind)) = rest.split_once(QUOTE_SIGN) {
        let Some((_, after)) = behind.split_once("/>") else { break };
        kept.push_str(before);
        rest = after;
    }
    kept.push_str(rest);
    kept
}

/// The same where only the HTML of a message tells.
fn quoted(attachment: &Attachment, bot: &Bot) -> Option<Answered> {
    if attachment.content_type != "text/html" {
        return None;
    }
    let html = attachment.content.as_ref()?.as_str()?;
    let (_, quote) = html.split_once(QUOTE)?;
    let message_id = item(quote)?;
    let author = quote.split_once("itemprop=\"mri\"").and_then(|(_, author)| item(author));
    Some(Answered { message_id: message_id.to_owned(), is_own: author.map(|author| bot.is(author)) })
}

/// The next `itemid`.
fn item(html: &str) -> Option<&str> {
    let (_, rest) = html.split_once("itemid=\"")?;
    rest.split_once('"').map(|(id, _)| id).filter(|id| !id.is_empty())
}

/// A button that was pressed: only one below a message of the bot can be.
fn button(base: Inbound, pressed: &Map<String, Value>, below: Option<String>) -> Inbound {
    let text = |key: &str| pressed.get(key).and_then(Value::as_str).map(str::to_owned);
    let data = text("data").unwrap_or_default();
    let mut metadata = base.metadata;
    metadata.insert("callback_data".to_owned(), json!(data));
    let optional = [("button_text", text("text")), ("message_id", below)];
    metadata.extend(optional.into_iter().filter_map(|(key, value)| Some((key.to_owned(), json!(value?)))));
    Inbound { content_type: "button".to_owned(), text: Some(data), mentioned: Some(true), metadata, ..base }
}

fn reacted(base: Inbound, activity: &Activity) -> Option<Inbound> {
    let names = |given: &Option<Vec<Value>>| {
        let given = given.iter().flatten().filter_map(|reaction| reaction.get("type")?.as_str());
        given.map(emoji).filter(|emoji| is_emoji(emoji)).collect::<Vec<_>>()
    };
    let reaction = Reaction {
        to: activity.reply_to_id.clone()?,
        added: names(&activity.reactions_added),
        removed: names(&activity.reactions_removed),
        ..Reaction::default()
    };
    if reaction.is_empty() {
        return None;
    }
    let key = activity.id.as_ref().map(|id| format!("reaction:{}/{id}", base.recipient));
    // Teams tells of reactions to the bot's messages only.
    Some(Inbound { dedup_key: key, deed: Deed::Reacted(reaction), mentioned: Some(true), ..base })
}

/// A person read the message that Teams names, whoever wrote it, and all before it. The id of a message is its time, in milliseconds
/// since 1970, and Microsoft's own programs compare ids as numbers to tell whether a message was read.
fn read(base: Inbound, activity: &Activity) -> Option<Inbound> {
    let last = activity.value.as_ref()?.get("lastReadMessageId")?.as_str()?.to_owned();
    let time = last.parse::<i64>().ok().and_then(DateTime::<Utc>::from_timestamp_millis);
    let key = activity.id.as_ref().map(|id| format!("read:{}/{id}", base.recipient));
    let messages = std::iter::once(Named::Platform(last)).chain(time.map(Named::UpTo)).collect();
    let deed = Deed::Received(Receipts { messages, read: true, failed: None });
    Some(Inbound { dedup_key: key, deed, ..base })
}

/// The entities of a kind; what can't be read is left out.
fn of_kind<'a, T: serde::de::DeserializeOwned>(
    entities: &'a [Value],
    kind: &'a str,
) -> impl Iterator<Item = T> + 'a {
    let of_kind = entities.iter().filter(move |entity| entity["type"] == kind);
    of_kind.filter_map(|entity| T::deserialize(entity).ok())
}

fn each<T: serde::de::DeserializeOwned>(values: Option<Vec<Value>>) -> impl Iterator<Item = T> {
    values.into_iter().flatten().filter_map(|value| serde_json::from_value(value).ok())
}
