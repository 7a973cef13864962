//! What happened, in an order that is final once it is seen. Migration 0009 says why that holds.
//!
//! An event is written in the transaction of its change: those of messages by the statements that accept and settle
//! them, all others by [`Tenant::tell`]. Readers remember a [`Place`] and ask for what is behind it.

use std::fmt;

use chrono::{DateTime, Utc};
use claw_types::{ChannelId, MessageId, UserId};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::pool::Txn;
use crate::{Error, Result, Store, Tenant};

/// Every type of event there is, and what it means. A filter that matches none of them is a typing error.
pub const TYPES: &[(&str, &str)] = &[
    ("backend.disabled", "A backend of the user's own answered 410 and gets no more messages."),
    ("channel.changed", "A channel was changed."),
    ("channel.created", "A channel was made."),
    ("channel.deleted", "A channel was deleted."),
    ("channel.failed", "A channel that worked does not work any more."),
    ("channel.recovered", "A channel that had failed works again."),
    (
        "cron.job_failing",
        "A job has failed so often in a row that its owner wants to know, or was off for good when it failed.",
    ),
    (
        "cron.job_paused",
        "A job was switched off without its owner's doing, mostly because it had failed so often in a row.",
    ),
    ("cron.time_skipped", "A job did not run at a time of its schedule."),
    (
        "destination.disabled",
        "An event destination was switched off, because it refused its events for too long.",
    ),
    (
        "heartbeat.skipped",
        "A heartbeat told its agent nothing, because the channel of its chat is not there or switched off.",
    ),
    ("message.dead", "A message was given up after every attempt of its schedule."),
    ("message.deleted", "A person deleted a message of theirs that had been accepted."),
    ("message.delivered", "The backend took an inbound message."),
    (
        "message.discarded",
        "Somebody put aside a message that had ended without success, or what stands for an answer came too late.",
    ),
    ("message.edited", "A person changed a message of theirs that had been accepted."),
    (
        "message.expired",
        "A message to a person could not be sent within its time to live, so it was not sent.",
    ),
    ("message.failed", "A message was refused for good."),
    ("message.queued", "A message to a person was accepted, or the webhook of a job."),
    (
        "message.reaction",
        "A person's reaction to a message from the agent was put on it, changed or taken off.",
    ),
    (
        "message.receipt",
        "A message to a person arrived at the person's device, or was read, as its platform tells.",
    ),
    ("message.received", "An inbound message was accepted: a person's, a wake-up, a hook's or a job's."),
    ("message.reply", "A person's message replies to a message from the agent."),
    ("message.retried", "Somebody set back to work a message that had ended."),
    ("message.sent", "The platform took a message to a person, or its receiver the webhook of a job."),
    ("message.uncertain", "A message was handed to the platform, whose answer never came."),
    ("pairing.approved", "Somebody was let in to a channel."),
    ("pairing.denied", "Somebody was turned away from a channel, or may write to it no longer."),
    ("pairing.requested", "Somebody asks to be let in to a channel."),
];

/// A place in the order of events; also an event's public id, `<xact>-<id>`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The transaction.
    pub xact: u64,
    /// The number within it. Zero is before its first event.
    pub id: i64,
}

/// One event. As JSON it is what streams and destinations get.
#[derive(Debug, Clone, Serialize)]
pub struct Event {
    /// Where it is; unique and growing.
    #[serde(rename = "id")]
    pub place: Place,
    /// Its type, e.g. `message.sent`.
    #[serde(rename = "type")]
    pub kind: String,
    /// When its transaction began.
    pub at: DateTime<Utc>,
    /// Whose it is; `None` for what concerns nobody in particular.
    pub user_id: Option<String>,
    /// The channel that it is about.
    pub channel: Option<EventChannel>,
    /// The message that it is about.
    pub message_id: Option<Uuid>,
    /// What there is to say beyond that.
    pub data: Box<RawValue>,
}

