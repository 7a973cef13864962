//! `/api/users/{user}/settings`: what a user has set.

mod beat;
mod chat;
pub mod get;
pub mod put;

use chrono::{DateTime, Utc};
use claw_store::UserSettings;
use claw_types::preferences::{Beat, ChatRef, Hours};
use serde::Serialize;
use utoipa::ToSchema;

/// A user's settings. What is null is the default.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UserSettings)]
pub struct SettingsView {
    /// Seconds between heartbeats; 1800 by default.
    #[schema(minimum = 60, maximum = 86400)]
    heartbeat_every_secs: Option<u32>,
    /// The next heartbeat.
    next_heartbeat_at: DateTime<Utc>,
    /// After how many failed runs of a job in a row its owner is told, 0 for never; 3 by default.
    #[schema(maximum = 1_000)]
    alert_after: Option<u32>,
    /// After how many it is paused, 0 for never; 10 by default.
    #[schema(maximum = 1_000)]
    pause_after: Option<u32>,
    /// The chat in which the owner is told; by default there is none, and only events tell of it.
    alerts: Option<ChatRef>,
    /// When heartbeats may be; at any time by default.
    active_hours: Option<Hours>,
    /// What the agent is told at each heartbeat, without anything that waits for it; by default nothing.
    heartbeat: Option<Beat>,
}

impl From<UserSettings> for SettingsView {
    fn from(UserSettings { set, next_heartbeat_at }: UserSettings) -> Self {
        Self {
            heartbeat_every_secs: set.heartbeat_secs,
            next_heartbeat_at,
            alert_after: set.alert_after,
            pause_after: set.pause_after,
            alerts: set.alerts,
            active_hours: set.active_hours,
            heartbeat: set.heartbeat,
        }
    }
}
