//! Looking at messages: lists by filter, and one with all that is known of it.
//!
//! Lists are newest first by the time of acceptance, and a page is a walk along one index (migration 0008) that stops when
//! the page is full. What is pending, and what is in one conversation, is found by indexes of other orders and sorted; the
//! indexes of all else don't have what is pending (migration 0024), so a list of everything is put together of both. A
//! filter that few of a user's messages pass (a quiet channel, the rarer direction) may walk past all of them. Of a
//! stored body only the first words leave the database, because a body may have megabytes.

use chrono::{DateTime, Utc};
use claw_types::{ChannelId, Direction, InstanceId, MessageId, MessageState, ShardCount, UserId};
use serde_json::Value;
use serde_json::value::RawValue;
use sqlx::postgres::{PgRow, Postgres};
use sqlx::{QueryBuilder, Row as _};

use crate::events::IN_ORDER;
use crate::messages::{STATE, bad, direction, state};
use crate::pool::Txn;
use crate::schema::shard_count;
use crate::{Result, Store, Tenant};

/// Characters of a text that a list shows.
pub const EXCERPT: usize = 200;
/// The newest attempts that are shown of one message; a send that waits for a day may have more than a thousand.
const ATTEMPTS: i64 = 200;
/// As much of a JSON string as holds [`EXCERPT`] characters, however they are escaped.
const TOKEN: usize = EXCERPT * 12 + 1;

/// What the index of dead letters has; must be said in these words for the planner to see it.
pub(crate) const DEAD: &str = "m.state in ('dead', 'failed', 'uncertain')";

/// Which messages; all of them when nothing is set.
#[derive(Debug, Clone, Default)]
pub struct MessageFilter {
    /// Only dead letters.
    pub dead: bool,
    /// Of a channel of this name, deleted ones of that name included.
    pub channel: Option<InstanceId>,
    /// Of this conversation, as it is stored (see [`crate::intake::indexable`]).
    pub conversation: Option<String>,
    /// Of this direction.
    pub direction: Option<Direction>,
    /// In this state.
    pub state: Option<MessageState>,
    /// Accepted then or later.
    pub since: Option<DateTime<Utc>>,
    /// Accepted before then.
    pub until: Option<DateTime<Utc>>,
}

/// A message's place in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MessagePlace {
    /// When it was accepted.
    pub accepted_at: DateTime<Utc>,
    /// Tells apart what was accepted at once.
    pub seq: i64,
}

/// A message as a list shows it.
#[derive(Debug, Clone, PartialEq)]
pub struct MessageRow {
    /// Its id.
    pub id: MessageId,
    /// Its place.
    pub place: MessagePlace,
    /// The tenant.
    pub user_id: String,
    /// Which way it goes.
    pub direction: Direction,
    /// The channel.
    pub channel_id: ChannelId,
    /// The channel's name in its user's paths, unless its row is gone.
    pub instance: Option<String>,
    /// The channel's type, unless its row is gone.
    pub channel_type: Option<String>,
    /// What is worked off in order with it.
    pub conversation: String,
    /// The platform's id of the chat.
    pub recipient: Option<String>,
    /// The beginning of its text.
    pub text: Option<String>,
    /// What it is: `text`, `image`, ...; of a change to a message, `edit`, `delete` or `react`.
    pub content_type: Option<String>,
    /// Its state.
    pub state: MessageState,
    /// Attempts made since it was last set to work.
    pub attempts: u32,
    /// How often it was set back to work.
    pub retries: u32,
    /// Why the last attempt failed.
    pub error: Option<String>,
    /// Why it was discarded.
    pub discard_reason: Option<String>,
    /// The platform's ids of what was sent so far.
    pub platform_message_ids: Vec<String>,
    /// When it was last set back to work.
    pub retried_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
    /// When its platform told that the person's device has it.
    pub delivered_at: Option<DateTime<Utc>>,
    /// When its platform told that the person saw it.
    pub read_at: Option<DateTime<Utc>>,
    /// When the next attempt is due, while it is pending.
    pub next_attempt_at: Option<DateTime<Utc>>,
}

/// An attempt that is over.
#[derive(Debug, Clone, PartialEq)]
pub struct AttemptRow {
    /// Which time it was worked on; 0 before the first retry.
    pub retry: u32,
    /// Counts from 1 within it.
    pub n: u32,
    /// When it ended.
    pub at: DateTime<Utc>,
    /// The message's state after it; pending when there was to be another.
    pub outcome: MessageState,
    /// Why it failed.
    pub error: Option<String>,
}

