//! Messages: accepted in batches, swept by their owner, settled in batches under its epochs.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use claw_runtime::{Batcher, Lifecycle};
use claw_telemetry::metrics::Counter;
use claw_telemetry::trace::{self, Context, Kind, Span};
use claw_types::{ChannelId, Direction, MessageId, MessageState, ShardId, UserId, Work};
use futures::future::BoxFuture;
use serde_json::value::RawValue;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::backlog::{Look, Whose};
use crate::cron::message::CRON;
use crate::events::TELL_ACCEPTED;
use crate::pool::Txn;
use crate::{Error, Result, Store, Tenant};

mod settle;

pub use settle::Settlement;

/// A message to accept.
#[derive(Debug, Clone)]
pub struct NewMessage {
    /// The id to give it.
    pub id: MessageId,
    /// The tenant.
    pub user_id: UserId,
    /// The channel.
    pub channel_id: ChannelId,
    /// Its shard.
    pub shard: ShardId,
    /// Which way it goes.
    pub direction: Direction,
    /// What is worked off in order with it.
    pub conversation: String,
    /// The body, JSON.
    pub payload: Box<RawValue>,
    /// The adapter's handle on an inbound attachment, JSON.
    pub media: Option<Box<RawValue>>,
    /// What makes it the same message again within its channel.
    pub key: Option<String>,
    /// SHA-256 of the body that came with a caller's key: another body under it is a mistake.
    pub digest: Option<[u8; 32]>,
    /// What an inbound one comes from: [`PERSON`], or an event's source. Of outbound ones only a job's and an alert's say it.
    pub source: Option<String>,
    /// As [`Work::debounce_ms`].
    pub debounce_ms: u32,
}

/// The source of what a person wrote.
pub const PERSON: &str = "person";

/// What became of a [`NewMessage`].
#[derive(Debug, Clone)]
pub enum Accepted {
    /// It is stored.
    New(Box<Work>),
    /// It was accepted before, under this id.
    Duplicate(MessageId),
}

impl Accepted {
    /// The id under which it is stored.
    pub fn id(&self) -> MessageId {
        match self {
            Self::New(work) => work.id,
            Self::Duplicate(id) => *id,
        }
    }
}

/// What became of a [`NewMessage`] in one statement.
#[derive(Debug, Clone)]
enum Inserted {
    Known(Accepted),
    /// Its key came with another body before.
    KeyReused,
    /// Its key belongs to a transaction that was not yet to be seen.
    NotSeen,
}

impl Inserted {
    fn work(&self) -> Option<&Work> {
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

impl NewMessage {
    /// Where it is in its trace: of one to a person, whatever this runs in.
    fn context(&self) -> Option<Context> {
        match self.direction {
            Direction::In => Context::of_message(self.id.0.as_u128()),
            Direction::Out => trace::current(),
        }
    }

    /// As stored.
    fn debounce(&self) -> Option<i32> {
        i32::try_from(self.debounce_ms).ok().filter(|ms| *ms > 0)
    }
}

/// Where a message stands.
#[derive(Debug, Clone, PartialEq)]
pub struct MessageStatus {
    /// Its state.
    pub state: MessageState,
    /// The platform's ids of what was sent.
    pub platform_message_ids: Vec<String>,
    /// Why it failed, or was discarded.
    pub error: Option<String>,
}

/// A message in a conversation's history.
#[derive(Debug, Clone)]
pub struct HistoryRow {
    /// Its id.
    pub id: MessageId,
    /// Its place.
    pub seq: i64,
    /// Which way it went.
    pub direction: Direction,
    /// The body, JSON.
    pub payload: Box<RawValue>,
    /// When it was accepted.
    pub accepted_at: DateTime<Utc>,
}

/// Accepts and settles through group commit; one for each process.
#[derive(Clone)]
pub struct MessageWriter {
    // Shared, because a batch that fails is tried item by item: a copy of each for that would be one for nothing.
    accept: Batcher<Arc<NewMessage>, Inserted, Error>,
    settle: Batcher<Arc<Settlement>, bool, Error>,
}

/// Rows in one statement: beyond some hundreds the gain is small and the latency of a batch grows.
const BATCH: usize = 500;
/// How long settlements gather at most in a busy worker. The platform or the backend has the message by then; what waits is the next
/// one of its conversation, and a send that is answered when it is done. A worker that dies in between does again what it could not
/// settle, as ever. It saves a fifth of all transactions (docs/benchmarks.md).
const GATHER: Duration = Duration::from_millis(2);

/// Tells the owners of shards what was accepted for them.
///
/// A batch is told of at once, by who committed it: one by one, each caller for itself, would wake the connection to NATS, NATS
/// and the worker for nearly every message. And a caller that goes away takes no message's announcement with it.
pub trait Announce: Send + Sync + 'static {
    /// All of these are committed. The next batch waits for this.
    fn announce<'a>(&'a self, accepted: &'a [&'a Work]) -> BoxFuture<'a, ()>;
}

