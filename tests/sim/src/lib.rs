//! Deterministic simulation of placement and pipeline.
//!
//! The workers' own code (`claw_shard_worker::{placement, pipeline, sweep}`) runs against a simulated Postgres, NATS,
//! backend and platform, on clocks that are moved by hand. Everything that happens follows from a seed: processes die,
//! freeze, lose their network, come back; requests arrive late, answers are lost, messages overtake one another. What
//! must hold then: everything accepted is delivered, in the order of its conversation; no write of an old claim is taken; no
//! bot is connected twice by processes that could know; and everything comes right again by itself.
//!
//! `claw-sim --seeds 10000` runs many; `claw-sim --seed 7 --trace` runs one and shows what its workers say.

#![allow(clippy::missing_errors_doc, reason = "each statement fails as the one it stands for")]
#![allow(clippy::unchecked_time_subtraction, reason = "simulated time only grows")]

pub mod backend;
pub mod database;
pub mod host;
pub mod messages;
pub mod platform;
pub mod ports;
pub mod road;
pub mod scenario;
pub mod verdict;
pub mod world;
