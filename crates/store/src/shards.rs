//! Who owns which shard, as gateways see it. Claims themselves are made by [`crate::Lease`].

use std::collections::HashMap;

use claw_types::{Epoch, ShardId};
use sqlx::Row as _;

use crate::{Result, Store};

/// The present claim of a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The worker's name.
    pub name: String,
    /// Where its RPC listens.
    pub rpc_address: String,
    /// Its claim.
    pub epoch: Epoch,
}

impl Store {
    /// Every shard that is owned, as far as its owner has not given it back.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn shard_owners(&self) -> Result<HashMap<ShardId, Owner>> {
        let rows = sqlx::query(
            "select shard, owner, rpc_address, epoch from shards
             where owner is not null and rpc_address is not null",
        )
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .map(|row| {
                let shard: i32 = row.try_get("shard")?;
                let owner = Owner {
                    name: row.try_get("owner")?,
                    rpc_address: row.try_get("rpc_address")?,
                    epoch: Epoch(row.try_get("epoch")?),
                };
                Ok((ShardId(u16::try_from(shard).unwrap_or(u16::MAX)), owner))
            })
            .collect()
    }

    /// How many shards have no owner that was heard of within the last 10 s: their messages wait.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn shards_unattended(&self) -> Result<i64> {
        Ok(sqlx::query_scalar(
            "select count(*) from shards s
             where not exists (select 1 from members m
                               where m.name = s.owner and m.heartbeat_at > now() - interval '10 seconds')",
        )
        .fetch_one(&self.pool)
        .await?)
    }
}
