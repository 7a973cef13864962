//! Who may act for a shard, as a model of which every state is looked at: three workers, two shards.
//!
//! The code that is modelled is `claw_store::Lease` (locks, epochs, heartbeats), the worker's `placement` (the local
//! deadline) and every fenced write of `claw_store` (`for share` on the shard's row in the write's own transaction).
//!
//! What makes it finite without a bound on time or on claims:
//!
//! - Clocks are ages in half seconds, counted no further than the limit they are compared with. The limits are multiples
//!   of it and every comparison is closed on one side, so nothing happens in between that can't on a multiple.
//! - Of an epoch only one thing is ever asked: whether it is the newest of its shard.
//! - One write a shard is followed, any one: writes never look at one another.
//! - Workers are alike and so are shards: of states that differ only in who is who, one is kept.
//!
//! Where the model is not exact it can do more than the code, never less, so what can't happen here can't happen there:
//! workers claim what they like (not what the plan says), answers come at once after questions that were up to
//! 1.5 s on their way, connections are given up at any moment, and the server ends sessions whenever it likes: for being
//! silent, because a contender asks for it, because it is restarted. A frozen process needs no state of its own: it
//! is one that takes no steps while time passes. A process that is killed is one that steps down and whose connection
//! the server sees closed.
//!
//! Assumed: a process's monotonic clock goes on while the process is frozen, and no faster or slower than the
//! database's by more than a quarter (the 2 s of the deadline against the 2.5 s until a takeover); and a server that
//! crashes has not forgotten the last heartbeats when it is back before they are too old anyway. On a machine that is suspended as
//! a whole that clock stands still: then only what epochs guard is safe.

mod model;
mod rules;
mod state;

pub use model::{Action, Cluster, Property};
pub use rules::Rules;
pub use state::{Epoch, SHARDS, Session, State, WORKERS, Worker, Write};
