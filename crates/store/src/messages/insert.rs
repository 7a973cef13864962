//! Accepting: a message and its event are written by one statement, or neither is.
//!
//! Must hold: who hears that nothing was written sends again, maybe under no key. So when the connection ends before the answer, which
//! is as likely behind the commit as before it, the messages are looked up by their ids, which are ours, before anybody is told so.
//! Where the server may not know that the connection ended, the statement may still be under way, and none is found: then they are
//! written once more under the same ids. That waits for the one under way, by the primary key of `messages`, which is one for all
//! partitions because these go by the id, or by the row of a key; each message is there once, whichever was first.

use std::collections::HashMap;
use std::sync::Arc;

use claw_types::{MessageId, Work};
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use tracing::{info, warn};
use uuid::Uuid;

use super::{Accepted, NewMessage};
use crate::events::TELL_ACCEPTED;
use crate::pool::Txn;
use crate::{Error, Result, Store, Tenant, chain};

/// What became of a [`NewMessage`] in one statement.
#[derive(Debug, Clone)]
pub(super) enum Inserted {
    Known(Accepted),
    /// Its key came with another body before.
    KeyReused,
    /// Its key belongs to a transaction that was not yet to be seen, or could not be looked up.
    NotSeen,
}

impl Inserted {
    pub(super) fn work(&self) -> Option<&Work> {
        match self {
            Self::Known(Accepted::New(work)) => Some(work),
            Self::Known(Accepted::Duplicate(_)) | Self::KeyReused | Self::NotSeen => None,
        }
    }
}

/// A message that was accepted before under some key.
struct Before {
    id: Uuid,
    digest: Option<Vec<u8>>,
}

/// What is pending in the conversation of a row of `accepted`, the last few; those of its own statement do not show.
pub(crate) const AHEAD: &str = "array(select m.id from messages m
    where m.channel_id = accepted.channel_id and m.conversation = accepted.conversation
      and m.direction = accepted.direction and m.finished_at is null
    order by m.seq desc limit 4)";

/// How often a lost batch is looked up: the writer has two connections, and both may have ended.
const LOOKS: usize = 3;

/// What the database adds to a message that it accepts.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    seq: i64,
    accepted_at_ms: i64,
    ahead: Vec<MessageId>,
}

impl Stored {
    pub(crate) fn of(row: &PgRow) -> Result<Self> {
        let ahead: Vec<Uuid> = row.try_get("ahead")?;
        Ok(Self {
            seq: row.try_get("seq")?,
            accepted_at_ms: row.try_get("accepted_at_ms")?,
            ahead: ahead.into_iter().map(MessageId).collect(),
        })
    }
}

impl Store {
    /// One statement for the whole batch; looked up where its answer did not come.
    pub(super) async fn messages_insert(&self, batch: &[Arc<NewMessage>]) -> Result<Vec<Inserted>> {
        let stored = match self.messages_insert_once(batch).await {
            Err(error) if error.may_be_committed() => self.messages_after_all(batch, error).await?,
            told => told?,
        };
        self.messages_inserted(batch, &stored).await
    }

    /// Those of a batch that are stored though it `failed`, which is the error where none is.
    async fn messages_after_all(
        &self,
        batch: &[Arc<NewMessage>],
        failed: Error,
    ) -> Result<HashMap<Uuid, Stored>> {
        match self.messages_found(batch, failed.may_be_under_way()).await {
            Ok(stored) if !stored.is_empty() => {
                info!("{} messages are committed though the database's answer was lost", stored.len());
                Ok(stored)
            }
            // They are committed together. Where there are none, all may have come before, under keys: then whoever sends them again
            // hears so.
            Ok(_) => Err(failed),
            Err(error) => {
                warn!("whether {} messages were committed is not known: {}", batch.len(), chain(&error));
                Err(failed)
            }
        }
    }

    /// Those of a batch that are stored once its statement is over, which may still be `under_way`.
    async fn messages_found(
        &self,
        batch: &[Arc<NewMessage>],
        under_way: bool,
    ) -> Result<HashMap<Uuid, Stored>> {
        let stored = self.messages_looked_up(batch).await?;
        if !stored.is_empty() || !under_way {
            return Ok(stored);
        }
        match self.messages_insert_once(batch).await {
            Ok(stored) if !stored.is_empty() => Ok(stored),
            Err(error) if !error.is_taken() && !error.may_be_committed() => Err(error),
            // The one under way was committed meanwhile, or all have come before, or this answer was lost, too.
            Ok(_) | Err(_) => self.messages_looked_up(batch).await,
        }
    }

