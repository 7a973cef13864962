//! From what an adapter understood, or the API was told, to the row that is stored.
//!
//! This is where a message is stamped with whose it is and which agent it is for, and where text from strangers is
//! made safe to store: PostgreSQL text can't hold NUL and an index entry can't hold more than about 2,700 bytes.

use std::borrow::Cow;

use chrono::SubsecRound as _;
use claw_runtime::{Clock, Ids};
use claw_types::{
    ChannelId, Direction, Inbound, InstanceId, MessageId, Outbound, ReplyTo, ShardCount, UserId, WebhookBody,
    Work, album, bodies,
};
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value};

use crate::feedback::received_key;
use crate::messages::PERSON;
use crate::{Channel, NewMessage, Result};

/// Longest text that is indexed as it is.
const KEY_LIMIT: usize = 256;

/// What no person wrote: a wake-up, a schedule's time, another system's news.
#[derive(Debug)]
pub struct AgentEvent<'a> {
    /// Whose agent hears of it.
    pub user: &'a UserId,
    /// Which agent; when empty, the one that the chat's channel is bound to.
    pub agent_id: &'a str,
    /// What it came from, e.g. `wake`; stands in `metadata.source`, and in the event of its acceptance.
    pub source: &'a str,
    /// The session of events that belong to no chat; by default one for each source, user and agent.
    pub session: Option<&'a str>,
    /// What happened.
    pub text: String,
    /// What else is worth telling. Session keys in it count more than ours.
    pub metadata: Map<String, Value>,
    /// The chat that it belongs to.
    pub chat: Option<Chat<'a>>,
    /// What makes it the same event of this user and source again.
    pub key: Option<&'a str>,
}

/// A chat that an event belongs to.
#[derive(Debug)]
pub struct Chat<'a> {
    /// By which channel.
    pub channel: &'a Channel,
    /// The platform's id of the chat.
    pub recipient: String,
    /// The thread or topic in it.
    pub thread_id: Option<String>,
    /// Whether the agent's answer goes there.
    pub answer: bool,
}

impl AgentEvent<'_> {
    /// The caller's, with what names the session as adapters name it for people's messages.
    fn metadata(&self) -> Map<String, Value> {
        let mut metadata = self.metadata.clone();
        metadata.insert("source".to_owned(), self.source.into());
        if bodies::session_key(&metadata).is_some() {
            return metadata;
        }
        let chat_id = match (&self.chat, self.session) {
            (Some(chat), _) => chat.recipient.clone(),
            (None, Some(session)) => session.to_owned(),
            (None, None) => session(self.source, self.user, self.agent_id),
        };
        if let Some(Chat { recipient, thread_id: Some(thread), .. }) = &self.chat {
            let thread = bodies::conversation(recipient, Some(thread));
            metadata.insert("thread_id".to_owned(), thread.into());
        }
        metadata.insert("chat_id".to_owned(), chat_id.into());
        metadata
    }
}

/// The session of a source's events for an agent that belong to no chat.
pub fn session(source: &str, user: &UserId, agent_id: &str) -> String {
    if agent_id.is_empty() {
        format!("hook:{source}:{user}")
    } else {
        format!("hook:{source}:{user}:{agent_id}")
    }
}

impl NewMessage {
    /// A person's message.
    ///
    /// # Errors
    /// When it can't be written as JSON.
    pub fn inbound(channel: &Channel, inbound: Inbound, ids: &Ids, clock: &dyn Clock) -> Result<Self> {
        let given = inbound.id;
        let conversation = indexable(&inbound.conversation()).into_owned();
        let mut metadata = inbound.metadata;
        // The key is ours: what a caller put there is none.
        match &inbound.album {
            Some(album) => metadata.insert(album::KEY.to_owned(), indexable(album).into()),
            None => metadata.remove(album::KEY),
        };
        let unique = inbound.dedup_key.as_deref().or(inbound.platform_message_id.as_deref());
        let key = unique.map(received_key);
        let media = inbound.media.as_ref().map(to_raw_value).transpose()?;
        let filename = inbound.media.as_ref().and_then(|m| m.filename.clone());
        let body = WebhookBody {
            user_id: channel.user_id.clone(),
            agent_id: (!channel.agent_id.is_empty()).then(|| channel.agent_id.clone()),
            channel: channel.channel_type.clone(),
            instance_name: channel.instance.clone(),
            platform_message_id: inbound.platform_message_id,
            sender: inbound.sender,
            content_type: inbound.content_type,
            text: inbound.text,
            media_url: None,
            media_filename: filename,
            media_duration_seconds: inbound.media_duration_seconds,
            is_group: inbound.is_group,
            thread_id: inbound.thread_id.clone(),
            timestamp: inbound.timestamp.unwrap_or_else(|| clock.now().trunc_subsecs(3)),
            metadata,
            reply_to: Some(ReplyTo {
                channel: channel.channel_type.clone(),
                recipient: inbound.recipient,
                thread_id: inbound.thread_id,
            }),
        };
        let new = Self::new(channel, ids, Direction::In, conversation, to_raw_value(&body)?, media, key);
        Ok(Self { id: given.unwrap_or(new.id), ..new })
    }