/// The channel of an event, deleted ones too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EventChannel {
    /// Its id.
    pub id: Uuid,
    /// Its slug; `None` when it is not even remembered any more.
    pub instance_name_id: Option<String>,
    /// Its type.
    pub channel_type: Option<String>,
}

/// What a reader finds behind a place.
#[derive(Debug, Clone)]
pub struct EventPage {
    /// In order.
    pub events: Vec<Event>,
    /// Everything up to here was looked at: where to go on.
    pub upto: Place,
    /// Whether more is there already.
    pub more: bool,
    /// Whether events behind the place were forgotten before, or the place is not one of ours.
    pub gap: bool,
}

/// Which events somebody wants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Patterns: `message.sent`, `message.*` or `*`; empty for all.
    pub types: Vec<String>,
    /// Only those about the channel with this slug.
    pub channel: Option<String>,
}

/// Something to tell.
#[derive(Debug, Clone)]
pub struct News {
    /// One of [`TYPES`].
    pub kind: &'static str,
    /// The channel that it is about.
    pub channel: Option<ChannelId>,
    /// The message that it is about.
    pub message: Option<MessageId>,
    /// A small object; never a text that somebody wrote, never a secret.
    pub data: Value,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.xact, self.id)
    }
}

impl Place {
    /// The place that [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        let (xact, id) = text.split_once('-')?;
        Some(Self { xact: xact.parse().ok()?, id: id.parse().ok().filter(|id| *id >= 0)? })
    }

    /// The place right before this one: who goes on from there gets the event that is here.
    #[must_use]
    pub fn before(self) -> Self {
        Self { id: self.id - 1, ..self }
    }

    pub(crate) fn read(xact: &str, id: i64) -> Result<Self> {
        let bad =
            || Error::BadRow { table: "events", id: id.to_string(), column: "xact", value: xact.to_owned() };
        Ok(Self { xact: xact.parse().map_err(|_| bad())?, id })
    }
}

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl News {
    /// About a channel, with nothing more to say.
    pub fn of(kind: &'static str, channel: ChannelId) -> Self {
        Self { kind, channel: Some(channel), message: None, data: Value::Object(Map::new()) }
    }
}

impl Event {
    /// Its slug, if it is about a channel.
    pub fn slug(&self) -> Option<&str> {
        self.channel.as_ref()?.instance_name_id.as_deref()
    }

    /// What streams and destinations get.
    ///
    /// # Errors
    /// When it can't be written as JSON.
    pub fn json(&self) -> Result<String> {
        Ok(serde_json::to_string(self)?)
    }
}

impl EventFilter {
    /// Whether an event of this type, about the channel of this slug, is wanted.
    pub fn wants(&self, kind: &str, slug: Option<&str>) -> bool {
        (self.types.is_empty() || self.types.iter().any(|pattern| fits(pattern, kind)))
            && (self.channel.is_none() || self.channel.as_deref() == slug)
    }

    /// Whether any event there is has a type that fits.
    pub fn can_match(pattern: &str) -> bool {
        TYPES.iter().any(|(kind, _)| fits(pattern, kind))
    }
}

/// `*` fits all, `message.*` all that begin with `message.`, anything else itself.
fn fits(pattern: &str, kind: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == kind, |start| {
        (start.is_empty() || start.ends_with('.')) && kind.starts_with(start)
    })
}

/// Tells of the messages in `accepted`. Every statement that accepts messages has this in it, so that none comes in
/// untold. Needs of each `seq`, `id`, `user_id`, `channel_id`, `direction`, `conversation` and `source`.
pub(crate) const TELL_ACCEPTED: &str = "insert into events (user_id, type, channel_id, message_id, data)
     select user_id, case direction when 'in' then 'message.received' else 'message.queued' end, channel_id, id,
            case direction
                when 'in'
                then json_build_object('direction', direction, 'conversation', conversation, 'source', source)
                else json_build_object('direction', direction, 'conversation', conversation) end
     from accepted order by seq";

