//! Channels: a user's connections to platforms, and what their owners report of them.
//!
//! Every function that serves a tenant takes the tenant's id, puts it in the query and runs in that tenant's
//! transaction. The functions for owners take shards or channel ids instead; they are used by our own roles only.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use claw_secrets::Sealed;
use claw_types::{ChannelId, Epoch, InstanceId, ShardId, UserId};
use serde_json::{Map, Value, json};
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use uuid::Uuid;

use crate::error::reason;
use crate::pool::Txn;
use crate::{Actor, Change, Error, News, Result, Store, Tenant, Vault};

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

/// What [`Store::channel_save`] writes.
#[derive(Debug, Clone)]
pub struct SaveChannel {
    /// The id to give it when it is new.
    pub id: ChannelId,
    /// Whose.
    pub user_id: UserId,
    /// The slug.
    pub instance: InstanceId,
    /// The name to show.
    pub instance_name: String,
    /// The platform's type.
    pub channel_type: String,
    /// The fields that are not secret.
    pub config: Map<String, Value>,
    /// The secret fields, in the clear.
    pub secrets: Map<String, Value>,
    /// The credential that no other channel may have.
    pub credential: Option<String>,
    /// Whether it is meant to run.
    pub enabled: bool,
    /// The agent it is bound to; empty when none.
    pub agent_id: String,
    /// Where it lives.
    pub shard: ShardId,
    /// The revision that this replaces; `None` makes a new one.
    pub replaces: Option<i64>,
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

/// What an owner says about a running channel.
#[derive(Debug, Clone, PartialEq)]
pub enum Observation {
    /// It works as configured by this revision.
    Running {
        /// Which revision.
        revision: i64,
    },
    /// It does not work.
    Failed {
        /// Which revision.
        revision: i64,
        /// Why.
        error: String,
    },
    /// A transient trouble: it goes on by itself.
    Trouble(String),
    /// The platform's stream was consumed up to here.
    Cursor(String),
    /// A person wrote.
    Inbound,
}

/// One observation and under which claim it was made.
#[derive(Debug, Clone)]
pub struct Sighting {
    /// Which channel.
    pub channel_id: ChannelId,
    /// Its shard.
    pub shard: ShardId,
    /// The claim.
    pub epoch: Epoch,
    /// What was seen.
    pub seen: Observation,
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

    /// Makes a channel, or replaces the revision that was read.
    ///
    /// # Errors
    /// [`Error::Conflict`] when somebody else was faster, [`Error::CredentialInUse`] when another channel has the
    /// credential, [`Error::BeingErased`] for a new one of a user who is being erased; then nothing was stored.
    pub async fn channel_save(&self, vault: &Vault, save: &SaveChannel, actor: &Actor) -> Result<()> {
        let mut tenant = self.tenant(&save.user_id).await?;
        let sealed = vault.seal(save.id, &save.secrets)?;
        let credential = save.credential.as_ref();
        let fingerprints = credential.map(|c| vault.fingerprints(&save.channel_type, c)).unwrap_or_default();
        self.refuse_credential_of_other_keys(&mut tenant, save, &fingerprints).await?;
        let config = serde_json::to_string(&save.config)?;
        let sql = match save.replaces {
            None => {
                "insert into channels (id, instance_name, config, secrets, secrets_key, fingerprint, enabled,
                     agent_id, user_id, instance, channel_type, shard)
                 select $1, $2, $3::json, $4, $5, $6, $7, $8, $9, $10, $11, $12 where $13::bigint is null
                     and not exists (select 1 from erasures where user_id = $9 and finished_at is null)"
            }
            Some(_) => {
                "update channels set instance_name = $2, config = $3::json, secrets = $4, secrets_key = $5,
                     fingerprint = $6, enabled = $7, agent_id = $8, revision = revision + 1, updated_at = now()
                 where id = $1 and user_id = $9 and instance = $10 and channel_type = $11 and shard = $12
                   and revision = $13 and deleted_at is null"
            }
        };
        let saved = sqlx::query(sql)
            .bind(save.id.0)
            .bind(&save.instance_name)
            .bind(config)
            .bind(sealed.bytes)
            .bind(sealed.key_id)
            .bind(fingerprints.first().map(|current| current.to_vec()))
            .bind(save.enabled)
            .bind(&save.agent_id)
            .bind(save.user_id.as_str())
            .bind(save.instance.as_str())
            .bind(&save.channel_type)
            .bind(save.shard.as_i32())
            .bind(save.replaces)
            .execute(tenant.conn())
            .await;
        match saved {
            Ok(done) if done.rows_affected() == 1 => {
                let action = if save.replaces.is_none() { "channel.created" } else { "channel.changed" };
                let detail = json!({"channel_type": save.channel_type, "enabled": save.enabled});
                tenant.tell(&News { data: detail.clone(), ..News::of(action, save.id) }).await?;
                tenant.audit(actor, &Change { action, subject: save.instance.as_str(), detail }).await?;
                tenant.commit().await
            }
            Ok(_) if save.replaces.is_none() => Err(Error::BeingErased),
            Ok(_) => Err(Error::Conflict),
            Err(error) => match unique_violation(&error) {
                // If there is none, it was deleted in between.
                Some(FINGERPRINTS) => {
                    Err(self.credential_in_use(save, &fingerprints).await?.unwrap_or(Error::Conflict))
                }
                Some(_) => Err(Error::Conflict),
                None => Err(error.into()),
            },
        }
    }