/// A message with all that is known of it.
#[derive(Debug, Clone)]
pub struct MessageDetail {
    /// As in a list.
    pub row: MessageRow,
    /// The body as it is stored, JSON.
    pub payload: Box<RawValue>,
    /// The newest attempts, in order.
    pub attempts: Vec<AttemptRow>,
}

impl Tenant {
    /// The tenant's messages before a place, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn messages(
        &mut self,
        filter: &MessageFilter,
        before: Option<MessagePlace>,
        limit: i64,
    ) -> Result<Vec<MessageRow>> {
        let user = self.user().clone();
        list(self.conn(), Some(&user), filter, before, limit).await
    }

    /// One message of the tenant's.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn message(&mut self, id: MessageId) -> Result<Option<MessageDetail>> {
        let mut query = QueryBuilder::new("select ");
        query.push(columns()).push(", m.payload::text as payload from (select * from messages where id = ");
        query.push_bind(id.0).push(") m ").push(JOIN);
        let Some(found) = query.build().fetch_optional(self.conn()).await? else { return Ok(None) };
        let row = message_row(&found)?;
        let payload = RawValue::from_string(found.try_get("payload")?)?;
        let attempts = attempts(self.conn(), &row).await?;
        Ok(Some(MessageDetail { row, payload, attempts }))
    }
}

impl Store {
    /// Everybody's messages, or one user's, before a place, newest first.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn messages_of_all(
        &self,
        user: Option<&UserId>,
        filter: &MessageFilter,
        before: Option<MessagePlace>,
        limit: i64,
    ) -> Result<Vec<MessageRow>> {
        list(&mut self.pool.begin().await?, user, filter, before, limit).await
    }
}

const COLUMNS: &str = "m.id, m.seq, m.user_id, m.direction, m.channel_id, c.instance, c.channel_type, m.conversation, \
     m.attempts, m.retries, m.error, m.discard_reason, m.platform_message_ids::text as parts, \
     m.accepted_at, m.retried_at, m.finished_at, m.due_at, m.delivered_at, m.read_at, \
     coalesce(b.body -> 'content_type', b.body -> 'act' -> 'type', b.body -> 'media' -> 0 -> 'kind')::text as kind, \
     b.body -> 'poll' is not null as poll, b.body -> 'location' is not null as location";

fn columns() -> String {
    format!(
        "{COLUMNS}, {STATE} as state, left((b.body -> 'text')::text, {TOKEN}) as text,
         left(coalesce(b.body -> 'recipient', b.body -> 'reply_to' -> 'recipient')::text, {TOKEN}) as recipient"
    )
}

/// A body may have \u0000, which is legal JSON; but PostgreSQL's functions read no such body. `offset 0` has it replaced
/// once for each row, not once for each column.
const JOIN: &str = "left join channels c on c.id = m.channel_id
     cross join lateral
         (select replace(m.payload::text, '\\u0000', '\\ufffd')::json as body offset 0) b";

/// Within a transaction.
async fn list(
    conn: &mut Txn,
    user: Option<&UserId>,
    filter: &MessageFilter,
    before: Option<MessagePlace>,
    limit: i64,
) -> Result<Vec<MessageRow>> {
    let pending = user.is_some() && parts(user, filter).contains(&Some(true));
    let shards = if pending { Some(shard_count(&mut *conn).await?) } else { None };
    if is_in_order(filter) {
        sqlx::query(IN_ORDER).execute(&mut *conn).await?;
    }
    let mut query = list_query("select ", user, filter, shards, before, limit);
    let rows = query.build().fetch_all(conn).await?;
    rows.iter().map(message_row).collect()
}

/// Whether an index has what matches in the order of the list.
fn is_in_order(filter: &MessageFilter) -> bool {
    filter.conversation.is_none() && filter.state != Some(MessageState::Pending)
}

