//! Waking agents from outside, and users' inbound hooks.

pub mod agent;
pub mod create;
pub mod delete;
pub mod deliveries;
pub mod genuine;
pub mod get;
pub mod list;
pub mod receive;
pub mod render;
pub mod secret;
mod spec;
pub mod test;
pub mod update;
mod view;
pub mod wake;
