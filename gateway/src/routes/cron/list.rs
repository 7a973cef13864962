//! `GET /api/users/{user}/cron/jobs`, optionally `?label=`, `?q=`, `?enabled=`, `?action_type=`.

use axum::Json;
use axum::extract::State;
use claw_store::JobFilter;
use claw_types::ActionType;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::view::JobView;
use crate::app::Shared;
use crate::body::lenient::Flag;
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
    /// Only jobs with this text in their name or label, in whichever case.
    q: Option<String>,
    /// Only jobs that are switched on, or off.
    #[param(value_type = Option<bool>)]
    enabled: Option<Flag>,
    /// Only jobs that do this.
    action_type: Option<ActionType>,
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
    let text = query::storable("q", filter.q)?;
    let filter = JobFilter {
        label: label.as_deref(),
        text: text.as_deref().map(str::trim),
        enabled: filter.enabled.map(|Flag(on)| on),
        action_type: filter.action_type,
    };
    let jobs = app.store.jobs(&user, &filter).await?;
    Ok(Json(Jobs { jobs: jobs.into_iter().map(JobView::from).collect() }))
}
