//! `PUT /api/users/{user}/cron/jobs/{id}`.

use axum::Json;
use axum::extract::State;

use super::action;
use super::body::JobBody;
use super::view::JobView;
use crate::app::Shared;
use crate::auth::Principal;
use crate::body::Body;
use crate::error::Problem;
use crate::path::{ItemParams, ItemPath};

/// Replaces all of a job. A channel that the job did not name before must be there, a URL that it did not call before must be one
/// that may be called; a new schedule must have a time to come. A job whose schedule and bounds mean the same keeps its next time, even one
/// that has come and whose run has not begun.
///
/// # Errors
/// 400 for what makes no sense, 404 for a job that is not there; then nothing was changed.
#[utoipa::path(
    put, path = "/api/users/{user}/cron/jobs/{id}", tag = "cron", operation_id = "replace_job", params(ItemParams),
    request_body = JobBody,
    responses(
        (status = 200, description = "The job as it is now.", body = JobView),
        (status = 404, description = "There is no such job."),
    )
)]
pub async fn handle(
    State(app): State<Shared>,
    principal: Principal,
    path: ItemPath,
    body: Body<JobBody>,
) -> Result<Json<JobView>, Problem> {
    let save = body.value.checked(app.job_limits)?;
    let before = app.store.job(&path.user, path.id).await?;
    action::callable(&app, &save.does, Some(&before.action)).await?;
    let (actor, random) = (principal.actor(), &*app.deps.random);
    let job = app.store.job_replace(&path.user, path.id, &save, &actor, random).await;
    match job {
        Ok(job) => Ok(Json(job.into())),
        Err(error) => Err(action::refused(&app, &path.user, error).await),
    }
}
