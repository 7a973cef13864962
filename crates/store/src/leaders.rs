//! Leadership of cluster-wide duties: a lock decides, a term fences.

use chrono::{DateTime, Utc};
use sqlx::Row as _;

use crate::{Lease, Result, Store};

/// Who leads a duty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leader {
    /// Its name.
    pub name: String,
    /// Where its RPC listens.
    pub rpc_address: String,
    /// The election.
    pub term: i64,
    /// When it was elected.
    pub elected_at: DateTime<Utc>,
    /// Whether it has renewed within the last 6 seconds, by database time.
    pub live: bool,
}

impl Store {
    /// Begins a term of `duty`; the caller holds the duty's lock on `lease`.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn leader_elect(&self, duty: &str, lease: &Lease) -> Result<i64> {
        Ok(sqlx::query_scalar(
            "insert into leaders (duty, term, leader, rpc_address, elected_at, renewed_at)
             values ($1, 1, $2, $3, now(), now())
             on conflict (duty) do update set term = leaders.term + 1, leader = $2, rpc_address = $3,
                 elected_at = now(), renewed_at = now()
             returning term",
        )
        .bind(duty)
        .bind(&lease.member().name)
        .bind(&lease.member().rpc_address)
        .fetch_one(&self.pool)
        .await?)
    }

    /// Renews a term; `false` when another one has begun: step down.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn leader_renew(&self, duty: &str, term: i64) -> Result<bool> {
        let done = sqlx::query("update leaders set renewed_at = now() where duty = $1 and term = $2")
            .bind(duty)
            .bind(term)
            .execute(&self.pool)
            .await?;
        Ok(done.rows_affected() == 1)
    }

    /// Ends a term of one's own.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn leader_resign(&self, duty: &str, term: i64) -> Result<()> {
        sqlx::query("update leaders set leader = null, rpc_address = null where duty = $1 and term = $2")
            .bind(duty)
            .bind(term)
            .execute(&self.pool)
            .await?;
        Ok(())
    }

    /// Who leads `duty`; `None` when nobody does.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn leader(&self, duty: &str) -> Result<Option<Leader>> {
        let row = sqlx::query(
            "select leader, rpc_address, term, elected_at, renewed_at > now() - interval '6 seconds' as live
             from leaders where duty = $1 and leader is not null",
        )
        .bind(duty)
        .fetch_optional(&self.pool)
        .await?;
        row.map(|row| {
            Ok(Leader {
                name: row.try_get("leader")?,
                rpc_address: row.try_get("rpc_address")?,
                term: row.try_get("term")?,
                elected_at: row.try_get("elected_at")?,
                live: row.try_get("live")?,
            })
        })
        .transpose()
    }

    /// Removes members that have not been heard of for `minutes`. Tells how many.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn members_prune(&self, minutes: i32) -> Result<u64> {
        let done = sqlx::query("delete from members where heartbeat_at < now() - make_interval(mins => $1)")
            .bind(minutes)
            .execute(&self.pool)
            .await?;
        Ok(done.rows_affected())
    }
}
