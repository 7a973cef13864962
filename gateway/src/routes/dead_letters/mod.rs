//! Messages that ended without success, and what is to become of them.

pub mod discard;
pub mod list;
pub mod list_all;
pub mod replay;
pub mod replay_all;
mod which;
