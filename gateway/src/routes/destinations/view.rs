//! A destination as the API shows it: everything but its secret.

use chrono::{DateTime, Utc};
use claw_store::Destination;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// Where events are posted to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Destination)]
pub struct DestinationView {
    id: Uuid,
    /// Whose events it gets; null for everybody's.
    user_id: Option<String>,
    name: String,
    url: String,
    /// The types that it gets; all when empty.
    types: Vec<String>,
    /// Only events about the channel of this name; null for all.
    channel: Option<String>,
    /// Whether it gets any. One that fails for 3 days, or answers 410, is switched off.
    enabled: bool,
    /// Failed attempts in a row; 0 when all is well.
    attempts: u32,
    failing_since: Option<DateTime<Utc>>,
    next_attempt_at: Option<DateTime<Utc>>,
    last_error: Option<String>,
    last_delivered_at: Option<DateTime<Utc>>,
    /// Everything up to this event is delivered, or was not wanted.
    #[schema(example = "7421-18")]
    cursor: String,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

/// A destination with its secret, right after that was made.
#[derive(Debug, Serialize, ToSchema)]
pub struct DestinationWithSecret {
    #[serde(flatten)]
    view: DestinationView,
    /// The key of the signatures: shown this once and never again. Absent when the call repeats an earlier one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    secret: Option<String>,
    /// Whether the call repeats an earlier one.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    duplicate: bool,
}

impl DestinationWithSecret {
    /// A new secret; `None` when it was shown before.
    pub fn new(destination: Destination, secret: Option<String>) -> Self {
        Self { view: destination.into(), duplicate: secret.is_none(), secret }
    }
}

impl From<Destination> for DestinationView {
    fn from(destination: Destination) -> Self {
        Self {
            id: destination.id,
            user_id: destination.user_id.map(String::from),
            name: destination.name,
            url: destination.url,
            types: destination.filter.types,
            channel: destination.filter.channel,
            enabled: destination.enabled,
            attempts: destination.attempts,
            failing_since: destination.failing_since,
            next_attempt_at: destination.next_attempt_at,
            last_error: destination.last_error,
            last_delivered_at: destination.last_delivered_at,
            cursor: destination.cursor.to_string(),
            created_at: destination.created_at,
            updated_at: destination.updated_at,
        }
    }
}
