//! How all channels are, for an operator who looks.

use sqlx::Row as _;

use crate::{ChannelName, Result, Store};

/// What is to be said of the channels of all users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkup {
    /// How many are switched on.
    pub enabled: i64,
    /// How many of those that are switched on do not work, or have trouble that they go on from by themselves.
    pub in_trouble: i64,
    /// Some of these, oldest first.
    pub examples: Vec<InTrouble>,
}

/// A channel that does not work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InTrouble {
    /// Which one.
    pub channel: ChannelName,
    /// What its owner says.
    pub error: String,
}

/// Those that are switched on, with what their present owners say; a former owner's word does not count.
const SAID: &str = "from channels c
     join shards o on o.shard = c.shard
     left join channel_state t on t.channel_id = c.id and t.epoch = o.epoch and t.revision = c.revision
     where c.deleted_at is null";

impl Store {
    /// How the channels are. `examples`: how many of those in trouble to name.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn channels_checkup(&self, examples: i64) -> Result<Checkup> {
        let counts = sqlx::query(sqlx::AssertSqlSafe(format!(
            "select count(*) filter (where c.enabled) as enabled,
                    count(*) filter (where c.enabled and t.last_error is not null) as in_trouble {SAID}"
        )))
        .fetch_one(&self.pool)
        .await?;
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "select c.user_id, c.instance, c.channel_type, t.last_error {SAID}
             and c.enabled and t.last_error is not null order by c.created_at, c.id limit $1"
        )))
        .bind(examples)
        .fetch_all(&self.pool)
        .await?;
        let examples = rows.iter().map(|row| {
            let channel = ChannelName {
                user_id: row.try_get("user_id")?,
                instance: row.try_get("instance")?,
                channel_type: row.try_get("channel_type")?,
            };
            Ok(InTrouble { channel, error: row.try_get("last_error")? })
        });
        Ok(Checkup {
            enabled: counts.try_get("enabled")?,
            in_trouble: counts.try_get("in_trouble")?,
            examples: examples.collect::<Result<_>>()?,
        })
    }
}
