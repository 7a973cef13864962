//! Messages that something is done to after they were sent or received: edited, taken back, reacted to.

use claw_types::{ChannelId, MessageId, MessageState, Outbound, UserId, WebhookBody};
use sqlx::Row as _;
use uuid::Uuid;

use crate::intake::outbound_key;
use crate::{Error, Result, Store};

/// Where a message is on its platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnPlatform {
    /// The chat.
    pub recipient: String,
    /// The thread or topic in it.
    pub thread_id: Option<String>,
    /// The platform's ids of its parts; empty when the platform does not have it (yet).
    pub message_ids: Vec<String>,
    /// Whether a person wrote it.
    pub from_person: bool,
    /// Where it stands.
    pub state: MessageState,
}

impl Store {
    /// The message to a person that a channel accepted under a caller's key; `None` when there was none.
    ///
    /// # Errors
    /// [`Error::KeyReused`] when the key came with another body.
    pub async fn message_of_key(
        &self,
        channel: ChannelId,
        key: &str,
        digest: [u8; 32],
    ) -> Result<Option<MessageId>> {
        let before: Option<(Uuid, Option<Vec<u8>>)> =
            sqlx::query_as("select message_id, digest from message_keys where channel_id = $1 and key = $2")
                .bind(channel.0)
                .bind(outbound_key(key))
                .fetch_optional(&self.pool)
                .await?;
        match before {
            Some((_, Some(other))) if other != digest => Err(Error::KeyReused),
            before => Ok(before.map(|(id, _)| MessageId(id))),
        }
    }

    /// A user's message of this channel, by our id of it; `None` when there is none.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn message_on_platform(
        &self,
        user: &UserId,
        channel: ChannelId,
        id: MessageId,
    ) -> Result<Option<OnPlatform>> {
        let row = sqlx::query(
            "select direction, state, payload::text as payload, platform_message_ids::text as parts
             from messages where id = $1 and user_id = $2 and channel_id = $3",
        )
        .bind(id.0)
        .bind(user.as_str())
        .bind(channel.0)
        .fetch_optional(self.tenant(user).await?.conn())
        .await?;
        let Some(row) = row else { return Ok(None) };
        let (direction, state): (String, String) = (row.try_get("direction")?, row.try_get("state")?);
        let state = MessageState::parse(&state).ok_or_else(|| Error::BadRow {
            table: "messages",
            id: id.to_string(),
            column: "state",
            value: state,
        })?;
        let payload: String = row.try_get("payload")?;
        if direction == "in" {
            let body: WebhookBody = serde_json::from_str(&payload)?;
            // An event that nobody wrote is nowhere on the platform.
            let Some(reply_to) = body.reply_to else { return Ok(None) };
            return Ok(Some(OnPlatform {
                recipient: reply_to.recipient,
                thread_id: reply_to.thread_id,
                message_ids: body.platform_message_id.into_iter().collect(),
                from_person: true,
                state,
            }));
        }
        let message: Outbound = serde_json::from_str(&payload)?;
        let parts: Vec<String> = serde_json::from_str(row.try_get("parts")?)?;
        // The ids of an album stand in one receipt, with commas between.
        let message_ids = parts.iter().flat_map(|part| part.split(',')).map(str::to_owned).collect();
        let Outbound { recipient, thread_id, .. } = message;
        Ok(Some(OnPlatform { recipient, thread_id, message_ids, from_person: false, state }))
    }
}
