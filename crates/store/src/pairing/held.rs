//! What strangers wrote and is held until somebody lets them in, as part of the [`PairingBook`] of their channel.
//!
//! Must hold: what is handed over in the end is what its author left standing. So an edit or a deletion of it is done to the row itself: unlike
//! a message that was accepted, nobody has seen it yet.

use claw_types::{ChannelId, MessageId, WebhookBody, Work, album};
use serde_json::value::RawValue;
use sqlx::Row as _;
use uuid::Uuid;

use super::PairingBook;
use crate::feedback::received_key;
use crate::messages::{PERSON, accept};
use crate::{NewMessage, Result, Store};

impl Store {
    /// What is held in a channel of a message of this key ([`claw_types::Inbound::dedup_key`]), whoever wrote it: the request, and the id that
    /// stands for the message. Outside a [`PairingBook`], so it may be gone by the time that one is open.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn held_under(&self, channel: ChannelId, key: &str) -> Result<Option<(Uuid, MessageId)>> {
        let held: Option<(Uuid, Uuid)> = sqlx::query_as(
            "select h.pairing_id, h.id from message_keys k join pairing_held h on h.id = k.message_id
             where k.channel_id = $1 and k.key = $2",
        )
        .bind(channel.0)
        .bind(received_key(key))
        .fetch_optional(&self.pool)
        .await?;
        Ok(held.map(|(pairing, held)| (pairing, MessageId(held))))
    }
}

impl PairingBook {
    /// Holds what somebody wrote until they are let in, up to `limit` messages. `false`: there is no room.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn hold(&mut self, pairing: Uuid, message: &NewMessage, limit: i64) -> Result<bool> {
        let held = sqlx::query(
            "insert into pairing_held (id, pairing_id, user_id, conversation, payload, media)
             select $1, $2, $3, $4, $5::json, $6::json
             where (select count(*) from pairing_held where pairing_id = $2) < $7",
        )
        .bind(message.id.0)
        .bind(pairing)
        .bind(self.channel.user_id.as_str())
        .bind(&message.conversation)
        .bind(message.payload.get())
        .bind(message.media.as_ref().map(|media| media.get()))
        .bind(limit)
        .execute(&mut self.txn)
        .await?;
        Ok(held.rows_affected() == 1)
    }

    /// Drops what is held.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn discard(&mut self, pairing: Uuid) -> Result<()> {
        let held = sqlx::query("delete from pairing_held where pairing_id = $1").bind(pairing);
        held.execute(&mut self.txn).await?;
        Ok(())
    }

    /// Makes messages of what is held, in order.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn release(&mut self, pairing: Uuid) -> Result<Vec<Work>> {
        let rows = sqlx::query(
            "with gone as (delete from pairing_held where pairing_id = $1
                           returning seq, id, conversation, payload, media)
             select id, conversation, payload::text as payload, media::text as media from gone order by seq",
        )
        .bind(pairing)
        .fetch_all(&mut self.txn)
        .await?;
        let mut released = Vec::with_capacity(rows.len());
        for row in rows {
            let media: Option<String> = row.try_get("media")?;
            let payload = RawValue::from_string(row.try_get("payload")?)?;
            let message = NewMessage {
                id: MessageId(row.try_get("id")?),
                user_id: self.channel.user_id.clone(),
                channel_id: self.channel.id,
                shard: self.channel.shard,
                direction: claw_types::Direction::In,
                conversation: row.try_get("conversation")?,
                media: media.map(RawValue::from_string).transpose()?,
                // Claimed when it was held.
                key: None,
                digest: None,
                source: Some(PERSON.to_owned()),
                debounce_ms: wait_after(&payload),
                payload,
            };
            released.push(accept(&mut self.txn, &message).await?);
        }
        Ok(released)
    }

    /// What is held for a request of a message of this key ([`claw_types::Inbound::dedup_key`]): the id that stands for it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn held_as(&mut self, pairing: Uuid, key: &str) -> Result<Option<MessageId>> {
        let held: Option<Uuid> = sqlx::query_scalar(
            "select h.id from message_keys k join pairing_held h on h.id = k.message_id
             where k.channel_id = $1 and k.key = $2 and h.pairing_id = $3",
        )
        .bind(self.channel.id.0)
        .bind(received_key(key))
        .bind(pairing)
        .fetch_optional(&mut self.txn)
        .await?;
        Ok(held.map(MessageId))
    }

    /// Holds a message as it reads now, in its place.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn held_change(&mut self, held: MessageId, now: &NewMessage) -> Result<()> {
        sqlx::query("update pairing_held set payload = $2::json, media = $3::json where id = $1")
            .bind(held.0)
            .bind(now.payload.get())
            .bind(now.media.as_ref().map(|media| media.get()))
            .execute(&mut self.txn)
            .await?;
        Ok(())
    }

    /// Drops one message that is held for a request, and what else is held that was one with it for its author: each file of a message is
    /// one of ours, and all of them have the platform's id of it. Tells whether it was held.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn held_remove(&mut self, pairing: Uuid, held: MessageId) -> Result<bool> {
        // With \u0000, which is legal JSON, no body is read by the server: see `message_log`.
        let gone = sqlx::query(
            "with parts as materialized (
                 select id, conversation,
                        replace(payload::text, '\\u0000', '\\ufffd')::json ->> 'platform_message_id' as written
                 from pairing_held where pairing_id = $1)
             delete from pairing_held h using parts p, parts found
             where found.id = $2 and h.id = p.id
               and (p.id = found.id or (p.conversation, p.written) = (found.conversation, found.written))",
        )
        .bind(pairing)
        .bind(held.0)
        .execute(&mut self.txn)
        .await?;
        Ok(gone.rows_affected() > 0)
    }
}

/// What is released is old, but the parts of an album are still one message.
fn wait_after(payload: &RawValue) -> u32 {
    let body = serde_json::from_str::<WebhookBody>(payload.get());
    if body.is_ok_and(|body| album::of(&body.metadata).is_some()) { album::WAIT_MS } else { 0 }
}
