//! `GET /api/users/{user}/cron/jobs/{id}/history`.

use axum::Json;
use axum::extract::State;

use super::history::{self, Page};
use super::view::Runs;
use crate::app::Shared;
use crate::error::Problem;
use crate::path::{ItemParams, ItemPath};
use crate::query::Query;

/// Lists the runs of a job, newest first. Those of a deleted job stay known for `II_CLAW_RUN_DAYS` days (90).
///
/// # Errors
/// 400 for a page that makes no sense, 404 for a job that is not there and has no runs.
#[utoipa::path(
    get, path = "/api/users/{user}/cron/jobs/{id}/history", tag = "cron", operation_id = "list_job_runs",
    params(ItemParams, Page),
    responses(
        (status = 200, description = "A page of runs.", body = Runs),
        (status = 404, description = "There is no such job."),
    )
)]
pub async fn handle(
    State(app): State<Shared>,
    path: ItemPath,
    Query(page): Query<Page>,
) -> Result<Json<Runs>, Problem> {
    let found = history::read(&app, &path.user, Some(path.id), &page).await?;
    if found.runs.is_empty() {
        app.store.job(&path.user, path.id).await?;
    }
    Ok(Json(found))
}
