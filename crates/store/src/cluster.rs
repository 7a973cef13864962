//! The cluster as operators look at it. Every query here costs about the same however much is stored.

use std::time::Duration;

use chrono::{DateTime, Utc};
use claw_types::{Epoch, ShardId};
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use crate::lease::STALE;
use crate::{Result, Store};

/// What is fixed, and the schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterFacts {
    /// The newest migration in the database.
    pub schema: i64,
    /// A binary whose newest migration is older than this may not run.
    pub oldest_schema: i64,
    /// The database's time.
    pub now: DateTime<Utc>,
}

/// A process in the cluster's list.
#[derive(Debug, Clone, PartialEq)]
pub struct MemberStatus {
    /// Its name.
    pub name: String,
    /// `worker`, `scheduler` or `gateway`.
    pub role: String,
    /// Its version.
    pub version: String,
    /// Where its RPC listens.
    pub rpc_address: String,
    /// Its share of the shards relative to the others.
    pub weight: f64,
    /// When it joined, by the database's clock.
    pub started_at: DateTime<Utc>,
    /// For how long it has not been heard of.
    pub silent: Duration,
    /// Whether that is short enough to count as alive.
    pub live: bool,
    /// Whether it is on its way out, or was told to own nothing.
    pub draining: bool,
    /// Shards that it owns.
    pub shards: u32,
}

/// A shard's claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShardClaim {
    /// Which shard.
    pub shard: ShardId,
    /// Who owns it; `None` between two owners.
    pub owner: Option<String>,
    /// How often it was claimed.
    pub epoch: Epoch,
}

/// What is accepted and not yet at its destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lag {
    /// How many messages; counting stops at the limit.
    pub pending: i64,
    /// For how long the oldest one has waited; zero when none does.
    pub oldest: Duration,
}

impl Store {
    /// The schema and the time.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn cluster_facts(&self) -> Result<ClusterFacts> {
        let row = sqlx::query(
            "select (select max(version) from _sqlx_migrations where success) as schema, oldest_schema, now() as now
             from cluster",
        )
        .fetch_one(&self.pool)
        .await?;
        Ok(ClusterFacts {
            schema: row.try_get("schema")?,
            oldest_schema: row.try_get("oldest_schema")?,
            now: row.try_get("now")?,
        })
    }

    /// Every process in the list, by role and name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn members(&self) -> Result<Vec<MemberStatus>> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "select name, role, version, rpc_address, weight, started_at, draining,
                 (extract(epoch from now() - heartbeat_at) * 1000)::bigint as silent_ms,
                 heartbeat_at > now() - interval '{STALE}' as live,
                 (select count(*) from shards s where s.owner = m.name) as shards
             from members m order by role, name"
        )))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(member).collect()
    }

    /// Every shard's claim, in order.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn shard_claims(&self) -> Result<Vec<ShardClaim>> {
        let rows = sqlx::query("select shard, owner, epoch from shards order by shard");
        let rows = rows.fetch_all(&self.pool).await?;
        rows.iter()
            .map(|row| {
                let shard: i32 = row.try_get("shard")?;
                Ok(ShardClaim {
                    shard: ShardId(u16::try_from(shard).unwrap_or(u16::MAX)),
                    owner: row.try_get("owner")?,
                    epoch: Epoch(row.try_get("epoch")?),
                })
            })
            .collect()
    }

    /// What waits: at most `most` messages are counted, and each shard's oldest one is looked at, not all of them.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn lag(&self, most: i64) -> Result<Lag> {
        let row = sqlx::query(
            "select (select count(*) from (select from messages where finished_at is null limit $1) m) as pending,
                 (select (extract(epoch from now() - min(m.accepted_at)) * 1000)::bigint
                  from shards s cross join lateral (
                      select accepted_at from messages m
                      where m.shard = s.shard and m.finished_at is null order by m.seq limit 1) m) as oldest_ms",
        )
        .bind(most)
        .fetch_one(&self.pool)
        .await?;
        Ok(Lag { pending: row.try_get("pending")?, oldest: millis(row.try_get("oldest_ms")?) })
    }
}

/// What only one process need count for the whole cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Census {
    /// Shards.
    pub shards: i64,
    /// Those of them without an owner that was heard of within the last 10 s.
    pub unattended: i64,
    /// Live members by role.
    pub members: Vec<(String, i64)>,
    /// For how long the first of the due timers has not been fired; zero when none is due.
    pub overdue: Duration,
}

impl Store {
    /// Counts what there is: some hundred rows, and the first timer of each kind.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn census(&self) -> Result<Census> {
        let row = sqlx::query(
            "select (select count(*) from shards) as shards,
                 (select (extract(epoch from now() - min(t.due_at)) * 1000)::bigint
                  from unnest(array['wake', 'cron', 'heartbeat', 'run_over', 'retry']) k (kind) cross join lateral (
                      select due_at from timers
                      where kind = k.kind and due_at <= now() order by due_at, id limit 1) t) as overdue_ms",
        )
        .fetch_one(&self.pool)
        .await?;
        let members = sqlx::query(sqlx::AssertSqlSafe(format!(
            "select role, count(*) as live from members
             where heartbeat_at > now() - interval '{STALE}' group by role"
        )))
        .fetch_all(&self.pool)
        .await?;
        Ok(Census {
            shards: row.try_get("shards")?,
            unattended: self.shards_unattended().await?,
            members: members
                .iter()
                .map(|row| Ok((row.try_get("role")?, row.try_get("live")?)))
                .collect::<Result<_>>()?,
            overdue: millis(row.try_get("overdue_ms")?),
        })
    }
}

fn member(row: &PgRow) -> Result<MemberStatus> {
    let shards: i64 = row.try_get("shards")?;
    Ok(MemberStatus {
        name: row.try_get("name")?,
        role: row.try_get("role")?,
        version: row.try_get("version")?,
        rpc_address: row.try_get("rpc_address")?,
        weight: row.try_get("weight")?,
        started_at: row.try_get("started_at")?,
        silent: millis(row.try_get("silent_ms")?),
        live: row.try_get("live")?,
        draining: row.try_get("draining")?,
        shards: u32::try_from(shards).unwrap_or(u32::MAX),
    })
}

/// What the database counted; another transaction's `now()` may be a moment ahead of ours.
fn millis(counted: Option<i64>) -> Duration {
    Duration::from_millis(counted.and_then(|ms| u64::try_from(ms).ok()).unwrap_or(0))
}
