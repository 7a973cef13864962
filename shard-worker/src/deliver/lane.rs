//! The runner of one conversation: attempt, settle, next.

use std::sync::Arc;
use std::time::Duration;

use claw_runtime::Backoff;
use claw_store::{MessageStatus, Settlement, chain};
use claw_types::{Direction, MessageState, Work};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::Attempt;
use crate::pipeline::Pipeline;
use crate::shard::Shard;
use crate::shard::queue::{LaneKey, Next};

/// Starts the runner of a lane that has none.
pub(crate) fn start(pipeline: &Arc<Pipeline>, shard: &Arc<Shard>, key: LaneKey) {
    let (pipeline, owner) = (Arc::clone(pipeline), Arc::clone(shard));
    shard.spawn(async move { run(&pipeline, &owner, &key).await });
}

async fn run(pipeline: &Arc<Pipeline>, shard: &Arc<Shard>, key: &LaneKey) {
    let mut load_failed = 0;
    while !shard.stopping().is_cancelled() {
        let next = shard.queue().next(key, Instant::now());
        match next {
            Next::Finished => return,
            Next::Attempt(work) => {
                if work.retries > 0 {
                    // Who asks from now on asks for what becomes of it this time.
                    pipeline.outcomes.forget(work.id);
                }
                if !attempt(pipeline, shard, key, *work).await {
                    return;
                }
            }
            Next::WaitUntil(at) => pause_until(shard, at).await,
            Next::Load { after, limit } => {
                load_failed =
                    if load(pipeline, shard, key, after, limit).await { 0 } else { load_failed + 1 };
                if load_failed > 0 {
                    let wait = Backoff::RECONNECT.wait(load_failed, &*pipeline.random).unwrap_or_default();
                    pause_until(shard, Instant::now() + wait).await;
                }
            }
        }
        if !pipeline.lease.holds() {
            return;
        }
    }
}

async fn pause_until(shard: &Shard, at: Instant) {
    tokio::select! {
        biased;
        () = shard.stopping().cancelled() => {}
        () = tokio::time::sleep_until(at) => {}
    }
}

async fn load(pipeline: &Pipeline, shard: &Shard, key: &LaneKey, after: i64, limit: usize) -> bool {
    match pipeline.log.pending_in(key, after, limit).await {
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
async fn attempt(pipeline: &Arc<Pipeline>, shard: &Arc<Shard>, key: &LaneKey, mut work: Work) -> bool {
    match pipeline.acts.attempt(pipeline, shard, &mut work).await {
        Attempt::NotOurs => false,
        Attempt::Over { state, error } => {
            work.attempts += 1;
            over(pipeline, shard, key, &work, state, error).await
        }
        Attempt::NotYet { after, why } => {
            debug!(message.id = %work.id, "message {} waits: {why}", work.id);
            shard.queue().retry(key, work, Instant::now() + after);
            true
        }
        Attempt::Again { after, error } => again(pipeline, shard, key, work, after, error).await,
    }
}

async fn over(
    pipeline: &Pipeline,
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
    if !settle(pipeline, shard, settlement(shard, work, state, Duration::ZERO, error)).await {
        return false;
    }
    pipeline.outcomes.tell(work.id, &status);
    let room = {
        let mut queue = shard.queue();
        queue.finished(key, Instant::now());
        queue.wants_sweep()
    };
    if room {
        pipeline.sweep.notify_one();
    }
    true
}

async fn again(
    pipeline: &Pipeline,
    shard: &Shard,
    key: &LaneKey,
    mut work: Work,
    after: Option<Duration>,
    error: String,
) -> bool {
    work.attempts += 1;
    let Some(scheduled) = pipeline.acts.schedule(work.direction).wait(work.attempts, &*pipeline.random)
    else {
        return over(pipeline, shard, key, &work, MessageState::Dead, Some(error)).await;
    };
    // A platform's limit ends when it says. A backend that asks for a second, again and again, must not use up in a minute
    // what is meant for a day.
    let wait = match (after, work.direction) {
        (Some(asked), Direction::Out) => asked,
        (Some(asked), Direction::In) => asked.max(scheduled),
        (None, _) => scheduled,
    };
    info!(message.id = %work.id, attempts = work.attempts, ?wait,
        "message {} failed ({error}); trying again in {wait:?}", work.id);
    let failed = settlement(shard, &work, MessageState::Pending, wait, Some(error));
    if !settle(pipeline, shard, failed).await {
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

/// Writes which parts of a message are sent while others are still to go, so that whoever goes on with it does not send
/// them again. No attempt is counted. `false` as from [`settle`].
pub(super) async fn progress(pipeline: &Pipeline, shard: &Shard, work: &Work) -> bool {
    settle(pipeline, shard, settlement(shard, work, MessageState::Pending, Duration::ZERO, None)).await
}

/// Writes what happened until it is written; `false` when the claim is over or the shard is given up meanwhile.
async fn settle(pipeline: &Pipeline, shard: &Shard, settlement: Settlement) -> bool {
    let mut failed = 0;
    loop {
        match pipeline.log.settle(settlement.clone()).await {
            Ok(true) => return true,
            Ok(false) => {
                warn!(shard = %shard.id, epoch = shard.epoch.0, "shard {} has a newer claim: stepping down", shard.id);
                shard.abort();
                return false;
            }
            Err(error) => {
                failed += 1;
                warn!(message.id = %settlement.id, "recording an outcome failed: {}", chain(&error));
                if shard.stopping().is_cancelled() || !pipeline.lease.holds() {
                    return false;
                }
                let wait = Backoff::RECONNECT.wait(failed, &*pipeline.random).unwrap_or_default();
                pause_until(shard, Instant::now() + wait).await;
            }
        }
    }
}
