//! `GET /api/users/{user}/cron/history`.

use axum::Json;
use axum::extract::State;
use claw_types::UserId;
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use super::view::{RunView, Runs};
use crate::app::{App, Shared};
use crate::error::Problem;
use crate::path::{UserParams, UserPath};
use crate::query::{self, Query};

/// Which page.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// Runs of a page.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<i64>,
}

/// Lists the runs of all of a user's jobs, deleted ones too, newest first. They are kept for `II_CLAW_RUN_DAYS` days (90).
///
/// # Errors
/// 400 for a page that makes no sense.
#[utoipa::path(
    get, path = "/api/users/{user}/cron/history", tag = "cron", operation_id = "list_runs", params(UserParams, Page),
    responses((status = 200, description = "A page of runs.", body = Runs))
)]
pub async fn handle(
    State(app): State<Shared>,
    UserPath(user): UserPath,
    Query(page): Query<Page>,
) -> Result<Json<Runs>, Problem> {
    Ok(Json(read(&app, &user, None, &page).await?))
}

/// A page of the runs of one job or of all.
///
/// # Errors
/// 400 for a page that makes no sense.
pub async fn read(app: &App, user: &UserId, job: Option<Uuid>, page: &Page) -> Result<Runs, Problem> {
    let limit = query::limit(page.limit)?;
    let found = app.store.runs(user, job, page.cursor, limit + 1).await?;
    let (runs, next_cursor) = query::page(found, limit, |run| run.seq);
    Ok(Runs { runs: runs.into_iter().map(RunView::from).collect(), next_cursor })
}
