//! Channels made, changed and deleted.
//!
//! Must hold: a change, its event and its line in the audit log are committed together, or none of them is; a save replaces
//! the revision that its caller read, and no other; and a credential belongs to one channel of the whole system, because two
//! that read one bot's updates would take them from each other. To see that, one query looks at other users' channels, outside
//! the tenant's transaction; what it finds there is not named to the caller.

use std::fmt;

use claw_types::{ChannelId, InstanceId, ShardId, UserId};
use serde_json::{Map, Value, json};

use super::changed;
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
            .field("has_credential", &self.credential.is_some())
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
}

/// The index by which no two channels have the same credential.
pub(crate) const FINGERPRINTS: &str = "channels_fingerprint";

pub(crate) fn unique_violation(error: &sqlx::Error) -> Option<&str> {
    let error = error.as_database_error()?;
    error.is_unique_violation().then(|| error.constraint().unwrap_or_default())
}
