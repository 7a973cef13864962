//! `/api/users/{user}/settings`: what a user has set.

pub mod get;
pub mod put;

use chrono::{DateTime, Utc};
use claw_store::UserSettings;
use serde::Serialize;
use utoipa::ToSchema;

/// A user's settings.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UserSettings)]
pub struct SettingsView {
    /// Seconds between heartbeats; null for the default, which is 1800.
    #[schema(minimum = 60, maximum = 86400)]
    heartbeat_every_secs: Option<u32>,
    /// The next heartbeat.
    next_heartbeat_at: DateTime<Utc>,
}

impl From<UserSettings> for SettingsView {
    fn from(settings: UserSettings) -> Self {
        Self { heartbeat_every_secs: settings.heartbeat_secs, next_heartbeat_at: settings.next_heartbeat_at }
    }
}
