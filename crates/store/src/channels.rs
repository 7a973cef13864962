//! Channels: a user's connections to platforms, and what their owners report of them.
//!
//! Here is what a channel is and how its row is read; `status` reads for a user, `load` for our own roles, `save` changes,
//! `credentials` keeps each bot to one channel, and `observe` writes what owners report.
//!
//! Every function that serves a tenant takes the tenant's id, puts it in the query and runs in that tenant's
//! transaction (`status`, `save`). The functions for owners take shards or channel ids instead; they are used by our own roles
//! only (`load`, `observe`).

use chrono::{DateTime, Utc};
use claw_secrets::Sealed;
use claw_types::{ChannelId, InstanceId, ShardId, UserId};
use serde_json::{Map, Value};
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use crate::{Error, Result, Vault};

mod credentials;
mod load;
mod observe;
mod save;
mod status;

pub(crate) use credentials::{Claims, claim, is_claimed};
pub use load::{ChannelName, Loaded};
pub use observe::{Observation, Observed, Sighting};
pub use save::SaveChannel;
pub use status::ChannelStatus;

/// A stored channel without its secrets.
#[derive(Debug, Clone)]
pub struct Channel {
    /// Its id.
    pub id: ChannelId,
    /// Whose.
    pub user_id: UserId,
    /// The slug in the user's paths.
    pub instance: InstanceId,
    /// The name to show.
    pub instance_name: String,
    /// The platform's type, lower case.
    pub channel_type: String,
    /// The fields that are not secret.
    pub config: Map<String, Value>,
    /// Whether it is meant to run.
    pub enabled: bool,
    /// The agent that it is bound to; empty when none.
    pub agent_id: String,
    /// Where it lives.
    pub shard: ShardId,
    /// Raised by every change.
    pub revision: i64,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Whether this is a tombstone.
    pub deleted: bool,
}

pub(crate) const COLUMNS: &str = "c.id, c.user_id, c.instance, c.instance_name, c.channel_type, c.config::text as config, \
     c.enabled, c.agent_id, c.shard, c.revision, c.created_at, c.deleted_at is not null as deleted";

fn bad(id: ChannelId, column: &'static str, value: &str) -> Error {
    Error::BadRow { table: "channels", id: id.to_string(), column, value: value.to_owned() }
}

pub(crate) fn channel(row: &PgRow) -> Result<Channel> {
    let id = ChannelId(row.try_get("id")?);
    let (user, instance): (String, String) = (row.try_get("user_id")?, row.try_get("instance")?);
    let shard: i32 = row.try_get("shard")?;
    Ok(Channel {
        id,
        user_id: user.parse().map_err(|_| bad(id, "user_id", &user))?,
        instance: instance.parse().map_err(|_| bad(id, "instance", &instance))?,
        instance_name: row.try_get("instance_name")?,
        channel_type: row.try_get("channel_type")?,
        config: serde_json::from_str(row.try_get("config")?)?,
        enabled: row.try_get("enabled")?,
        agent_id: row.try_get("agent_id")?,
        shard: ShardId(u16::try_from(shard).map_err(|_| bad(id, "shard", &shard.to_string()))?),
        revision: row.try_get("revision")?,
        created_at: row.try_get("created_at")?,
        deleted: row.try_get("deleted")?,
    })
}

fn with_secrets(row: &PgRow, vault: &Vault) -> Result<(Channel, Map<String, Value>)> {
    let channel = channel(row)?;
    let bytes: Option<Vec<u8>> = row.try_get("secrets")?;
    let key_id: Option<String> = row.try_get("secrets_key")?;
    let secrets = match bytes.zip(key_id) {
        Some((bytes, key_id)) => vault.open(channel.id, &Sealed { key_id, bytes })?,
        None => Map::new(),
    };
    Ok((channel, secrets))
}

pub(crate) fn changed(row: &PgRow) -> Result<(ChannelId, ShardId, i64)> {
    let id = ChannelId(row.try_get("id")?);
    let shard: i32 = row.try_get("shard")?;
    let shard = u16::try_from(shard).map_err(|_| bad(id, "shard", &shard.to_string()))?;
    Ok((id, ShardId(shard), row.try_get("revision")?))
}
