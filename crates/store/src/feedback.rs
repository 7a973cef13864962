//! What people do to messages that are there already: which message it was, and the event that tells of it.
//!
//! Which message it was is found by its key: a person's message by the key that it was accepted under, ours by a key that is
//! made of the platform's ids when it has been sent. Both are rows of `message_keys`, so they are remembered for as long as
//! those (7 days), go with their channel, and cost a message to a person one row and a message from one nothing. Where an answer took
//! the place of a placeholder, both were sent under one id of the platform's: it names the later message, which people see.
//!
//! Rejected: an index over `messages.platform_message_ids`. Each message, in both directions, would pay for it twice, when it is
//! accepted and when it is settled, and it could not be told apart which chat a number belongs to.
//!
//! Must hold: the same update again tells nothing again, so an event has a key, too, and is written in the statement that
//! finds that key free.

use claw_runtime::Ids;
use claw_types::{ChannelId, MessageId};
use serde_json::Value;
use uuid::Uuid;

use crate::intake::indexable;
use crate::{Channel, Overheard, Result, Store};

/// Something that a person did to a message, to be told once.
#[derive(Debug, Clone)]
pub struct Feedback {
    /// One of [`crate::events::TYPES`].
    pub kind: &'static str,
    /// The message to which it was done.
    pub message: MessageId,
    /// What makes it the same again within its channel; without one it is told each time.
    pub key: Option<String>,
    /// A small object; of what people wrote nothing but emoji.
    pub data: Value,
    /// The key under which the message was accepted that it came as, if it came as one: the event names that message, too.
    pub came_as: Option<String>,
}

/// A message that was accepted as an edit of what nobody had passed on.
#[derive(Debug, Clone)]
pub struct FirstSeen {
    /// The key of the message, which its next edit names.
    pub key: String,
    /// The key of the edit, under which it was accepted.
    pub came_as: String,
}

/// The keys of what was sent, of rows of `settled`: part of the statement that settles. An act on a message is no message.
/// What can't be read as JSON by the server is read as elsewhere, see `message_log`.
///
/// Of several messages with one key the last accepted has it, in whichever order they are settled. One statement writes a row once, so
/// each key is given to it once; and in order, so that no two statements wait for one another.
pub(crate) const REMEMBER_SENT: &str = "insert into message_keys (channel_id, key, message_id)
     select distinct on (s.channel_id, named.key) s.channel_id, named.key, s.id
     from (select channel_id, id, seq,
                  replace(payload::text, '\\u0000', '\\ufffd')::json as body,
                  replace(platform_message_ids::text, '\\u0000', '\\ufffd')::json as receipts
           from settled
           where direction = 'out' and state <> 'pending' and json_array_length(platform_message_ids) > 0
           offset 0) s,
          json_array_elements_text(s.receipts) ids (receipt),
          -- The ids of an album stand in one receipt, with commas between.
          unnest(string_to_array(receipt, ',')) part,
          lateral (select 'sent:' || encode(sha256(convert_to((s.body ->> 'recipient') || ':' || part, 'UTF8')), 'hex')
                   as key) named
     where s.body -> 'act' is null and s.body ->> 'recipient' is not null
     order by s.channel_id, named.key, s.seq desc
     on conflict (channel_id, key) do update set message_id = excluded.message_id
     where coalesce((select m.seq from messages m where m.id = message_keys.message_id)
                    < (select m.seq from messages m where m.id = excluded.message_id), true)";

/// The key of a message of ours, as [`REMEMBER_SENT`] makes it. Always of one length, whatever the platform's ids are.
pub(crate) fn sent_key(recipient: &str, platform_message_id: &str) -> String {
    let digest = claw_secrets::signature::sha256(format!("{recipient}:{platform_message_id}").as_bytes());
    format!("sent:{}", hex::encode(digest))
}

/// The key that a person's message is stored under, of its [`claw_types::Inbound::dedup_key`].
pub fn received_key(key: &str) -> String {
    format!("in:{}", indexable(key))
}

/// The key of an event.
fn told_key(kind: &str, key: &str) -> String {
    format!("{kind}:{}", indexable(key))
}

