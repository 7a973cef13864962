//! `POST /api/users/{user}/cron/runs/{id}/complete`: who was given a task says what became of it.

use axum::Json;
use axum::extract::State;
use claw_store::RunStatus;
use serde::Deserialize;
use utoipa::ToSchema;

use super::view::RunView;
use crate::app::Shared;
use crate::body::Body;
use crate::error::Problem;
use crate::path::{ItemParams, ItemPath};

/// Longest message, in characters.
const MESSAGE_LIMIT: usize = 1_000;

/// How a run went.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Went {
    /// What was to be done is done.
    Ok,
    /// It failed. It is tried again if its job says so.
    Error,
}

/// What became of a run.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Complete {
    status: Went,
    /// What there is to say about it: the history shows it, as `error_message` or in `metadata.message`.
    #[schema(max_length = 1_000)]
    message: Option<String>,
}

/// Ends a run that goes on, such as that of an `assistant_task` with `await_completion`. Saying the same again is no error. `ok` also ends one
/// that failed or timed out and is still to be tried again, and it is not tried again then.
///
/// # Errors
/// 404 when there is no such run, 409 when it ended otherwise; then nothing was changed.
#[utoipa::path(
    post, path = "/api/users/{user}/cron/runs/{id}/complete", tag = "cron", operation_id = "complete_run",
    params(ItemParams), request_body = Complete,
    responses(
        (status = 200, description = "The run, which is over.", body = RunView),
        (status = 404, description = "There is no such run."),
        (status = 409, description = "It ended otherwise."),
    )
)]
pub async fn handle(
    State(app): State<Shared>,
    path: ItemPath,
    body: Body<Complete>,
) -> Result<Json<RunView>, Problem> {
    let Complete { status, message } = body.value;
    let message = message.filter(|message| !message.trim().is_empty());
    if let Some(length) = message.as_ref().map(|message| message.chars().count())
        && length > MESSAGE_LIMIT
    {
        return Err(Problem::bad_request(format!(
            "\"message\" has {length} characters; at most {MESSAGE_LIMIT} are allowed"
        )));
    }
    let (said, expected) = match status {
        Went::Ok => (Ok(message.as_deref()), RunStatus::Ok),
        Went::Error => {
            let why = message.as_deref().unwrap_or("it was reported as failed, without a reason");
            (Err(why), RunStatus::Error)
        }
    };
    let completed = app.store.run_complete(&path.user, path.id, said).await?;
    if !completed.ended && completed.run.status != expected {
        let status = completed.run.status.as_str();
        return Err(Problem::conflict(format!("the run is over already, and its status is {status:?}")));
    }
    Ok(Json(completed.run.into()))
}
