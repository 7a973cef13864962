//! What is sealed, of all tenants, by the master key that it names.
//!
//! A table with sealed values keeps beside each the id of its key, and has an index that begins with it
//! (migration 0025), so that these questions cost the same however many channels there are. A new such table belongs into
//! [`SealedKind::ALL`]; a test compares that with the schema.

use std::collections::BTreeMap;

use claw_secrets::KeyRing;
use sqlx::{AssertSqlSafe, Row as _};

use crate::{ChannelName, Result, Store};

/// Whose secrets are sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SealedKind {
    /// The secret fields of channels.
    Channels,
    /// The keys by which webhooks to users' own backends are signed.
    Backends,
    /// What channels remember.
    Memories,
    /// What callers of hooks show.
    Hooks,
    /// The keys by which posts to event destinations are signed.
    Destinations,
}

/// Where values of a kind are stored.
pub(crate) struct Columns {
    pub(crate) table: &'static str,
    /// Nonce, ciphertext, tag.
    pub(crate) value: &'static str,
    /// The id of the key.
    pub(crate) key: &'static str,
}

impl SealedKind {
    /// Every kind.
    pub const ALL: [Self; 5] =
        [Self::Channels, Self::Memories, Self::Backends, Self::Hooks, Self::Destinations];

    /// What to call one or several of them.
    pub fn name(self) -> &'static str {
        match self {
            Self::Channels => "channels",
            Self::Memories => "channel memories",
            Self::Backends => "backends",
            Self::Hooks => "hooks",
            Self::Destinations => "event destinations",
        }
    }

    /// The table that they are in.
    pub fn table(self) -> &'static str {
        self.columns().table
    }

    pub(crate) fn columns(self) -> Columns {
        let (table, value, key) = match self {
            Self::Channels => ("channels", "secrets", "secrets_key"),
            Self::Memories => ("channel_memory", "sealed", "sealed_key"),
            Self::Backends => ("backends", "secrets", "secrets_key"),
            Self::Hooks => ("hooks", "secret", "secret_key"),
            Self::Destinations => ("event_destinations", "secret", "secret_key"),
        };
        Columns { table, value, key }
    }
}

/// Values of one kind that are sealed by one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealedCount {
    /// Of what.
    pub kind: SealedKind,
    /// How many.
    pub count: i64,
}

/// What is sealed, by the id of the key; a key that nothing is sealed by is not there.
pub type SealedByKey = BTreeMap<String, Vec<SealedCount>>;

/// `12 channels, 3 hooks`
pub fn counted(counts: &[SealedCount]) -> String {
    let each = counts.iter().map(|one| format!("{} {}", one.count, one.kind.name()));
    each.collect::<Vec<_>>().join(", ")
}

impl Store {
    /// How much is sealed by each key.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sealed_by_key(&self) -> Result<SealedByKey> {
        self.sealed_where(|_| true).await
    }

    /// How much is sealed by each key that is not in the ring: nobody here can open it.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn sealed_by_unknown(&self, ring: &KeyRing) -> Result<SealedByKey> {
        self.sealed_where(|key| !ring.knows(key)).await
    }

    /// Some of the channels that are sealed by these keys.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn channels_sealed_by(&self, keys: &[String], limit: i64) -> Result<Vec<ChannelName>> {
        let rows = sqlx::query(
            "select user_id, instance, channel_type from channels where secrets_key = any ($1) order by id limit $2",
        )
        .bind(keys)
        .bind(limit)
        .fetch_all(&self.pool)
        .await?;
        let name = |row: &sqlx::postgres::PgRow| {
            Ok(ChannelName {
                user_id: row.try_get("user_id")?,
                instance: row.try_get("instance")?,
                channel_type: row.try_get("channel_type")?,
            })
        };
        rows.iter().map(name).collect()
    }

    async fn sealed_where(&self, wanted: impl Fn(&str) -> bool) -> Result<SealedByKey> {
        let mut found = SealedByKey::new();
        for kind in SealedKind::ALL {
            for id in self.keys_of(kind).await?.into_iter().filter(|id| wanted(id)) {
                let count = self.sealed_count(kind, &id).await?;
                found.entry(id).or_default().push(SealedCount { kind, count });
            }
        }
        Ok(found)
    }

    /// The keys that values of this kind name: from one to the next greater one in the index, however many have it.
    async fn keys_of(&self, kind: SealedKind) -> Result<Vec<String>> {
        let Columns { table, key, .. } = kind.columns();
        let sql = format!(
            "with recursive keys as (
                 (select {key} as id from {table} where {key} is not null order by {key} limit 1)
                 union all
                 select (select t.{key} from {table} t where t.{key} > keys.id order by t.{key} limit 1)
                 from keys where keys.id is not null)
             select id from keys where id is not null"
        );
        Ok(sqlx::query_scalar(AssertSqlSafe(sql)).fetch_all(&self.pool).await?)
    }

    async fn sealed_count(&self, kind: SealedKind, id: &str) -> Result<i64> {
        let Columns { table, key, .. } = kind.columns();
        let sql = format!("select count(*) from {table} where {key} = $1");
        Ok(sqlx::query_scalar(AssertSqlSafe(sql)).bind(id).fetch_one(&self.pool).await?)
    }
}