    /// Tells what the batch's statement wrote.
    async fn messages_insert_once(&self, batch: &[Arc<NewMessage>]) -> Result<HashMap<Uuid, Stored>> {
        let sql = format!(
            "with input as (
                 select * from unnest($1::uuid[], $2::text[], $3::uuid[], $4::int[], $5::text[], $6::text[],
                                      $7::text[], $8::text[], $9::text[], $10::bytea[], $11::text[],
                                      $12::int[])
                 with ordinality
                 as t (id, user_id, channel_id, shard, direction, conversation, payload, media, key, digest, source,
                       debounce_ms, n)),
             fresh as (
                 insert into message_keys (channel_id, key, message_id, digest)
                 select channel_id, key, id, digest from input where key is not null order by channel_id, key
                 on conflict do nothing returning message_id),
             accepted as (
                 insert into messages
                     (id, user_id, channel_id, shard, direction, conversation, payload, media, source, debounce_ms)
                 select id, user_id, channel_id, shard, direction, conversation, payload::json, media::json, source,
                        debounce_ms
                 from input where key is null or id in (select message_id from fresh) order by n
                 returning id, seq, (extract(epoch from accepted_at) * 1000)::bigint as accepted_at_ms,
                           user_id, channel_id, direction, conversation, source),
             told as ({TELL_ACCEPTED})
             select id, seq, accepted_at_ms, {AHEAD} as ahead from accepted"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(batch.iter().map(|m| m.id.0).collect::<Vec<_>>())
            .bind(batch.iter().map(|m| m.user_id.as_str()).collect::<Vec<_>>())
            .bind(batch.iter().map(|m| m.channel_id.0).collect::<Vec<_>>())
            .bind(batch.iter().map(|m| m.shard.as_i32()).collect::<Vec<_>>())
            .bind(batch.iter().map(|m| m.direction.as_str()).collect::<Vec<_>>())
            .bind(batch.iter().map(|m| m.conversation.as_str()).collect::<Vec<_>>())
            .bind(batch.iter().map(|m| m.payload.get()).collect::<Vec<_>>())
            .bind(batch.iter().map(|m| m.media.as_ref().map(|r| r.get())).collect::<Vec<_>>())
            .bind(batch.iter().map(|m| m.key.as_deref()).collect::<Vec<_>>())
            .bind(batch.iter().map(|m| m.digest.as_ref().map(<[u8; 32]>::as_slice)).collect::<Vec<_>>())
            .bind(batch.iter().map(|m| m.source.as_deref()).collect::<Vec<_>>())
            .bind(batch.iter().map(|m| m.debounce()).collect::<Vec<_>>())
            .fetch_all(&self.pool)
            .await?;
        by_id(&rows)
    }

    /// As `messages_stored`, by a connection that is there: what ended one has ended its idle neighbours, too.
    async fn messages_looked_up(&self, batch: &[Arc<NewMessage>]) -> Result<HashMap<Uuid, Stored>> {
        for _ in 1..LOOKS {
            match self.messages_stored(batch).await {
                Err(error) if error.may_be_committed() => {}
                told => return told,
            }
        }
        self.messages_stored(batch).await
    }

    /// Those of a batch that are in the database. What is ahead of one may be of its own statement, which is all the same: it is
    /// in front of it.
    async fn messages_stored(&self, batch: &[Arc<NewMessage>]) -> Result<HashMap<Uuid, Stored>> {
        let rows = sqlx::query(
            "select id, seq, (extract(epoch from accepted_at) * 1000)::bigint as accepted_at_ms,
                    array(select m.id from messages m
                          where m.channel_id = accepted.channel_id and m.conversation = accepted.conversation
                            and m.direction = accepted.direction and m.finished_at is null and m.seq < accepted.seq
                          order by m.seq desc limit 4) as ahead
             from messages accepted where id = any($1)",
        )
        .bind(batch.iter().map(|m| m.id.0).collect::<Vec<_>>())
        .fetch_all(&self.pool)
        .await?;
        by_id(&rows)
    }

    /// What became of a batch of which these are stored.
    async fn messages_inserted(
        &self,
        batch: &[Arc<NewMessage>],
        stored: &HashMap<Uuid, Stored>,
    ) -> Result<Vec<Inserted>> {
        let known = if stored.len() < batch.len() {
            match self.messages_by_key(batch, stored).await {
                Ok(known) => known,
                Err(error) if stored.is_empty() => return Err(error),
                // Who has one of `stored` must hear of it. The others are submitted again.
                Err(error) => {
                    warn!("keys that came before can't be looked up, trying again: {}", chain(&error));
                    HashMap::new()
                }
            }
        } else {
            HashMap::new()
        };
        Ok(batch.iter().map(|message| accepted(message, stored, &known)).collect())
    }

