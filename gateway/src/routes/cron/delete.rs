//! `DELETE /api/users/{user}/cron/jobs/{id}`.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::Shared;
use crate::auth::Principal;
use crate::error::Problem;
use crate::path::{ItemParams, ItemPath};

/// A job that is no more.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeletedJob {
    #[schema(example = "deleted")]
    status: &'static str,
    id: Uuid,
    name: String,
}

/// Deletes a job. Its runs stay in the history.
///
/// # Errors
/// 404 when it is not there.
#[utoipa::path(
    delete, path = "/api/users/{user}/cron/jobs/{id}", tag = "cron", operation_id = "delete_job", params(ItemParams),
    responses((status = 200, description = "Deleted.", body = DeletedJob), (status = 404, description = "There is none."))
)]
pub async fn handle(
    State(app): State<Shared>,
    principal: Principal,
    path: ItemPath,
) -> Result<Json<DeletedJob>, Problem> {
    let job = app.store.job_delete(&path.user, path.id, &principal.actor()).await?;
    // A body, because the client parses one.
    Ok(Json(DeletedJob { status: "deleted", id: job.id, name: job.name }))
}
