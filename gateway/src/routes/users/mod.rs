//! A user as a whole.

pub mod erase;
pub mod erasure;
mod view;