impl Store {
    /// The message to a person that the platform knows by this id in this chat; `None` when it is none of ours, or was sent
    /// too long ago.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn message_sent_as(
        &self,
        channel: ChannelId,
        recipient: &str,
        platform_message_id: &str,
    ) -> Result<Option<MessageId>> {
        let id: Option<Uuid> =
            sqlx::query_scalar("select message_id from message_keys where channel_id = $1 and key = $2")
                .bind(channel.0)
                .bind(sent_key(recipient, platform_message_id))
                .fetch_optional(&self.pool)
                .await?;
        Ok(id.map(MessageId))
    }

    /// The person's message that was accepted under this key ([`claw_types::Inbound::dedup_key`]); `None` when none was, or too
    /// long ago. What was held of a stranger and dropped has a key, too, and is no message.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn message_received_as(&self, channel: ChannelId, key: &str) -> Result<Option<MessageId>> {
        let id: Option<Uuid> = sqlx::query_scalar(
            "select m.id from message_keys k join messages m on m.id = k.message_id
             where k.channel_id = $1 and k.key = $2",
        )
        .bind(channel.0)
        .bind(received_key(key))
        .fetch_optional(&self.pool)
        .await?;
        Ok(id.map(MessageId))
    }

    /// Tells what was done to messages of a channel, in order; what was told before is not told again. Comes after the commit
    /// of the messages that it came as.
    ///
    /// # Errors
    /// When the database fails; then nothing was told.
    pub async fn feedback_tell(&self, channel: &Channel, feedback: &[Feedback], ids: &Ids) -> Result<()> {
        if feedback.is_empty() {
            return Ok(());
        }
        let key = |one: &Feedback| match &one.key {
            Some(key) => told_key(one.kind, key),
            None => told_key(one.kind, &ids.next().to_string()),
        };
        let came_as = |one: &Feedback| one.came_as.as_deref().map(received_key);
        sqlx::query(
            "with given as (
                 select distinct on (key) *
                 from unnest($3::text[], $4::uuid[], $5::text[], $6::text[], $7::text[])
                     with ordinality as g (kind, message_id, key, data, came_as, n)
                 order by key, n),
             fresh as (
                 insert into message_keys (channel_id, key, message_id)
                 select $1, key, message_id from given
                 on conflict do nothing returning key)
             insert into events (user_id, type, channel_id, message_id, data)
             select $2, g.kind, $1, g.message_id,
                    case when came.message_id is null then g.data::json
                         else (g.data::jsonb || jsonb_build_object('inbound_message_id', came.message_id))::json end
             from given g join fresh using (key)
             left join message_keys came on came.channel_id = $1 and came.key = g.came_as
             order by g.n",
        )
        .bind(channel.id.0)
        .bind(channel.user_id.as_str())
        .bind(feedback.iter().map(|one| one.kind).collect::<Vec<_>>())
        .bind(feedback.iter().map(|one| one.message.0).collect::<Vec<_>>())
        .bind(feedback.iter().map(key).collect::<Vec<_>>())
        .bind(feedback.iter().map(|one| one.data.to_string()).collect::<Vec<_>>())
        .bind(feedback.iter().map(came_as).collect::<Vec<_>>())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Has messages known under their own keys, too, and their edits as told: the same edit again is no edit of them. Comes
    /// after their commit.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn first_seen(&self, channel: ChannelId, messages: &[FirstSeen]) -> Result<()> {
        let keys = messages.iter().flat_map(|one| {
            let came_as = received_key(&one.came_as);
            [(received_key(&one.key), came_as.clone()), (told_key("message.edited", &one.came_as), came_as)]
        });
        self.keys_add(channel, &keys.collect::<Vec<_>>()).await
    }

    /// Has messages known by further keys, each beside one by which its message is known. Without any, no query. In one order for
    /// everybody, so that nobody waits for a key of somebody who waits for one of theirs.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn keys_add(&self, channel: ChannelId, keys: &[(String, String)]) -> Result<()> {
        if keys.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "insert into message_keys (channel_id, key, message_id)
             select $1, g.key, known.message_id from unnest($2::text[], $3::text[]) g (key, known_as)
             join message_keys known on known.channel_id = $1 and known.key = g.known_as
             order by g.key
             on conflict do nothing",
        )
        .bind(channel.0)
        .bind(keys.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>())
        .bind(keys.iter().map(|(_, known)| known.as_str()).collect::<Vec<_>>())
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// A message that is kept as its group's context reads like this now; `None` when it was taken back, with all of its files. Tells
    /// whether there was one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn context_change(
        &self,
        channel: ChannelId,
        key: &str,
        now: Option<&Overheard>,
    ) -> Result<bool> {
        let sql = match now {
            Some(_) => "update group_context set said = $3::json where channel_id = $1 and key = $2",
            // Each file is kept by itself, and all of them have the platform's id of the message.
            None => {
                "with found as (
                     select conversation, seq, platform_message_id from group_context
                     where channel_id = $1 and key = $2 and $3::text is null)
                 delete from group_context c using found f
                 where c.channel_id = $1 and c.conversation = f.conversation
                   and (c.seq = f.seq or c.platform_message_id = f.platform_message_id)"
            }
        };
        let done = sqlx::query(sql)
            .bind(channel.0)
            .bind(&*indexable(key))
            .bind(now.map(Overheard::said))
            .execute(&self.pool)
            .await?;
        Ok(done.rows_affected() > 0)
    }
}