fn list_query(
    head: &str,
    user: Option<&UserId>,
    filter: &MessageFilter,
    shards: Option<ShardCount>,
    before: Option<MessagePlace>,
    limit: i64,
) -> QueryBuilder<Postgres> {
    let mut query = QueryBuilder::new(head);
    // What is shown is worked out for the page only, not for all that is sorted.
    query.push(columns()).push(" from (select * from (");
    for (n, pending) in parts(user, filter).iter().enumerate() {
        query.push(if n == 0 { "(" } else { ") union all (" }).push("select * from messages m where ");
        match pending {
            Some(true) => {
                let filter = MessageFilter { state: Some(MessageState::Pending), ..filter.clone() };
                conditions(&mut query, user, &filter, shards);
            }
            Some(false) => {
                conditions(&mut query, user, filter, None);
                query.push(" and m.finished_at is not null");
            }
            None => conditions(&mut query, user, filter, None),
        }
        if let Some(place) = before {
            query.push(" and (m.accepted_at, m.seq) < (").push_bind(place.accepted_at);
            query.push(", ").push_bind(place.seq).push(")");
        }
        query.push(" order by m.accepted_at desc, m.seq desc limit ").push_bind(limit);
    }
    query.push(")) m order by m.accepted_at desc, m.seq desc limit ").push_bind(limit);
    query.push(") m ").push(JOIN).push(" order by m.accepted_at desc, m.seq desc");
    query
}

/// Of what a list is put together: what is pending (`true`), and what is over. Everybody's is not looked for by these indexes.
fn parts(user: Option<&UserId>, filter: &MessageFilter) -> &'static [Option<bool>] {
    match filter.state {
        Some(MessageState::Pending) => &[Some(true)],
        Some(_) => &[Some(false)],
        None if filter.dead || user.is_none() => &[None],
        None => &[Some(true), Some(false)],
    }
}

/// What a filter says of the rows `m` of `messages`. With `shards`, a user's pending ones are looked for in that user's
/// shards only.
pub(crate) fn conditions(
    query: &mut QueryBuilder<Postgres>,
    user: Option<&UserId>,
    filter: &MessageFilter,
    shards: Option<ShardCount>,
) {
    query.push(if filter.dead { DEAD } else { "true" });
    if let Some(user) = user {
        query.push(" and m.user_id = ").push_bind(user.as_str().to_owned());
    }
    if let Some(channel) = &filter.channel {
        of_channel(query, user, channel);
    }
    if let Some(conversation) = &filter.conversation {
        query.push(" and m.conversation = ").push_bind(conversation.clone());
        if let (None, Some(user)) = (&filter.channel, user) {
            // Conversations have an index of their own, by channel.
            query.push(" and m.channel_id = any (array(select c.id from channels c where c.user_id = ");
            query.push_bind(user.as_str().to_owned()).push(") || ").push_bind(ChannelId::NONE.0).push(")");
        }
    }
    if let Some(direction) = filter.direction {
        query.push(" and m.direction = ").push_bind(direction.as_str());
    }
    if let Some(state) = filter.state {
        // As a word of the statement: the planner must see it to know that an index of some states will do.
        query.push(match state {
            MessageState::Expired => " and m.state = 'failed' and m.expired".to_owned(),
            MessageState::Failed => " and m.state = 'failed' and m.expired is not true".to_owned(),
            other => format!(" and m.state = '{}'", other.as_str()),
        });
    }
    if filter.state == Some(MessageState::Pending) {
        // What is pending has an index of its own, by shard.
        query.push(" and m.finished_at is null");
        if let (Some(user), Some(shards)) = (user, shards) {
            query.push(" and m.shard = any (array(select c.shard from channels c where c.user_id = ");
            // What belongs to no channel is in the shard of the absent one.
            query.push_bind(user.as_str().to_owned()).push(") || ");
            query.push_bind(shards.shard_of(user, &InstanceId::hooks()).as_i32()).push(")");
        }
    }
    if let Some(since) = filter.since {
        query.push(" and m.accepted_at >= ").push_bind(since);
    }
    if let Some(until) = filter.until {
        query.push(" and m.accepted_at < ").push_bind(until);
    }
}

/// The channels of that name. Without any, nothing is looked for.
fn of_channel(query: &mut QueryBuilder<Postgres>, user: Option<&UserId>, channel: &InstanceId) {
    let heads = [" and exists (select 1", " and m.channel_id = any (array(select c.id"];
    for (head, tail) in heads.into_iter().zip([")", "))"]) {
        query.push(head).push(" from channels c where c.instance = ").push_bind(channel.as_str().to_owned());
        query.push(" and c.user_id = ");
        match user {
            Some(user) => query.push_bind(user.as_str().to_owned()),
            None => query.push("m.user_id"),
        };
        query.push(tail);
    }
}

