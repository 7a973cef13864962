//! What owners report of the channels that they run.
//!
//! Must hold: only the present owner of a shard is heard, so each row is written while its claim is locked; and one statement
//! writes what was seen and, where a channel begins to fail or recovers, the event that tells its user, so it is told once.

use claw_types::{ChannelId, Epoch, ShardId};

use crate::error::reason;
use crate::pool::Txn;
use crate::{Result, Store};

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

/// What became of an observation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Observed {
    /// It is written.
    Written,
    /// It is not: there is no such channel any more.
    NoChannel,
    /// It is not: the claim is over.
    NotOwner,
}

impl Store {
    /// Writes what owners saw, each shard's in order; what a former owner says is not written. Tells what became of
    /// each.
    ///
    /// # Errors
    /// When the database fails; then none was written.
    pub async fn channels_observe(&self, sightings: &[Sighting]) -> Result<Vec<Observed>> {
        // Every sighting locks its shard, and claims lock several: all of them by number, or two wait for each other.
        let mut by_shard: Vec<(usize, &Sighting)> = sightings.iter().enumerate().collect();
        by_shard.sort_by_key(|(_, sighting)| sighting.shard);
        let mut txn = self.pool.begin().await?;
        let mut observed = vec![Observed::NotOwner; sightings.len()];
        for (place, sighting) in by_shard {
            observed[place] = observe(&mut txn, sighting).await?;
        }
        txn.commit().await?;
        Ok(observed)
    }
}

async fn observe(txn: &mut Txn, sighting: &Sighting) -> Result<Observed> {
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
    let (ours, written): (bool, bool) = sqlx::query_as(
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
         select exists (select 1 from fence), exists (select 1 from written)",
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
    Ok(match (ours, written) {
        (false, _) => Observed::NotOwner,
        (true, false) => Observed::NoChannel,
        (true, true) => Observed::Written,
    })
}
