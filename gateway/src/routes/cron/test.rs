//! `POST /api/users/{user}/cron/jobs/{id}/test`: runs a job now.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use claw_secrets::signature::sha256;
use claw_store::{Actor, Begun, Job, Once};
use serde::Serialize;
use tokio::sync::oneshot;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::{App, Shared};
use crate::auth::Principal;
use crate::error::Problem;
use crate::idempotency::{IdempotencyKey, IdempotencyParams};
use crate::path::{ItemParams, ItemPath};
use crate::perform::{self, Outcome};

/// What a run may take beside the wait for its delivery, before nobody is believed to be at it any more: until it has made its message.
const SLACK_SECONDS: f64 = 30.0;

/// What became of it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CronTest)]
pub struct Tested {
    /// `ok`: the message is sent, or safely on its way (then the run is still `running`). `error`: it was refused.
    #[schema(example = "ok")]
    status: &'static str,
    /// The job's.
    id: Uuid,
    name: String,
    action_type: String,
    /// How far it got.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    /// Whether the job runs by itself, too.
    enabled: bool,
    /// The run in the history.
    run_id: Uuid,
    /// The message that it made; absent when there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<Uuid>,
    /// Whether the call repeats an earlier one, whose run this is.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    duplicate: bool,
}

/// Runs a job now, whether it is switched on or not, and tells what became of it: the message really goes to the
/// person, the task or the wake-up to the agent, the webhook to its URL. The run is in the history with `"metadata": {"test": true}`. A call that is repeated with its
/// `Idempotency-Key` is the same run. A message that is still on its way ends the run when it is handed over. With
/// `await_completion` the run goes on until somebody says that it is complete.
///
/// # Errors
/// 404 for a job that is not there. A run that fails is no error of this call.
#[utoipa::path(
    post, path = "/api/users/{user}/cron/jobs/{id}/test", tag = "cron", operation_id = "test_job",
    params(ItemParams, IdempotencyParams),
    responses(
        (status = 200, description = "It was run, now or by an earlier call with the same Idempotency-Key.", body = Tested),
        (status = 404, description = "There is no such job."),
        (status = 422, description = "The Idempotency-Key came with another job before."),
    )
)]
pub async fn handle(
    State(app): State<Shared>,
    principal: Principal,
    path: ItemPath,
    IdempotencyKey(once): IdempotencyKey,
) -> Result<Json<Tested>, Problem> {
    let (tell, told) = oneshot::channel();
    let (this, actor) = (Arc::clone(&app), principal.actor());
    // In a task of its own: a caller that goes away does not leave a run without its end.
    app.lifecycle.spawn("test of a job", async move {
        // Nobody listens when the caller is gone.
        drop(tell.send(run(&this, &path, &actor, once.as_deref()).await));
    });
    // Not told: the process is being stopped the hard way.
    told.await.map_err(|_| Problem::unavailable())?.map(Json)
}

async fn run(app: &App, path: &ItemPath, actor: &Actor, key: Option<&str>) -> Result<Tested, Problem> {
    let seconds = app.send_wait.as_secs_f64() + SLACK_SECONDS;
    // There is no body: what is asked for is in the path.
    let once = key.map(|key| Once { kind: "job.test", key, digest: sha256(path.id.as_bytes()) });
    let begun = app.store.run_test(&path.user, path.id, app.ids.next(), seconds, actor, once).await?;
    let before = if begun.duplicate { app.store.run(&path.user, begun.run).await? } else { None };
    if let Some(before) = before
        && let Some(outcome) = perform::done(app, &path.user, before).await?
    {
        return Ok(tested(begun, outcome));
    }
    // Also when an earlier call is still at it, or died on the way: the same run makes one message.
    let outcome = perform::perform(app, &begun.job, begun.run).await;
    match &outcome.said {
        // It ends with its message.
        _ if outcome.waits => {}
        // It is over when somebody says so.
        Ok(_) if begun.job.awaits_completion() => {
            app.store.run_handed(&path.user, begun.run, outcome.message).await?;
        }
        said => {
            let error = said.as_ref().err().map(String::as_str);
            app.store.run_finish(&path.user, begun.run, outcome.message, error).await?;
        }
    }
    Ok(tested(begun, outcome))
}

fn tested(begun: Begun, outcome: Outcome) -> Tested {
    let Begun { job, run: run_id, duplicate } = begun;
    let Job { id, name, action_type, enabled, .. } = job;
    let message_id = outcome.message.map(|message| message.0);
    let (status, message, error) = match outcome.said {
        Ok(message) => ("ok", Some(message), None),
        Err(error) => ("error", None, Some(error)),
    };
    Tested { status, id, name, action_type, message, error, enabled, run_id, message_id, duplicate }
}
