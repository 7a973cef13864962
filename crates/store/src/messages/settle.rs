//! Settling: what owners did with messages, written in batches under their epochs.
//!
//! Must hold: a message's state, its attempt, its event, under which ids it was sent and the run that it was for are written by one
//! statement, or none of them is.

use std::collections::BTreeMap;
use std::sync::Arc;

use claw_types::{Epoch, MessageId, MessageState, ShardId};

use crate::cron::settle::{RUN_OVER, RUNS_SETTLED};
use crate::error::reason;
use crate::feedback::REMEMBER_SENT;
use crate::{Result, Store};

/// What an owner did with a message.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// Which message.
    pub id: MessageId,
    /// Its shard.
    pub shard: ShardId,
    /// The claim under which it was handled.
    pub epoch: Epoch,
    /// The new state; [`MessageState::Pending`] with an error records a failed attempt and its next time, without one
    /// only what was sent so far.
    pub state: MessageState,
    /// Seconds until the next attempt, for pending ones.
    pub due_in: f64,
    /// How often it had been set back to work when it was handled.
    pub retries: u32,
    /// Attempts made since then.
    pub attempts: u32,
    /// The platform's ids of what was sent so far.
    pub platform_message_ids: Vec<String>,
    /// Why it failed.
    pub error: Option<String>,
    /// Of the last message of a burst: those before it that are handed over with it. All become what it becomes, in one
    /// statement, and are marked as parts of its burst.
    pub burst: Option<Vec<MessageId>>,
}

impl Settlement {
    /// The rows that it is written to.
    fn rows(&self) -> impl Iterator<Item = (MessageId, &Self)> {
        let before = self.burst.iter().flatten().copied();
        before.chain([self.id]).map(move |id| (id, self))
    }
}

impl Store {
    /// One statement for the whole batch, fenced: a row whose shard has a newer epoch stays as it is, and so does one
    /// that was set back to work since.
    pub(super) async fn messages_settle(&self, batch: &[Arc<Settlement>]) -> Result<Vec<bool>> {
        // A batch may hold writes from before and after this worker lost and regained a shard: the old ones are stale.
        let mut claims: BTreeMap<ShardId, Epoch> = BTreeMap::new();
        for s in batch {
            let newest = claims.entry(s.shard).or_insert(s.epoch);
            *newest = (*newest).max(s.epoch);
        }
        let fresh = |s: &&Arc<Settlement>| claims.get(&s.shard) == Some(&s.epoch);
        let current: Vec<&Arc<Settlement>> = batch.iter().filter(fresh).collect();
        let rows: Vec<(MessageId, &Settlement)> = current.iter().flat_map(|s| s.rows()).collect();
        let parts: Vec<String> = rows
            .iter()
            .map(|(_, s)| serde_json::to_string(&s.platform_message_ids))
            .collect::<std::result::Result<_, _>>()?;
        // The share locks, taken in order, keep a new claim from committing between the check and the write.
        let held: Vec<i32> = sqlx::query_scalar(sqlx::AssertSqlSafe(format!(
            "with fence as materialized (
                 select s.shard from unnest($1::int[], $2::bigint[]) as f (shard, epoch)
                 join shards s on s.shard = f.shard and s.epoch = f.epoch
                 order by s.shard for share of s),
             held as materialized (select array(select shard from fence) as shards),
             settled as (
                 update messages m set
                     state = case i.state when 'expired' then 'failed' else i.state end,
                     expired = nullif(i.state = 'expired', false),
                     due_at = case when i.state = 'pending' then now() + make_interval(secs => i.due_in)
                              else m.due_at end,
                     attempts = i.attempts,
                     platform_message_ids = i.parts::json,
                     error = i.error,
                     discard_reason = case i.state when 'discarded' then i.error else m.discard_reason end,
                     burst = coalesce(i.burst, m.burst),
                     finished_at = case when i.state = 'pending' then null else now() end
                 from unnest($3::uuid[], $4::int[], $5::text[], $6::float8[], $7::int[], $8::text[], $9::text[],
                             $10::int[], $11::uuid[])
                      as i (id, shard, state, due_in, attempts, parts, error, retries, burst)
                 where m.id = i.id and m.state = 'pending' and m.retries = i.retries
                   and i.shard = any ((select shards from held)::int[])
                 returning m.id, m.seq, m.retries, m.attempts, m.user_id, m.channel_id, m.direction, m.conversation, m.state,
                           m.error, m.platform_message_ids, m.payload, m.source, i.state as outcome),
             attempted as (
                 insert into message_attempts (message_id, retry, n, user_id, outcome, error)
                 select id, retries, attempts, user_id, state, error from settled
                 -- What is put aside was not attempted.
                 where state not in ('done', 'discarded') and (state <> 'pending' or error is not null)
                 -- Written again because nobody heard that it was.
                 on conflict do nothing),
             told as (
                 insert into events (user_id, type, channel_id, message_id, data)
                 select user_id, case when state <> 'done' then 'message.' || outcome
                                      when direction = 'in' then 'message.delivered'
                                      else 'message.sent' end,
                        channel_id, id,
                        json_build_object('direction', direction, 'conversation', conversation, 'state', outcome,
                                          'attempts', attempts, 'error', error,
                                          'platform_message_ids', platform_message_ids)
                 from settled where state <> 'pending'),
             remembered as ({REMEMBER_SENT}),
             ended as ({RUNS_SETTLED}),
             owed as ({RUN_OVER})
             select shard from fence"
        )))
        .bind(claims.keys().map(|shard| shard.as_i32()).collect::<Vec<_>>())
        .bind(claims.values().map(|epoch| epoch.0).collect::<Vec<_>>())
        .bind(rows.iter().map(|(id, _)| id.0).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, s)| s.shard.as_i32()).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, s)| s.state.as_str()).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, s)| s.due_in).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, s)| i32::try_from(s.attempts).unwrap_or(i32::MAX)).collect::<Vec<_>>())
        .bind(parts)
        .bind(rows.iter().map(|(_, s)| s.error.as_deref().map(reason)).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, s)| i32::try_from(s.retries).unwrap_or(i32::MAX)).collect::<Vec<_>>())
        .bind(rows.iter().map(|(_, s)| s.burst.as_ref().map(|_| s.id.0)).collect::<Vec<_>>())
        .fetch_all(&self.pool)
        .await?;
        Ok(batch.iter().map(|s| fresh(&s) && held.contains(&s.shard.as_i32())).collect())
    }
}
