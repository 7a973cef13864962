//! A channel as the API shows it. The keys are the client's (docs: the wire contract); secrets have no place here.

use chrono::{DateTime, Utc};
use claw_store::ChannelStatus;
use claw_types::{ChannelId, InstanceId};
use serde::Serialize;
use serde_json::{Map, Value};

/// A channel's JSON.
#[derive(Debug, Serialize)]
pub struct ChannelView {
    id: ChannelId,
    instance_name_id: InstanceId,
    instance_name: String,
    channel_type: String,
    status: &'static str,
    config_json: Map<String, Value>,
    enabled: bool,
    agent_id: String,
    created_at: DateTime<Utc>,
    state: String,
    last_error: Option<String>,
    last_inbound_at: Option<DateTime<Utc>>,
    owner: Option<String>,
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
