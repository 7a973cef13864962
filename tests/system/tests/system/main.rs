//! Whole-system tests: everything here runs the real binary.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "tests")]

mod cluster;
mod contract;
mod crash;
mod destinations;
mod nats_away;
mod settings;
mod up;
