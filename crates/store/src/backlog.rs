//! What is pending in a shard, read by its owner page by page.

use claw_types::{ShardId, UserId, Work};
use sqlx::Row as _;

use crate::messages::{WORK, work};
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
        let whose = looks.iter().map(|look| look.whose.bound()).collect::<Result<Vec<_>>>()?;
        let (only, all_but): (Vec<_>, Vec<_>) = whose.into_iter().unzip();
        // Conditions on each row and no joins: whatever the planner thinks of them, the index gives the order and the
        // limit ends the reading.
        let sql = format!(
            "select {WORK}, extract(epoch from m.due_at - now())::float8 as due_in
             from unnest($1::int[], $2::bigint[], $3::text[], $4::text[]) as a (shard, seq, user_id, all_but)
             cross join lateral (
                 select * from messages m
                 where m.shard = a.shard and m.finished_at is null and m.seq > a.seq
                   and (a.user_id is null or m.user_id = a.user_id)
                   and (a.all_but is null or not a.all_but::jsonb ? m.user_id)
                 order by m.seq limit $5) m"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(looks.iter().map(|look| look.shard.as_i32()).collect::<Vec<_>>())
            .bind(looks.iter().map(|look| look.after).collect::<Vec<_>>())
            .bind(only)
            .bind(all_but)
            .bind(limit)
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(|row| Ok((work(row)?, row.try_get("due_in")?))).collect()
    }
}
