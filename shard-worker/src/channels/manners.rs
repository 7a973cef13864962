//! What people of a channel see while they wait for an answer, by the fields of `claw_channels::common`.

use serde_json::{Map, Value};

/// Of one channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Manners {
    /// Whether they see that an answer is being written.
    pub(crate) typing: bool,
}

impl Manners {
    /// As a channel's checked fields say.
    pub(crate) fn of(config: &Map<String, Value>) -> Self {
        Self { typing: config.get("typing").and_then(Value::as_bool).unwrap_or(true) }
    }
}