/// Where a reader goes on who wants only what happens from now on.
const NOW: &str = "select pg_snapshot_xmin(pg_current_snapshot())::text";

/// Has the plans of this transaction walk an index in order and stop when they have enough. Row-level security makes the
/// planner believe that next to nothing will be found; it would collect and sort everything there is.
pub(crate) const IN_ORDER: &str =
    "select set_config('enable_bitmapscan', 'off', true), set_config('enable_sort', 'off', true)";

/// A page of events behind a place, and always at least one row that says how far it looked. All in one statement, so
/// that the rows, the edge and the horizon are of one moment. `$4` is null for everybody's.
fn page_sql(of_one_user: bool) -> String {
    let whose = if of_one_user { "and e.user_id = $4" } else { "and $4::text is null" };
    format!(
        "with edge as materialized (select pg_snapshot_xmin(pg_current_snapshot()) as xact)
         select edge.xact::text as edge, (h.xact, h.id) > ($1::text::xid8, $2::bigint) as late,
                (edge.xact, 0::bigint) < ($1::text::xid8, $2::bigint) as early,
                e.xact::text as xact, e.id, e.type, e.at, e.user_id, e.channel_id, e.message_id,
                e.data::text as data, c.instance, c.channel_type
         from edge cross join event_horizon h
         left join lateral (
             select * from events e
             where (e.xact, e.id) > ($1::text::xid8, $2::bigint) and e.xact < edge.xact {whose}
             order by e.xact, e.id limit $3) e on true
         left join channels c on c.id = e.channel_id
         order by e.xact, e.id"
    )
}

