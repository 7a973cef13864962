//! Whole-system tests: everything here runs the real binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "tests")]

mod answers;
mod balanced;
mod bursts;
mod clients;
mod cluster;
mod contract;
mod crash;
mod dead_letters;
mod destinations;
mod erased;
mod events;
mod fairness;
mod feedback;
mod flaky_platform;
mod fuzz;
mod heartbeats;
mod job_webhooks;
mod jobs;
mod keys;
mod misfits;
mod monitoring;
mod nats_away;
mod neighbours;
mod operator;
mod pairing;
mod parts;
mod pooler;
mod reshard;
mod rpc;
mod settings;
mod streams;
mod traces;
mod up;
mod upgrade;
