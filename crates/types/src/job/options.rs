//! What a job says beside its schedule and its action: all of it may be left out.
//!
//! This is the JSON of the `cron_jobs.options` column. Checked when it is stored, by [`Options::check`]; read as it is when
//! the job is due, so that a bound which is lowered later takes nothing from a stored job. Keys that a later version added are passed
//! over: while two versions run side by side, the job still runs.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::limits::Invalid;
use crate::outbound::is_default;
use crate::preferences::MOST_FAILURES;

/// How a job runs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Options {
    /// Each run is later than its scheduled time by up to so many seconds, drawn anew for each; none if not given.
    #[serde(skip_serializing_if = "is_default")]
    #[schema(maximum = 86_400)]
    pub jitter_secs: u32,
    /// What becomes of the times that passed while nobody could run it.
    #[serde(skip_serializing_if = "is_default")]
    pub misfire: Misfire,
    /// Most times that are made up for with `"misfire": "all"`, the latest ones; 10 if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 100)]
    pub misfire_limit: Option<u32>,
    /// What becomes of a time that comes while an earlier run of the same job goes on.
    #[serde(skip_serializing_if = "is_default")]
    pub overlap: Overlap,
    /// A run that is not over after so many seconds is a `timeout`; an hour if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 604_800)]
    pub timeout_secs: Option<u32>,
    /// How often a run that failed or timed out is tried again, with growing pauses; not at all if not given.
    #[serde(skip_serializing_if = "is_default")]
    #[schema(maximum = 10)]
    pub max_retries: u32,
    /// No run is scheduled before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub starts_at: Option<DateTime<Utc>>,
    /// No run is scheduled after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ends_at: Option<DateTime<Utc>>,
    /// It is over after so many scheduled runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1)]
    pub max_runs: Option<u32>,
    /// Whether it is deleted when it has no further run, instead of switched off. Its history stays. One without a run since its schedule
    /// was set is kept, switched off.
    #[serde(skip_serializing_if = "is_default")]
    pub delete_after_run: bool,
    /// Whether a run of an `assistant_task` is over only when a *send* names it, or somebody says that it is complete.
    #[serde(skip_serializing_if = "is_default")]
    pub await_completion: bool,
    /// After how many failed runs in a row the owner is told; 0 for never, the user's setting if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 1_000)]
    pub alert_after: Option<u32>,
    /// After how many failed runs in a row it is paused; 0 for never, the user's setting if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(maximum = 1_000)]
    pub pause_after: Option<u32>,
}

/// What becomes of the times that passed while nobody could run a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Misfire {
    /// Nothing.
    Skip,
    /// One run for all of them, the latest.
    #[default]
    Once,
    /// A run for each, up to a bound.
    All,
}

/// What becomes of a time that comes while an earlier run of the same job goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Overlap {
    /// It is passed over.
    Skip,
    /// Its run begins when the earlier one is over.
    Queue,
    /// Both go on.
    #[default]
    Allow,
}

impl Options {
    /// What a run may take when the job does not say it, in seconds.
    pub const TIMEOUT_SECS: u32 = 3_600;
    /// Most times that are made up for when the job does not say it.
    pub const MISFIRE_LIMIT: u32 = 10;

    /// Checks the bounds.
    ///
    /// # Errors
    /// A sentence that names the key.
    pub fn check(&self) -> Result<(), Invalid> {
        within("jitter_secs", Some(self.jitter_secs), 0, 86_400)?;
        within("misfire_limit", self.misfire_limit, 1, 100)?;
        within("timeout_secs", self.timeout_secs, 1, 604_800)?;
        within("max_retries", Some(self.max_retries), 0, 10)?;
        within("max_runs", self.max_runs, 1, u32::MAX)?;
        within("alert_after", self.alert_after, 0, MOST_FAILURES)?;
        within("pause_after", self.pause_after, 0, MOST_FAILURES)?;
        if self.misfire_limit.is_some() && self.misfire != Misfire::All {
            return Err(Invalid::new("\"misfire_limit\" needs \"misfire\": \"all\""));
        }
        if let (Some(starts), Some(ends)) = (self.starts_at, self.ends_at)
            && ends <= starts
        {
            return Err(Invalid::new("\"ends_at\" must be after \"starts_at\""));
        }
        Ok(())
    }

    /// How long a run may take.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_secs.unwrap_or(Self::TIMEOUT_SECS).into())
    }
}

/// Checks that a number is within bounds.
///
/// # Errors
/// A sentence that names the key.
pub fn within(key: &str, given: Option<u32>, least: u32, most: u32) -> Result<(), Invalid> {
    match given {
        Some(number) if !(least..=most).contains(&number) => {
            Err(Invalid::new(format!("{key:?} must be from {least} to {most}")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_is_not_written() {
        assert_eq!(serde_json::to_string(&Options::default()).unwrap(), "{}");
        let given =
            r#"{"jitter_secs":30,"misfire":"all","misfire_limit":3,"overlap":"queue","max_retries":2}"#;
        let options: Options = serde_json::from_str(given).unwrap();
        options.check().unwrap();
        assert_eq!(serde_json::to_string(&options).unwrap(), given);
    }

    #[test]
    fn what_a_later_version_added_is_passed_over() {
        let options: Options = serde_json::from_str(r#"{"max_runs":2,"colour":"red"}"#).unwrap();
        assert_eq!(options, Options { max_runs: Some(2), ..Options::default() });
    }

    #[test]
    fn bounds_are_told_with_their_key() {
        let refused = |given: &str| serde_json::from_str::<Options>(given).unwrap().check().unwrap_err().0;
        assert_eq!(refused(r#"{"timeout_secs":0}"#), "\"timeout_secs\" must be from 1 to 604800");
        assert_eq!(refused(r#"{"misfire_limit":3}"#), "\"misfire_limit\" needs \"misfire\": \"all\"");
        let backwards = r#"{"starts_at":"2026-12-01T00:00:00Z","ends_at":"2026-11-01T00:00:00Z"}"#;
        assert_eq!(refused(backwards), "\"ends_at\" must be after \"starts_at\"");
    }
}
