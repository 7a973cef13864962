//! What platforms tell of messages that they took: that they arrived, that they were read, that they can't be delivered after all.
//!
//! Noted in the message's row, once each: later word of the same is no news. Only of messages that have ended: their rows are
//! nobody's work any more, so this waits for no owner and no owner for this. Must hold: word of a message of another channel, or by
//! our id from another conversation, notes nothing; word of a time costs a look at
//! the last week of one conversation, and reads the bodies only of what it is news about.

use claw_types::{MessageId, Named};
use uuid::Uuid;

use crate::feedback::sent_key;
use crate::intake::indexable;
use crate::{Channel, Result, Store};

/// Of a conversation that somebody read up to a time, this many of the newest messages are looked at that are over, whoever wrote them.
/// What lies further back is left as it is: an event for each message of a long history is of use to nobody.
const MOST_READ: i64 = 200;
/// And none that is older than this many days.
const READ_DAYS: i32 = 7;
/// A message is known to be sent some time after its platform stamped it: when the answer came and was written down. One that was accepted
/// before the time up to which somebody read counts as read if that was written at most so many seconds later.
const WRITTEN_WITHIN: f64 = 5.0;
/// The first moment of the year 2100, in milliseconds since 1970: what a platform tells of a later time would not fit everywhere.
const YEAR_2100: i64 = 4_102_444_800_000;

/// That a message of ours arrived, or did not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The platform's id of the chat.
    pub recipient: String,
    /// The conversation that it is in.
    pub conversation: String,
    /// Which.
    pub message: Named,
    /// Whether the person saw it; else only the person's device has it.
    pub read: bool,
    /// Why it will not arrive.
    pub failed: Option<String>,
}

impl Seen {
    fn key(&self) -> Option<String> {
        match &self.message {
            Named::Platform(id) => Some(sent_key(&self.recipient, id)),
            Named::Ours(_) | Named::UpTo(_) => None,
        }
    }

    fn ours(&self) -> Option<Uuid> {
        match self.message {
            Named::Platform(_) | Named::UpTo(_) => None,
            Named::Ours(MessageId(id)) => Some(id),
        }
    }

    /// In milliseconds since 1970.
    fn up_to(&self) -> Option<i64> {
        match self.message {
            Named::Platform(_) | Named::Ours(_) => None,
            Named::UpTo(time) => Some(time.timestamp_millis().clamp(0, YEAR_2100)),
        }
    }
}