impl Store {
    /// The place of this moment: what happens from now on is behind it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn events_now(&self) -> Result<Place> {
        let xact: String = sqlx::query_scalar(NOW).fetch_one(&self.pool).await?;
        Place::read(&xact, 0)
    }

    /// The events behind a place, in order: this user's, seen by this user's rights, or everybody's. A place that is not
    /// ours is as good as the very first, and a gap.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn events_after(&self, user: Option<&UserId>, after: Place, limit: i64) -> Result<EventPage> {
        let (page, ours) = self.events_page(user, after, limit).await?;
        if ours {
            return Ok(page);
        }
        let (page, _) = self.events_page(user, Place::default(), limit).await?;
        Ok(EventPage { gap: true, ..page })
    }

    /// Also tells whether the place is one of ours: one of the future was never given out by this database.
    async fn events_page(
        &self,
        user: Option<&UserId>,
        after: Place,
        limit: i64,
    ) -> Result<(EventPage, bool)> {
        let sql = page_sql(user.is_some());
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(after.xact.to_string())
            .bind(after.id)
            .bind(limit)
            .bind(user.map(UserId::as_str))
            .fetch_all(&mut self.in_order(user).await?)
            .await?;
        let first = rows.first().ok_or(Error::NoCluster)?;
        let edge = Place::read(first.try_get("edge")?, 0)?;
        let (gap, future): (bool, bool) = (first.try_get("late")?, first.try_get("early")?);
        let mut events = Vec::with_capacity(rows.len());
        for row in &rows {
            events.extend(event(row)?);
        }
        let more = i64::try_from(events.len()).is_ok_and(|found| found >= limit);
        let upto = events.last().filter(|_| more).map_or(edge, |last| last.place);
        Ok((EventPage { events, upto, more, gap }, !future))
    }

    /// Begins a transaction of [`IN_ORDER`].
    async fn in_order(&self, user: Option<&UserId>) -> Result<Txn> {
        let mut txn = match user {
            Some(user) => self.tenant(user).await?.into_txn(),
            None => self.pool.begin().await?,
        };
        sqlx::query(IN_ORDER).execute(&mut txn).await?;
        Ok(txn)
    }

    /// Forgets events older than `hours`, at most `limit` of those behind a place. The oldest are found by their place,
    /// never by a look through all of them. Tells the place of the last one that went; `None` when all that is left in
    /// reach is young.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn events_forget(&self, hours: i32, after: Place, limit: i64) -> Result<Option<(u64, Place)>> {
        let mut txn = self.in_order(None).await?;
        let row = sqlx::query(
            "with oldest as materialized (
                 select xact, id, at from events where (xact, id) > ($1::text::xid8, $2)
                 order by xact, id limit $3),
             gone as (
                 delete from events e using oldest o
                 where e.xact = o.xact and e.id = o.id and o.at < now() - make_interval(hours => $4)
                 returning e.xact, e.id),
             last as (select xact, id from gone order by xact desc, id desc limit 1),
             moved as (
                 update event_horizon h set xact = last.xact, id = last.id from last
                 where (last.xact, last.id) > (h.xact, h.id))
             select (select count(*) from gone) as removed, last.xact::text as xact, last.id from last",
        )
        .bind(after.xact.to_string())
        .bind(after.id)
        .bind(limit)
        .bind(hours)
        .fetch_optional(&mut txn)
        .await?;
        txn.commit().await?;
        row.map(|row| {
            let removed: i64 = row.try_get("removed")?;
            let last = Place::read(row.try_get("xact")?, row.try_get("id")?)?;
            Ok((u64::try_from(removed).unwrap_or_default(), last))
        })
        .transpose()
    }

    /// After a backup was restored into another server, whose transactions count from a lower number: its events would
    /// be of the future and nobody would see them. They become the oldest, at most `limit` at once, and destinations
    /// begin with them. Tells how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn events_adopt(&self, limit: i64) -> Result<u64> {
        let mut txn = self.pool.begin().await?;
        // What this snapshot can see was committed before, so here its number is lower.
        let foreign = "xact >= pg_snapshot_xmax(pg_current_snapshot())";
        let moved = sqlx::query(sqlx::AssertSqlSafe(format!(
            "update events e set xact = '0' from (
                 select xact, id from events where {foreign} order by xact, id limit $1) f
             where e.xact = f.xact and e.id = f.id"
        )))
        .bind(limit)
        .execute(&mut txn)
        .await?;
        let back = "xact = '0', id = 0";
        for sql in [
            format!("update event_horizon set {back} where {foreign}"),
            format!("update event_destinations set cursor_xact = '0', cursor_id = 0 where cursor_{foreign}"),
        ] {
            sqlx::query(sqlx::AssertSqlSafe(sql)).execute(&mut txn).await?;
        }
        txn.commit().await?;
        Ok(moved.rows_affected())
    }
}

impl Tenant {
    /// Tells what this transaction changes; it is an event if the transaction commits.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn tell(&mut self, news: &News) -> Result<()> {
        let user = self.user().clone();
        tell(self.conn(), Some(&user), news).await
    }
}

/// [`Tenant::tell`] within any transaction.
pub(crate) async fn tell(conn: &mut Txn, user: Option<&UserId>, news: &News) -> Result<()> {
    debug_assert!(TYPES.iter().any(|(kind, _)| *kind == news.kind), "{} is missing in TYPES", news.kind);
    sqlx::query(
        "insert into events (user_id, type, channel_id, message_id, data) values ($1, $2, $3, $4, $5::json)",
    )
    .bind(user.map(UserId::as_str))
    .bind(news.kind)
    .bind(news.channel.map(|channel| channel.0))
    .bind(news.message.map(|message| message.0))
    .bind(news.data.to_string())
    .execute(conn)
    .await?;
    Ok(())
}

