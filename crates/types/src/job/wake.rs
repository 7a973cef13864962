//! A job that wakes an agent, as `POST /hooks/wake` does for whoever calls it.

#![allow(unused_qualifications, reason = "the macro that describes the API writes them")]

use serde::de::Deserializer;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::TextOrNumber;

/// When the backend is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Mode)]
pub enum WakeMode {
    /// At once.
    #[default]
    Now,
    /// At the user's next heartbeat. `next-heartbeat` is understood, too.
    #[serde(alias = "next-heartbeat")]
    NextHeartbeat,
}

/// Always `hook`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum WakeTag {
    /// The only one.
    #[default]
    Hook,
}

/// Something that an agent of the job's user is to hear of.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentWake {
    /// What kind of action.
    pub r#type: WakeTag,
    /// What it hears.
    #[schema(min_length = 1, max_length = 4096)]
    pub text: String,
    /// When the backend is told; `now` if not given.
    pub mode: Option<WakeMode>,
    /// The agent; absent for the one that the channel is bound to.
    #[schema(max_length = 200)]
    pub agent_id: Option<String>,
    /// The channel of the chat that it belongs to, as in a `channel_message`.
    #[schema(min_length = 1, max_length = 64)]
    pub channel: Option<String>,
    /// The platform's id of the chat; required with `channel`. The agent's answer goes there.
    #[serde(default, deserialize_with = "maybe_text_or_number")]
    #[schema(value_type = Option<TextOrNumber>)]
    pub recipient: Option<String>,
    /// What else is worth telling; at most 16,384 bytes.
    #[schema(value_type = Option<Object>)]
    pub metadata: Option<Map<String, Value>>,
}

impl AgentWake {
    /// When the backend is told.
    pub fn when(&self) -> WakeMode {
        self.mode.unwrap_or_default()
    }
}

fn maybe_text_or_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    #[derive(Deserialize)]
    struct Given(#[serde(deserialize_with = "super::text_or_number")] String);

    Ok(Option::<Given>::deserialize(deserializer)?.map(|Given(text)| text))
}