/// Nobody needs to be told: who accepts is the owner.
impl Announce for () {
    fn announce<'a>(&'a self, _: &'a [&'a Work]) -> BoxFuture<'a, ()> {
        Box::pin(std::future::ready(()))
    }
}

impl MessageWriter {
    /// Starts the two committers.
    pub fn start(store: &Store, lifecycle: &Lifecycle, owners: impl Announce) -> Self {
        let (accepting, settling) = (store.alone(), store.alone());
        let owners = Arc::new(owners);
        Self {
            accept: Batcher::start(lifecycle, "accept", BATCH, move |batch: Vec<Arc<NewMessage>>| {
                let (store, owners) = (accepting.clone(), Arc::clone(&owners));
                async move {
                    let inserted = store.messages_insert(&batch).await?;
                    owners.announce(&inserted.iter().filter_map(Inserted::work).collect::<Vec<_>>()).await;
                    Ok(inserted)
                }
            }),
            settle: Batcher::gathering(
                lifecycle,
                "settle",
                BATCH,
                GATHER,
                move |batch: Vec<Arc<Settlement>>| {
                    let store = settling.clone();
                    async move { store.messages_settle(&batch).await }
                },
            ),
        }
    }

    /// Returns once the message is committed: from then on it will not be lost.
    ///
    /// # Errors
    /// When it was not committed; [`Error::KeyReused`] when its key came with another body before.
    pub async fn accept(&self, message: NewMessage) -> Result<Accepted> {
        let mut span = Span::child_of(message.context(), "commit", Kind::Client);
        let accepted = self.accept_once(message).await;
        match &accepted {
            Ok(Accepted::Duplicate(id)) => span.link(Context::of_message(id.0.as_u128())),
            Ok(Accepted::New(_)) => {}
            Err(_) => span.failed("not_committed"),
        }
        Counter::Accepts.add(&[match &accepted {
            Ok(Accepted::New(_)) => "new",
            Ok(Accepted::Duplicate(_)) => "duplicate",
            Err(Error::KeyReused | Error::Conflict) => "refused",
            Err(_) => "failed",
        }]);
        accepted
    }

    async fn accept_once(&self, message: NewMessage) -> Result<Accepted> {
        let message = Arc::new(message);
        // A key that another transaction was just writing shows only to the next statement.
        for _ in 0..3 {
            match self.accept.submit(Arc::clone(&message)).await? {
                Inserted::Known(accepted) => return Ok(accepted),
                Inserted::KeyReused => return Err(Error::KeyReused),
                Inserted::NotSeen => {}
            }
        }
        Err(Error::Conflict)
    }

    /// Returns once it is committed; `false` when the claim is not the present one any more: step down.
    ///
    /// # Errors
    /// When it was not committed.
    pub async fn settle(&self, settlement: Settlement) -> Result<bool> {
        Ok(self.settle.submit(Arc::new(settlement)).await?)
    }
}

/// The columns of a [`Work`], of `messages m`.
pub(crate) const WORK: &str = "m.id, m.seq, m.shard, m.user_id, m.channel_id, m.direction, m.conversation, \
     m.payload::text as payload, m.media::text as media, m.attempts, \
     m.platform_message_ids::text as platform_message_ids, \
     (extract(epoch from m.accepted_at) * 1000)::bigint as accepted_at_ms, m.retries, \
     coalesce((extract(epoch from m.retried_at) * 1000)::bigint, 0) as retried_at_ms, \
     coalesce(m.debounce_ms, 0) as debounce_ms, m.burst, m.source is not distinct from 'cron' as scheduled";

