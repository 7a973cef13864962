//! What is pending in a shard, read by its owner page by page.

use claw_types::{ChannelId, Direction, MessageId, ShardId, UserId, Work};
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use crate::messages::{WORK, bad, direction, work};
use crate::{Result, Store};

/// One page to read.
#[derive(Debug, Clone)]
pub struct Look {
    /// Of which shard.
    pub shard: ShardId,
    /// Behind this place.
    pub after: i64,
    /// Of which tenants.
    pub whose: Whose,
}

/// Whose messages to read.
#[derive(Debug, Clone)]
pub enum Whose {
    /// All but those of these tenants.
    AllBut(Vec<UserId>),
    /// Those of this one.
    Only(UserId),
}

/// Where a pending message lies, without what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pending {
    /// Which message.
    pub id: MessageId,
    /// Of which shard.
    pub shard: ShardId,
    /// Its place.
    pub seq: i64,
    /// How often it was set back to work.
    pub retries: u32,
    /// Of which channel.
    pub channel_id: ChannelId,
    /// Which way it goes.
    pub direction: Direction,
    /// What is worked off in order with it.
    pub conversation: String,
}

/// What a page has: conditions on each row and no joins. Whatever the planner thinks of them, the index gives the order and
/// the limit ends the reading.
const PAGES: &str =
    "from unnest($1::int[], $2::bigint[], $3::text[], $4::text[]) as a (shard, seq, user_id, all_but)
     cross join lateral (
         select * from messages m
         where m.shard = a.shard and m.finished_at is null and m.seq > a.seq
           and (a.user_id is null or m.user_id = a.user_id)
           and (a.all_but is null or not a.all_but::jsonb ? m.user_id)
         order by m.seq limit $5) m";

impl Whose {
    /// Whether a tenant's messages are read.
    pub fn has(&self, user: &UserId) -> bool {
        match self {
            Self::AllBut(users) => !users.contains(user),
            Self::Only(only) => only == user,
        }
    }

    /// The tenant to read, and those not to read, as a JSON array; without any, `None`.
    fn bound(&self) -> Result<(Option<&str>, Option<String>)> {
        Ok(match self {
            Self::Only(user) => (Some(user.as_str()), None),
            Self::AllBut(users) if users.is_empty() => (None, None),
            Self::AllBut(users) => (None, Some(serde_json::to_string(users)?)),
        })
    }
}

impl Store {
    /// The pending messages of each page, in order, at most `limit` a page, with the seconds until each is due.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn messages_pending_pages(&self, looks: &[Look], limit: i64) -> Result<Vec<(Work, f64)>> {
        let rows = self
            .pages(&format!("{WORK}, extract(epoch from m.due_at - now())::float8 as due_in"), looks, limit)
            .await?;
        rows.iter().map(|row| Ok((work(row)?, row.try_get("due_in")?))).collect()
    }

    /// As [`Self::messages_pending_pages`], without what the messages say: for who knows most of them already.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn messages_pending_places(&self, looks: &[Look], limit: i64) -> Result<Vec<Pending>> {
        let columns = "m.id, m.shard, m.seq, m.retries, m.channel_id, m.direction, m.conversation";
        let rows = self.pages(columns, looks, limit).await?;
        rows.iter().map(place).collect()
    }

    async fn pages(&self, columns: &str, looks: &[Look], limit: i64) -> Result<Vec<PgRow>> {
        let whose = looks.iter().map(|look| look.whose.bound()).collect::<Result<Vec<_>>>()?;
        let (only, all_but): (Vec<_>, Vec<_>) = whose.into_iter().unzip();
        Ok(sqlx::query(sqlx::AssertSqlSafe(format!("select {columns} {PAGES}")))
            .bind(looks.iter().map(|look| look.shard.as_i32()).collect::<Vec<_>>())
            .bind(looks.iter().map(|look| look.after).collect::<Vec<_>>())
            .bind(only)
            .bind(all_but)
            .bind(limit)
            .fetch_all(&self.pool)
            .await?)
    }
}

fn place(row: &PgRow) -> Result<Pending> {
    let id = MessageId(row.try_get("id")?);
    let (shard, retries): (i32, i32) = (row.try_get("shard")?, row.try_get("retries")?);
    Ok(Pending {
        id,
        shard: ShardId(u16::try_from(shard).map_err(|_| bad(id, "shard", &shard.to_string()))?),
        seq: row.try_get("seq")?,
        retries: u32::try_from(retries).unwrap_or(0),
        channel_id: ChannelId(row.try_get("channel_id")?),
        direction: direction(id, row.try_get("direction")?)?,
        conversation: row.try_get("conversation")?,
    })
}
