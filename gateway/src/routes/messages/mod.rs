//! What became of messages.

pub mod discard;
pub mod filter;
pub mod get;
pub mod list;
pub mod retry;
pub mod view;
