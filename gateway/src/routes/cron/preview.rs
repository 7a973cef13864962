//! `POST /api/users/{user}/cron/preview`.

use axum::Json;
use axum::extract::State;
use chrono::{DateTime, TimeDelta, Utc};
use claw_schedule::Schedule;
use claw_store::due;
use claw_types::job::Options;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::options;
use super::schedule::{self, ScheduleBody};
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
    /// As in a job.
    #[schema(format = DateTime)]
    starts_at: Option<String>,
    /// As in a job.
    #[schema(format = DateTime)]
    ends_at: Option<String>,
    /// As in a job.
    #[schema(minimum = 1)]
    max_runs: Option<u32>,
    /// As in a job.
    #[schema(maximum = 86_400)]
    jitter_secs: Option<u32>,
}

/// When a job with this schedule would run, if it were made now.
#[derive(Debug, Serialize, ToSchema)]
pub struct Previewed {
    /// The scheduled times.
    runs: Vec<DateTime<Utc>>,
    /// Until when each of them begins at the latest, by its jitter; absent without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    latest: Option<Vec<DateTime<Utc>>>,
    /// What the schedule says, in English.
    description: String,
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
    let given = given.value;
    let count = given.count.unwrap_or(COUNT);
    if !(1..=MAX_COUNT).contains(&count) {
        return Err(Problem::bad_request(format!("\"count\" must be from 1 to {MAX_COUNT}")));
    }
    let options = given.options()?;
    let (limits, now) = (app.job_limits, app.clock.now());
    schedule::read(&given.schedule, limits)?;
    let plan = Schedule::parse(&given.schedule, limits).map_err(claw_store::Error::from)?;
    let bounds = due::bounds(&options);
    bounds.check(&plan, now, 0).map_err(claw_store::Error::from)?;
    due::check_jitter(&plan, &options, now).map_err(claw_store::Error::from)?;
    let runs = bounds.preview(&plan, usize::try_from(count).unwrap_or_default(), now);
    let jitter = TimeDelta::seconds(options.jitter_secs.into());
    let latest = (options.jitter_secs > 0).then(|| runs.iter().map(|run| *run + jitter).collect());
    Ok(Json(Previewed { runs, latest, description: plan.describe() }))
}

impl Preview {
    fn options(&self) -> Result<Options, Problem> {
        let options = Options {
            starts_at: options::time("starts_at", self.starts_at.as_deref())?,
            ends_at: options::time("ends_at", self.ends_at.as_deref())?,
            max_runs: self.max_runs,
            jitter_secs: self.jitter_secs.unwrap_or_default(),
            ..Options::default()
        };
        options.check()?;
        Ok(options)
    }
}
