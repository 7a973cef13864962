//! Who may act for a shard, as a model of which every state is looked at: three workers, two shards.
//!
//! The code that is modelled is `claw_store::Lease` (locks, epochs, heartbeats), the worker's `placement` (the local
//! deadline) and every fenced write of `claw_store` (`for share` on the shard's row in the write's own transaction).
//!
//! What makes it finite without a bound on time or on claims:
//!
//! - Clocks are ages in seconds, counted no further than the limit they are compared with. All constants are whole
//!   seconds and every comparison is closed on one side, so nothing happens between seconds that can't on them.
//! - Of an epoch only one thing is ever asked: whether it is the newest of its shard.
//! - One write a shard is followed, any one: writes never look at one another.
//! - Workers are alike and so are shards: of states that differ only in who is who, one is kept.
//!
//! Where the model is not exact it can do more than the code, never less, so what can't happen here can't happen there:
//! workers claim what they like (not what the plan says), answers come at once after questions that were up to
//! 2 s on their way, connections are given up at any moment. A frozen process needs no state of its own: it is one
//! that takes no steps while time passes. A process that is killed is one that steps down and whose connection the
//! server sees closed.
//!
//! Assumed: a process's monotonic clock goes on while the process is frozen, and no faster or slower than the
//! database's by more than a quarter (4 s against the 5 s of `idle_session_timeout`). On a machine that is suspended as
//! a whole that clock stands still: then only what epochs guard is safe.

mod model;
mod rules;
mod state;

pub use model::{Action, Cluster, Property};
pub use rules::Rules;
pub use state::{Epoch, SHARDS, Session, State, WORKERS, Worker, Write};
