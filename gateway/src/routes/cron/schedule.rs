//! A job's schedule as its caller sends it.

use claw_schedule::{Limits, Schedule};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{OneOfBuilder, RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::body::{SMALL, bounded};
use crate::error::Problem;

/// Reads a schedule. What is shorter than the operator allows reads all the same: a stored one may be.
///
/// # Errors
/// 400 saying what is wrong with it.
pub fn read(given: &Map<String, Value>, limits: Limits) -> Result<Schedule, Problem> {
    // White space around a time does not count, so there could be a lot of it.
    bounded("schedule", Some(given), SMALL)?;
    let read = Schedule::parse(given, Limits::default());
    // What no limit allows is told with the one that counts.
    read.or_else(|_| Schedule::parse(given, limits)).map_err(|error| Problem::bad_request(error.to_string()))
}

/// When a job runs.
#[derive(Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(as = Schedule)]
#[expect(dead_code, reason = "only its description is used")]
pub enum ScheduleBody {
    /// Again and again.
    Every(EverySchedule),
    /// By the calendar.
    Cron(CronSchedule),
    /// Once.
    At(AtSchedule),
}

/// Again and again, counted from when the schedule was set.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its description is used")]
pub struct EverySchedule {
    r#type: EveryTag,
    /// The interval.
    every_secs: Seconds,
}

/// By the calendar.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its description is used")]
pub struct CronSchedule {
    r#type: CronTag,
    /// Minute, hour, day of month, month, day of week (0 and 7 are Sunday).
    #[schema(example = "0 9 * * 1-5", max_length = 512)]
    expr: String,
    /// The time zone that `expr` is in; UTC if not given.
    #[schema(example = "Europe/Berlin")]
    tz: Option<String>,
}

/// Once.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "only its description is used")]
pub struct AtSchedule {
    r#type: AtTag,
    /// When; in the future.
    #[schema(format = DateTime)]
    at: String,
}

/// Always `every`.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum EveryTag {
    Every,
}

/// Always `cron`.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum CronTag {
    Cron,
}

/// Always `at`.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum AtTag {
    At,
}

/// A whole number of seconds, or its digits.
#[derive(Deserialize)]
struct Seconds;

impl PartialSchema for Seconds {
    fn schema() -> RefOr<Schema> {
        let (least, most) = (Some(1), Some(Schedule::MAX_EVERY_SECS));
        let number = ObjectBuilder::new().schema_type(Type::Integer).minimum(least).maximum(most).build();
        let digits = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[0-9]+$")).build();
        Schema::OneOf(OneOfBuilder::new().item(number).item(digits).build()).into()
    }
}

impl ToSchema for Seconds {}
