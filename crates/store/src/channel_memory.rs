//! What channels remember by themselves: sealed rows that only a channel's owner writes.
//!
//! Must hold: what a former owner says is not written; nobody writes over a version that he has not read; of several changes all are
//! made or none.

use std::collections::HashMap;
use std::time::Duration;

use claw_secrets::Sealed;
use claw_types::{ChannelId, Epoch, ShardId};
use sqlx::Row as _;

use crate::pool::Txn;
use crate::{Result, Store, Vault};

/// A row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Memo {
    /// Its text, opened.
    pub text: String,
    /// How often it was written.
    pub version: i64,
}

/// A row to be written or removed.
#[derive(Clone)]
pub struct MemoChange {
    /// Its name within the channel.
    pub name: String,
    /// Its text, in the clear; `None` removes it.
    pub text: Option<String>,
    /// The version that is read; 0 where there is none.
    pub version: i64,
    /// How long it is of use; `None`: until it is removed.
    pub keep: Option<Duration>,
}

/// Under which claim something is written of a channel.
#[derive(Debug, Clone, Copy)]
pub struct MemoOwner {
    /// Which channel.
    pub channel: ChannelId,
    /// Its shard.
    pub shard: ShardId,
    /// The claim.
    pub epoch: Epoch,
}

/// What became of changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remembering {
    /// They are made.
    Saved,
    /// None: the claim is over.
    NotOwner,
    /// None: the channel is deleted.
    NoChannel,
    /// None: one of them has another version by now.
    Stale,
}

/// To what a row's text is sealed.
pub(crate) fn place(channel: ChannelId, name: &str) -> String {
    format!("channel_memory/{channel}/{name}")
}

impl Store {
    /// What a channel remembers by these names.
    ///
    /// # Errors
    /// When the database fails or a row does not open.
    pub async fn channel_memory_load(
        &self,
        vault: &Vault,
        channel: ChannelId,
        names: &[String],
    ) -> Result<HashMap<String, Memo>> {
        let rows = sqlx::query(
            "select name, sealed, sealed_key, version from channel_memory where channel_id = $1 and name = any ($2)",
        )
        .bind(channel.0)
        .bind(names)
        .fetch_all(&self.pool)
        .await?;
        rows.iter()
            .map(|row| {
                let name: String = row.try_get("name")?;
                let sealed = Sealed { key_id: row.try_get("sealed_key")?, bytes: row.try_get("sealed")? };
                let text = vault.open_text(&place(channel, &name), &sealed)?;
                Ok((name, Memo { text, version: row.try_get("version")? }))
            })
            .collect()
    }

    /// Makes changes, all or none, and takes away what the channel has no use for any more.
    ///
    /// # Errors
    /// When the database fails; then it is not known whether they were made.
    pub async fn channel_memory_save(
        &self,
        vault: &Vault,
        owner: MemoOwner,
        changes: &[MemoChange],
    ) -> Result<Remembering> {
        let mut txn = self.pool.begin().await?;
        // The share lock keeps a new claim from committing between this and the end.
        let holds: Option<i32> =
            sqlx::query_scalar("select 1 from shards where shard = $1 and epoch = $2 for share")
                .bind(owner.shard.as_i32())
                .bind(owner.epoch.0)
                .fetch_optional(&mut txn)
                .await?;
        if holds.is_none() {
            return Ok(Remembering::NotOwner);
        }
        // As in `channel_delete` and erasures: who deletes waits for this, and finds what is written here.
        let user: Option<String> =
            sqlx::query_scalar("select user_id from channels where id = $1 and deleted_at is null for share")
                .bind(owner.channel.0)
                .fetch_optional(&mut txn)
                .await?;
        let Some(user) = user else { return Ok(Remembering::NoChannel) };
        let (kept, gone): (Vec<_>, Vec<_>) = changes.iter().partition(|change| change.text.is_some());
        if !remove(&mut txn, owner.channel, &gone).await?
            || !write(&mut txn, vault, owner.channel, &user, &kept).await?
        {
            txn.rollback().await?;
            return Ok(Remembering::Stale);
        }
        sqlx::query("delete from channel_memory where channel_id = $1 and expires_at < now()")
            .bind(owner.channel.0)
            .execute(&mut txn)
            .await?;
        txn.commit().await?;
        Ok(Remembering::Saved)
    }
}

/// Whether all of them had the version that was read.
async fn remove(txn: &mut Txn, channel: ChannelId, gone: &[&MemoChange]) -> Result<bool> {
    if gone.is_empty() {
        return Ok(true);
    }
    let names: Vec<&str> = gone.iter().map(|change| change.name.as_str()).collect();
    let versions: Vec<i64> = gone.iter().map(|change| change.version).collect();
    let done = sqlx::query(
        "delete from channel_memory m using unnest($2::text[], $3::bigint[]) as a (name, version)
         where m.channel_id = $1 and m.name = a.name and m.version = a.version",
    )
    .bind(channel.0)
    .bind(names)
    .bind(versions)
    .execute(txn)
    .await?;
    Ok(done.rows_affected() == gone.len() as u64)
}

/// Whether all of them had the version that was read.
async fn write(
    txn: &mut Txn,
    vault: &Vault,
    channel: ChannelId,
    user: &str,
    kept: &[&MemoChange],
) -> Result<bool> {
    if kept.is_empty() {
        return Ok(true);
    }
    let names: Vec<&str> = kept.iter().map(|change| change.name.as_str()).collect();
    let versions: Vec<i64> = kept.iter().map(|change| change.version).collect();
    let keep: Vec<Option<f64>> =
        kept.iter().map(|change| change.keep.map(|keep| keep.as_secs_f64())).collect();
    let (mut sealed, mut keys) = (Vec::new(), Vec::new());
    for change in kept {
        let text = change.text.as_deref().unwrap_or_default();
        let Sealed { key_id, bytes } = vault.seal_text(&place(channel, &change.name), text)?;
        sealed.push(bytes);
        keys.push(key_id);
    }
    let done = sqlx::query(
        "insert into channel_memory as m (channel_id, user_id, name, sealed, sealed_key, version, expires_at)
         select $1, $2, a.name, a.sealed, a.key, a.version + 1, now() + make_interval(secs => a.keep)
         from unnest($3::text[], $4::bytea[], $5::text[], $6::bigint[], $7::float8[])
             as a (name, sealed, key, version, keep)
         where a.version = 0 or exists (
             select 1 from channel_memory b
             where b.channel_id = $1 and b.name = a.name and b.version = a.version)
         on conflict (channel_id, name) do update
         set sealed = excluded.sealed, sealed_key = excluded.sealed_key, version = excluded.version,
             expires_at = excluded.expires_at
         where m.version = excluded.version - 1",
    )
    .bind(channel.0)
    .bind(user)
    .bind(names)
    .bind(sealed)
    .bind(keys)
    .bind(versions)
    .bind(keep)
    .execute(txn)
    .await?;
    Ok(done.rows_affected() == kept.len() as u64)
}