/// `None` for the row that only says how far was looked.
fn event(row: &PgRow) -> Result<Option<Event>> {
    let (xact, id): (Option<String>, Option<i64>) = (row.try_get("xact")?, row.try_get("id")?);
    let Some((xact, id)) = xact.zip(id) else { return Ok(None) };
    let channel: Option<Uuid> = row.try_get("channel_id")?;
    let (instance_name_id, channel_type) = (row.try_get("instance")?, row.try_get("channel_type")?);
    Ok(Some(Event {
        place: Place::read(&xact, id)?,
        kind: row.try_get("type")?,
        at: row.try_get("at")?,
        user_id: row.try_get("user_id")?,
        channel: channel.map(|id| EventChannel { id, instance_name_id, channel_type }),
        message_id: row.try_get("message_id")?,
        data: RawValue::from_string(row.try_get("data")?)?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_reads_back_and_keeps_its_order() {
        for (xact, id) in [(0, 0), (7, 12), (u64::MAX, i64::MAX)] {
            let place = Place { xact, id };
            assert_eq!(Place::parse(&place.to_string()), Some(place));
        }
        for wrong in
            ["", "7", "-", "7-", "-7", "7--1", "7-1-1", "a-1", "18446744073709551616-1", "7-x", "7 -1"]
        {
            assert_eq!(Place::parse(wrong), None, "{wrong}");
        }
        let at = |text| Place::parse(text).unwrap();
        assert!(at("7-10") > at("7-9") && at("10-1") > at("9-99"), "by number, not by letters");
    }

    #[test]
    fn filters_go_by_whole_words() {
        let filter = |types: &[&str], channel: Option<&str>| EventFilter {
            types: types.iter().map(|&pattern| pattern.to_owned()).collect(),
            channel: channel.map(str::to_owned),
        };
        assert!(filter(&[], None).wants("message.sent", None));
        assert!(filter(&["*"], None).wants("message.sent", None));
        assert!(filter(&["channel.failed", "message.*"], None).wants("message.sent", Some("a")));
        assert!(!filter(&["channel.*"], None).wants("message.sent", Some("a")));
        assert!(!filter(&["mess*"], None).wants("message.sent", None), "only at a dot");
        assert!(filter(&[], Some("a")).wants("message.sent", Some("a")));
        assert!(!filter(&[], Some("a")).wants("message.sent", Some("b")));
        assert!(!filter(&[], Some("a")).wants("message.sent", None));
        assert!(EventFilter::can_match("message.*") && !EventFilter::can_match("mesage.*"));
    }

    /// A page costs what is in it, however much there is before it and of others.
    #[tokio::test]
    async fn a_page_is_read_off_an_index_in_order() {
        let db = claw_testkit::TestDatabase::create().await;
        let store = Store::connect(db.url(), "test", 2).await.unwrap();
        store.migrate(None).await.unwrap();
        let many = "insert into events (user_id, type, data)
             select 'u' || n % 100, 'channel.changed', '{}' from generate_series(1, 5000) n";
        sqlx::query(many).execute(&store.pool).await.unwrap();
        sqlx::raw_sql("analyze events").execute(&mut db.connect().await).await.unwrap();
        let user: UserId = "u7".parse().unwrap();
        for (user, index) in [(None, "events_pkey"), (Some(&user), "events_user")] {
            let explain = format!("explain {}", page_sql(user.is_some()));
            let plan: Vec<String> = sqlx::query_scalar(sqlx::AssertSqlSafe(explain))
                .bind("7")
                .bind(1_i64)
                .bind(10_i64)
                .bind(user.map(UserId::as_str))
                .fetch_all(&mut store.in_order(user).await.unwrap())
                .await
                .unwrap();
            let plan = plan.join("\n");
            assert!(plan.contains(&format!("Index Scan using {index}")), "{plan}");
            assert!(plan.contains("ROW(e.xact, e.id) >") || plan.contains("ROW(xact, id) >"), "{plan}");
            let limited = plan.split_once("Limit").unwrap().1;
            assert!(!limited.contains("Sort") && !limited.contains("Bitmap"), "{plan}");
        }
    }

    #[test]
    fn the_list_of_types_is_in_order_and_each_says_what_it_means() {
        assert!(TYPES.is_sorted_by(|a, b| a.0 < b.0));
        assert!(TYPES.iter().all(|(kind, text)| kind.contains('.') && text.ends_with('.')));
    }
}
