//! Making and changing a channel: read, decide, check, ask the platform, write if nobody else wrote meanwhile, tell.

use std::sync::Arc;
use std::time::Duration;

use claw_channels::fields::Fields;
use claw_channels::kit::guard;
use claw_channels::{ChannelError, Entry, registry};
use claw_store::{Actor, Channel, ChannelStatus, Error, SaveChannel};
use claw_types::{ChannelId, InstanceId, UserId};
use serde_json::{Map, Value};

use crate::app::App;
use crate::body;
use crate::error::Problem;
use crate::path::ChannelPath;

/// Two people who save the same form at once are both served; more rounds than this would be a fault.
const ATTEMPTS: usize = 3;
/// How long a platform may take to say whether a credential works. The client waits 30 s in all.
const PROBE_LIMIT: Duration = Duration::from_secs(5);
/// Longest display name and agent id, in characters.
const NAME_LIMIT: usize = 200;

/// A channel as stored, with its secrets opened.
pub type Stored = (Channel, Map<String, Value>);

/// A channel as it is to be.
pub struct Draft {
    /// Its type.
    pub entry: &'static Entry,
    /// Its fields.
    pub fields: Fields,
    /// Whether the fields come from the caller and so have to be checked.
    pub new_fields: bool,
    /// Whether the platform is asked if it knows the credential, before other fields than the stored ones are stored.
    pub probe: bool,
    /// The name to show.
    pub instance_name: String,
    /// The agent; empty when none.
    pub agent_id: String,
    /// Whether it is meant to run.
    pub enabled: bool,
}

impl Draft {
    fn has_fields_of(&self, (channel, secrets): &Stored) -> bool {
        self.fields.config == channel.config && self.fields.secrets == *secrets
    }

    fn same_as(&self, stored: &Stored) -> bool {
        let (channel, _) = stored;
        self.has_fields_of(stored)
            && self.instance_name == channel.instance_name
            && self.agent_id == channel.agent_id
            && self.enabled == channel.enabled
    }
}

/// A channel after its edit.
pub struct Edited {
    /// As its user sees it.
    pub status: ChannelStatus,
    /// Whether it is new.
    pub created: bool,
}

/// Stores what `decide` makes of what is there. It runs again when somebody else was faster.
///
/// # Errors
/// What `decide` refuses, what the fields' checks refuse, or what the database does; then nothing was stored.
pub async fn edit(
    app: &App,
    path: &ChannelPath,
    actor: &Actor,
    decide: impl Fn(Option<&Stored>) -> Result<Draft, Problem> + Send + Sync,
) -> Result<Edited, Problem> {
    for _ in 0..ATTEMPTS {
        let stored = app.store.channel_find(&app.vault, &path.user, &path.instance).await?;
        let draft = decide(stored.as_ref())?;
        let id = stored.as_ref().map_or_else(|| ChannelId(app.ids.next()), |(channel, _)| channel.id);
        if draft.new_fields {
            let channel = check(app, id, &draft).await?;
            if draft.probe
                && has_credential(&draft)
                && !stored.as_ref().is_some_and(|s| draft.has_fields_of(s))
            {
                ask(&*channel).await?;
            }
        }
        match write(app, path, actor, id, &draft, stored.as_ref()).await {
            Ok(()) => {
                changed(app, id, &path.user, &path.instance).await;
                let status = app.store.channel_status(&path.user, &path.instance).await?;
                return Ok(Edited { status, created: stored.is_none() });
            }
            Err(WriteError::Store(Error::Conflict)) => {}
            Err(WriteError::Store(error)) => return Err(error.into()),
            Err(WriteError::Refused(problem)) => return Err(problem),
        }
    }
    Err(Error::Conflict.into())
}

/// Tells the owner and every gateway; this one before it answers.
pub async fn changed(app: &App, id: ChannelId, user: &UserId, instance: &InstanceId) {
    app.channels.forget(id).await;
    app.bus.publish_channel_changed(app.shards.shard_of(user, instance), id).await;
}

