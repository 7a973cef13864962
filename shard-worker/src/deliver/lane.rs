//! The runner of one conversation: attempt, settle, next.

use std::sync::Arc;
use std::time::Duration;

use claw_runtime::Backoff;
use claw_store::{MessageStatus, Settlement, chain};
use claw_types::{Direction, MessageState, Work};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::{Attempt, inbound, outbound};
use crate::core::Core;
use crate::shard::Shard;
use crate::shard::queue::{LaneKey, Next};

/// Starts the runner of a lane that has none.
pub(crate) fn start(core: &Arc<Core>, shard: &Arc<Shard>, key: LaneKey) {
    let (core, owner) = (Arc::clone(core), Arc::clone(shard));
    shard.spawn(async move { run(&core, &owner, &key).await });
}

async fn run(core: &Arc<Core>, shard: &Arc<Shard>, key: &LaneKey) {
    let mut load_failed = 0;
    while !shard.stopping().is_cancelled() {
        let next = shard.queue().next(key, Instant::now());
        match next {
            Next::Finished => return,
            Next::Attempt(work) => {
                if work.retries > 0 {
                    // Who asks from now on asks for what becomes of it this time.
                    core.outcomes.forget(work.id);
                }
                if !attempt(core, shard, key, *work).await {
                    return;
                }
            }
            Next::WaitUntil(at) => pause_until(shard, at).await,
            Next::Load { after, limit } => {
                load_failed = if load(core, shard, key, after, limit).await { 0 } else { load_failed + 1 };
                if load_failed > 0 {
                    let wait = Backoff::RECONNECT.wait(load_failed, &*core.random).unwrap_or_default();
                    pause_until(shard, Instant::now() + wait).await;
                }
            }
        }
        if !core.lease.holds() {
            return;
        }
    }
}

async fn pause_until(shard: &Shard, at: Instant) {
    tokio::select! {
        () = tokio::time::sleep_until(at) => {}
        () = shard.stopping().cancelled() => {}
    }
}

async fn load(core: &Core, shard: &Shard, key: &LaneKey, after: i64, limit: usize) -> bool {
    let rows = i64::try_from(limit).unwrap_or(i64::MAX);
    let found =
        core.store.messages_pending_in(key.channel, key.direction, &key.conversation, after, rows).await;
    match found {
        Ok(works) => {
            let full = works.len() >= limit;
            shard.queue().loaded(key, works, full);
            true
        }
        Err(error) => {
            warn!(shard = %shard.id, "reading a conversation on failed: {}", chain(&error));
            false
        }
    }
}

/// One attempt and what follows from it; `false` ends the lane.
async fn attempt(core: &Arc<Core>, shard: &Arc<Shard>, key: &LaneKey, mut work: Work) -> bool {
    let result = match work.direction {
        Direction::In => inbound::attempt(core, shard, &work).await,
        Direction::Out => outbound::attempt(core, shard, &mut work).await,
    };
    match result {
        Attempt::NotOurs => false,
        Attempt::Over { state, error } => {
            work.attempts += 1;
            over(core, shard, key, &work, state, error).await
        }
        Attempt::NotYet { after, why } => {
            debug!(message.id = %work.id, "message {} waits: {why}", work.id);
            shard.queue().retry(key, work, Instant::now() + after);
            true
        }
        Attempt::Again { after, error } => again(core, shard, key, work, after, error).await,
    }
}

async fn over(
    core: &Core,
    shard: &Shard,
    key: &LaneKey,
    work: &Work,
    state: MessageState,
    error: Option<String>,
) -> bool {
    let status = MessageStatus {
        state,
        platform_message_ids: work.platform_message_ids.clone(),
        error: error.clone(),
    };
    if !settle(core, shard, settlement(shard, work, state, Duration::ZERO, error)).await {
        return false;
    }
    core.outcomes.tell(work.id, &status);
    let room = {
        let mut queue = shard.queue();
        queue.finished(key, Instant::now());
        queue.wants_sweep()
    };
    if room {
        core.sweep.notify_one();
    }
    true
}

async fn again(
    core: &Core,
    shard: &Shard,
    key: &LaneKey,
    mut work: Work,
    after: Option<Duration>,
    error: String,
) -> bool {
    work.attempts += 1;
    // A send ends by its time to live, a webhook by the number of its attempts.
    let schedule = if matches!(work.direction, Direction::In) { Backoff::MESSAGE } else { Backoff::SEND };
    let Some(scheduled) = schedule.wait(work.attempts, &*core.random) else {
        return over(core, shard, key, &work, MessageState::Dead, Some(error)).await;
    };
    let wait = after.unwrap_or(scheduled);
    info!(message.id = %work.id, attempts = work.attempts, ?wait,
        "message {} failed ({error}); trying again in {wait:?}", work.id);
    let failed = settlement(shard, &work, MessageState::Pending, wait, Some(error));
    if !settle(core, shard, failed).await {
        return false;
    }
    shard.queue().retry(key, work, Instant::now() + wait);
    true
}

fn settlement(
    shard: &Shard,
    work: &Work,
    state: MessageState,
    due_in: Duration,
    error: Option<String>,
) -> Settlement {
    Settlement {
        id: work.id,
        shard: shard.id,
        epoch: shard.epoch,
        state,
        due_in: due_in.as_secs_f64(),
        retries: work.retries,
        attempts: work.attempts,
        platform_message_ids: work.platform_message_ids.clone(),
        error,
    }
}

/// Writes what happened until it is written; `false` when the claim is over or the shard is given up meanwhile.
async fn settle(core: &Core, shard: &Shard, settlement: Settlement) -> bool {
    let mut failed = 0;
    loop {
        match core.writer.settle(settlement.clone()).await {
            Ok(true) => return true,
            Ok(false) => {
                warn!(shard = %shard.id, epoch = shard.epoch.0, "shard {} has a newer claim: stepping down", shard.id);
                shard.abort();
                return false;
            }
            Err(error) => {
                failed += 1;
                warn!(message.id = %settlement.id, "recording an outcome failed: {}", chain(&error));
                if shard.stopping().is_cancelled() || !core.lease.holds() {
                    return false;
                }
                let wait = Backoff::RECONNECT.wait(failed, &*core.random).unwrap_or_default();
                pause_until(shard, Instant::now() + wait).await;
            }
        }
    }
}
