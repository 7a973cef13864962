//! Streams of events.

pub mod of_all;
pub mod of_user;
pub mod opening;
mod view;
