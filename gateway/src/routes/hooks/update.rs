//! `PUT /api/users/{user}/hooks/{name}`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use claw_store::{Error, Hook, HookSpec};
use serde::Deserialize;
use utoipa::ToSchema;

use super::spec;
use super::view::{AuthView, HookView};
use crate::app::{App, Shared};
use crate::auth::Principal;
use crate::body::Body;
use crate::body::lenient::{Flag, Ident, present};
use crate::error::Problem;
use crate::path::{HookParams, HookPath};
use crate::wake::Place;

/// Two people who save the same form at once are both served; more rounds than this would be a fault.
const ATTEMPTS: usize = 3;

/// What is to change. A key that is absent keeps what it names; null takes it away.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(clippy::option_option, reason = "absent and null mean different things")]
pub struct UpdateHook {
    /// How callers show that they know the secret.
    auth: Option<AuthView>,
    /// A new secret; the old one is not good any more then.
    #[schema(min_length = 16, max_length = 256, pattern = r"^[!-~]+$")]
    secret: Option<String>,
    /// Whether it takes calls.
    enabled: Option<Flag>,
    /// Which agent.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, max_length = 200)]
    agent_id: Option<Option<String>>,
    /// The channel of the chat that its events belong to.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, max_length = 64)]
    channel: Option<Option<String>>,
    /// The platform's id of the chat.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Ident>)]
    recipient: Option<Option<Ident>>,
    /// The thread or topic in it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<Ident>)]
    thread_id: Option<Option<Ident>>,
    /// The template of the text.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, max_length = 10000)]
    text_template: Option<Option<String>>,
    /// Names of metadata and their templates; replaces all of them.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<BTreeMap<String, String>>)]
    fields: Option<Option<BTreeMap<String, String>>>,
}

/// Changes parts of a hook.
///
/// # Errors
/// 400 for what makes no sense, 404 when there is none; then nothing was changed.
#[utoipa::path(
    put, path = "/api/users/{user}/hooks/{name}", tag = "hooks", operation_id = "update_hook", params(HookParams),
    request_body = UpdateHook,
    responses(
        (status = 200, description = "The hook as it is now.", body = HookView),
        (status = 404, description = "There is none."),
        (status = 409, description = "The channel is switched off, or others change the hook all the time."),
    )
)]
pub async fn handle(
    State(app): State<Shared>,
    principal: Principal,
    path: HookPath,
    body: Body<UpdateHook>,
) -> Result<Json<HookView>, Problem> {
    let given = body.value;
    if let Some(secret) = &given.secret {
        spec::check_secret(secret)?;
    }
    let actor = principal.actor();
    for _ in 0..ATTEMPTS {
        let hook = app.store.hook(&path.user, &path.name).await?;
        let wanted = merged(&app, &hook, &given).await?;
        let secret = given.secret.as_deref();
        match app.store.hook_update(&app.vault, &hook, &wanted, secret, &actor).await {
            Err(Error::Conflict) => {}
            saved => return Ok(Json(saved?.into())),
        }
    }
    Err(Problem::conflict("the hook was changed by another request at the same moment: try again"))
}

/// The hook as it is to be.
async fn merged(app: &App, hook: &Hook, given: &UpdateHook) -> Result<HookSpec, Problem> {
    let mut wanted = hook.spec.clone();
    if let Some(auth) = given.auth {
        wanted.auth = auth.into();
    }
    if let Some(Flag(enabled)) = given.enabled {
        wanted.enabled = enabled;
    }
    if let Some(agent_id) = &given.agent_id {
        wanted.agent_id = spec::agent(agent_id.as_deref())?;
    }
    if let Some(template) = &given.text_template {
        wanted.text_template = spec::template(template.clone());
    }
    if let Some(fields) = &given.fields {
        wanted.fields = fields.clone().unwrap_or_default();
    }
    spec::compile(wanted.text_template.as_deref(), &wanted.fields)?;
    // A hook whose channel is away can still be switched off: what is not changed is not looked at.
    if given.channel.is_some() || given.recipient.is_some() || given.thread_id.is_some() {
        let kept = |text: &Option<String>| text.clone().map(Ident);
        let place = Place {
            channel: given.channel.clone().unwrap_or_else(|| wanted.channel.clone()),
            recipient: given.recipient.clone().unwrap_or_else(|| kept(&wanted.recipient)),
            thread_id: given.thread_id.clone().unwrap_or_else(|| kept(&wanted.thread_id)),
        };
        let place = spec::chat(app, &hook.user_id, place).await?;
        wanted.channel = place.channel;
        wanted.recipient = spec::text(place.recipient);
        wanted.thread_id = spec::text(place.thread_id);
    }
    Ok(wanted)
}
