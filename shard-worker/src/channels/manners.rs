//! What people of a channel see while they wait for an answer, and for how long one is worth sending, by the fields of
//! `claw_channels::common`.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

/// Of one channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Manners {
    /// Whether they see that an answer is being written.
    pub(crate) typing: bool,
    /// What becomes of the text that the backend shows at once.
    pub(crate) placeholder: Placeholder,
    /// The emoji that a message gets when it is handed to the backend.
    pub(crate) ack: Option<Arc<str>>,
    /// For how long a message may be sent that does not say it itself; `None`: as long as the operator's default.
    pub(crate) time_to_live: Option<Duration>,
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
        let secs = config.get("ttl_secs").and_then(Value::as_u64).filter(|secs| *secs > 0);
        Self {
            typing: config.get("typing").and_then(Value::as_bool).unwrap_or(true),
            placeholder,
            ack: config.get("ack_reaction").and_then(Value::as_str).map(Arc::from),
            time_to_live: secs.map(Duration::from_secs),
        }
    }
}
