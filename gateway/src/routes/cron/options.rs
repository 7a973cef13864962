//! What a job's caller may say beside the schedule and the action.

use chrono::{DateTime, Utc};
use claw_types::job::{Action, Options};

use super::body::JobBody;
use crate::body::lenient::Flag;
use crate::error::Problem;
use crate::routes::messages::filter;

/// Reads the options of a job that does this; what is absent is the default.
///
/// # Errors
/// 400 naming the key that is wrong.
pub fn read(body: &JobBody, does: &Action) -> Result<Options, Problem> {
    let is = |flag: Option<Flag>| flag.is_some_and(|Flag(set)| set);
    let options = Options {
        jitter_secs: body.jitter_secs.unwrap_or_default(),
        misfire: body.misfire.unwrap_or_default(),
        misfire_limit: body.misfire_limit,
        overlap: body.overlap.unwrap_or_default(),
        timeout_secs: body.timeout_secs,
        max_retries: body.max_retries.unwrap_or_default(),
        starts_at: time("starts_at", body.starts_at.as_deref())?,
        ends_at: time("ends_at", body.ends_at.as_deref())?,
        max_runs: body.max_runs,
        delete_after_run: is(body.delete_after_run),
        await_completion: is(body.await_completion),
        alert_after: body.alert_after,
        pause_after: body.pause_after,
    };
    options.check()?;
    if options.await_completion && !matches!(does, Action::Task(_)) {
        return Err(Problem::bad_request(
            "\"await_completion\" is for an \"assistant_task\" only: whatever else a job does is over when it is done",
        ));
    }
    Ok(options)
}

/// A time of a body.
///
/// # Errors
/// 400.
pub fn time(key: &str, given: Option<&str>) -> Result<Option<DateTime<Utc>>, Problem> {
    let Some(text) = given else { return Ok(None) };
    let Ok(time) = DateTime::parse_from_rfc3339(text.trim()) else {
        return Err(Problem::bad_request(format!(
            "{key:?} must be a time with its offset like \"2026-12-01T09:00:00Z\" (RFC 3339)"
        )));
    };
    filter::within(key, time.to_utc()).map(Some)
}
