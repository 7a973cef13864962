//! The shard-worker: owns adapter connections and is the single writer of its shards.
//!
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
mod outcomes;
mod placement;
mod service;
mod shard;
mod tasks;

pub use app::{Error, start};
