//! Forgetting what nobody needs any more: all of it is here. What is not here is kept until its user is erased, or goes with
//! what it belongs to; attachments are the gateways' to remove.

mod messages;
#[cfg(test)]
mod tests;

use std::time::Duration;

use claw_config::RetentionSettings;
use claw_store::{Place, Result, Store, chain};
use tokio::time::Instant;
use tracing::{info, warn};

/// Platforms redeliver late and callers try again, but not later than this.
const KEY_DAYS: i32 = 7;
/// A process that has not been heard of for this long is not coming back under its name.
const MEMBER_MINUTES: i32 = 10;
/// By then workers have heard that a backend is gone, and what was on the way from a deleted channel is over.
const BACKEND_DAYS: i32 = 7;
/// What was said in a group before is of no use to a question that comes later than this.
const CONTEXT_HOURS: i32 = 24;
/// No answer takes a placeholder later than this: workers stop after an hour, or another one when the shard has moved.
const PLACEHOLDER_HOURS: i32 = 2;
/// Rows in one statement: a fraction of a second, so that nothing waits behind it.
const ROWS: i64 = 5_000;
/// A round ends after this, however much is left: other duties wait, and the next round goes on.
const ROUND: Duration = Duration::from_secs(30);

/// One round; tells how many rows went.
pub(crate) async fn run(store: &Store, keep: RetentionSettings) -> u64 {
    // First of all, because messages want it, not because something is to be forgotten.
    if let Err(error) = messages::make_partitions(store, keep.message_days).await {
        warn!("making partitions for messages failed, trying again in a minute: {}", chain(&error));
    }
    let mut all = 0;
    let run_days = i32::from(keep.run_days);
    let rounds = [
        ("message keys", in_batches(|| store.message_keys_forget(KEY_DAYS, ROWS)).await),
        ("idempotency keys", in_batches(|| store.idempotency_keys_forget(KEY_DAYS, ROWS)).await),
        ("runs of jobs", in_batches(|| store.runs_forget(run_days, ROWS)).await),
        ("timers of runs", in_batches(|| store.run_timers_prune(ROWS)).await),
        ("requests to be let in", store.pairings_forget().await),
        ("messages of groups", in_batches(|| store.context_forget(CONTEXT_HOURS, ROWS)).await),
        ("placeholders", in_batches(|| store.placeholders_forget(PLACEHOLDER_HOURS, ROWS)).await),
        ("backends", store.backends_forget(BACKEND_DAYS).await),
        ("members", store.members_prune(MEMBER_MINUTES).await),
        ("events", forget_events(store, keep).await),
        ("messages", messages::forget(store, keep).await),
    ];
    for (what, done) in rounds {
        match done {
            Ok(0) => {}
            Ok(removed) => {
                all += removed;
                info!(removed, "forgot {removed} old {what}");
            }
            Err(error) => warn!("forgetting old {what} failed, trying again in a minute: {}", chain(&error)),
        }
    }
    all
}

/// Statement by statement, each of which forgets up to [`ROWS`], until one finds fewer. Any number of rows may become old in a
/// minute: one statement for all of them would run into its time limit, and one statement a round would fall behind for good.
async fn in_batches<F: Future<Output = Result<u64>>>(forget: impl Fn() -> F) -> Result<u64> {
    let began = Instant::now();
    let mut all = 0;
    loop {
        let removed = forget().await?;
        all += removed;
        if removed < ROWS.unsigned_abs() || began.elapsed() > ROUND {
            return Ok(all);
        }
    }
}

/// From the oldest on, until the first batch with a young one in it.
async fn forget_events(store: &Store, keep: RetentionSettings) -> Result<u64> {
    let began = Instant::now();
    let mut adopted = 0;
    while began.elapsed() < ROUND {
        let some = store.events_adopt(ROWS).await?;
        if some == 0 {
            break;
        }
        adopted += some;
    }
    if adopted > 0 {
        warn!(
            adopted,
            "{adopted} events were numbered by another server: this database is a restored backup"
        );
    }
    let (mut all, mut behind) = (0, Place::default());
    while let Some((removed, last)) = store.events_forget(i32::from(keep.events_hours), behind, ROWS).await? {
        (all, behind) = (all + removed, last);
        if i64::try_from(removed).is_ok_and(|removed| removed < ROWS) || began.elapsed() > ROUND {
            break;
        }
    }
    Ok(all)
}
