//! `GET /api/users/{user}/cron/jobs`, optionally `?label=`.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::view::JobView;
use crate::app::Shared;
use crate::error::Problem;
use crate::path::{UserParams, UserPath};
use crate::query::{self, Query};

/// What to show.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Filter {
    /// Only jobs with this label.
    label: Option<String>,
}

/// A user's jobs, oldest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct Jobs {
    jobs: Vec<JobView>,
}

/// Lists a user's jobs, oldest first: all of them, there are at most 1,000.
///
/// # Errors
/// 400 for a filter that makes no sense.
#[utoipa::path(
    get, path = "/api/users/{user}/cron/jobs", tag = "cron", operation_id = "list_jobs", params(UserParams, Filter),
    responses((status = 200, description = "The jobs.", body = Jobs))
)]
pub async fn handle(
    State(app): State<Shared>,
    UserPath(user): UserPath,
    Query(filter): Query<Filter>,
) -> Result<Json<Jobs>, Problem> {
    let label = query::storable("label", filter.label)?;
    let jobs = app.store.jobs(&user, label.as_deref()).await?;
    Ok(Json(Jobs { jobs: jobs.into_iter().map(JobView::from).collect() }))
}
