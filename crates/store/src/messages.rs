//! Messages: accepted in batches, swept by their owner, settled in batches under its epochs.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use chrono::{DateTime, Utc};
use claw_telemetry::trace::{self, Context};
use claw_types::{ChannelId, Direction, MessageId, MessageState, ShardId, UserId, Work};
use serde_json::value::RawValue;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::backlog::{Look, Whose};
use crate::cron::message::{ALERT, CRON};
use crate::{Error, Result, Store};

mod insert;
mod settle;
mod writer;

pub(crate) use insert::{AHEAD, Stored, accept, stored_work};
pub use settle::Settlement;
pub use writer::{Accepted, Announce, MessageWriter};

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

impl NewMessage {
    /// Where it is in its trace: of one to a person, whatever this runs in.
    fn context(&self) -> Option<Context> {
        match self.direction {
            Direction::In => Context::of_message(self.id.0.as_u128()),
            Direction::Out => trace::current(),
        }
    }

    /// A number of the conversation that it keeps its order in.
    fn place(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.channel_id.0, self.direction.as_str(), &self.conversation).hash(&mut hasher);
        hasher.finish()
    }

    /// As [`Work::scheduled`].
    fn is_scheduled(&self) -> bool {
        match self.source.as_deref() {
            Some(CRON) => true,
            // What comes in may be called anything.
            Some(ALERT) => self.direction == Direction::Out,
            _ => false,
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
    /// A person's attachment, a [`claw_types::MediaRef`] as JSON.
    pub media: Option<String>,
    /// When it was accepted.
    pub accepted_at: DateTime<Utc>,
}

/// The columns of a [`Work`], of `messages m`.
pub(crate) const WORK: &str = "m.id, m.seq, m.shard, m.user_id, m.channel_id, m.direction, m.conversation, \
     m.payload::text as payload, m.media::text as media, m.attempts, \
     m.platform_message_ids::text as platform_message_ids, \
     (extract(epoch from m.accepted_at) * 1000)::bigint as accepted_at_ms, m.retries, \
     coalesce((extract(epoch from m.retried_at) * 1000)::bigint, 0) as retried_at_ms, \
     coalesce(m.debounce_ms, 0) as debounce_ms, m.burst, \
     (m.source = 'cron' or m.source = 'alert' and m.direction = 'out') is true as scheduled";

/// The state of a row `m` of `messages`. A version may run beside this one that can't read the state of what came too late: it is
/// stored as failed, with a mark (migration 0022).
pub(crate) const STATE: &str = "case when m.state = 'failed' and m.expired then 'expired' else m.state end";

impl Store {
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

    /// A conversation's last `limit` messages past a place, in order, without those to the person that were put aside: nobody saw them.
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
                "select id, seq, direction, payload::text as payload, media::text as media, accepted_at from messages
                 where channel_id = $1 and conversation = $2 and seq > $3 and finished_at is {which}
                   and (direction = 'in' or state <> 'discarded')
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

    /// Forgets up to `limit` keys older than `days`: a platform that redelivers later than that is not recognised any more.
    /// Tells how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn message_keys_forget(&self, days: i32, limit: i64) -> Result<u64> {
        let done = sqlx::query(
            "delete from message_keys where ctid = any (array(
                 select ctid from message_keys where created_at < now() - make_interval(days => $1)
                 order by created_at limit $2))",
        )
        .bind(days)
        .bind(limit)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected())
    }
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
        media: row.try_get("media")?,
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
