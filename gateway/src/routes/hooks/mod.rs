//! Waking agents from outside, and users' inbound hooks.

pub mod agent;
pub mod wake;