/// The failed attempts that were written, and the last one as the message's own row has it: a success is written
/// nowhere else.
async fn attempts(conn: &mut Txn, message: &MessageRow) -> Result<Vec<AttemptRow>> {
    let rows = sqlx::query(
        "select retry, n, at, outcome, error from message_attempts where message_id = $1
         order by retry desc, n desc limit $2",
    )
    .bind(message.id.0)
    .bind(ATTEMPTS)
    .fetch_all(conn)
    .await?;
    let mut found = rows.iter().rev().map(|row| attempt(message.id, row)).collect::<Result<Vec<_>>>()?;
    let written = found.last().is_some_and(|a| (a.retry, a.n) >= (message.retries, message.attempts));
    if let (false, Some(at), false) = (written, message.finished_at, message.state == MessageState::Discarded)
    {
        found.push(AttemptRow {
            retry: message.retries,
            n: message.attempts,
            at,
            outcome: message.state,
            error: message.error.clone(),
        });
    }
    Ok(found)
}

fn attempt(id: MessageId, row: &PgRow) -> Result<AttemptRow> {
    let (retry, n): (i32, i32) = (row.try_get("retry")?, row.try_get("n")?);
    Ok(AttemptRow {
        retry: u32::try_from(retry).unwrap_or(0),
        n: u32::try_from(n).unwrap_or(0),
        at: row.try_get("at")?,
        outcome: state(id, row.try_get("outcome")?)?,
        error: row.try_get("error")?,
    })
}

fn message_row(row: &PgRow) -> Result<MessageRow> {
    let id = MessageId(row.try_get("id")?);
    let (attempts, retries): (i32, i32) = (row.try_get("attempts")?, row.try_get("retries")?);
    let state = state(id, row.try_get("state")?)?;
    let pending = state == MessageState::Pending;
    let due_at: DateTime<Utc> = row.try_get("due_at")?;
    Ok(MessageRow {
        id,
        place: MessagePlace { accepted_at: row.try_get("accepted_at")?, seq: row.try_get("seq")? },
        user_id: row.try_get("user_id")?,
        direction: direction(id, row.try_get("direction")?)?,
        channel_id: ChannelId(row.try_get("channel_id")?),
        instance: row.try_get("instance")?,
        channel_type: row.try_get("channel_type")?,
        conversation: row.try_get("conversation")?,
        recipient: string(row.try_get("recipient")?).map(|text| shortened(&text)),
        text: string(row.try_get("text")?).map(|text| shortened(&text)),
        content_type: content_type(row)?,
        state,
        attempts: u32::try_from(attempts).unwrap_or(0),
        retries: u32::try_from(retries).unwrap_or(0),
        error: row.try_get("error")?,
        discard_reason: row.try_get("discard_reason")?,
        platform_message_ids: serde_json::from_str(row.try_get("parts")?)
            .map_err(|_| bad(id, "platform_message_ids", ""))?,
        retried_at: row.try_get("retried_at")?,
        finished_at: row.try_get("finished_at")?,
        delivered_at: row.try_get("delivered_at")?,
        read_at: row.try_get("read_at")?,
        next_attempt_at: pending.then_some(due_at),
    })
}

/// What the body says it is, or what it has.
fn content_type(row: &PgRow) -> Result<Option<String>> {
    if let Some(said) = string(row.try_get("kind")?) {
        return Ok(Some(shortened(&said)));
    }
    let (poll, location): (bool, bool) = (row.try_get("poll")?, row.try_get("location")?);
    let text: Option<String> = row.try_get("text")?;
    Ok(match (poll, location, text) {
        (true, ..) => Some("poll".to_owned()),
        (_, true, _) => Some("location".to_owned()),
        (_, _, Some(_)) => Some("text".to_owned()),
        _ => None,
    })
}

fn shortened(text: &str) -> String {
    text.chars().take(EXCERPT).collect()
}

