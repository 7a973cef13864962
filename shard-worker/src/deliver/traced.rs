//! The span of one attempt. On the way of each message: what is not recorded costs some comparisons here and, of a message to a
//! person, a look for one key of its body.

use std::borrow::Cow;

use claw_telemetry::trace::{self, Context, Kind, Span};
use claw_types::{Direction, MessageState, Work};
use serde::Deserialize;

use super::Attempt;
use super::burst::Delivery;

/// What is read of a stored body.
#[derive(Deserialize)]
struct Body<'a> {
    /// Of a person's message: the type of its channel.
    #[serde(borrow, default)]
    channel: Option<Cow<'a, str>>,
}

fn body(work: &Work) -> Option<Body<'_>> {
    serde_json::from_str(work.payload.get()).ok()
}

/// Begins it.
pub(super) fn attempt(delivery: &Delivery) -> Span {
    if !trace::is_on() {
        return Span::none();
    }
    let work = &delivery.work;
    let mut span = Span::child_of(claw_bus::context(work), "deliver", Kind::Consumer);
    if !span.is_recorded() {
        return span;
    }
    span.set("message.id", work.id.to_string());
    span.set("message.direction", work.direction.as_str());
    span.set("message.attempt", work.attempts.saturating_add(1));
    span.set("shard", u32::from(work.shard.0));
    if let (Direction::In, Some(channel)) = (work.direction, body(work).and_then(|body| body.channel)) {
        span.set("channel.type", channel.into_owned());
    }
    // What goes with it had traces of its own until here.
    for before in delivery.before.iter().flatten() {
        span.link(Context::of_message(before.0.as_u128()));
    }
    span
}

/// Where a person's message is in its trace, recorded or not.
pub(in crate::deliver) fn of(work: &Work) -> Option<Context> {
    Context::of_message(work.id.0.as_u128())
}

/// Says what it came to.
pub(super) fn ended(span: &mut Span, ended: &Attempt) {
    let outcome = match ended {
        Attempt::Over { state, .. } => state.as_str(),
        Attempt::Again { .. } => "again",
        Attempt::NotYet { .. } => "not_yet",
        Attempt::NotOurs => "not_ours",
    };
    span.set("outcome", outcome);
    match ended {
        Attempt::Over { state: MessageState::Done | MessageState::Discarded, .. }
        | Attempt::NotYet { .. }
        | Attempt::NotOurs => {}
        Attempt::Over { .. } | Attempt::Again { .. } => span.failed(outcome),
    }
}
