//! `PUT /api/users/{user}/channels/{instance}`: changes what the body names and nothing else.

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::app::Shared;
use crate::auth::Principal;
use crate::body::Body;
use crate::body::lenient::{Flag, present};
use crate::edit::{self, Draft, Others, Stored};
use crate::error::Problem;
use crate::path::{ChannelParams, ChannelPath};
use crate::view::ChannelView;

/// What to change; what is absent stays as it is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::option_option, reason = "absent and null mean different things")]
pub struct Update {
    /// The name to show.
    #[schema(min_length = 1, max_length = 200)]
    instance_name: Option<String>,
    /// Whether it is to run.
    enabled: Option<Flag>,
    /// The agent that it is bound to; null or empty unbinds.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, max_length = 200)]
    agent_id: Option<Option<String>>,
    /// Merged over the present fields: an empty or null value takes an open field away and leaves a secret as it is.
    #[schema(value_type = Option<Object>)]
    fields: Option<Map<String, Value>>,
    /// Whether the platform is asked, for at most 5 s, if changed fields work, before they are stored; `true` when absent.
    probe: Option<Flag>,
}

struct Changes {
    instance_name: Option<String>,
    enabled: Option<bool>,
    agent_id: Option<String>,
    fields: Option<Map<String, Value>>,
    probe: bool,
}

/// Changes what the body names and nothing else.
///
/// # Errors
/// 400 for what makes no sense and, in its own words, for what the platform refuses, 404 for a channel that is not there, 409 for a credential that is taken; then nothing
/// was changed.
#[utoipa::path(
    put, path = "/api/users/{user}/channels/{instance}", tag = "channels", operation_id = "update_channel",
    params(ChannelParams), request_body = Update,
    responses(
        (status = 200, description = "The channel as it is now.", body = ChannelView),
        (status = 404, description = "There is no such channel."),
        (status = 409, description = "Another channel has the same credential."),
    )
)]
pub async fn handle(
    State(app): State<Shared>,
    principal: Principal,
    path: ChannelPath,
    body: Body<Update>,
) -> Result<Json<ChannelView>, Problem> {
    let changes = read(body.value)?;
    let edited = edit::edit(&app, &path, &principal.actor(), |stored| draft(&changes, stored)).await?;
    Ok(Json(edited.status.into()))
}

fn read(body: Update) -> Result<Changes, Problem> {
    let instance_name = body.instance_name.map(|text| edit::label("instance_name", &text)).transpose()?;
    if instance_name.as_deref() == Some("") {
        return Err(Problem::bad_request("\"instance_name\" is empty: leave it out to keep the present one"));
    }
    let agent_id =
        body.agent_id.map(|text| edit::label("agent_id", &text.unwrap_or_default())).transpose()?;
    Ok(Changes {
        instance_name,
        enabled: body.enabled.map(|Flag(on)| on),
        agent_id,
        fields: body.fields,
        probe: body.probe.is_none_or(|Flag(ask)| ask),
    })
}

fn draft(changes: &Changes, stored: Option<&Stored>) -> Result<Draft, Problem> {
    let stored = stored.ok_or(claw_store::Error::NoChannel)?;
    let (channel, _) = stored;
    let entry = edit::entry(&channel.channel_type)?;
    let fields = match &changes.fields {
        Some(given) => edit::fields(entry, Some(stored), given.clone(), Others::Stay)?,
        None => edit::kept(stored),
    };
    Ok(Draft {
        entry,
        fields,
        new_fields: changes.fields.is_some(),
        probe: changes.probe,
        instance_name: changes.instance_name.clone().unwrap_or_else(|| channel.instance_name.clone()),
        agent_id: changes.agent_id.clone().unwrap_or_else(|| channel.agent_id.clone()),
        enabled: changes.enabled.unwrap_or(channel.enabled),
    })
}