    /// The messages that were accepted before under the keys of those that are not in `stored`.
    async fn messages_by_key(
        &self,
        batch: &[Arc<NewMessage>],
        stored: &HashMap<Uuid, Stored>,
    ) -> Result<HashMap<(Uuid, String), Before>> {
        let again = || batch.iter().filter(|m| !stored.contains_key(&m.id.0));
        let rows = sqlx::query(
            "select k.channel_id, k.key, k.message_id, k.digest
             from unnest($1::uuid[], $2::text[]) as i (channel_id, key)
             join message_keys k on k.channel_id = i.channel_id and k.key = i.key",
        )
        .bind(again().map(|m| m.channel_id.0).collect::<Vec<_>>())
        .bind(again().map(|m| m.key.as_deref()).collect::<Vec<_>>())
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .map(|row| {
                let before = Before { id: row.try_get("message_id")?, digest: row.try_get("digest")? };
                Ok(((row.try_get("channel_id")?, row.try_get("key")?), before))
            })
            .collect()
    }
}

fn by_id(rows: &[PgRow]) -> Result<HashMap<Uuid, Stored>> {
    rows.iter().map(|row| Ok((row.try_get("id")?, Stored::of(row)?))).collect()
}

fn accepted(
    message: &NewMessage,
    stored: &HashMap<Uuid, Stored>,
    known: &HashMap<(Uuid, String), Before>,
) -> Inserted {
    if let Some(stored) = stored.get(&message.id.0) {
        return Inserted::Known(Accepted::New(Box::new(stored_work(message, stored.clone()))));
    }
    let key = message.key.clone().map(|key| (message.channel_id.0, key));
    let Some(before) = key.and_then(|key| known.get(&key)) else { return Inserted::NotSeen };
    match (&before.digest, &message.digest) {
        (Some(before), Some(now)) if before != now => Inserted::KeyReused,
        _ => Inserted::Known(Accepted::Duplicate(MessageId(before.id))),
    }
}

pub(crate) fn stored_work(message: &NewMessage, stored: Stored) -> Work {
    let Stored { seq, accepted_at_ms, ahead } = stored;
    Work {
        id: message.id,
        seq,
        shard: message.shard,
        user_id: message.user_id.clone(),
        channel_id: message.channel_id,
        direction: message.direction,
        conversation: message.conversation.clone(),
        payload: message.payload.clone(),
        media: message.media.clone(),
        attempts: 0,
        platform_message_ids: Vec::new(),
        accepted_at_ms,
        retries: 0,
        retried_at_ms: 0,
        ahead,
        debounce_ms: message.debounce_ms,
        burst: None,
        scheduled: message.is_scheduled(),
    }
}

impl Tenant {
    /// Accepts a message as part of this transaction: it is safe once that is committed. Its key does not count; what
    /// makes it the same one again is the transaction's to know ([`Tenant::once`]).
    ///
    /// # Errors
    /// When the database fails.
    pub async fn message_accept(&mut self, message: &NewMessage) -> Result<Work> {
        accept(self.conn(), message).await
    }
}

/// [`Tenant::message_accept`] within any transaction.
pub(crate) async fn accept(txn: &mut Txn, message: &NewMessage) -> Result<Work> {
    let sql = format!(
        "with accepted as (
             insert into messages
                 (id, user_id, channel_id, shard, direction, conversation, payload, media, source, debounce_ms)
             values ($1, $2, $3, $4, $5, $6, $7::json, $8::json, $9, $10) returning *),
         told as ({TELL_ACCEPTED})
         select seq, (extract(epoch from accepted_at) * 1000)::bigint as accepted_at_ms, {AHEAD} as ahead
         from accepted"
    );
    let stored = sqlx::query(sqlx::AssertSqlSafe(sql))
        .bind(message.id.0)
        .bind(message.user_id.as_str())
        .bind(message.channel_id.0)
        .bind(message.shard.as_i32())
        .bind(message.direction.as_str())
        .bind(&message.conversation)
        .bind(message.payload.get())
        .bind(message.media.as_ref().map(|media| media.get()))
        .bind(message.source.as_deref())
        .bind(message.debounce())
        .fetch_one(txn)
        .await?;
    Ok(stored_work(message, Stored::of(&stored)?))
}
