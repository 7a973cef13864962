//! What people of a channel see while they wait for an answer, by the fields of `claw_channels::common`.

use serde_json::{Map, Value};

/// Of one channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Manners {
    /// Whether they see that an answer is being written.
    pub(crate) typing: bool,
    /// What becomes of the text that the backend shows at once.
    pub(crate) placeholder: Placeholder,
}

/// What becomes of the text that the backend shows at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Placeholder {
    /// The answer takes its place, where the platform can.
    #[default]
    Replace,
    /// It stays.
    Keep,
    /// It is not shown.
    Off,
}

impl Manners {
    /// As a channel's checked fields say.
    pub(crate) fn of(config: &Map<String, Value>) -> Self {
        let placeholder = match config.get("placeholder").and_then(Value::as_str) {
            Some("keep") => Placeholder::Keep,
            Some("off") => Placeholder::Off,
            _ => Placeholder::Replace,
        };
        Self { typing: config.get("typing").and_then(Value::as_bool).unwrap_or(true), placeholder }
    }
}
