//! An event as streams and destinations show it. The text itself is written where events are read, once for both.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

/// Something that happened.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
pub struct EventView {
    /// Its place in the order of all events: the same in streams and as a destination's `webhook-id`.
    #[schema(example = "7421-18", pattern = r"^[0-9]+-[0-9]+$")]
    id: String,
    /// What happened.
    #[schema(example = "message.delivered")]
    r#type: String,
    /// When.
    at: DateTime<Utc>,
    /// Whose it is.
    user_id: Option<String>,
    /// The channel that it is about; deleted ones, too.
    channel: Option<EventChannelView>,
    /// The message that it is about.
    message_id: Option<Uuid>,
    /// What there is to say beyond that; never what people wrote.
    #[schema(value_type = Object)]
    data: Value,
}

/// A channel that an event is about.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventChannel)]
pub struct EventChannelView {
    id: Uuid,
    instance_name_id: Option<String>,
    channel_type: Option<String>,
}
