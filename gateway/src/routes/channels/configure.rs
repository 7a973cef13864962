//! `POST /api/users/{user}/channels/{instance}/configure`: makes a channel, or gives an existing one new fields.
//!
//! An existing channel keeps what the body leaves out: its secrets (the client's form never has them), its name, its
//! agent, and whether it is switched on. Its open fields are replaced, because the form shows all of them.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use claw_channels::fields::Fields;
use claw_types::InstanceId;
use serde_json::{Map, Value};

use crate::app::Shared;
use crate::body::Object;
use crate::edit::{self, Draft, Stored};
use crate::error::Problem;
use crate::path::ChannelPath;
use crate::view::ChannelView;

const KEYS: &[&str] = &["channel_type", "fields", "instance_name", "agent_id"];

struct Wanted {
    entry: &'static claw_channels::Entry,
    fields: Map<String, Value>,
    instance_name: Option<String>,
    agent_id: Option<String>,
}

/// Makes or replaces a channel: 201 when it is new, 200 when it was there.
///
/// # Errors
/// 400 for what makes no sense, 409 for a slug or a credential that is taken; then nothing was stored.
pub async fn handle(
    State(app): State<Shared>,
    path: ChannelPath,
    body: Object,
) -> Result<(StatusCode, Json<ChannelView>), Problem> {
    let wanted = read(body)?;
    let edited = edit::edit(&app, &path, |stored| draft(&wanted, &path.instance, stored)).await?;
    let status = if edited.created { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(edited.status.into())))
}

fn read(mut body: Object) -> Result<Wanted, Problem> {
    body.only(KEYS)?;
    let missing = |key| move || Problem::bad_request(format!("{key:?} is required"));
    let entry = edit::entry(&body.text("channel_type")?.ok_or_else(missing("channel_type"))?)?;
    let fields = body.object("fields")?.ok_or_else(missing("fields"))?;
    let mut label = |key| match body.text(key)? {
        Some(text) => edit::label(key, &text).map(Some),
        None => Ok::<_, Problem>(None),
    };
    // A form sends an empty name for one that was not filled in.
    let instance_name = label("instance_name")?.filter(|name| !name.is_empty());
    Ok(Wanted { entry, fields, instance_name, agent_id: label("agent_id")? })
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
    let secrets = stored.map(|(_, secrets)| secrets.clone()).unwrap_or_default();
    let base = Fields { config: Map::new(), secrets };
    let kept_name = || channel.map_or_else(|| instance.to_string(), |channel| channel.instance_name.clone());
    let kept_agent = || channel.map(|channel| channel.agent_id.clone()).unwrap_or_default();
    Ok(Draft {
        entry: wanted.entry,
        fields: edit::fields(wanted.entry, base, wanted.fields.clone())?,
        new_fields: true,
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