    /// While the master key is replaced, fingerprints are of several keys, and the index compares those of one. So they are
    /// asked for here, one save of a credential at a time: whoever saves the same one knows one of these keys, too.
    async fn refuse_credential_of_other_keys(
        &self,
        tenant: &mut Tenant,
        save: &SaveChannel,
        fingerprints: &[[u8; 32]],
    ) -> Result<()> {
        if fingerprints.len() < 2 {
            return Ok(());
        }
        // In one order for everybody, so that nobody waits for somebody who waits for them.
        let mut locks: Vec<i64> =
            fingerprints.iter().filter_map(|f| f.first_chunk().copied().map(i64::from_be_bytes)).collect();
        locks.sort_unstable();
        for lock in locks {
            sqlx::query("select pg_advisory_xact_lock($1)").bind(lock).execute(tenant.conn()).await?;
        }
        self.credential_in_use(save, fingerprints).await?.map_or(Ok(()), Err)
    }

    /// The refusal when another channel has one of these fingerprints. Names that channel to its own user only: to anyone else,
    /// that it exists is all there is to know.
    async fn credential_in_use(
        &self,
        save: &SaveChannel,
        fingerprints: &[[u8; 32]],
    ) -> Result<Option<Error>> {
        let other: Option<(String, String)> = sqlx::query_as(
            "select user_id, instance from channels
             where channel_type = $1 and fingerprint = any ($2) and deleted_at is null and id <> $3 limit 1",
        )
        .bind(&save.channel_type)
        .bind(fingerprints.iter().map(<[u8; 32]>::as_slice).collect::<Vec<_>>())
        .bind(save.id.0)
        .fetch_optional(&self.pool)
        .await?;
        Ok(other.map(|(user, instance)| {
            Error::CredentialInUse(if user == save.user_id.as_str() {
                format!("the channel {instance:?}")
            } else {
                "a channel of another user".to_owned()
            })
        }))
    }

