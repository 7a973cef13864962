//! Messages: partitions made ahead of time, and dropped when they are old.
//!
//! Must hold: no message is forgotten that is still to be done or that somebody is still to decide about, and none that was
//! accepted within the time for which messages are kept. What failed or expired waits for a decision for a time of its own only: a
//! platform's refusals are everyday, and must not hold up what is everybody else's. So a partition is dropped in steps, each of
//! which may be taken twice, by two leaders at once, or by another one after a crash:
//!
//! 1. it is taken out of `messages`, but for what is pending, dead or failed lately, which goes into the default partition in the
//!    same transaction. It is a table now that nobody writes to;
//! 2. what a machine with a slow clock put into it lately goes into the default partition, too;
//! 3. the attempts at what is left are deleted, and the table is dropped.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use claw_config::RetentionSettings;
use claw_store::{Error, Partition, Result, Span, Store, chain};
use tokio::time::Instant;
use tracing::{info, warn};
use uuid::Uuid;

/// So far ahead there is always a partition: no leader for a fortnight, or a clock that far ahead, and ids still have theirs.
pub(super) const AHEAD: TimeDelta = TimeDelta::days(14);
/// A round ends after this, however much is left: other duties wait, and the next round goes on.
const ROUND: Duration = Duration::from_secs(30);

/// Makes the partitions that are missing up to [`AHEAD`], each beginning where the one before ends.
pub(super) async fn make_partitions(store: &Store, days: u16) -> Result<()> {
    let (now, partitions) = (store.now().await?, store.partitions().await?);
    let Some(mut end) = partitions.last().map(|last| last.until) else { return Ok(()) };
    while end < now + AHEAD {
        let (from, until) = (end, Span::for_retention(days).end(end));
        if store.partition_create(from, until).await? {
            info!(%from, %until, "made the partition for messages from {from} to {until}");
        } else {
            // Nobody led for long: what came meanwhile is many messages in the default partition.
            warn!(
                %from, %until,
                "messages from {from} to {until} stay in the default partition: too many to move"
            );
        }
        end = until;
    }
    Ok(())
}

/// Forgets messages that were kept for long enough; tells how many, about. A partition that can't be forgotten now holds up no other.
pub(super) async fn forget(store: &Store, keep: RetentionSettings) -> Result<u64> {
    let days = keep.message_days;
    let now = store.now().await?;
    let mut detached = Vec::new();
    for partition in store.partitions().await?.into_iter().filter(|p| p.dropped_at.is_none()) {
        if is_old(&partition, days, now) {
            match detach(store, &partition, keep).await {
                Ok(true) => detached.push(partition.name),
                Ok(false) => {}
                Err(error) => postponed(&partition.name, &error),
            }
        }
    }
    // What that took is not counted: where it is long in vain, the others must come to an end all the same.
    let began = Instant::now();
    let mut forgotten = 0;
    for name in &detached {
        match drop_partition(store, name, keep, began).await {
            Ok(some) => forgotten += some,
            Err(error) => postponed(name, &error),
        }
    }
    if days > 0 {
        forgotten += forget_in_default(store, keep, began).await?;
    }
    Ok(forgotten)
}

fn postponed(name: &str, error: &Error) {
    warn!("forgetting {name} failed, trying again in a minute: {}", chain(error));
}

/// Whether all that belongs in it may be forgotten, or it is on its way out already.
fn is_old(partition: &Partition, days: u16, now: DateTime<Utc>) -> bool {
    let old = days > 0 && partition.until + TimeDelta::days(i64::from(days)) <= now;
    old || partition.detached_at.is_some()
}

/// Takes it out of `messages`, unless an earlier round did; `false` when it has to stay.
async fn detach(store: &Store, partition: &Partition, keep: RetentionSettings) -> Result<bool> {
    if partition.detached_at.is_some() {
        return Ok(true);
    }
    let name = &partition.name;
    let detached = store.partition_detach(name, keep.dead_letters()).await?;
    if detached {
        info!("{name} is old: it is no part of messages any more");
    } else {
        warn!(
            "{name} is old, but has too many messages that are pending or dead letters to forget the others: \
             retry or discard the dead ones"
        );
    }
    Ok(detached)
}

/// Goes on where an earlier round ended.
async fn drop_partition(store: &Store, name: &str, keep: RetentionSettings, began: Instant) -> Result<u64> {
    while store.partition_sift(name, keep.message_days).await?.is_some()
        || store.partition_forget_attempts(name).await? > 0
    {
        if began.elapsed() > ROUND {
            return Ok(0);
        }
    }
    store.partition_drop(name).await?;
    let dropped = store.partitions().await?.into_iter().find(|p| p.name == name);
    let (kept, forgotten) = dropped.map_or((0, 0), |p| (p.kept, p.forgotten.unwrap_or_default()));
    info!(kept, forgotten, "dropped {name}: about {forgotten} messages forgotten, {kept} kept");
    Ok(u64::try_from(forgotten).unwrap_or_default())
}

/// From the first to the last.
async fn forget_in_default(store: &Store, keep: RetentionSettings, began: Instant) -> Result<u64> {
    let (mut all, mut after) = (0, Some(Uuid::nil()));
    while let Some(place) = after.filter(|_| began.elapsed() < ROUND) {
        let (some, next) =
            store.messages_default_forget(keep.message_days, keep.dead_letters(), place).await?;
        (all, after) = (all + u64::try_from(some).unwrap_or_default(), next);
    }
    Ok(all)
}
