//! The partitions of `messages`: made ahead of time, and dropped when what is in them may be forgotten.
//!
//! A message's partition follows from its id, a `UUIDv7`, so from the clock of whoever made the id. What fits in no partition is
//! in the default one; see migration 0019. The statements here are the leading scheduler's. Each is one short
//! transaction that may be repeated: two leaders at once, or one that died halfway, do no harm. Those that every message
//! would wait for give up after 300 ms; try again later. Only what looks for what is to be kept may take up to a
//! minute, and nobody waits for that: neither messages nor events (migration 0029).

use chrono::{DateTime, Datelike as _, Days, Months, NaiveTime, Utc};
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::{Error, Result, Store};

/// More messages than this are not moved while others wait.
const MOST_MOVED: i64 = 10_000;
/// Pages in one look through a detached partition: 8 MB, a fraction of a second even if all that is in them is moved.
const PAGES: i64 = 1_000;
/// Attempts, or messages of the default partition, that one statement looks at.
const BATCH: i64 = 5_000;
/// Whether a message may be forgotten as far as its state says, with `$2` for the days for which what failed is kept (0: for ever).
const OVER: &str = "finished_at is not null and state not in ('dead', 'uncertain')
    and (state <> 'failed' or finished_at < case $2 when 0 then '-infinity' else now() - make_interval(days => $2) end)";

/// How long a time one partition is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// From one Monday to the next.
    Week,
    /// A calendar month.
    Month,
}

impl Span {
    /// For messages that are kept for so many days; 0 is for ever. Each statement on messages costs a little more with each
    /// partition (docs/adr/0008), and messages are kept for up to one span longer than was asked for.
    pub fn for_retention(days: u16) -> Self {
        if (1..60).contains(&days) { Self::Week } else { Self::Month }
    }

    /// Where a partition ends that begins at `start`, which may be in the middle of a span; UTC.
    pub fn end(self, start: DateTime<Utc>) -> DateTime<Utc> {
        let day = start.date_naive();
        let end = match self {
            Self::Week => day + Days::new(u64::from(7 - day.weekday().num_days_from_monday())),
            Self::Month => day - Days::new(u64::from(day.day0())) + Months::new(1),
        };
        end.and_time(NaiveTime::MIN).and_utc()
    }
}

/// A partition of `messages`, or one that was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// The table's name.
    pub name: String,
    /// The time of the first ids in it; `None`: there is no first.
    pub from: Option<DateTime<Utc>>,
    /// The time of the first ids that are not in it any more.
    pub until: DateTime<Utc>,
    /// Since when it is no part of `messages`; until it is dropped, there is work left to do on it.
    pub detached_at: Option<DateTime<Utc>>,
    /// When it was dropped.
    pub dropped_at: Option<DateTime<Utc>>,
    /// Messages that were in it and not to be forgotten: they are in the default partition.
    pub kept: i64,
    /// About how many messages went with it.
    pub forgotten: Option<i64>,
}

impl Store {
    /// All partitions that there are or were, the oldest first; without the default one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn partitions(&self) -> Result<Vec<Partition>> {
        let rows = sqlx::query(
            "select name, low, high, detached_at, dropped_at, kept, forgotten from message_partitions order by high",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(partition).collect()
    }

    /// Makes the partition of the ids of these times, unless it is there; `false` when it was not made because too much of
    /// what would be in it is in the default partition: there it stays.
    ///
    /// # Errors
    /// When the database fails, or somebody else used the table for 300 ms.
    pub async fn partition_create(&self, from: DateTime<Utc>, until: DateTime<Utc>) -> Result<bool> {
        let created = sqlx::query_scalar("select claw_partition_create($1, $2, $3, $4)")
            .bind(from.format("messages_%Y%m%d").to_string())
            .bind(first_id(from))
            .bind(first_id(until))
            .bind(MOST_MOVED);
        Ok(created.fetch_one(&self.pool).await?)
    }

