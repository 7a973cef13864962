//! What people wrote and did, and what became of messages of ours, out of webhooks
//! (<https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages>).
//!
//! A change or a message that can't be read must not hide the others. Several numbers may belong to one app, and all are posted to
//! one address: what is not of the channel's own number is left alone.

use chrono::{DateTime, Utc};
use claw_types::limits::is_emoji;
use claw_types::{Answered, Deed, Ident, Inbound, Named, Reaction, Receipts, Sender};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::PLATFORM;
use super::kinds::Kinds;
use crate::kit::graph::posted::{Posted, entries, parsed};
use crate::kit::graph::refusal;

/// What the webhooks of WhatsApp call it.
const OBJECT: &str = "whatsapp_business_account";

/// Reads a body that is known to be genuine.
pub(super) fn read(body: &[u8], number: &str) -> Result<Posted, String> {
    let mut read = Posted::default();
    for entry in entries(body, OBJECT)?.into_iter().filter_map(parsed::<Entry<'_>>) {
        for change in entry.changes.into_iter().filter_map(parsed::<Change<'_>>) {
            change.read(number, &mut read);
        }
    }
    Ok(read)
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(borrow, default)]
    changes: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Change<'a> {
    #[serde(borrow)]
    value: Changed<'a>,
}

#[derive(Deserialize)]
struct Changed<'a> {
    metadata: Option<Number>,
    #[serde(default)]
    contacts: Vec<Contact>,
    #[serde(borrow, default)]
    messages: Vec<&'a RawValue>,
    /// What the business wrote with the WhatsApp Business app
    /// (<https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/smb_message_echoes>).
    #[serde(borrow, default)]
    message_echoes: Vec<&'a RawValue>,
    #[serde(borrow, default)]
    statuses: Vec<&'a RawValue>,
}

/// Of the business.
#[derive(Deserialize)]
struct Number {
    display_phone_number: Option<Ident>,
    phone_number_id: Ident,
}

#[derive(Deserialize)]
struct Contact {
    profile: Option<Profile>,
    wa_id: Option<Ident>,
    user_id: Option<Ident>,
}

#[derive(Deserialize)]
struct Profile {
    name: Option<String>,
    username: Option<String>,
}

/// Somebody is known by the number or, if they hide it, by an id that only this business knows
/// (<https://developers.facebook.com/documentation/business-messaging/whatsapp/business-scoped-user-ids/>).
#[derive(Deserialize)]
struct Message {
    id: String,
    from: Option<Ident>,
    from_user_id: Option<Ident>,
    to: Option<Ident>,
    group_id: Option<Ident>,
    /// In seconds, as a text.
    timestamp: Option<Ident>,
    context: Option<Context>,
    #[serde(flatten)]
    kinds: Kinds,
}

#[derive(Deserialize)]
struct Context {
    from: Option<Ident>,
    id: Option<String>,
}

/// What became of a message of ours
/// (<https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/status/>).
#[derive(Deserialize)]
struct Fate {
    id: String,
    status: String,
    recipient_id: Option<Ident>,
    recipient_user_id: Option<Ident>,
    group_id: Option<Ident>,
    timestamp: Option<Ident>,
    #[serde(default)]
    errors: Vec<Value>,
}

impl Change<'_> {
    fn read(self, number: &str, read: &mut Posted) {
        let Changed { metadata, contacts, messages, message_echoes, statuses } = self.value;
        // Without a number it is about the account, and nobody wrote.
        let Some(ours) = metadata else { return };
        if ours.phone_number_id.0 != number {
            let told = messages.len() + message_echoes.len() + statuses.len();
            read.elsewhere.extend(std::iter::repeat_n(ours.phone_number_id.0, told));
            return;
        }
        let into = &mut read.messages;
        let messages = messages.into_iter().filter_map(parsed::<Message>);
        into.extend(messages.filter_map(|message| message.read(&ours, &contacts)));
        let echoes = message_echoes.into_iter().filter_map(parsed::<Message>);
        into.extend(echoes.filter_map(|message| message.echoed(&ours)));
        let statuses = statuses.into_iter().filter_map(parsed::<Fate>);
        into.extend(statuses.filter_map(Fate::read));
    }
}

impl Number {
    /// Whether this is the number, however it is written.
    fn is(&self, number: &str) -> bool {
        let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
        let ours = self.display_phone_number.as_ref().map(|ours| digits(&ours.0));
        ours.is_some_and(|ours| !ours.is_empty() && ours == digits(number))
    }

    /// Whether a text has the number behind an @, which is how a mention is written.
    fn is_mentioned(&self, text: &str) -> bool {
        let mut mentions = text.split('@').skip(1);
        mentions.any(|rest| {
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            self.is(&rest[..end])
        })
    }
}

