//! A user's channels.

pub mod catalogue;
pub mod configure;
pub mod delete;
pub mod list;
pub mod messages;
pub mod pairing;
pub mod reload;
pub mod send;
pub mod test;
pub mod typing;
pub mod update;

use std::time::Duration;

/// How long a platform may take to answer a question that somebody waits for.
const PATIENCE: Duration = Duration::from_secs(15);