    /// Takes a partition out of `messages`, but for what is pending and the dead letters that nobody discarded: those go into
    /// the default partition. What failed or expired more than `failed_days` ago (0: never) goes with the partition all the same.
    /// `false` when that is too much to move while others wait: then it stays as it is.
    ///
    /// # Errors
    /// When the database fails, or somebody else used the table for 300 ms.
    pub async fn partition_detach(&self, name: &str, failed_days: u16) -> Result<bool> {
        let mut txn = self.pool.begin().await?;
        // All that failed are looked through, and of these there may be very many. Not for longer: the leader's other partitions
        // wait, and what is cleaned up in the whole database meanwhile.
        sqlx::query("set local statement_timeout = '1min'").execute(&mut txn).await?;
        let detached: bool = sqlx::query_scalar(
            "select claw_partition_detach(
                 $1, $2, case $3 when 0 then '-infinity' else now() - make_interval(days => $3) end)",
        )
        .bind(name)
        .bind(MOST_MOVED)
        .bind(i32::from(failed_days))
        .fetch_one(&mut txn)
        .await?;
        txn.commit().await?;
        Ok(detached)
    }

    /// Looks through the next pages of a detached partition for messages accepted within the last `days` (0: ever) and moves
    /// them into the default partition. Tells how many that were; `None` at its end.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn partition_sift(&self, name: &str, days: u16) -> Result<Option<i64>> {
        let sifted = sqlx::query_scalar(
            "select claw_partition_sift(
                 $1, case $2 when 0 then '-infinity' else now() - make_interval(days => $2) end, $3)",
        )
        .bind(name)
        .bind(i32::from(days))
        .bind(PAGES);
        Ok(sifted.fetch_one(&self.pool).await?)
    }

    /// Removes some of the failed attempts at messages that went with a partition; tells how many, 0 when none is left.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn partition_forget_attempts(&self, name: &str) -> Result<u64> {
        let done = sqlx::query(
            "delete from message_attempts where ctid = any (array(
                 select a.ctid from message_partitions p join message_attempts a
                 on a.message_id >= coalesce(p.low, '00000000-0000-0000-0000-000000000000') and a.message_id < p.high
                 where p.name = $1 and p.detached_at is not null
                   and not exists (select from messages m where m.id = a.message_id)
                 limit $2))",
        )
        .bind(name)
        .bind(BATCH)
        .execute(&self.pool)
        .await?;
        Ok(done.rows_affected())
    }

    /// Drops a detached partition that was looked through to its end.
    ///
    /// # Errors
    /// When the database fails, it was not, or somebody else used the table for 300 ms.
    pub async fn partition_drop(&self, name: &str) -> Result<()> {
        sqlx::query("select claw_partition_drop($1)").bind(name).execute(&self.pool).await?;
        Ok(())
    }

    /// Deletes what may be forgotten and was accepted more than `days` ago from the default partition, which is never dropped:
    /// looks at some messages behind an id. What failed or expired must have ended more than `failed_days` ago (0: never), too.
    /// Tells how many went, and where to go on; `None`: that was all.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn messages_default_forget(
        &self,
        days: u16,
        failed_days: u16,
        after: Uuid,
    ) -> Result<(i64, Option<Uuid>)> {
        // Once more where it is deleted: somebody may just have set it back to work.
        let sql = format!(
            "with page as materialized (
                 select id, {OVER} and accepted_at < now() - make_interval(days => $1) as old
                 from messages_default where id > $3 order by id limit $4),
             gone as (
                 delete from messages m using page p where p.old and m.id = p.id and {OVER} returning 1)
             select (select count(*) from gone) as gone, (select id from page order by id offset $4 - 1) as last"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(i32::from(days))
            .bind(i32::from(failed_days))
            .bind(after)
            .bind(BATCH)
            .fetch_one(&self.pool)
            .await?;
        Ok((row.try_get("gone")?, row.try_get("last")?))
    }
}

/// The smallest id of a moment.
fn first_id(moment: DateTime<Utc>) -> Uuid {
    let millis = u64::try_from(moment.timestamp_millis()).unwrap_or_default();
    Uuid::from_u128(u128::from(millis) << 80)
}

/// The moment whose smallest id this is.
fn moment(name: &str, id: Uuid) -> Result<DateTime<Utc>> {
    let millis = i64::try_from(id.as_u128() >> 80).ok();
    millis.and_then(DateTime::from_timestamp_millis).ok_or_else(|| Error::BadRow {
        table: "message_partitions",
        id: name.to_owned(),
        column: "low, high",
        value: id.to_string(),
    })
}

fn partition(row: &PgRow) -> Result<Partition> {
    let name: String = row.try_get("name")?;
    let low: Option<Uuid> = row.try_get("low")?;
    Ok(Partition {
        from: low.map(|id| moment(&name, id)).transpose()?,
        until: moment(&name, row.try_get("high")?)?,
        detached_at: row.try_get("detached_at")?,
        dropped_at: row.try_get("dropped_at")?,
        kept: row.try_get("kept")?,
        forgotten: row.try_get("forgotten")?,
        name,
    })
}