    /// Deletes a channel: its secrets go at once, a tombstone stays for its messages.
    ///
    /// # Errors
    /// [`Error::NoChannel`] when the user has none of that name.
    pub async fn channel_delete(
        &self,
        user: &UserId,
        instance: &InstanceId,
        actor: &Actor,
    ) -> Result<(ChannelId, ShardId)> {
        let mut tenant = self.tenant(user).await?;
        let row = sqlx::query(
            "update channels set deleted_at = now(), updated_at = now(), revision = revision + 1, secrets = null,
                 secrets_key = null, fingerprint = null
             where user_id = $1 and instance = $2 and deleted_at is null returning id, shard, revision",
        )
        .bind(user.as_str())
        .bind(instance.as_str())
        .fetch_optional(tenant.conn())
        .await?
        .ok_or(Error::NoChannel)?;
        let (id, shard, _) = changed(&row)?;
        for sql in [
            "delete from group_context where channel_id = $1",
            "delete from placeholders where channel_id = $1",
            "delete from channel_memory where channel_id = $1",
        ] {
            sqlx::query(sql).bind(id.0).execute(tenant.conn()).await?;
        }
        crate::pairing::delete_all(tenant.conn(), user, id).await?;
        let detail = json!({"id": id});
        tenant.tell(&News::of("channel.deleted", id)).await?;
        tenant
            .audit(actor, &Change { action: "channel.deleted", subject: instance.as_str(), detail })
            .await?;
        tenant.commit().await?;
        Ok((id, shard))
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

    /// Writes what owners saw, each shard's in order; what a former owner says is not written. Tells for each whether it
    /// was.
    ///
    /// # Errors
    /// When the database fails; then none was written.
    pub async fn channels_observe(&self, sightings: &[Sighting]) -> Result<Vec<bool>> {
        // Every sighting locks its shard, and claims lock several: all of them by number, or two wait for each other.
        let mut by_shard: Vec<(usize, &Sighting)> = sightings.iter().enumerate().collect();
        by_shard.sort_by_key(|(_, sighting)| sighting.shard);
        let mut txn = self.pool.begin().await?;
        let mut written = vec![false; sightings.len()];
        for (place, sighting) in by_shard {
            written[place] = observe(&mut txn, sighting).await?;
        }
        txn.commit().await?;
        Ok(written)
    }
}

async fn observe(txn: &mut Txn, sighting: &Sighting) -> Result<bool> {
    let (state, revision, error, cursor, inbound) = match &sighting.seen {
        Observation::Running { revision } => {
            (Some("running"), Some(*revision), Some(String::new()), None, false)
        }
        Observation::Failed { revision, error } => {
            (Some("failed"), Some(*revision), Some(reason(error)), None, false)
        }
        Observation::Trouble(error) => (None, None, Some(reason(error)), None, false),
        Observation::Cursor(cursor) => (None, None, None, Some(cursor.as_str()), false),
        Observation::Inbound => (None, None, None, None, true),
    };
    // The share lock keeps a new claim from committing between the check of the epoch and this write.
    let written: i64 = sqlx::query_scalar(
        "with fence as materialized (
             select 1 from shards where shard = $2 and epoch = $3 for share),
         before as materialized (select failing from channel_state where channel_id = $1),
         written as (
             insert into channel_state as s
                 (channel_id, epoch, state, revision, last_error, cursor, last_inbound_at, failing)
             select $1, $3, coalesce($4, 'starting'), coalesce($5, 0), nullif($6, ''), $7,
                    case when $8 then now() end, coalesce($4 = 'failed', false)
             from fence where exists (select 1 from channels where id = $1)
             on conflict (channel_id) do update set
                 epoch = $3,
                 state = coalesce($4, case when s.epoch = $3 then s.state else 'starting' end),
                 revision = coalesce($5, s.revision),
                 last_error = case when $6 is null then s.last_error else nullif($6, '') end,
                 cursor = coalesce($7, s.cursor),
                 last_inbound_at = case when $8 then now() else s.last_inbound_at end,
                 failing = coalesce($4 = 'failed', s.failing),
                 updated_at = now()
             returning channel_id, state, last_error, failing),
         told as (
             insert into events (user_id, type, channel_id, data)
             select c.user_id, case when w.failing then 'channel.failed' else 'channel.recovered' end, c.id,
                    json_build_object('state', w.state, 'error', w.last_error)
             from written w join channels c on c.id = w.channel_id
             where w.failing <> coalesce((select failing from before), false))
         select count(*) from written",
    )
    .bind(sighting.channel_id.0)
    .bind(sighting.shard.as_i32())
    .bind(sighting.epoch.0)
    .bind(state)
    .bind(revision)
    .bind(error)
    .bind(cursor)
    .bind(inbound)
    .fetch_one(txn)
    .await?;
    Ok(written == 1)
}

pub(crate) fn changed(row: &PgRow) -> Result<(ChannelId, ShardId, i64)> {
    let id = ChannelId(row.try_get("id")?);
    let shard: i32 = row.try_get("shard")?;
    let shard = u16::try_from(shard).map_err(|_| bad(id, "shard", &shard.to_string()))?;
    Ok((id, ShardId(shard), row.try_get("revision")?))
}

/// The index by which no two channels have the same credential.
pub(crate) const FINGERPRINTS: &str = "channels_fingerprint";

pub(crate) fn unique_violation(error: &sqlx::Error) -> Option<&str> {
    let error = error.as_database_error()?;
    error.is_unique_violation().then(|| error.constraint().unwrap_or_default())
}
