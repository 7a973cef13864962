//! `PUT /api/users/{user}/cron/jobs/{id}/enable`.

use axum::Json;
use axum::extract::State;
use claw_store::Error;
use serde::Deserialize;
use utoipa::ToSchema;

use super::view::JobView;
use crate::app::Shared;
use crate::auth::Principal;
use crate::body::Body;
use crate::body::lenient::Flag;
use crate::error::Problem;
use crate::path::{ItemParams, ItemPath};

/// On or off.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Enable {
    /// Whether the job is to run.
    enabled: Flag,
}

/// Switches a job on or off. Times that passed while it was off are not made up for.
///
/// # Errors
/// 404 for a job that is not there, 409 when it has no time to come; then nothing was changed.
#[utoipa::path(
    put, path = "/api/users/{user}/cron/jobs/{id}/enable", tag = "cron", operation_id = "enable_job",
    params(ItemParams), request_body = Enable,
    responses(
        (status = 200, description = "The job as it is now.", body = JobView),
        (status = 404, description = "There is no such job."),
        (status = 409, description = "It can't be switched on: its schedule has no time to come."),
    )
)]
pub async fn handle(
    State(app): State<Shared>,
    principal: Principal,
    path: ItemPath,
    body: Body<Enable>,
) -> Result<Json<JobView>, Problem> {
    let Enable { enabled: Flag(on) } = body.value;
    let (actor, random) = (principal.actor(), &*app.deps.random);
    let changed = app.store.job_enable(&path.user, path.id, on, &actor, random).await;
    let job = changed.map_err(|error| match error {
        Error::Schedule(over) => Problem::conflict(format!("the job would never run: {over}")),
        other => other.into(),
    })?;
    Ok(Json(job.into()))
}
