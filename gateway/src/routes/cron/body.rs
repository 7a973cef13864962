//! A job as its caller sends it, checked.
//!
//! What is checked here is form. Whether a schedule has a time to come and a channel is there is asked where the job is
//! stored.

use claw_schedule::Limits;
use claw_store::SaveJob;
use claw_types::job::{Misfire, Overlap};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::action::{self, ActionBody};
use super::options;
use super::schedule::{self, ScheduleBody};
use crate::body;
use crate::body::lenient::Flag;
use crate::error::Problem;

/// Longest name and label, in characters.
pub const NAME_LIMIT: usize = 200;
/// Largest schedule and `channel_type`, in bytes of JSON.
pub const SMALL: usize = 4_096;
/// Largest `metadata`, of a job and of what it wakes an agent with, in bytes of JSON: a list shows all of a user's jobs at once.
pub const METADATA: usize = 16_384;

/// A job. All of it counts: what is absent is none.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JobBody {
    /// The name to show.
    #[schema(min_length = 1, max_length = 200)]
    name: String,
    /// What it is grouped by; the list can be filtered by it.
    #[schema(max_length = 200)]
    label: Option<String>,
    /// When it runs.
    #[schema(value_type = ScheduleBody)]
    schedule: Map<String, Value>,
    /// What it does.
    #[schema(value_type = ActionBody)]
    action: Map<String, Value>,
    /// Whether it is over after one run; one `at` a time always is. Not, if not given.
    one_shot: Option<Flag>,
    /// Whether it is to run. If not given, a new job is, and another stays as it is; one that was over is switched on by another
    /// schedule.
    enabled: Option<Flag>,
    /// Your own note of the platform, such as `{"platform": "chat"}`; shown again and not used.
    #[schema(value_type = Option<Object>)]
    channel_type: Option<Map<String, Value>>,
    /// Your own; shown again and not used.
    #[schema(value_type = Option<Object>)]
    metadata: Option<Map<String, Value>>,
    /// Each run is later than its scheduled time by up to so many seconds, drawn anew for each; none if not given. Less than the
    /// shortest time between two of the next runs.
    #[schema(maximum = 86_400)]
    pub(super) jitter_secs: Option<u32>,
    /// What becomes of the times that passed while nobody could run it: nothing (`skip`), one run for all of them
    /// (`once`) or one for each (`all`); `once` if not given.
    pub(super) misfire: Option<Misfire>,
    /// Most times that are made up for with `"misfire": "all"`, the latest ones; 10 if not given.
    #[schema(minimum = 1, maximum = 100)]
    pub(super) misfire_limit: Option<u32>,
    /// What becomes of a time that comes while an earlier run goes on: it is passed over (`skip`), waits (`queue`) or
    /// runs beside it (`allow`); `allow` if not given.
    pub(super) overlap: Option<Overlap>,
    /// A run that is not over after so many seconds is a `timeout`; an hour if not given.
    #[schema(minimum = 1, maximum = 604_800)]
    pub(super) timeout_secs: Option<u32>,
    /// How often a run that failed or timed out is tried again, with growing pauses; not at all if not given.
    #[schema(maximum = 10)]
    pub(super) max_retries: Option<u32>,
    /// No run is scheduled before. An `every` is counted from here.
    #[schema(format = DateTime)]
    pub(super) starts_at: Option<String>,
    /// No run is scheduled after.
    #[schema(format = DateTime)]
    pub(super) ends_at: Option<String>,
    /// It is over after so many scheduled runs.
    #[schema(minimum = 1)]
    pub(super) max_runs: Option<u32>,
    /// Whether it is deleted when it has no further run, instead of switched off. Its history stays. One without a run since its schedule
    /// was set is kept, switched off.
    pub(super) delete_after_run: Option<Flag>,
    /// Whether a run of an `assistant_task` is over only when a *send* names it, or somebody says that it is complete.
    pub(super) await_completion: Option<Flag>,
    /// After how many failed runs in a row the owner is told; 0 for never. The user's setting if not given.
    #[schema(maximum = 1_000)]
    pub(super) alert_after: Option<u32>,
    /// After how many failed runs in a row it is paused: switched off until somebody switches it on; 0 for never. The user's
    /// setting if not given.
    #[schema(maximum = 1_000)]
    pub(super) pause_after: Option<u32>,
}

impl JobBody {
    /// Checks it. `limits` are for a schedule that the job does not have yet.
    ///
    /// # Errors
    /// 400 naming the key that is wrong or missing.
    pub fn checked(self, limits: Limits) -> Result<SaveJob, Problem> {
        let name = self.name.trim().to_owned();
        body::printable("name", &name, NAME_LIMIT)?;
        if name.is_empty() {
            return Err(Problem::bad_request("\"name\" is empty: say what the job is for"));
        }
        let plan = schedule::read(&self.schedule, limits)?;
        let does = action::read(&self.action)?;
        let options = options::read(&self, &does)?;
        let label = self.label.filter(|label| !label.trim().is_empty());
        if let Some(label) = &label {
            body::printable("label", label, NAME_LIMIT)?;
        }
        bounded("channel_type", self.channel_type.as_ref(), SMALL)?;
        bounded("metadata", self.metadata.as_ref(), METADATA)?;
        Ok(SaveJob {
            name,
            label,
            enabled: self.enabled.map(|Flag(on)| on),
            plan,
            schedule: self.schedule,
            limits,
            options,
            does,
            action: self.action,
            one_shot: self.one_shot.is_some_and(|Flag(once)| once),
            channel_type: self.channel_type,
            metadata: self.metadata,
        })
    }
}

/// Refuses an object that is too large.
///
/// # Errors
/// 400 naming the key.
pub fn bounded(key: &str, given: Option<&Map<String, Value>>, limit: usize) -> Result<(), Problem> {
    let Some(map) = given else { return Ok(()) };
    let bytes = serde_json::to_string(map)?.len();
    if bytes > limit {
        return Err(Problem::bad_request(format!(
            "{key:?} has {bytes} bytes of JSON; at most {limit} are allowed"
        )));
    }
    Ok(())
}
