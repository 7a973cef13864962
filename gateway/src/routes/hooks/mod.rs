//! Waking agents from outside, and users' inbound hooks.

pub mod agent;
pub mod create;
pub mod delete;
pub mod deliveries;
mod genuine;
pub mod get;
pub mod list;
pub mod receive;
mod render;
pub mod secret;
mod spec;
pub mod test;
pub mod update;
mod view;
pub mod wake;
