//! Scheduled jobs: what a user wants done when. Their runs are in [`crate::runs`].
//!
//! Here is what a job is; `rows` reads jobs, `save` writes them.

mod rows;
mod save;

use chrono::{DateTime, Utc};
use claw_schedule::{Limits, Schedule};
use claw_types::job::Options;
use claw_types::{Action, ActionType, UserId};
use serde_json::{Map, Value};
use uuid::Uuid;

pub(crate) use self::rows::find;
use crate::{Error, Result};

/// Most jobs of one user; a list shows them all.
pub const JOBS: i64 = 1_000;

/// A stored job.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Its id.
    pub id: Uuid,
    /// Whose.
    pub user_id: UserId,
    /// The name to show.
    pub name: String,
    /// What it is grouped by.
    pub label: Option<String>,
    /// Whether it is to run.
    pub enabled: bool,
    /// When, as it was sent.
    pub schedule: Map<String, Value>,
    /// `every`, `cron` or `at`.
    pub schedule_type: String,
    /// What, as it was sent.
    pub action: Map<String, Value>,
    /// The name of its [`ActionType`].
    pub action_type: String,
    /// Whether it is over after one run.
    pub one_shot: bool,
    /// The client's own note of the platform.
    pub channel_type: Option<Map<String, Value>>,
    /// The client's own.
    pub metadata: Option<Map<String, Value>>,
    /// How it runs.
    pub options: Options,
    /// From where the intervals of an `every` are counted.
    pub anchor_at: DateTime<Utc>,
    /// The next scheduled time, if there is one.
    pub next_due_at: Option<DateTime<Utc>>,
    /// Scheduled runs since the schedule was last set.
    pub runs: u64,
    /// Runs in a row that failed.
    pub failures: u32,
    /// When the first of them began, if there are any and it is known.
    pub failing_since: Option<DateTime<Utc>>,
    /// Why it was switched off without anybody asking for it.
    pub paused: Option<String>,
    /// What became of its last time, if it is off because it has no further one. Not known of a job that was over before the version that
    /// notes it.
    pub over: Option<Over>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it was last changed.
    pub updated_at: DateTime<Utc>,
}

/// What became of the last time of a job that has no further one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// It had its run.
    Ran,
    /// It was passed over, because it was too late for it.
    Missed,
    /// It was passed over, because an earlier run went on.
    Overlap,
}

/// A job as it is to be.
#[derive(Debug, Clone)]
pub struct SaveJob {
    /// The name to show.
    pub name: String,
    /// What it is grouped by.
    pub label: Option<String>,
    /// Whether it is to run; `None` keeps what is there, and a new job runs.
    pub enabled: Option<bool>,
    /// When.
    pub plan: Schedule,
    /// When, as it was sent.
    pub schedule: Map<String, Value>,
    /// What a schedule must keep to that the job does not have yet.
    pub limits: Limits,
    /// How it runs.
    pub options: Options,
    /// What.
    pub does: Action,
    /// What, as it was sent.
    pub action: Map<String, Value>,
    /// Whether it is over after one run; what runs `at` a time always is.
    pub one_shot: bool,
    /// The client's own note of the platform.
    pub channel_type: Option<Map<String, Value>>,
    /// The client's own.
    pub metadata: Option<Map<String, Value>>,
}

/// Which jobs to show; what is not set does not count.
#[derive(Debug, Clone, Copy, Default)]
pub struct JobFilter<'a> {
    /// With this label.
    pub label: Option<&'a str>,
    /// With this text in the name or the label, in whichever case.
    pub text: Option<&'a str>,
    /// Switched on, or off.
    pub enabled: Option<bool>,
    /// That do this.
    pub action_type: Option<ActionType>,
}

impl Over {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Ran, Self::Missed, Self::Overlap];

    /// As stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ran => "ran",
            Self::Missed => "missed",
            Self::Overlap => "overlap",
        }
    }

    fn read(job: Uuid, text: &str) -> Result<Self> {
        let named = Self::ALL.into_iter().find(|over| over.as_str() == text);
        named.ok_or_else(|| bad(job, "over", text))
    }
}

impl Job {
    /// Its schedule, read. Limits are for new jobs: what was stored once goes on.
    ///
    /// # Errors
    /// [`Error::BadRow`] when this version can't read it.
    pub fn plan(&self) -> Result<Schedule> {
        Schedule::parse(&self.schedule, Limits::default())
            .map_err(|_| bad(self.id, "schedule", &Value::from(self.schedule.clone()).to_string()))
    }

    /// Whether a run of it is over only when somebody says so.
    pub fn awaits_completion(&self) -> bool {
        self.options.await_completion && self.action_type == ActionType::AssistantTask.as_str()
    }
}

impl SaveJob {
    fn keeps_limits(&self) -> Result<()> {
        Schedule::parse(&self.schedule, self.limits)?;
        Ok(())
    }
}

fn bad(id: Uuid, column: &'static str, value: &str) -> Error {
    Error::BadRow { table: "cron_jobs", id: id.to_string(), column, value: value.to_owned() }
}