impl Store {
    /// Notes what arrived of a channel's messages, and tells of what is news. A message in parts has arrived when one of them has.
    /// What is none of ours, or was sent too long ago for its platform's id to be known, is passed over. Up to a time are messages of the
    /// conversation that were sent: of the newest 200 that are over, and of the last 7 days. A failure of all up to a time is no word.
    ///
    /// # Errors
    /// When the database fails; then nothing was noted.
    pub async fn receipts_note(&self, channel: &Channel, seen: &[Seen]) -> Result<()> {
        let (failed, seen): (Vec<_>, Vec<_>) = seen.iter().partition(|seen| seen.failed.is_some());
        if !failed.is_empty() {
            self.failures_note(channel, &failed).await?;
        }
        if seen.is_empty() {
            return Ok(());
        }
        sqlx::query(
            "with given as (
                 select * from unnest($2::text[], $3::uuid[], $4::text[], $5::bool[], $6::bigint[])
                     as g (key, id, conversation, read, up_to)),
             each as (
                 select coalesce(k.message_id, g.id) as id, g.conversation, g.id is not null as ours, g.read
                 from given g left join message_keys k on k.channel_id = $1 and k.key = g.key
                 where g.up_to is null
                 union all
                 select m.id, g.conversation, false, g.read
                 from given g cross join lateral (
                     select m.id, m.direction, m.state, m.payload, m.accepted_at, m.finished_at,
                            m.delivered_at, m.read_at
                     from messages m
                     where m.channel_id = $1 and m.conversation = g.conversation and m.finished_at is not null
                       and m.id >= claw_first_id(now() - make_interval(days => $7))
                     order by m.seq desc limit $8) m
                 cross join lateral (
                     select replace(m.payload::text, '\\u0000', '\\ufffd')::json as body) b
                 where g.up_to is not null and m.direction = 'out' and m.state = 'done'
                   and (m.delivered_at is null or (g.read and m.read_at is null))
                   and m.accepted_at <= to_timestamp(g.up_to / 1000.0)
                   and m.finished_at <= to_timestamp(g.up_to / 1000.0) + make_interval(secs => $9)
                   -- What was done to a message is no message, and what stood for an answer is not there any more.
                   and b.body -> 'act' is null and b.body -> 'placeholder' is null),
             named as (
                 select id, conversation, ours, bool_or(read) as read from each group by 1, 2, 3),
             -- In one order, so that two of these never wait for one another.
             news as (
                 select m.id, n.read
                 from named n join messages m on m.id = n.id
                 where m.channel_id = $1 and m.direction = 'out' and m.finished_at is not null
                   and (not n.ours or m.conversation = n.conversation)
                   and (m.delivered_at is null or (n.read and m.read_at is null))
                 order by m.id for update of m),
             noted as (
                 update messages m set
                     delivered_at = coalesce(m.delivered_at, now()),
                     read_at = case when n.read then coalesce(m.read_at, now()) end
                 from news n where m.id = n.id
                 returning m.id, m.user_id, m.channel_id, m.conversation, n.read)
             insert into events (user_id, type, channel_id, message_id, data)
             select user_id, 'message.receipt', channel_id, id,
                    json_build_object('conversation', conversation,
                                      'receipt', case when read then 'read' else 'delivered' end)
             from noted order by id",
        )
        .bind(channel.id.0)
        .bind(seen.iter().map(|seen| seen.key()).collect::<Vec<_>>())
        .bind(seen.iter().map(|seen| seen.ours()).collect::<Vec<_>>())
        .bind(seen.iter().map(|seen| indexable(&seen.conversation).into_owned()).collect::<Vec<_>>())
        .bind(seen.iter().map(|seen| seen.read).collect::<Vec<_>>())
        .bind(seen.iter().map(|seen| seen.up_to()).collect::<Vec<_>>())
        .bind(READ_DAYS)
        .bind(MOST_READ)
        .bind(WRITTEN_WITHIN)
        .execute(&self.pool)
        .await?;
        Ok(())
    }

    /// Notes why messages that the platform had taken will not arrive: the reason of the first part that fails, unless the message
    /// arrived in part.
    async fn failures_note(&self, channel: &Channel, failed: &[&Seen]) -> Result<()> {
        sqlx::query(
            "with named as (
                 select k.message_id as id, min(g.why) as why
                 from unnest($2::text[], $3::text[]) as g (key, why)
                 join message_keys k on k.channel_id = $1 and k.key = g.key
                 group by 1),
             news as (
                 select m.id, n.why from named n join messages m on m.id = n.id
                 where m.channel_id = $1 and m.direction = 'out' and m.finished_at is not null
                   and m.delivered_at is null and m.error is null
                 order by m.id for update of m),
             noted as (
                 update messages m set error = n.why from news n where m.id = n.id
                 returning m.id, m.user_id, m.channel_id, m.conversation, n.why)
             insert into events (user_id, type, channel_id, message_id, data)
             select user_id, 'message.receipt', channel_id, id,
                    json_build_object('conversation', conversation, 'receipt', 'failed', 'reason', why)
             from noted order by id",
        )
        .bind(channel.id.0)
        .bind(failed.iter().map(|seen| seen.key()).collect::<Vec<_>>())
        .bind(failed.iter().map(|seen| seen.failed.as_deref()).collect::<Vec<_>>())
        .execute(&self.pool)
        .await?;
        Ok(())
    }
}