/// The text of a JSON string, or of the beginning of one. `None` for anything else.
fn string(token: Option<String>) -> Option<String> {
    let token = token?;
    if let Ok(value) = serde_json::from_str::<Value>(&token) {
        return value.as_str().map(str::to_owned);
    }
    // Cut off, maybe within an escape; the longest escape, of two surrogates, has 12 characters.
    let ends = token.char_indices().rev().map(|(at, c)| at + c.len_utf8()).take(12);
    ends.map(|end| format!("{}\"", &token[..end])).find_map(|text| serde_json::from_str(&text).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A page costs what is in it, however much there is of the user's and of others.
    #[tokio::test]
    async fn a_page_is_read_off_an_index_in_order() {
        let db = claw_testkit::TestDatabase::create().await;
        let store = Store::connect(db.url(), "test", 2).await.unwrap();
        let shards = store.migrate(None).await.unwrap();
        let many =
            "insert into messages (id, user_id, channel_id, shard, direction, conversation, payload,
                 state, finished_at)
             select claw_first_id(now() - n * interval '1 second'), 'u' || n % 100, gen_random_uuid(), 0, 'in', 'c' || n % 100, '{}',
                    case when n / 100 % 20 < 2 then 'dead' when n / 100 % 20 < 4 then 'discarded' else 'done' end,
                    now()
             from generate_series(1, 20000) n";
        sqlx::query(many).execute(&store.pool).await.unwrap();
        sqlx::raw_sql("analyze messages").execute(&mut db.connect().await).await.unwrap();
        let ada: UserId = "u1".parse().unwrap();
        let all = MessageFilter::default;
        let before = MessagePlace { accepted_at: store.now().await.unwrap(), seq: 20_000 };
        let table = [
            (Some(&ada), all(), "messages_user"),
            (Some(&ada), MessageFilter { state: Some(MessageState::Done), ..all() }, "messages_user"),
            (Some(&ada), MessageFilter { dead: true, ..all() }, "messages_dead"),
            (Some(&ada), MessageFilter { state: Some(MessageState::Dead), ..all() }, "messages_dead"),
            (
                Some(&ada),
                MessageFilter { state: Some(MessageState::Discarded), ..all() },
                "messages_discarded",
            ),
            (None, MessageFilter { dead: true, ..all() }, "messages_dead_of_all"),
            (Some(&ada), MessageFilter { conversation: Some("c1".into()), ..all() }, "messages_conversation"),
            (Some(&ada), MessageFilter { state: Some(MessageState::Pending), ..all() }, "messages_pending"),
        ];
        for (user, filter, index) in table {
            let mut conn = match user {
                Some(user) => store.tenant(user).await.unwrap().into_txn(),
                None => store.pool.begin().await.unwrap(),
            };
            if is_in_order(&filter) {
                sqlx::query(IN_ORDER).execute(&mut conn).await.unwrap();
            }
            let mut query = list_query("explain select ", user, &filter, Some(shards), Some(before), 10);
            let rows = query.build().fetch_all(&mut conn).await.unwrap();
            let plan = rows.iter().map(|row| row.get::<String, _>(0)).collect::<Vec<_>>().join("\n");
            let index: String = sqlx::query_scalar(
                "select i.indexrelid::regclass::text from pg_index i join pg_inherits h on h.inhrelid = i.indexrelid
                 where h.inhparent = $1::regclass and i.indrelid = 'messages_initial'::regclass",
            )
            .bind(index)
            .fetch_one(&store.pool)
            .await
            .unwrap();
            assert!(plan.contains(&format!("Index Scan using {index} on messages")), "{filter:?}\n{plan}");
            if is_in_order(&filter) {
                // What is pending in the user's shards is sorted; what is over comes last, and in order.
                let limited = plan.rsplit_once("Limit").unwrap().1;
                assert!(!limited.contains("Sort  (") && !limited.contains("Bitmap"), "{filter:?}\n{plan}");
            }
        }
    }

    #[test]
    fn the_beginning_of_a_string_is_read_wherever_it_was_cut() {
        let whole =
            serde_json::to_string("a\u{0}\"\\\n\u{1F600}é").unwrap().replace('\u{1F600}', "\\ud83d\\ude00");
        assert_eq!(string(Some(whole.clone())).unwrap(), "a\u{0}\"\\\n\u{1F600}é");
        let read: Vec<String> =
            (1..whole.len()).filter_map(|cut| string(Some(whole.get(..cut)?.to_owned()))).collect();
        assert_eq!(read.len(), whole.len() - 2, "only the cut within é is no text");
        assert!(read.iter().all(|text| "a\u{0}\"\\\n\u{1F600}é".starts_with(text.as_str())), "{read:?}");
        for other in [None, Some("null"), Some("5"), Some("{\"a\": 1}"), Some("[")] {
            assert_eq!(string(other.map(str::to_owned)), None, "{other:?}");
        }
    }
}
