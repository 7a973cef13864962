//! How all channels are, for an operator who looks.

use std::time::Duration;

use claw_types::{ChannelId, InstanceId, ShardId, UserId};
use sqlx::Row as _;
use sqlx::postgres::PgRow;

use crate::{ChannelName, Result, Store};

/// What is to be said of the channels of all users.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkup {
    /// How many are switched on.
    pub enabled: i64,
    /// How many of those that are switched on do not work, or have trouble that they go on from by themselves.
    pub in_trouble: i64,
    /// How many of those that are switched on have been starting for longer than [`SLOW`].
    pub starting: i64,
    /// Some of these, oldest first.
    pub examples: Vec<InTrouble>,
}

/// A channel that does not work, or not as it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InTrouble {
    /// Which one.
    pub channel: ChannelName,
    /// Whether it is broken until it is configured again; otherwise its owner goes on trying.
    pub broken: bool,
    /// What its owner says.
    pub error: String,
    /// How long ago its owner said anything of it.
    pub said: Duration,
}

/// A channel whose platform can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToAsk {
    /// Its id.
    pub id: ChannelId,
    /// Where it lives.
    pub shard: ShardId,
    /// Which one.
    pub channel: ChannelName,
    /// Whether it is meant to run.
    pub enabled: bool,
    /// Where its owner's RPC listens; `None` when nobody owns its shard.
    pub owner: Option<String>,
}

/// An owner that has had a channel for so many minutes has connected it, or said why not.
pub const SLOW: Duration = Duration::from_mins(5);

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
                    count(*) filter (where c.enabled and t.last_error is not null) as in_trouble,
                    count(*) filter (where c.enabled and t.last_error is null
                        and coalesce(t.state, 'starting') = 'starting'
                        and greatest(o.claimed_at, c.updated_at) < now() - make_interval(secs => $1))
                        as starting {SAID}"
        )))
        .bind(SLOW.as_secs_f64())
        .fetch_one(&self.pool)
        .await?;
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "select c.user_id, c.instance, c.channel_type, t.last_error, t.state = 'failed' as broken,
                 (extract(epoch from now() - t.updated_at) * 1000)::bigint as said_ms {SAID}
             and c.enabled and t.last_error is not null order by t.state <> 'failed', c.created_at, c.id limit $1"
        )))
        .bind(examples)
        .fetch_all(&self.pool)
        .await?;
        let examples = rows.iter().map(|row| {
            let said: i64 = row.try_get("said_ms")?;
            Ok(InTrouble {
                channel: name(row)?,
                broken: row.try_get("broken")?,
                error: row.try_get("last_error")?,
                said: Duration::from_millis(u64::try_from(said).unwrap_or(0)),
            })
        });
        Ok(Checkup {
            enabled: counts.try_get("enabled")?,
            in_trouble: counts.try_get("in_trouble")?,
            starting: counts.try_get("starting")?,
            examples: examples.collect::<Result<_>>()?,
        })
    }

    /// Channels whose platforms to ask, at most `most`: those that are `named`, switched on or not; or, where none is, of those that
    /// are switched on the ones in trouble, and then the oldest of each type before the second oldest of any.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn channels_to_ask(&self, named: &[(UserId, InstanceId)], most: i64) -> Result<Vec<ToAsk>> {
        let (users, instances): (Vec<&str>, Vec<&str>) =
            named.iter().map(|(user, instance)| (user.as_str(), instance.as_str())).unzip();
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!(
            "select c.id, c.shard, c.user_id, c.instance, c.channel_type, c.enabled,
                 case when o.owner is not null then o.rpc_address end as owner {SAID}
             and case when cardinality($2::text[]) = 0 then c.enabled
                      else (c.user_id, c.instance) in (select * from unnest($2::text[], $3::text[])) end
             order by t.last_error is null,
                 row_number() over (partition by c.channel_type order by c.created_at, c.id), c.channel_type, c.id
             limit $1"
        )))
        .bind(most)
        .bind(users)
        .bind(instances)
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(to_ask).collect()
    }
}

fn name(row: &PgRow) -> Result<ChannelName> {
    Ok(ChannelName {
        user_id: row.try_get("user_id")?,
        instance: row.try_get("instance")?,
        channel_type: row.try_get("channel_type")?,
    })
}

fn to_ask(row: &PgRow) -> Result<ToAsk> {
    let shard: i32 = row.try_get("shard")?;
    Ok(ToAsk {
        id: ChannelId(row.try_get("id")?),
        shard: ShardId(u16::try_from(shard).unwrap_or(u16::MAX)),
        channel: name(row)?,
        enabled: row.try_get("enabled")?,
        owner: row.try_get("owner")?,
    })
}
