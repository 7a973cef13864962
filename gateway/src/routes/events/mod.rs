//! Streams of events.

pub mod of_all;
pub mod of_user;
mod opening;
mod view;