    /// Something that happened, for the backend. With a chat it takes its place among that chat's messages, so that
    /// the agent reads them in order; without one it is in order with the events of its session.
    ///
    /// # Errors
    /// When it can't be written as JSON.
    pub fn event(event: AgentEvent<'_>, shards: ShardCount, ids: &Ids, clock: &dyn Clock) -> Result<Self> {
        let metadata = event.metadata();
        let AgentEvent { user, agent_id, source, text, chat, key, .. } = event;
        let channel = chat.as_ref().map(|chat| chat.channel);
        let bound = channel.map_or("", |channel| &channel.agent_id);
        let agent = if agent_id.is_empty() { bound } else { agent_id };
        let instance = channel.map_or_else(InstanceId::hooks, |channel| channel.instance.clone());
        let shard = channel.map_or_else(|| shards.shard_of(user, &instance), |channel| channel.shard);
        let channel_type = channel.map_or("hook", |channel| &channel.channel_type).to_owned();
        let conversation = match &chat {
            Some(chat) => bodies::conversation(&chat.recipient, chat.thread_id.as_deref()),
            // All users' events share the absent channel. No user id has a slash.
            None => format!("{user}/{}", bodies::session_key(&metadata).unwrap_or_default()),
        };
        let key = key.map(|key| format!("event:{}", indexable(&format!("{user}/{source}/{key}"))));
        let thread_id = chat.as_ref().and_then(|chat| chat.thread_id.clone());
        let reply_to = chat.filter(|chat| chat.answer).map(|chat| ReplyTo {
            channel: channel_type.clone(),
            recipient: chat.recipient,
            thread_id: chat.thread_id,
        });
        let body = WebhookBody {
            user_id: user.clone(),
            agent_id: (!agent.is_empty()).then(|| agent.to_owned()),
            channel: channel_type,
            instance_name: instance,
            platform_message_id: None,
            sender: None,
            content_type: "text".to_owned(),
            text: Some(text),
            media_url: None,
            media_filename: None,
            media_duration_seconds: None,
            is_group: false,
            thread_id,
            timestamp: clock.now().trunc_subsecs(3),
            metadata,
            reply_to,
        };
        Ok(Self {
            id: MessageId(ids.next()),
            user_id: user.clone(),
            channel_id: channel.map_or(ChannelId::NONE, |channel| channel.id),
            shard,
            direction: Direction::In,
            conversation: indexable(&conversation).into_owned(),
            payload: to_raw_value(&body)?,
            media: None,
            key,
            digest: None,
            source: Some(source.to_owned()),
            debounce_ms: 0,
        })
    }

    /// A message to a person. `key` makes a repeated call the same message.
    ///
    /// # Errors
    /// When it can't be written as JSON.
    pub fn outbound(channel: &Channel, body: &Outbound, ids: &Ids, key: Option<&str>) -> Result<Self> {
        let conversation = indexable(&body.conversation()).into_owned();
        let key = key.map(outbound_key);
        Ok(Self::new(channel, ids, Direction::Out, conversation, to_raw_value(body)?, None, key))
    }

    /// An answer to the person who wrote `question`, the `index`th of the backend's answer to its webhook. Delivering the
    /// same webhook again makes it no second time.
    ///
    /// # Errors
    /// When it can't be written as JSON.
    pub fn answer(question: &Work, index: usize, body: &Outbound, ids: &Ids) -> Result<Self> {
        Self::beside(question, body, answer_key(question.id, index), ids)
    }

    /// Takes away our message `placeholder`, behind the `answer` that it stood for. However often the answer is ended, it is the same
    /// message.
    ///
    /// # Errors
    /// When it can't be written as JSON.
    pub fn removal(answer: &Work, placeholder: MessageId, body: &Outbound, ids: &Ids) -> Result<Self> {
        Self::beside(answer, body, format!("removal:{placeholder}"), ids)
    }

    /// A message to a person in the channel of another one.
    fn beside(other: &Work, body: &Outbound, key: String, ids: &Ids) -> Result<Self> {
        Ok(Self {
            id: MessageId(ids.next()),
            user_id: other.user_id.clone(),
            channel_id: other.channel_id,
            shard: other.shard,
            direction: Direction::Out,
            conversation: indexable(&body.conversation()).into_owned(),
            payload: to_raw_value(body)?,
            media: None,
            key: Some(key),
            digest: None,
            source: None,
            debounce_ms: 0,
        })
    }

    fn new(
        channel: &Channel,
        ids: &Ids,
        direction: Direction,
        conversation: String,
        payload: Box<RawValue>,
        media: Option<Box<RawValue>>,
        key: Option<String>,
    ) -> Self {
        Self {
            id: MessageId(ids.next()),
            user_id: channel.user_id.clone(),
            channel_id: channel.id,
            shard: channel.shard,
            direction,
            conversation,
            payload,
            media,
            key,
            digest: None,
            source: (direction == Direction::In).then(|| PERSON.to_owned()),
            debounce_ms: 0,
        }
    }
}

/// The key of the `index`th message of the answer to a message. The first one's is that of versions that knew of one only.
pub(crate) fn answer_key(question: MessageId, index: usize) -> String {
    if index == 0 { format!("answer:{question}") } else { format!("answer:{question}:{index}") }
}

/// A caller's key of a message to a person, beside the keys of a channel's other messages.
pub(crate) fn outbound_key(key: &str) -> String {
    format!("out:{}", indexable(key))
}

/// `text` in a form that can be stored in an indexed column; equal texts stay equal, different ones different.
pub fn indexable(text: &str) -> Cow<'_, str> {
    if text.len() <= KEY_LIMIT && !text.contains('\0') {
        return Cow::Borrowed(text);
    }
    let digest = claw_secrets::signature::sha256(text.as_bytes());
    Cow::Owned(format!("sha256:{}", hex::encode(digest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_keys_become_digests() {
        assert_eq!(indexable("42"), "42");
        assert!(indexable("a\0b").starts_with("sha256:"));
        assert_ne!(indexable("a\0b"), indexable("a\0c"));
        assert_eq!(indexable(&"x".repeat(100_000)).len(), 71);
    }
}
