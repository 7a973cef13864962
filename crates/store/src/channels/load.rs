//! Channels as our own roles need them: by id or shard, of whatever user.
//!
//! Must hold: nothing here answers a tenant, as no query names one; one row that can't be used keeps no other channel from
//! being loaded; and what changed is told of tombstones and disabled channels too, or their owner would go on running them.

use std::collections::HashMap;

use claw_types::{ChannelId, ShardId};
use serde_json::{Map, Value};
use sqlx::Row as _;
use uuid::Uuid;

use super::{COLUMNS, Channel, changed, with_secrets};
use crate::{Result, Store, Vault};

/// What a channel is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChannelName {
    /// Whose.
    pub user_id: String,
    /// The slug.
    pub instance: String,
    /// The platform's type.
    pub channel_type: String,
}

/// A channel as its owner needs it.
#[derive(Debug)]
pub struct Loaded {
    /// Which one.
    pub id: ChannelId,
    /// Of its fields.
    pub revision: i64,
    /// Up to where the platform's stream was consumed.
    pub cursor: Option<String>,
    /// With its secrets opened; or why the row can't be used.
    pub channel: Result<(Channel, Map<String, Value>)>,
}

impl Store {
    /// A channel by its id, with its secrets opened; `None` when there is none or it was deleted.
    ///
    /// # Errors
    /// When the database fails or the secrets do not open.
    pub async fn channel_load(
        &self,
        vault: &Vault,
        id: ChannelId,
    ) -> Result<Option<(Channel, Map<String, Value>)>> {
        let sql = format!(
            "select {COLUMNS}, c.secrets, c.secrets_key from channels c where c.id = $1 and c.deleted_at is null"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(id.0).fetch_optional(&self.pool).await?;
        row.as_ref().map(|row| with_secrets(row, vault)).transpose()
    }

    /// Those of these channels that were not deleted, each with its secrets opened and its cursor. One that can't be used
    /// keeps none of the others back.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn channels_load(&self, vault: &Vault, ids: &[ChannelId]) -> Result<Vec<Loaded>> {
        let sql = format!(
            "select {COLUMNS}, c.secrets, c.secrets_key, s.cursor from channels c
             left join channel_state s on s.channel_id = c.id
             where c.id = any ($1) and c.deleted_at is null"
        );
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(ids).fetch_all(&self.pool).await?;
        rows.iter()
            .map(|row| {
                let (id, revision) = (ChannelId(row.try_get("id")?), row.try_get("revision")?);
                Ok(Loaded { id, revision, cursor: row.try_get("cursor")?, channel: with_secrets(row, vault) })
            })
            .collect()
    }

    /// What these channels are called, of any user.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn channels_named(&self, ids: &[ChannelId]) -> Result<HashMap<ChannelId, ChannelName>> {
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        let rows =
            sqlx::query("select id, user_id, instance, channel_type from channels where id = any ($1)")
                .bind(ids)
                .fetch_all(&self.pool)
                .await?;
        rows.iter()
            .map(|row| {
                let name = ChannelName {
                    user_id: row.try_get("user_id")?,
                    instance: row.try_get("instance")?,
                    channel_type: row.try_get("channel_type")?,
                };
                Ok((ChannelId(row.try_get("id")?), name))
            })
            .collect()
    }

    /// The channels that an owner of `shards` should run: (id, revision) of every enabled one.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn channels_in(&self, shards: &[ShardId]) -> Result<Vec<(ChannelId, ShardId, i64)>> {
        let shards: Vec<i32> = shards.iter().map(|s| s.as_i32()).collect();
        let rows = sqlx::query(
            "select id, shard, revision from channels
             where shard = any ($1) and deleted_at is null and enabled",
        )
        .bind(shards)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(changed).collect()
    }

    /// The channels of `shards` that changed within the last `seconds`, deleted and disabled ones too.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn channels_changed(
        &self,
        shards: &[ShardId],
        seconds: f64,
    ) -> Result<Vec<(ChannelId, ShardId, i64)>> {
        let shards: Vec<i32> = shards.iter().map(|s| s.as_i32()).collect();
        let rows = sqlx::query(
            "select id, shard, revision from channels
             where shard = any ($1) and updated_at > now() - make_interval(secs => $2)",
        )
        .bind(shards)
        .bind(seconds)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(changed).collect()
    }

    /// Where the platform's stream was left.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn channel_cursor(&self, id: ChannelId) -> Result<Option<String>> {
        let cursor: Option<Option<String>> =
            sqlx::query_scalar("select cursor from channel_state where channel_id = $1")
                .bind(id.0)
                .fetch_optional(&self.pool)
                .await?;
        Ok(cursor.flatten())
    }
}
