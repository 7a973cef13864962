//! An event in its wrapping (<https://docs.slack.dev/apis/events-api#event-type-structure>), and what kind of event it is.
//!
//! The wrapping says who the bot is in this workspace, so that nothing has to be asked to tell its own messages and its name.

use claw_types::{Deed, Inbound, Reaction, Sender};
use serde::Deserialize;
use serde_json::json;
use serde_json::value::RawValue;

use super::emoji;
use super::message::{Message, Own, at, is_direct, session};

#[derive(Deserialize)]
struct Wrapping<'a> {
    r#type: String,
    #[serde(default)]
    event_id: String,
    team_id: Option<String>,
    api_app_id: Option<String>,
    #[serde(default)]
    authorizations: Vec<Authorization>,
    #[serde(borrow)]
    event: Option<&'a RawValue>,
}

/// For whom the event is meant.
#[derive(Deserialize)]
struct Authorization {
    user_id: Option<String>,
    #[serde(default)]
    is_bot: bool,
}

#[derive(Deserialize)]
struct Kind {
    r#type: String,
    subtype: Option<String>,
}

/// A message that reads otherwise now (<https://docs.slack.dev/reference/events/message/message_changed>).
#[derive(Deserialize)]
struct Changed {
    channel: String,
    channel_type: Option<String>,
    message: Message,
    previous_message: Option<Message>,
}

/// One that is gone (<https://docs.slack.dev/reference/events/message/message_deleted>).
#[derive(Deserialize)]
struct Deleted {
    channel: String,
    channel_type: Option<String>,
    /// The message's.
    #[serde(rename = "deleted_ts")]
    ts: String,
    previous_message: Option<Message>,
    event_ts: Option<String>,
}

/// A reaction (<https://docs.slack.dev/reference/events/reaction_added>).
#[derive(Deserialize)]
struct Reacted {
    user: String,
    reaction: String,
    item: Item,
    event_ts: Option<String>,
}

/// What was reacted to: a message, or something else without a conversation.
#[derive(Deserialize)]
struct Item {
    channel: Option<String>,
    ts: Option<String>,
}

/// Reads an event. What is no event, or one that says nothing to an agent, is nothing.
pub(super) fn read(body: &[u8]) -> serde_json::Result<Vec<Inbound>> {
    let wrapping: Wrapping<'_> = serde_json::from_slice(body)?;
    let Some(event) = wrapping.event.filter(|_| wrapping.r#type == "event_callback") else {
        return Ok(Vec::new());
    };
    let user = wrapping.authorizations.iter().filter(|one| one.is_bot).find_map(|one| one.user_id.as_deref());
    let own = Own { user, app: wrapping.api_app_id.as_deref() };
    // One that can't be read would not be understood the second time either.
    let mut messages = understood(event.get(), &wrapping.event_id, own).unwrap_or_default();
    if let Some(team) = &wrapping.team_id {
        for message in &mut messages {
            message.metadata.insert("team_id".to_owned(), json!(team));
        }
    }
    Ok(messages)
}

fn understood(event: &str, event_id: &str, own: Own<'_>) -> serde_json::Result<Vec<Inbound>> {
    let kind: Kind = serde_json::from_str(event)?;
    Ok(match (kind.r#type.as_str(), kind.subtype.as_deref()) {
        ("message", Some("message_changed")) => changed(serde_json::from_str(event)?, own),
        ("message", Some("message_deleted")) => vec![deleted(serde_json::from_str(event)?, own)],
        (
            "message" | "app_mention",
            None | Some("file_share" | "bot_message" | "me_message" | "thread_broadcast"),
        ) => {
            let message: Message = serde_json::from_str(event)?;
            message.inbound(own, kind.r#type == "app_mention")
        }
        ("reaction_added" | "reaction_removed", _) => {
            let added = kind.r#type == "reaction_added";
            reacted(serde_json::from_str(event)?, added, event_id, own).into_iter().collect()
        }
        // Whoever joins, a topic that is another one now.
        _ => Vec::new(),
    })
}

/// An edit. Without a time of one no person did it: Slack sends a change, too, when it has found the preview of a link, for instance.
fn changed(
    Changed { channel, channel_type, message, previous_message }: Changed,
    own: Own<'_>,
) -> Vec<Inbound> {
    // What stays of a message to which others replied is Slack's own.
    if message.is_tombstone() {
        let gone = previous_message.unwrap_or_else(|| message.clone());
        let gone = gone.of_time(message.time()).within(channel, channel_type);
        return vec![removed(gone.base(own), gone.key())];
    }
    let message = message.within(channel, channel_type);
    let Some(edited) = message.edited_at() else { return Vec::new() };
    let (key, timestamp) = (message.key(), at(&edited));
    // Its files are those that it had before.
    let first = message.inbound(own, false).into_iter().next();
    first
        .map(|read| Inbound {
            dedup_key: Some(format!("edit:{key}:{edited}")),
            deed: Deed::Edited(key),
            timestamp,
            ..read
        })
        .into_iter()
        .collect()
}

fn deleted(gone: Deleted, own: Own<'_>) -> Inbound {
    let Deleted { channel, channel_type, ts, previous_message, event_ts } = gone;
    let message = previous_message.unwrap_or_default().of_time(&ts).within(channel, channel_type);
    let key = message.key();
    let timestamp = event_ts.as_deref().and_then(at);
    Inbound { timestamp, ..removed(message.base(own), key) }
}

fn removed(base: Inbound, key: String) -> Inbound {
    let (dedup_key, content_type) = (Some(format!("delete:{key}")), "text".to_owned());
    Inbound { deed: Deed::Deleted(key), dedup_key, content_type, answers: None, text: None, ..base }
}

/// Which thread the message is in, Slack does not say.
fn reacted(reacted: Reacted, added: bool, event_id: &str, own: Own<'_>) -> Option<Inbound> {
    let (channel, to) = (reacted.item.channel?, reacted.item.ts?);
    let emoji = vec![emoji::of(&reacted.reaction)];
    let (added, removed) = if added { (emoji, Vec::new()) } else { (Vec::new(), emoji) };
    let is_own = own.is(&reacted.user);
    Some(Inbound {
        deed: Deed::Reacted(Reaction { to, added, removed, ..Reaction::default() }),
        dedup_key: Some(format!("reaction:{event_id}")),
        is_group: !is_direct(&channel),
        // It is there to an answer of the bot's, or is not looked at.
        mentioned: Some(true),
        is_own,
        sender_is_bot: is_own,
        timestamp: reacted.event_ts.as_deref().and_then(at),
        sender: Some(Sender {
            display_name: reacted.user.clone(),
            platform_id: reacted.user,
            internal_user: None,
        }),
        metadata: session(&channel, None),
        recipient: channel,
        ..Inbound::default()
    })
}