async fn check(app: &App, id: ChannelId, draft: &Draft) -> Result<Arc<dyn claw_channels::Channel>, Problem> {
    for (key, url) in draft.entry.urls(&draft.fields) {
        guard::check(url, app.allow_private).await.map_err(|error| Problem::of_url(key, &error))?;
    }
    Ok(draft.entry.make(&draft.fields.config, &draft.fields.secrets, app.deps_for(id))?)
}

/// Whether there is a platform that gave out a credential. Where there is none, such as at a callback of the user's own, trying would be
/// a call that somebody sees.
fn has_credential(draft: &Draft) -> bool {
    draft.entry.credentials(&draft.fields).is_ok_and(|credentials| !credentials.is_empty())
}

/// Whether the platform knows the credential. Only a clear no counts: a platform that is away or busy just now is no reason
/// to keep a user from saving; the channel tells of it when it runs.
async fn ask(channel: &dyn claw_channels::Channel) -> Result<(), Problem> {
    match tokio::time::timeout(PROBE_LIMIT, channel.probe()).await {
        Ok(Err(
            ChannelError::BadCredentials(said) | ChannelError::Permanent(said) | ChannelError::Config(said),
        )) => Err(Problem::bad_request(format!(
            "{said} (asked before anything was stored; with \"probe\": false the platform is not asked)"
        ))),
        _ => Ok(()),
    }
}

enum WriteError {
    Store(Error),
    Refused(Problem),
}

async fn write(
    app: &App,
    path: &ChannelPath,
    actor: &Actor,
    id: ChannelId,
    draft: &Draft,
    stored: Option<&Stored>,
) -> Result<(), WriteError> {
    if stored.is_some_and(|stored| draft.same_as(stored)) {
        // A new revision would restart the adapter for nothing.
        return Ok(());
    }
    let credentials =
        draft.entry.credentials(&draft.fields).map_err(|error| WriteError::Refused(error.into()))?;
    let save = SaveChannel {
        id,
        user_id: path.user.clone(),
        instance: path.instance.clone(),
        instance_name: draft.instance_name.clone(),
        channel_type: draft.entry.name.to_owned(),
        config: draft.fields.config.clone(),
        secrets: draft.fields.secrets.clone(),
        credentials,
        enabled: draft.enabled,
        agent_id: draft.agent_id.clone(),
        shard: app.shards.shard_of(&path.user, &path.instance),
        replaces: stored.map(|(channel, _)| channel.revision),
    };
    app.store.channel_save(&app.vault, &save, actor).await.map_err(WriteError::Store)
}

/// The adapter of a type.
///
/// # Errors
/// 400 naming the types that there are.
pub fn entry(channel_type: &str) -> Result<&'static Entry, Problem> {
    registry::find(channel_type).ok_or_else(|| {
        let (given, known) = (body::shown(channel_type), registry::names());
        Problem::bad_request(format!("unknown channel type {given:?}; known types: {known}"))
    })
}

/// What becomes of the stored open fields that a body leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Others {
    /// They stay.
    Stay,
    /// They are taken away.
    Go,
}

/// `given` over what is `stored`, complete.
///
/// # Errors
/// 400 naming the field that is wrong or missing.
pub fn fields(
    entry: &'static Entry,
    stored: Option<&Stored>,
    given: Map<String, Value>,
    others: Others,
) -> Result<Fields, Problem> {
    if let Some(key) = given.keys().find(|key| key.chars().count() > 100) {
        return Err(Problem::bad_request(format!("the field {:?} does not exist", body::shown(key))));
    }
    let stored = stored.map(kept).unwrap_or_default();
    let fields = match others {
        Others::Stay => stored.merge(entry.name, &entry.fields(), given)?,
        Others::Go => stored.replace(entry.name, &entry.fields(), given)?,
    };
    Ok(fields.complete(entry.name, &entry.fields())?)
}

/// The fields of a stored channel.
pub fn kept((channel, secrets): &Stored) -> Fields {
    Fields { config: channel.config.clone(), secrets: secrets.clone() }
}

/// A display name or an agent id, without the spaces around it.
///
/// # Errors
/// 400 when it is too long or can't be shown.
pub fn label(key: &str, text: &str) -> Result<String, Problem> {
    let text = text.trim();
    body::printable(key, text, NAME_LIMIT)?;
    Ok(text.to_owned())
}
