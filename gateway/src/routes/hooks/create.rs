//! `POST /api/users/{user}/hooks`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use claw_store::{Error, HookSpec};
use claw_types::HookName;
use serde::Deserialize;
use utoipa::ToSchema;

use super::spec;
use super::view::{AuthView, HookWithSecret};
use crate::app::Shared;
use crate::auth::Principal;
use crate::body::Body;
use crate::body::lenient::{Flag, Ident};
use crate::error::Problem;
use crate::idempotency::{IdempotencyKey, IdempotencyParams};
use crate::path::{UserParams, UserPath};
use crate::wake::Place;

/// A hook to make.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CreateHook {
    /// A part of its address. No two users have hooks of the same name.
    #[schema(
        min_length = 3,
        max_length = 64,
        pattern = r"^[a-z0-9][a-z0-9_-]{2,63}$",
        example = "github-claw"
    )]
    name: String,
    /// How callers show that they know the secret; `hmac` if not given.
    auth: Option<AuthView>,
    /// The secret; made by the gateway and shown once if not given.
    #[schema(min_length = 16, max_length = 256, pattern = r"^[!-~]+$")]
    secret: Option<String>,
    /// Whether it takes calls; it does if not given.
    enabled: Option<Flag>,
    /// Which agent; if not given, the one that the channel is bound to.
    #[schema(max_length = 200)]
    agent_id: Option<String>,
    /// The channel of the chat that its events belong to: its slug, or its type where the user has one of that type only.
    #[schema(max_length = 64)]
    channel: Option<String>,
    /// The platform's id of the chat; required with `channel`. The agent's answers go there.
    recipient: Option<Ident>,
    /// The thread or topic in it.
    thread_id: Option<Ident>,
    /// The template of the text; by default the body's `text`, `message` or `content`, or else all of it.
    #[schema(max_length = 10000, example = "{{ repository.name }}: {{ action }}")]
    text_template: Option<String>,
    /// Names of metadata and their templates; at most 32.
    fields: Option<BTreeMap<String, String>>,
}

/// Makes a hook: an address where another system can post its events. The answer is the only place where a secret that
/// the gateway made is ever shown.
///
/// # Errors
/// 400 for what makes no sense, 409 for a name that is taken; then nothing was made.
#[utoipa::path(
    post, path = "/api/users/{user}/hooks", tag = "hooks", operation_id = "create_hook",
    params(UserParams, IdempotencyParams), request_body = CreateHook,
    responses(
        (status = 201, description = "Made.", body = HookWithSecret),
        (status = 200, description = "Made before, under the same Idempotency-Key.", body = HookWithSecret),
        (status = 409, description = "The name is taken, the user has as many as may be, or the channel is switched off."),
        (status = 404, description = "Made before under the same Idempotency-Key, and deleted since."),
        (status = 422, description = "The Idempotency-Key came with another body before."),
    )
)]
pub async fn handle(
    State(app): State<Shared>,
    principal: Principal,
    UserPath(user): UserPath,
    IdempotencyKey(once): IdempotencyKey,
    body: Body<CreateHook>,
) -> Result<(StatusCode, Json<HookWithSecret>), Problem> {
    let (digest, given) = (body.digest, body.value);
    // Before anything that may have changed since: what was made then is made.
    if let Some(key) = &once
        && let Some(hook) = app.store.hook_made(&user, key, digest).await?
    {
        return Ok((StatusCode::OK, Json(HookWithSecret::new(hook, None, true))));
    }
    let name: HookName =
        given.name.parse().map_err(|error| Problem::bad_request(format!("\"name\": {error}")))?;
    if let Some(secret) = &given.secret {
        spec::check_secret(secret)?;
    }
    let text_template = spec::template(given.text_template);
    let fields = given.fields.unwrap_or_default();
    spec::compile(text_template.as_deref(), &fields)?;
    let place = Place { channel: given.channel, recipient: given.recipient, thread_id: given.thread_id };
    let place = spec::chat(&app, &user, place).await?;
    let wanted = HookSpec {
        enabled: given.enabled.is_none_or(|Flag(enabled)| enabled),
        auth: given.auth.unwrap_or_default().into(),
        agent_id: spec::agent(given.agent_id.as_deref())?,
        channel: place.channel,
        recipient: spec::text(place.recipient),
        thread_id: spec::text(place.thread_id),
        text_template,
        fields,
    };
    let made = given.secret.is_none().then(|| app.new_secret());
    let secret = given.secret.as_ref().or(made.as_ref()).map(String::as_str).unwrap_or_default();
    let once = once.as_deref().map(|key| (key, digest));
    let created = app
        .store
        .hook_create(&app.vault, app.ids.next(), &user, &name, &wanted, secret, &principal.actor(), once)
        .await;
    let (hook, fresh) = match created {
        Err(Error::Conflict) => {
            return Err(Problem::conflict("the name of the hook is taken: choose another"));
        }
        other => other?,
    };
    let status = if fresh { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(HookWithSecret::new(hook, made.filter(|_| fresh), !fresh))))
}
