//! What is counted of deliveries. On the way of each message: nothing here may wait, look into a map or ask a clock twice.

use claw_telemetry::metrics::{Counter, Histogram};
use claw_types::{Direction, MessageState, Work};

use super::Attempt;

/// Which way it goes, as metrics call it.
fn direction(work: &Work) -> &'static str {
    match work.direction {
        Direction::In => "in",
        Direction::Out if work.is_webhook() => "webhook",
        Direction::Out => "out",
    }
}

/// An attempt ended.
pub(super) fn attempt(work: &Work, ended: &Attempt) {
    let outcome = match ended {
        Attempt::Over { .. } => "over",
        Attempt::Again { .. } => "again",
        Attempt::NotYet { .. } => "not_yet",
        // Another worker's attempt counts.
        Attempt::NotOurs => return,
    };
    Counter::Attempts.add(&[direction(work), outcome]);
}

/// The first attempt at handing a person's message to a backend begins: what comes now is the backend's time, not ours.
pub(super) fn handed_over(work: &Work, now_ms: i64) {
    if work.attempts == 0 {
        Histogram::DeliveryLatency.observe(&["in"], age(work, now_ms));
    }
}

/// The message is over, and that is written.
pub(super) fn finished(work: &Work, state: MessageState, now_ms: i64) {
    let direction = direction(work);
    Counter::MessagesFinished.add(&[direction, state.as_str()]);
    if state == MessageState::Done && work.direction == Direction::Out {
        Histogram::DeliveryLatency.observe(&[direction], age(work, now_ms));
    }
}

/// Seconds since it was to be delivered. The clocks of two machines may differ by some milliseconds.
fn age(work: &Work, now_ms: i64) -> f64 {
    let ms = u32::try_from(now_ms.saturating_sub(work.fresh_at_ms()).max(0)).unwrap_or(u32::MAX);
    f64::from(ms) / 1000.0
}
