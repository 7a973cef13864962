//! The scheduler-leader: of several schedulers one leads, and the leader does what the cluster needs done on time by
//! one process only.
//!
//! - `elector` decides who leads: an advisory lock on the lease connection, a term that fences.
//! - `duties` are what the leader does: firing timers every second, forgetting every minute.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod app;
mod duties;
mod elector;
mod measure;
mod service;

pub use app::{Error, start};
