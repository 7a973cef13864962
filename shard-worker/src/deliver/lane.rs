//! The runner of one conversation: attempt, settle, next. What is attempted is a message, or a burst as one.
//!
//! What waits for another attempt is woken when its destination is well again, but not before the time that was asked for
//! (`Retry-After`). Must hold: an attempt more for that reason costs the message nothing. If it fails it is not counted, and the
//! message waits until when it would have: a destination that comes and goes must not use up in minutes what is meant for a day.

use std::sync::Arc;
use std::time::Duration;

use claw_runtime::Backoff;
use claw_store::{MessageStatus, Settlement, chain};
use claw_telemetry::metrics::Counter;
use claw_telemetry::trace::{self, Kind, Span};
use claw_types::{Direction, MessageState, Work};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::Attempt;
use super::burst::{self, Delivery};
use super::{measure, traced};
use crate::pipeline::Pipeline;
use crate::shard::Shard;
use crate::shard::queue::{LaneKey, Next};

mod behind;

/// Starts the runner of a lane that has none.
pub(crate) fn start(pipeline: &Arc<Pipeline>, shard: &Arc<Shard>, key: LaneKey) {
    let (pipeline, owner) = (Arc::clone(pipeline), Arc::clone(shard));
    shard.spawn_sending(async move { run(&pipeline, &owner, &key).await });
}

