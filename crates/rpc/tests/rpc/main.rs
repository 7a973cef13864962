//! Real servers and clients on loopback: what they show one another, and how long they wait.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod calls;
mod common;
mod tls;
