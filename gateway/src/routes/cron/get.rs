//! `GET /api/users/{user}/cron/jobs/{id}`.

use axum::Json;
use axum::extract::State;

use super::view::JobView;
use crate::app::Shared;
use crate::error::Problem;
use crate::path::{ItemParams, ItemPath};

/// Shows a job.
///
/// # Errors
/// 404 when it is not there.
#[utoipa::path(
    get, path = "/api/users/{user}/cron/jobs/{id}", tag = "cron", operation_id = "get_job", params(ItemParams),
    responses((status = 200, description = "The job.", body = JobView), (status = 404, description = "There is none."))
)]
pub async fn handle(State(app): State<Shared>, path: ItemPath) -> Result<Json<JobView>, Problem> {
    Ok(Json(app.store.job(&path.user, path.id).await?.into()))
}
