//! `PUT /api/users/{user}/channels/{instance}`: changes what the body names and nothing else.

use axum::Json;
use axum::extract::State;
use claw_channels::fields::Fields;
use serde_json::{Map, Value};

use crate::app::Shared;
use crate::body::Object;
use crate::edit::{self, Draft, Stored};
use crate::error::Problem;
use crate::path::ChannelPath;
use crate::view::ChannelView;

const KEYS: &[&str] = &["instance_name", "enabled", "agent_id", "fields"];

struct Changes {
    instance_name: Option<String>,
    enabled: Option<bool>,
    agent_id: Option<String>,
    fields: Option<Map<String, Value>>,
}

/// Merges the body into the channel.
///
/// # Errors
/// 400 for what makes no sense, 404 for a channel that is not there, 409 for a credential that is taken; then nothing
/// was changed.
pub async fn handle(
    State(app): State<Shared>,
    path: ChannelPath,
    body: Object,
) -> Result<Json<ChannelView>, Problem> {
    let changes = read(body)?;
    let edited = edit::edit(&app, &path, |stored| draft(&changes, stored)).await?;
    Ok(Json(edited.status.into()))
}

fn read(mut body: Object) -> Result<Changes, Problem> {
    body.only(KEYS)?;
    let instance_name = match body.text("instance_name")? {
        Some(text) => Some(edit::label("instance_name", &text)?),
        None => None,
    };
    if instance_name.as_deref() == Some("") {
        return Err(Problem::bad_request("\"instance_name\" is empty: leave it out to keep the present one"));
    }
    // Null unbinds, as the empty text does; only an absent key keeps the agent.
    let agent_id = match (body.has("agent_id"), body.text("agent_id")?) {
        (true, text) => Some(edit::label("agent_id", &text.unwrap_or_default())?),
        (false, _) => None,
    };
    Ok(Changes { instance_name, enabled: body.flag("enabled")?, agent_id, fields: body.object("fields")? })
}

fn draft(changes: &Changes, stored: Option<&Stored>) -> Result<Draft, Problem> {
    let (channel, secrets) = stored.ok_or(claw_store::Error::NoChannel)?;
    let entry = edit::entry(&channel.channel_type)?;
    let kept = Fields { config: channel.config.clone(), secrets: secrets.clone() };
    let fields = match &changes.fields {
        Some(given) => edit::fields(entry, kept, given.clone())?,
        None => kept,
    };
    Ok(Draft {
        entry,
        fields,
        new_fields: changes.fields.is_some(),
        instance_name: changes.instance_name.clone().unwrap_or_else(|| channel.instance_name.clone()),
        agent_id: changes.agent_id.clone().unwrap_or_else(|| channel.agent_id.clone()),
        enabled: changes.enabled.unwrap_or(channel.enabled),
    })
}
