//! `POST /api/users/{user}/cron/preview`.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::body::{self, ScheduleBody};
use crate::app::Shared;
use crate::body::Body;
use crate::error::Problem;
use crate::path::{UserParams, UserPath};

/// Times shown when nothing is said.
const COUNT: u32 = 5;
/// Most times shown.
const MAX_COUNT: u32 = 50;

/// A schedule to try.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Preview {
    #[schema(value_type = ScheduleBody)]
    schedule: Map<String, Value>,
    /// How many times to show; 5 if not given.
    #[schema(minimum = 1, maximum = 50)]
    count: Option<u32>,
}

/// When a job with this schedule would run, if it were made now.
#[derive(Debug, Serialize, ToSchema)]
pub struct Previewed {
    runs: Vec<DateTime<Utc>>,
    /// What the schedule says, in English; absent when it can't be put into words.
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<String>,
}

/// Tells when a schedule would run, without making a job.
///
/// # Errors
/// 400 for whatever a job with this schedule would be refused for.
#[utoipa::path(
    post, path = "/api/users/{user}/cron/preview", tag = "cron", operation_id = "preview_schedule",
    params(UserParams), request_body = Preview,
    responses((status = 200, description = "The next times.", body = Previewed))
)]
pub async fn handle(
    State(app): State<Shared>,
    UserPath(_): UserPath,
    given: Body<Preview>,
) -> Result<Json<Previewed>, Problem> {
    let Preview { schedule, count } = given.value;
    let count = count.unwrap_or(COUNT);
    if !(1..=MAX_COUNT).contains(&count) {
        return Err(Problem::bad_request(format!("\"count\" must be from 1 to {MAX_COUNT}")));
    }
    let (plan, now) = (body::schedule(&schedule)?, app.clock.now());
    plan.check(now).map_err(claw_store::Error::from)?;
    let runs = plan.preview(usize::try_from(count).unwrap_or_default(), now, now);
    Ok(Json(Previewed { runs, description: plan.describe() }))
}
