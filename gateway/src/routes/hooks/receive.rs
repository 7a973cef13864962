//! `POST /hooks/{name}`: what other systems post. The hook's own secret is all the authentication there is.
//!
//! A name that nobody has is answered as a wrong secret is, after the same work, so that names can't be found out here. Why a call was refused is
//! noted for the hook's owner; what the caller hears tells nothing of the inside.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use bytes::Bytes;
use claw_store::{Accepted, Hook, HookAuth, HookOutcome, NewHookDelivery, chain};
use claw_types::{HookName, MessageId};
use serde::Serialize;
use tracing::warn;
use utoipa::ToSchema;

use super::genuine;
use super::render::{self, Posted};
use crate::app::{App, Shared};
use crate::auth::Throttle;
use crate::error::{Kind, Problem};
use crate::{body, intake, path};

/// As much of a body as is kept for the owner to look at, in characters.
const EXCERPT: usize = 500;
/// Verified in place of the secret of a hook that is not there, so that both are the same work.
const NOBODYS: &str = "whsec_bm9ib2R5";

/// What became of a call.
#[derive(Debug, Serialize, ToSchema)]
pub struct Received {
    /// `accepted`, or `skipped` when the hook's template printed nothing.
    #[schema(example = "accepted")]
    status: &'static str,
    /// The `webhook-id` under which the backend gets it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Uuid>)]
    id: Option<MessageId>,
    /// Whether it had come before.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    duplicate: bool,
}

/// Takes what another system posts to a user's hook. The hook's templates make a text of it, which the backend gets as a
/// signed webhook.
///
/// # Errors
/// 401 without the hook's secret, 400 when its templates can't do with the body, 409 when it is switched off or its chat
/// is gone; then nothing was accepted.
#[utoipa::path(
    post, path = "/hooks/{name}", tag = "hooks", operation_id = "receive_hook",
    params(("name" = String, Path, description = "The hook's name.", example = "github-claw")),
    request_body(content = String, description = "Whatever the other system posts; JSON or text.", content_type = "*/*"),
    responses(
        (status = 202, description = "It is stored and will reach the backend, or the hook's template is for skipping it.", body = Received),
        (status = 401, description = "There is no hook of this name, or the caller does not know its secret."),
        (status = 409, description = "The hook is switched off, or its chat is not available."),
        (status = 429, description = "Too many calls without a good secret came from this address."),
    )
)]
pub async fn handle(
    State(app): State<Shared>,
    request: Request,
) -> Result<(StatusCode, Json<Received>), Problem> {
    let (mut parts, body) = request.into_parts();
    let params = path::params(&mut parts, &()).await?;
    let name = path::segment(&params, "name").parse::<HookName>().ok();
    let body = body::read(body).await?;
    let address = app.proxies.client(&parts.headers, &parts.extensions);
    let found = match &name {
        Some(name) => {
            let _turn = app.throttle.turn(address).await?;
            app.store.hook_open(&app.vault, name).await?
        }
        None => None,
    };
    let hook = found.as_ref().map(|(hook, _)| hook);
    let secret = found.as_ref().map_or(NOBODYS, |(_, secret)| secret);
    let auth = hook.map_or(HookAuth::Hmac, |hook| hook.spec.auth);
    let checked = genuine::check(auth, secret, &parts.headers, &body, app.clock.now().timestamp());
    match (hook, checked) {
        (Some(hook), Ok(id)) => {
            let posted = Posted::new(&body, &parts.headers, parts.uri.query());
            take(&app, hook, &body, &posted, id.as_deref()).await
        }
        (hook, checked) => {
            let reason = checked.err().unwrap_or_default();
            Err(stranger(&app, hook, address, reason))
        }
    }
}

/// A call without the secret. Noting it is left to a task: a name that is there must not take longer than another.
fn stranger(app: &Shared, hook: Option<&Hook>, address: Option<IpAddr>, reason: String) -> Problem {
    if let Some(throttled) = app.throttle.exceeded(app, address, "hook") {
        return throttled;
    }
    if let Some(hook) = hook.cloned() {
        let of = Arc::clone(app);
        Throttle::note_later(app, async move {
            let (outcome, error) = (HookOutcome::Refused, Some(reason.as_str()));
            note(&of, &hook, &NewHookDelivery { genuine: false, outcome, excerpt: None, error }).await;
        });
    }
    Problem::of(
        Kind::Unauthorized,
        "there is no hook of this name with this secret: check the address and the secret",
    )
}

/// A call with the secret.
async fn take(
    app: &App,
    hook: &Hook,
    body: &Bytes,
    posted: &Posted,
    id: Option<&str>,
) -> Result<(StatusCode, Json<Received>), Problem> {
    let excerpt = excerpt(body);
    let noted = async |outcome, error: Option<&str>| {
        let delivery = NewHookDelivery { genuine: true, outcome, excerpt: Some(&excerpt), error };
        note(app, hook, &delivery).await;
    };
    let accepted = match accept(app, hook, posted, id).await {
        Ok(accepted) => accepted,
        Err(refused) => {
            if refused.is_refusal() {
                noted(HookOutcome::Refused, Some(refused.detail())).await;
            }
            return Err(refused);
        }
    };
    let outcome = match &accepted {
        None => HookOutcome::Skipped,
        Some(Accepted::New(work)) => HookOutcome::Accepted(work.id),
        Some(Accepted::Duplicate(id)) => HookOutcome::Duplicate(*id),
    };
    noted(outcome, None).await;
    let received = Received {
        status: if accepted.is_some() { "accepted" } else { "skipped" },
        id: accepted.as_ref().map(Accepted::id),
        duplicate: matches!(accepted, Some(Accepted::Duplicate(_))),
    };
    Ok((StatusCode::ACCEPTED, Json(received)))
}

/// `None` when the template printed nothing: what was posted is of no interest.
async fn accept(
    app: &App,
    hook: &Hook,
    posted: &Posted,
    id: Option<&str>,
) -> Result<Option<Accepted>, Problem> {
    if !hook.spec.enabled {
        return Err(Problem::conflict("the hook is switched off"));
    }
    let mapped = render::render(hook, posted)?;
    if mapped.text.trim().is_empty() {
        return Ok(None);
    }
    let event = render::event(app, hook, mapped, id).await.map_err(|problem| {
        // It is the hook that is to be changed, not the request.
        if problem.is_refusal() {
            Problem::conflict(format!("the chat of this hook is not available: {}", problem.detail()))
        } else {
            problem
        }
    })?;
    Ok(Some(intake::accept_one(app, event).await?))
}

/// What is noted is for people to look at; the message itself is safe without it.
pub async fn note(app: &App, hook: &Hook, delivery: &NewHookDelivery<'_>) {
    if let Err(error) = app.store.hook_delivered(hook, delivery).await {
        warn!(hook.name = %hook.name, "a call of the hook {} was not noted: {}", hook.name, chain(&error));
    }
}

/// The first characters, fit for the database.
pub fn excerpt(body: &[u8]) -> String {
    // A character has at most four bytes.
    let start = body.get(..4 * EXCERPT).unwrap_or(body);
    String::from_utf8_lossy(start).chars().filter(|c| *c != '\0').take(EXCERPT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_excerpt_is_short_and_storable() {
        assert_eq!(excerpt(b"a\0b\xff"), "ab\u{fffd}");
        assert_eq!(excerpt(&vec![b'x'; 100_000]).len(), EXCERPT);
        assert_eq!(excerpt("\u{1F600}".repeat(2_000).as_bytes()).chars().count(), EXCERPT);
    }
}
