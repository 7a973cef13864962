//! Channels made, changed and deleted.
//!
//! Must hold: a change, its event and its line in the audit log are committed together, or none of them is; a save replaces
//! the revision that its caller read, and no other; and a credential belongs to one channel of the whole system, because two
//! that read one bot's updates would take them from each other (`credentials`).

use std::fmt;

use claw_types::{ChannelId, InstanceId, ShardId, UserId};
use serde_json::{Map, Value, json};

use super::changed;
use super::credentials::{Claims, claim, is_claimed, unique_violation};
use crate::{Actor, Change, Error, News, Result, Store, Tenant, Vault};

/// What [`Store::channel_save`] writes.
#[derive(Clone)]
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
    /// The credentials of which no other channel may have any; the first one is what a version before this one compares.
    pub credentials: Vec<String>,
    /// Whether it is meant to run.
    pub enabled: bool,
    /// The agent it is bound to; empty when none.
    pub agent_id: String,
    /// Where it lives.
    pub shard: ShardId,
    /// The revision that this replaces; `None` makes a new one.
    pub replaces: Option<i64>,
}

/// Which channel, and of its fields the keys alone: its secrets are in the clear.
impl fmt::Debug for SaveChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys = |fields: &Map<String, Value>| fields.keys().cloned().collect::<Vec<_>>();
        let (config, secrets) = (keys(&self.config), keys(&self.secrets));
        f.debug_struct("SaveChannel")
            .field("id", &self.id)
            .field("user_id", &self.user_id)
            .field("instance", &self.instance)
            .field("channel_type", &self.channel_type)
            .field("config", &config)
            .field("secrets", &secrets)
            .field("credentials", &self.credentials.len())
            .field("enabled", &self.enabled)
            .field("shard", &self.shard)
            .field("replaces", &self.replaces)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Makes a channel, or replaces the revision that was read.
    ///
    /// # Errors
    /// [`Error::Conflict`] when somebody else was faster, [`Error::CredentialInUse`] when another channel has one of the
    /// credentials, [`Error::BeingErased`] for a new one of a user who is being erased; then nothing was stored.
    pub async fn channel_save(&self, vault: &Vault, save: &SaveChannel, actor: &Actor) -> Result<()> {
        let claims = Claims::of(vault, &save.channel_type, &save.credentials);
        let mut tenant = self.tenant(&save.user_id).await?;
        self.refuse_claimed(&mut tenant, save, &claims).await?;
        match write(&mut tenant, vault, save, &claims).await {
            Ok(true) => {
                let action = if save.replaces.is_none() { "channel.created" } else { "channel.changed" };
                let detail = json!({"channel_type": save.channel_type, "enabled": save.enabled});
                tenant.tell(&News { data: detail.clone(), ..News::of(action, save.id) }).await?;
                tenant.audit(actor, &Change { action, subject: save.instance.as_str(), detail }).await?;
                tenant.commit().await
            }
            Ok(false) if save.replaces.is_none() => Err(Error::BeingErased),
            Ok(false) => Err(Error::Conflict),
            // If there is none, it was deleted in between.
            Err(error) if is_claimed(&error) => {
                Err(self.claimed(save, &claims).await?.unwrap_or(Error::Conflict))
            }
            Err(Error::Database(error)) if unique_violation(&error).is_some() => Err(Error::Conflict),
            Err(error) => Err(error),
        }
    }

    /// Deletes a channel: its secrets and credentials go at once, a tombstone stays for its messages.
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
}

/// Writes the channel and its credentials. Tells whether it did: not when somebody else was faster, nor a new one of a user who is
/// being erased.
async fn write(tenant: &mut Tenant, vault: &Vault, save: &SaveChannel, claims: &Claims) -> Result<bool> {
    let sealed = vault.seal(save.id, &save.secrets)?;
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
    let done = sqlx::query(sql)
        .bind(save.id.0)
        .bind(&save.instance_name)
        .bind(config)
        .bind(sealed.bytes)
        .bind(sealed.key_id)
        .bind(claims.first())
        .bind(save.enabled)
        .bind(&save.agent_id)
        .bind(save.user_id.as_str())
        .bind(save.instance.as_str())
        .bind(&save.channel_type)
        .bind(save.shard.as_i32())
        .bind(save.replaces)
        .execute(tenant.conn())
        .await?;
    if done.rows_affected() != 1 {
        return Ok(false);
    }
    claim(tenant.conn(), &[(save.id, claims)]).await?;
    Ok(true)
}