fn when(timestamp: Option<Ident>) -> Option<DateTime<Utc>> {
    timestamp.and_then(|seconds| DateTime::<Utc>::from_timestamp(seconds.0.parse().ok()?, 0))
}

fn in_chat(recipient: String, timestamp: Option<Ident>) -> Inbound {
    Inbound {
        metadata: Map::from_iter([("chat_id".to_owned(), json!(recipient))]),
        recipient,
        mentioned: Some(true),
        timestamp: when(timestamp),
        ..Inbound::default()
    }
}

impl Message {
    fn read(self, ours: &Number, contacts: &[Contact]) -> Option<Inbound> {
        // Of several contacts, one is somebody else's.
        let only = if let [one] = contacts { one.user_id.clone() } else { None };
        let Ident(person) = self.from.or(self.from_user_id).or(only)?;
        let context = self.context;
        let is_reply =
            context.as_ref().and_then(|context| context.from.as_ref()).map(|from| ours.is(&from.0));
        let answers = context.and_then(|context| context.id);
        let is_group = self.group_id.is_some();
        let chat = self.group_id.map_or_else(|| person.clone(), |Ident(group)| group);
        let base = Inbound {
            sender: Some(sender(person, contacts)),
            answers: answers.map(|message_id| Answered { message_id, is_own: is_reply }),
            platform_message_id: Some(self.id.clone()),
            dedup_key: Some(self.id),
            is_group,
            ..in_chat(chat, self.timestamp)
        };
        let mut read = done(self.kinds, base)?;
        if is_group && read.content_type != "button" {
            let named = read.text.as_deref().is_some_and(|text| ours.is_mentioned(text));
            read.mentioned = Some(named || is_reply == Some(true));
        }
        Some(read)
    }

    fn echoed(self, ours: &Number) -> Option<Inbound> {
        let Ident(person) = self.to?;
        let number = self.from.or_else(|| ours.display_phone_number.clone())?;
        let base = Inbound {
            sender: Some(sender(number.0, &[])),
            is_own: true,
            platform_message_id: Some(self.id.clone()),
            dedup_key: Some(self.id),
            ..in_chat(person, self.timestamp)
        };
        done(self.kinds, base)
    }
}

fn sender(person: String, contacts: &[Contact]) -> Sender {
    let is_theirs = |contact: &&Contact| {
        [&contact.wa_id, &contact.user_id].into_iter().flatten().any(|id| id.0 == person)
    };
    let profile = contacts.iter().find(is_theirs).and_then(|contact| contact.profile.as_ref());
    let name = profile.and_then(|profile| profile.name.clone().or_else(|| profile.username.clone()));
    Sender { display_name: name.unwrap_or_else(|| person.clone()), platform_id: person, internal_user: None }
}

/// What was done: written, or done to a message.
fn done(mut kinds: Kinds, base: Inbound) -> Option<Inbound> {
    if let Some(reacted) = kinds.reaction.take() {
        let emoji = reacted.emoji.filter(|emoji| is_emoji(emoji))?;
        let reaction = Reaction { to: reacted.message_id, added: vec![emoji], ..Reaction::default() };
        let deed = Deed::Reacted(reaction);
        return Some(Inbound { deed, answers: None, content_type: "text".to_owned(), ..base });
    }
    if let Some(revoked) = kinds.revoke.take() {
        let deed = Deed::Deleted(revoked.original_message_id.clone());
        let platform_message_id = Some(revoked.original_message_id);
        return Some(Inbound { deed, platform_message_id, content_type: "text".to_owned(), ..base });
    }
    if let Some(edit) = kinds.edit.take() {
        let kinds: Kinds = serde_json::from_value(edit.message).ok()?;
        let deed = Deed::Edited(edit.original_message_id.clone());
        let platform_message_id = Some(edit.original_message_id);
        return kinds.read(Inbound { deed, platform_message_id, ..base });
    }
    kinds.read(base)
}

impl Fate {
    /// That a message of ours arrived, was read, or did not arrive. That WhatsApp has it (`sent`), the call's answer said.
    fn read(self) -> Option<Inbound> {
        let (read, failed) = match self.status.as_str() {
            "delivered" => (false, None),
            "read" | "played" => (true, None),
            "failed" => (false, Some(refusal::failed(PLATFORM, self.errors.first().unwrap_or(&Value::Null)))),
            _ => return None,
        };
        let Ident(chat) = self.group_id.or(self.recipient_id).or(self.recipient_user_id)?;
        Some(Inbound {
            dedup_key: Some(format!("{}:{}", self.status, self.id)),
            deed: Deed::Received(Receipts { messages: vec![Named::Platform(self.id)], read, failed }),
            content_type: "text".to_owned(),
            ..in_chat(chat, self.timestamp)
        })
    }
}