/// The state of a row `m` of `messages`. A version may run beside this one that can't read the state of what came too late: it is
/// stored as failed, with a mark (migration 0022).
pub(crate) const STATE: &str = "case when m.state = 'failed' and m.expired then 'expired' else m.state end";

/// What is pending in the conversation of a row of `accepted`, the last few; those of its own statement do not show.
pub(crate) const AHEAD: &str = "array(select m.id from messages m
    where m.channel_id = accepted.channel_id and m.conversation = accepted.conversation
      and m.direction = accepted.direction and m.finished_at is null
    order by m.seq desc limit 4)";

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
    /// One statement for the whole batch.
    async fn messages_insert(&self, batch: &[Arc<NewMessage>]) -> Result<Vec<Inserted>> {
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
        let mut stored = HashMap::with_capacity(rows.len());
        for row in &rows {
            stored.insert(row.try_get::<Uuid, _>("id")?, Stored::of(row)?);
        }
        let known = if stored.len() < batch.len() {
            self.messages_by_key(batch, &stored).await?
        } else {
            HashMap::new()
        };
        Ok(batch.iter().map(|message| accepted(message, &stored, &known)).collect())
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

    /// The pending messages of each shard past the place named beside it, in order, at most `limit` a shard, with
    /// the seconds until each is due.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn messages_pending(&self, after: &[(ShardId, i64)], limit: i64) -> Result<Vec<(Work, f64)>> {
        let all = |(shard, after): &(ShardId, i64)| Look {
            shard: *shard,
            after: *after,
            whose: Whose::AllBut(Vec::new()),
        };
        self.messages_pending_pages(&after.iter().map(all).collect::<Vec<_>>(), limit).await
    }

    /// The pending messages of one conversation past a place, in order.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn messages_pending_in(
        &self,
        channel: ChannelId,
        direction: Direction,
        conversation: &str,
        after: i64,
        limit: i64,
    ) -> Result<Vec<Work>> {
        let sql = format!(
            "select {WORK} from messages m
             where m.channel_id = $1 and m.conversation = $2 and m.seq > $3 and m.direction = $4
               and m.finished_at is null
             order by m.seq limit $5"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(channel.0)
            .bind(conversation)
            .bind(after)
            .bind(direction.as_str())
            .bind(limit)
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(work).collect()
    }

    /// The highest place given to any message so far.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn messages_high_water(&self) -> Result<i64> {
        let high: Option<i64> =
            sqlx::query_scalar("select pg_sequence_last_value(pg_get_serial_sequence('messages', 'seq'))")
                .fetch_one(&self.pool)
                .await?;
        Ok(high.unwrap_or(0))
    }

    /// Where a message stands; `None` when there is no such message.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn message_status(&self, id: MessageId) -> Result<Option<MessageStatus>> {
        let sql = format!(
            "select {STATE} as state, platform_message_ids::text as parts,
                    case m.state when 'discarded' then discard_reason else error end as error
             from messages m where id = $1"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id.0).fetch_optional(&self.pool).await?;
        row.map(|row| {
            Ok(MessageStatus {
                state: state(id, row.try_get("state")?)?,
                platform_message_ids: serde_json::from_str(row.try_get("parts")?)?,
                error: row.try_get("error")?,
            })
        })
        .transpose()
    }

    /// The adapter's handle on a message's attachment, and the channel to fetch it by.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn message_media(&self, id: MessageId) -> Result<Option<(ChannelId, String)>> {
        let row: Option<(Uuid, String)> = sqlx::query_as(
            "select channel_id, media::text from messages where id = $1 and media is not null",
        )
        .bind(id.0)
        .fetch_optional(&self.pool)
        .await?;
        Ok(row.map(|(channel, media)| (ChannelId(channel), media)))
    }

    /// A conversation's last `limit` messages past a place, in order.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn messages_history(
        &self,
        channel: ChannelId,
        conversation: &str,
        after: i64,
        limit: i64,
    ) -> Result<Vec<HistoryRow>> {
        // What is over and what is pending have an index each.
        let part = |which: &str| {
            format!(
                "select id, seq, direction, payload::text as payload, accepted_at from messages
                 where channel_id = $1 and conversation = $2 and seq > $3 and finished_at is {which}
                 order by seq desc limit $4"
            )
        };
        let sql = format!("({}) union all ({}) order by seq desc limit $4", part("null"), part("not null"));
        let mut rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(channel.0)
            .bind(conversation)
            .bind(after)
            .bind(limit)
            .fetch_all(&self.pool)
            .await?;
        rows.reverse();
        rows.iter().map(history).collect()
    }

    /// Forgets keys older than `days`: a platform that redelivers later than that is not recognised any more.
    /// Tells how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn message_keys_forget(&self, days: i32) -> Result<u64> {
        let done =
            sqlx::query("delete from message_keys where created_at < now() - make_interval(days => $1)")
                .bind(days)
                .execute(&self.pool)
                .await?;
        Ok(done.rows_affected())
    }
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
        scheduled: message.source.as_deref() == Some(CRON),
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
                 (id, user_id, channel_id, shard, direction, conversation, payload, media, source)
             values ($1, $2, $3, $4, $5, $6, $7::json, $8::json, $9) returning *),
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
        .fetch_one(txn)
        .await?;
    Ok(stored_work(message, Stored::of(&stored)?))
}

