//! A channel as the API shows it. The keys are the client's (docs: the wire contract); secrets have no place here.

use chrono::{DateTime, Utc};
use claw_store::ChannelStatus;
use claw_types::{ChannelId, InstanceId};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// A channel's JSON.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Channel)]
pub struct ChannelView {
    /// Part of its webhook and web chat addresses.
    #[schema(value_type = Uuid)]
    id: ChannelId,
    /// The `{instance}` of the paths.
    #[schema(value_type = String)]
    instance_name_id: InstanceId,
    /// The name to show.
    instance_name: String,
    channel_type: String,
    /// `running`, `configured` (meant to run, but does not at the moment) or `stopped` (switched off).
    status: &'static str,
    /// The fields that are not secret. Secret fields are never shown, not even masked.
    #[schema(value_type = Object)]
    config_json: Map<String, Value>,
    /// Whether it is meant to run.
    enabled: bool,
    /// The agent that it is bound to, `""` when none.
    agent_id: String,
    created_at: DateTime<Utc>,
    /// More exact than `status`: `starting`, `running`, `failed`, `stopped`.
    state: String,
    /// What went wrong last; null when nothing is wrong any more.
    last_error: Option<String>,
    /// When a person's message was last on its way to the backend.
    last_inbound_at: Option<DateTime<Utc>>,
    /// The worker that runs it; null when no live worker does.
    owner: Option<String>,
    /// Where a platform posts to, if channels of this type take posts; put your public address before it.
    webhook_path: String,
}

impl From<ChannelStatus> for ChannelView {
    fn from(status: ChannelStatus) -> Self {
        let ChannelStatus { channel, state, last_error, last_inbound_at, owner } = status;
        // The front end paints these three words; `state` says more.
        let (light, state) = match (channel.enabled, state.as_str()) {
            (false, _) => ("stopped", "stopped".to_owned()),
            (true, "running") => ("running", state),
            (true, _) => ("configured", state),
        };
        Self {
            webhook_path: format!("/webhooks/{}/{}", channel.channel_type, channel.id),
            id: channel.id,
            instance_name_id: channel.instance,
            instance_name: channel.instance_name,
            channel_type: channel.channel_type,
            status: light,
            config_json: channel.config,
            enabled: channel.enabled,
            agent_id: channel.agent_id,
            created_at: channel.created_at,
            state,
            last_error,
            last_inbound_at,
            owner,
        }
    }
}
