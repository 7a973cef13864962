//! From what an adapter understood, or the API was told, to the row that is stored.
//!
//! This is where a message is stamped with whose it is and which agent it is for, and where text from strangers is
//! made safe to store: PostgreSQL text can't hold NUL and an index entry can't hold more than about 2,700 bytes.

use std::borrow::Cow;

use chrono::SubsecRound as _;
use claw_runtime::{Clock, Ids};
use claw_types::{Direction, Inbound, MessageId, Outbound, ReplyTo, WebhookBody, Work};
use serde_json::value::{RawValue, to_raw_value};

use crate::{Channel, NewMessage, Result};

/// Longest text that is indexed as it is.
const KEY_LIMIT: usize = 256;

impl NewMessage {
    /// A person's message.
    ///
    /// # Errors
    /// When it can't be written as JSON.
    pub fn inbound(channel: &Channel, inbound: Inbound, ids: &Ids, clock: &dyn Clock) -> Result<Self> {
        let unique = inbound.dedup_key.as_deref().or(inbound.platform_message_id.as_deref());
        let key = unique.map(|key| format!("in:{}", indexable(key)));
        let conversation = indexable(&inbound.conversation()).into_owned();
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
            metadata: inbound.metadata,
            reply_to: ReplyTo {
                channel: channel.channel_type.clone(),
                recipient: inbound.recipient,
                thread_id: inbound.thread_id,
            },
        };
        Ok(Self::new(channel, ids, Direction::In, conversation, to_raw_value(&body)?, media, key))
    }

    /// A message to a person. `key` makes a repeated call the same message.
    ///
    /// # Errors
    /// When it can't be written as JSON.
    pub fn outbound(channel: &Channel, body: &Outbound, ids: &Ids, key: Option<&str>) -> Result<Self> {
        let conversation = indexable(&body.conversation()).into_owned();
        let key = key.map(|key| format!("out:{}", indexable(key)));
        Ok(Self::new(channel, ids, Direction::Out, conversation, to_raw_value(body)?, None, key))
    }

    /// An answer to the person who wrote `question`, out of the backend's answer to its webhook. Delivering the same
    /// webhook again makes it no second time.
    ///
    /// # Errors
    /// When it can't be written as JSON.
    pub fn answer(question: &Work, body: &Outbound, ids: &Ids) -> Result<Self> {
        Ok(Self {
            id: MessageId(ids.next()),
            user_id: question.user_id.clone(),
            channel_id: question.channel_id,
            shard: question.shard,
            direction: Direction::Out,
            conversation: indexable(&body.conversation()).into_owned(),
            payload: to_raw_value(body)?,
            media: None,
            key: Some(format!("answer:{}", question.id)),
            digest: None,
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
        }
    }
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
