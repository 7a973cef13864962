//! Working messages off: each conversation by one runner, inbound to the backend, outbound to the platform or, of a job, to a URL;
//! and events to their destinations.

mod ack;
pub(crate) mod answer;
mod attached;
pub(crate) mod backend;
mod burst;
pub(crate) mod events;
pub(crate) mod inbound;
pub(crate) mod lane;
pub(crate) mod measure;
pub(crate) mod outbound;
pub(crate) mod placeholder;
pub(crate) mod stream;
mod traced;
pub(crate) mod typing;
pub(crate) mod unsettled;
pub(crate) mod webhook;

use std::time::Duration;

pub(crate) use claw_runtime::turns;
use claw_types::MessageState;

/// What an attempt came to.
#[derive(Debug)]
pub enum Attempt {
    /// It is over: this is the message's last state.
    Over {
        /// Which.
        state: MessageState,
        /// Why, when it is not a success.
        error: Option<String>,
    },
    /// Try again; `after` the given time or, when `None`, as the schedule says.
    Again {
        /// How long to wait at least.
        after: Option<Duration>,
        /// Why.
        error: String,
    },
    /// Nothing was attempted: what it needs is not there yet.
    NotYet {
        /// When to look again.
        after: Duration,
        /// What is missing.
        why: String,
    },
    /// This worker may not act for the shard any more; the next owner will.
    NotOurs,
}
