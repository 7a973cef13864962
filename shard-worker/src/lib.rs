//! The shard-worker: owns adapter connections and is the single writer of its shards.
//!
//! - `pipeline` is what placement, queues and deliveries share; `ports` is all it asks of the world, so that a simulation
//!   can run it.
//! - `placement` decides which shards are ours and holds the lease on them.
//! - `shard` is one owned shard: its claim and the window on its messages.
//! - `tasks` feed it: what NATS brings, what a sweep finds, which channels changed.
//! - `deliver` works it off: webhooks to the backend, sends to platforms.
//! - `channels` runs the adapters.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod app;
mod channels;
mod core;
mod deliver;
mod erased;
pub mod fuzzing;
mod outcomes;
pub mod pipeline;
pub mod placement;
pub mod ports;
mod service;
pub mod shard;
mod tasks;
#[cfg(test)]
mod testing;

pub use app::{Error, start};
pub use deliver::Attempt;
pub use tasks::sweep;