pub(crate) fn work(row: &PgRow) -> Result<Work> {
    let id = MessageId(row.try_get("id")?);
    let (user, shard): (String, i32) = (row.try_get("user_id")?, row.try_get("shard")?);
    let (attempts, retries): (i32, i32) = (row.try_get("attempts")?, row.try_get("retries")?);
    let media: Option<String> = row.try_get("media")?;
    let (debounce_ms, burst): (i32, Option<Uuid>) = (row.try_get("debounce_ms")?, row.try_get("burst")?);
    Ok(Work {
        id,
        seq: row.try_get("seq")?,
        shard: ShardId(u16::try_from(shard).map_err(|_| bad(id, "shard", &shard.to_string()))?),
        user_id: user.parse().map_err(|_| bad(id, "user_id", &user))?,
        channel_id: ChannelId(row.try_get("channel_id")?),
        direction: direction(id, row.try_get("direction")?)?,
        conversation: row.try_get("conversation")?,
        payload: RawValue::from_string(row.try_get("payload")?)?,
        media: media.map(RawValue::from_string).transpose()?,
        attempts: u32::try_from(attempts).unwrap_or(0),
        platform_message_ids: serde_json::from_str(row.try_get("platform_message_ids")?)?,
        accepted_at_ms: row.try_get("accepted_at_ms")?,
        retries: u32::try_from(retries).unwrap_or(0),
        retried_at_ms: row.try_get("retried_at_ms")?,
        ahead: Vec::new(),
        debounce_ms: u32::try_from(debounce_ms).unwrap_or(0),
        burst: burst.map(MessageId),
        scheduled: row.try_get("scheduled")?,
    })
}

fn history(row: &PgRow) -> Result<HistoryRow> {
    let id = MessageId(row.try_get("id")?);
    Ok(HistoryRow {
        id,
        seq: row.try_get("seq")?,
        direction: direction(id, row.try_get("direction")?)?,
        payload: RawValue::from_string(row.try_get("payload")?)?,
        accepted_at: row.try_get("accepted_at")?,
    })
}

pub(crate) fn bad(id: MessageId, column: &'static str, value: &str) -> Error {
    Error::BadRow { table: "messages", id: id.to_string(), column, value: value.to_owned() }
}

pub(crate) fn direction(id: MessageId, text: &str) -> Result<Direction> {
    match text {
        "in" => Ok(Direction::In),
        "out" => Ok(Direction::Out),
        other => Err(bad(id, "direction", other)),
    }
}

pub(crate) fn state(id: MessageId, text: &str) -> Result<MessageState> {
    MessageState::parse(text).ok_or_else(|| bad(id, "state", text))
}
