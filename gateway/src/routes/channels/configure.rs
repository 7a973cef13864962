//! `POST /api/users/{user}/channels/{instance}/configure`: makes a channel, or gives an existing one new fields.
//!
//! An existing channel keeps what the body leaves out: its secrets (the client's form never has them), its name, its
//! agent, and whether it is switched on. Its open fields are replaced, because the form shows all of them.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use claw_types::InstanceId;
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::app::Shared;
use crate::auth::Principal;
use crate::body::Body;
use crate::body::lenient::Flag;
use crate::edit::{self, Draft, Others, Stored};
use crate::error::Problem;
use crate::path::{ChannelParams, ChannelPath};
use crate::view::ChannelView;

/// A channel to make, or new fields for one that exists.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Configure {
    /// The platform's type; `GET /api/channels` lists them.
    #[schema(example = "webhook")]
    channel_type: String,
    /// The fields of the type. Values may be native JSON or text: a list is `["a", "b"]` or `"a, b"`.
    #[schema(value_type = Object)]
    fields: Map<String, Value>,
    /// The name to show.
    #[schema(max_length = 200)]
    instance_name: Option<String>,
    /// The agent that it is bound to.
    #[schema(max_length = 200)]
    agent_id: Option<String>,
    /// Whether the platform is asked, for at most 5 s, if the new fields work, before they are stored; `true` when absent.
    probe: Option<Flag>,
}

struct Wanted {
    entry: &'static claw_channels::Entry,
    fields: Map<String, Value>,
    instance_name: Option<String>,
    agent_id: Option<String>,
    probe: bool,
}

/// Makes a channel, or gives an existing one new fields. Its open fields are replaced; secrets, name, agent and whether
/// it is enabled stay as they are where the body leaves them out.
///
/// # Errors
/// 400 for what makes no sense and, in its own words, for what the platform refuses, 409 for a slug or a credential that is taken; then nothing was stored.
#[utoipa::path(
    post, path = "/api/users/{user}/channels/{instance}/configure", tag = "channels",
    operation_id = "configure_channel", params(ChannelParams), request_body = Configure,
    responses(
        (status = 201, description = "Made.", body = ChannelView),
        (status = 200, description = "It was there; it has the new fields now.", body = ChannelView),
        (status = 409, description = "It exists with another type, or another channel has the same credential."),
    )
)]
pub async fn handle(
    State(app): State<Shared>,
    principal: Principal,
    path: ChannelPath,
    body: Body<Configure>,
) -> Result<(StatusCode, Json<ChannelView>), Problem> {
    let wanted = read(body.value)?;
    let edited =
        edit::edit(&app, &path, &principal.actor(), |stored| draft(&wanted, &path.instance, stored)).await?;
    let status = if edited.created { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(edited.status.into())))
}

fn read(body: Configure) -> Result<Wanted, Problem> {
    let label = |key, text: Option<String>| text.map(|text| edit::label(key, &text)).transpose();
    Ok(Wanted {
        entry: edit::entry(&body.channel_type)?,
        fields: body.fields,
        // A form sends an empty name for one that was not filled in.
        instance_name: label("instance_name", body.instance_name)?.filter(|name| !name.is_empty()),
        agent_id: label("agent_id", body.agent_id)?,
        probe: body.probe.is_none_or(|Flag(ask)| ask),
    })
}

fn draft(wanted: &Wanted, instance: &InstanceId, stored: Option<&Stored>) -> Result<Draft, Problem> {
    let channel = stored.map(|(channel, _)| channel);
    match channel {
        None => check_new(instance)?,
        Some(channel) if channel.channel_type != wanted.entry.name => {
            return Err(Problem::conflict(format!(
                "the channel {:?} is of type {:?}: delete it first, or take another name for the new one",
                instance.as_str(),
                channel.channel_type
            )));
        }
        Some(_) => {}
    }
    let kept_name = || channel.map_or_else(|| instance.to_string(), |channel| channel.instance_name.clone());
    let kept_agent = || channel.map(|channel| channel.agent_id.clone()).unwrap_or_default();
    Ok(Draft {
        entry: wanted.entry,
        fields: edit::fields(wanted.entry, stored, wanted.fields.clone(), Others::Go)?,
        new_fields: true,
        probe: wanted.probe,
        instance_name: wanted.instance_name.clone().unwrap_or_else(kept_name),
        agent_id: wanted.agent_id.clone().unwrap_or_else(kept_agent),
        enabled: channel.is_none_or(|channel| channel.enabled),
    })
}

/// A new slug is stricter than [`InstanceId`]: it stands in paths, where case is confused, dots are resolved away and
/// `reload` is a call.
fn check_new(instance: &InstanceId) -> Result<(), Problem> {
    let slug = instance.as_str();
    if slug == "reload" {
        return Err(Problem::bad_request(
            "a channel can't be called \"reload\": that path reloads all channels",
        ));
    }
    let starts = slug.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
    if starts && !slug.contains(|c: char| c.is_ascii_uppercase()) {
        return Ok(());
    }
    Err(Problem::bad_request(format!(
        "the channel instance {slug:?} must start with a lower-case letter or a digit and have no upper-case letters"
    )))
}