async fn run(pipeline: &Arc<Pipeline>, shard: &Arc<Shard>, key: &LaneKey) {
    let mut load_failed = 0;
    // Of a message that was woken: until when it would have waited.
    let mut woken = None;
    while !shard.stopping().is_cancelled() {
        let next = shard.queue().next(key, Instant::now(), pipeline.clock.now().timestamp_millis());
        match next {
            Next::Finished => return,
            Next::Attempt(work) => {
                if work.retries > 0 {
                    // Who asks from now on asks for what becomes of it this time.
                    pipeline.outcomes.forget(work.id);
                }
                if !attempt(pipeline, shard, key, Delivery::single(*work), woken.take()).await {
                    return;
                }
            }
            Next::Burst(works) => {
                if !attempt_burst(pipeline, shard, key, works, woken.take()).await {
                    return;
                }
            }
            Next::WaitUntil(at) => {
                if wait(pipeline, shard, key, at).await && shard.queue().wake(key) {
                    // Woken again, it would have waited for as long as at first.
                    woken = woken.max(Some(at));
                }
            }
            Next::Gather { until, news } => tokio::select! {
                biased;
                () = news.notified() => {}
                () = pause_until(shard, until) => {}
            },
            Next::Load { after, limit } => {
                woken = None;
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

/// Waits until then; `true` when what waits may be tried before.
async fn wait(pipeline: &Pipeline, shard: &Shard, key: &LaneKey, at: Instant) -> bool {
    let user = shard.queue().user(key);
    let Some(user) = user else { return false };
    tokio::select! {
        biased;
        () = pause_until(shard, at) => false,
        () = pipeline.acts.recovered(&user, key) => true,
        () = behind::expire(pipeline, shard, key), if key.direction == Direction::Out => false,
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
            warn!(shard.id = %shard.id, "reading a conversation on failed: {}", chain(&error));
            false
        }
    }
}

/// As [`attempt`], of a burst, once it is written down what it is made of.
async fn attempt_burst(
    pipeline: &Arc<Pipeline>,
    shard: &Arc<Shard>,
    key: &LaneKey,
    works: Vec<Work>,
    woken: Option<Instant>,
) -> bool {
    let sealed = burst::is_sealed(&works);
    let Some(delivery) = Delivery::burst(works) else { return false };
    if !sealed && !settle(pipeline, shard, &delivery, MessageState::Pending, Duration::ZERO, None).await {
        return false;
    }
    attempt(pipeline, shard, key, delivery, woken).await
}

/// One attempt and what follows from it, in a span of its own; `false` ends the lane.
async fn attempt(
    pipeline: &Arc<Pipeline>,
    shard: &Arc<Shard>,
    key: &LaneKey,
    delivery: Delivery,
    woken: Option<Instant>,
) -> bool {
    let mut span = traced::attempt(&delivery);
    trace::within(span.context(), attempt_in(&mut span, pipeline, shard, key, delivery, woken)).await
}

async fn attempt_in(
    span: &mut Span,
    pipeline: &Arc<Pipeline>,
    shard: &Arc<Shard>,
    key: &LaneKey,
    mut delivery: Delivery,
    woken: Option<Instant>,
) -> bool {
    let attempted = match delivery.unreadable.take() {
        None => begin(pipeline, shard, &mut delivery.work).await,
        why => Attempt::Over { state: MessageState::Failed, error: why },
    };
    measure::attempt(&delivery.work, &attempted);
    traced::ended(span, &attempted);
    let _handed = match &attempted {
        Attempt::NotOurs | Attempt::NotYet { .. } => None,
        Attempt::Over { .. } | Attempt::Again { .. } => tokio::select! {
            biased;
            handed = pipeline.unsettled.count(&delivery.work) => handed,
            // It is still written down, if that goes at once.
            () = shard.stopping().cancelled() => None,
        },
    };
    match attempted {
        Attempt::NotOurs => false,
        Attempt::Over { state, error } => {
            delivery.work.attempts += 1;
            over(pipeline, shard, key, &delivery, state, error).await
        }
        Attempt::NotYet { after, why } => {
            debug!(message.id = %delivery.work.id, "message {} waits: {why}", delivery.work.id);
            put_back(shard, key, delivery.work, after, None, woken)
        }
        Attempt::Again { after, error } if woken.is_some() => {
            info!(message.id = %delivery.work.id,
                "message {} failed before its time ({error}): it waits on", delivery.work.id);
            put_back(shard, key, delivery.work, after.unwrap_or_default(), after, woken)
        }
        Attempt::Again { after, error } => again(pipeline, shard, key, delivery, after, error).await,
    }
}

/// Whether it is a send: what a person would see twice if it were done again. The backend, and the receiver of a job's webhook, tell a
/// repeated post by its id.
fn is_send(work: &Work) -> bool {
    work.direction == Direction::Out && !work.is_webhook()
}

/// One attempt. A post is cut off when the shard is given away: the next owner posts it again under the same id. A send is not: it ends
/// by itself (`outbound`).
async fn begin(pipeline: &Arc<Pipeline>, shard: &Arc<Shard>, work: &mut Work) -> Attempt {
    let sends = is_send(work);
    let attempted = pipeline.acts.attempt(pipeline, shard, work);
    if sends {
        attempted.await
    } else {
        shard.cutting().run_until_cancelled(attempted).await.unwrap_or(Attempt::NotOurs)
    }
}

/// It waits so long and, if it was woken, until when it would have; it is not woken before the time that was `asked` for. `false`
/// as from `retry`.
fn put_back(
    shard: &Shard,
    key: &LaneKey,
    work: Work,
    wait: Duration,
    asked: Option<Duration>,
    woken: Option<Instant>,
) -> bool {
    let now = Instant::now();
    let mut queue = shard.queue();
    let waits = queue.retry(key, work, woken.map_or(now + wait, |due| due.max(now + wait)));
    if let Some(asked) = asked {
        queue.hold(key, now + asked);
    }
    waits
}

fn status_of(work: &Work, state: MessageState, error: Option<String>) -> MessageStatus {
    MessageStatus { state, platform_message_ids: work.platform_message_ids.clone(), error }
}

async fn over(
    pipeline: &Pipeline,
    shard: &Shard,
    key: &LaneKey,
    delivery: &Delivery,
    state: MessageState,
    error: Option<String>,
) -> bool {
    let status = status_of(&delivery.work, state, error.clone());
    if !settle(pipeline, shard, delivery, state, Duration::ZERO, error).await {
        return false;
    }
    measure::finished(&delivery.work, state, pipeline.clock.now().timestamp_millis());
    pipeline.outcomes.tell(delivery.work.id, &status);
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
    mut delivery: Delivery,
    after: Option<Duration>,
    error: String,
) -> bool {
    delivery.work.attempts += 1;
    let work = &delivery.work;
    let Some(scheduled) = pipeline.acts.schedule(work.direction).wait(work.attempts, &*pipeline.random)
    else {
        return over(pipeline, shard, key, &delivery, MessageState::Dead, Some(error)).await;
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
    if !settle(pipeline, shard, &delivery, MessageState::Pending, wait, Some(error)).await {
        return false;
    }
    put_back(shard, key, delivery.work, wait, after, None)
}

fn settlement(
    shard: &Shard,
    delivery: &Delivery,
    state: MessageState,
    due_in: Duration,
    error: Option<String>,
) -> Settlement {
    let Delivery { work, before, .. } = delivery;
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
        burst: before.clone(),
    }
}

/// Writes which parts of a message are sent while others are still to go, so that whoever goes on with it does not send
/// them again. No attempt is counted. `false` as from [`settle`].
pub(super) async fn progress(pipeline: &Pipeline, shard: &Shard, work: &Work) -> bool {
    let delivery = Delivery::single(work.clone());
    settle(pipeline, shard, &delivery, MessageState::Pending, Duration::ZERO, None).await
}

/// Writes what happened until it is written; `false` when the claim is over or the shard is given up meanwhile. While the shard is given
/// away, what became of a send is tried on for as long as the shard is ours, which who gives it away ends ([`Shard::stop`]): the next
/// owner would send it again. What became of a post is not.
async fn settle(
    pipeline: &Pipeline,
    shard: &Shard,
    delivery: &Delivery,
    state: MessageState,
    due_in: Duration,
    error: Option<String>,
) -> bool {
    let (sends, settlement) = (is_send(&delivery.work), settlement(shard, delivery, state, due_in, error));
    let mut span = Span::child("settle", Kind::Client);
    let mut failed = 0;
    loop {
        match pipeline.log.settle(settlement.clone()).await {
            Ok(true) => return true,
            Ok(false) => {
                span.failed("fenced");
                Counter::FencedWrites.add(&["settle"]);
                warn!(shard.id = %shard.id, epoch = shard.epoch.0, "shard {} has a newer claim: stepping down", shard.id);
                shard.abort();
                return false;
            }
            Err(error) => {
                failed += 1;
                warn!(message.id = %settlement.id, "recording an outcome failed: {}", chain(&error));
                if (shard.stopping().is_cancelled() && !sends) || !pipeline.lease.holds() {
                    return false;
                }
                let again =
                    Instant::now() + Backoff::RECONNECT.wait(failed, &*pipeline.random).unwrap_or_default();
                if sends {
                    tokio::time::sleep_until(again).await;
                } else {
                    pause_until(shard, again).await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
