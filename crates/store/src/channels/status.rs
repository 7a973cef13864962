//! Channels as their user sees them: all of them with their states, or one with its secrets opened.
//!
//! Must hold: a user gets only their own, as every query names the user and runs in that user's transaction; tombstones are
//! left out; and a state counts only if the present owner said it of the present revision.

use chrono::{DateTime, Utc};
use claw_types::{InstanceId, UserId};
use serde_json::{Map, Value};
use sqlx::Row as _;

use super::{COLUMNS, Channel, channel, with_secrets};
use crate::{Error, Result, Store, Vault};

/// A channel as its user sees it.
#[derive(Debug, Clone)]
pub struct ChannelStatus {
    /// The channel.
    pub channel: Channel,
    /// `starting`, `running`, `failed` or `stopped`: as of the present owner, else `starting`.
    pub state: String,
    /// What went wrong last, if it still matters.
    pub last_error: Option<String>,
    /// When a person last wrote through it.
    pub last_inbound_at: Option<DateTime<Utc>>,
    /// The worker that runs it.
    pub owner: Option<String>,
}

impl Store {
    /// A user's channels, oldest first, optionally of one type.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn channels_of(&self, user: &UserId, channel_type: Option<&str>) -> Result<Vec<ChannelStatus>> {
        self.statuses(user, None, channel_type).await
    }

    /// One channel of a user.
    ///
    /// # Errors
    /// [`Error::NoChannel`] when the user has none of that name.
    pub async fn channel_status(&self, user: &UserId, instance: &InstanceId) -> Result<ChannelStatus> {
        self.statuses(user, Some(instance), None).await?.pop().ok_or(Error::NoChannel)
    }

    async fn statuses(
        &self,
        user: &UserId,
        instance: Option<&InstanceId>,
        channel_type: Option<&str>,
    ) -> Result<Vec<ChannelStatus>> {
        // What a former owner said does not count: its epoch is older than the shard's.
        let sql = format!(
            "select {COLUMNS}, coalesce(t.state, 'starting') as state, t.last_error, s.last_inbound_at, m.name as owner
             from channels c
             join shards o on o.shard = c.shard
             left join members m on m.name = o.owner and m.heartbeat_at > now() - interval '10 seconds'
             left join channel_state s on s.channel_id = c.id
             left join channel_state t on t.channel_id = c.id and t.epoch = o.epoch and t.revision = c.revision
                                      and m.name is not null
             where c.user_id = $1 and c.deleted_at is null
               and ($2::text is null or c.instance = $2) and ($3::text is null or c.channel_type = $3)
             order by c.created_at, c.id"
        );
        let rows = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(user.as_str())
            .bind(instance.map(InstanceId::as_str))
            .bind(channel_type)
            .fetch_all(self.tenant(user).await?.conn())
            .await?;
        rows.iter()
            .map(|row| {
                Ok(ChannelStatus {
                    channel: channel(row)?,
                    state: row.try_get("state")?,
                    last_error: row.try_get("last_error")?,
                    last_inbound_at: row.try_get("last_inbound_at")?,
                    owner: row.try_get("owner")?,
                })
            })
            .collect()
    }

    /// One channel of a user with its secrets opened.
    ///
    /// # Errors
    /// When the database fails or the secrets do not open; `Ok(None)` when there is no such channel.
    pub async fn channel_find(
        &self,
        vault: &Vault,
        user: &UserId,
        instance: &InstanceId,
    ) -> Result<Option<(Channel, Map<String, Value>)>> {
        let sql = format!(
            "select {COLUMNS}, c.secrets, c.secrets_key from channels c
             where c.user_id = $1 and c.instance = $2 and c.deleted_at is null"
        );
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .bind(user.as_str())
            .bind(instance.as_str())
            .fetch_optional(self.tenant(user).await?.conn())
            .await?;
        row.as_ref().map(|row| with_secrets(row, vault)).transpose()
    }
}
