//! `POST /api/users/{user}/hooks/{name}/test`.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::State;
use claw_secrets::signature::sha256;
use claw_store::{HookOutcome, NewHookDelivery, Once, When, Woken};
use claw_types::MessageId;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::receive::{excerpt, note};
use super::render::{self, Posted};
use crate::app::Shared;
use crate::body::Body;
use crate::body::lenient::Flag;
use crate::error::Problem;
use crate::idempotency::{IdempotencyKey, IdempotencyParams};
use crate::path::{HookParams, HookPath};

/// What another system might post.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TestHook {
    /// The body: any JSON; a text stands for a body that is no JSON.
    #[serde(default)]
    body: Value,
    /// Headers that the templates see.
    headers: Option<BTreeMap<String, String>>,
    /// The query string that the templates see.
    query: Option<BTreeMap<String, String>>,
    /// Whether the backend is to get it; not if not given.
    send: Option<Flag>,
}

/// What the hook makes of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct TestedHook {
    /// The text; when it is blank, such a call is skipped.
    text: String,
    /// The fields that are not empty.
    fields: BTreeMap<String, String>,
    /// Whether the backend gets it.
    sent: bool,
    /// The `webhook-id` under which it does.
    #[schema(value_type = Option<Uuid>)]
    id: Option<MessageId>,
    /// Whether the call repeats an earlier one, whose event this is.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    duplicate: bool,
}

/// Shows what a hook makes of a body and, if wanted, has the backend get it, with an `Idempotency-Key` once. A hook that is
/// switched off can be tested, too.
///
/// # Errors
/// 400 when the templates can't do with it or the hook's chat is not there any more, 404 when there is no such hook.
#[utoipa::path(
    post, path = "/api/users/{user}/hooks/{name}/test", tag = "hooks", operation_id = "test_hook",
    params(HookParams, IdempotencyParams), request_body = TestHook,
    responses(
        (status = 200, description = "What it makes of it.", body = TestedHook),
        (status = 404, description = "There is no such hook."),
        (status = 409, description = "The hook's channel is switched off."),
        (status = 422, description = "The Idempotency-Key came with another body or hook before."),
    )
)]
pub async fn handle(
    State(app): State<Shared>,
    path: HookPath,
    IdempotencyKey(key): IdempotencyKey,
    body: Body<TestHook>,
) -> Result<Json<TestedHook>, Problem> {
    let hook = app.store.hook(&path.user, &path.name).await?;
    let digest = sha256(&[hook.id.as_bytes().as_slice(), &body.digest].concat());
    let once = key.as_deref().map(|key| Once { kind: "hook.test", key, digest });
    let TestHook { body, headers, query, send } = body.value;
    let posted = Posted { body, headers: headers.unwrap_or_default(), query: query.unwrap_or_default() };
    let mapped = render::render(&hook, &posted)?;
    let (text, fields) = (mapped.text.clone(), mapped.fields.clone());
    let wanted = send.is_some_and(|Flag(send)| send) && !text.trim().is_empty();
    let mut tested = TestedHook { text, fields, sent: wanted, id: None, duplicate: false };
    if wanted {
        let event = render::event(&app, &hook, mapped, None).await?;
        let Woken { id, work, duplicate, .. } = app.store.wake(&event, When::Now, once).await?;
        if let Some(work) = &work {
            app.bus.publish_made(std::slice::from_ref(work)).await;
        }
        let excerpt = excerpt(posted.body.to_string().as_bytes());
        let outcome = if duplicate { HookOutcome::Duplicate(id) } else { HookOutcome::Accepted(id) };
        note(&app, &hook, &NewHookDelivery { genuine: true, outcome, excerpt: Some(&excerpt), error: None })
            .await;
        tested = TestedHook { id: Some(id), duplicate, ..tested };
    }
    Ok(Json(tested))
}
