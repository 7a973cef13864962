//! A schedule that has been read, and its runs.

use std::iter;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Map, Value};

use crate::cron::Cron;
use crate::english;
use crate::error::ScheduleError;
use crate::parse;

/// What the operator allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The shortest interval of `every`, in seconds. A `cron` runs every minute at most.
    ///
    /// It is for new jobs. Read a stored one with the default, or it is lost when the operator raises the limit.
    pub min_every_secs: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { min_every_secs: 1 }
    }
}

/// When a job runs.
#[derive(Debug, Clone, PartialEq)]
pub enum Schedule {
    /// Again and again, counted from the job's creation.
    Every {
        /// The interval in seconds, 1 to [`Schedule::MAX_EVERY_SECS`].
        every_secs: u32,
    },
    /// By the calendar.
    Cron(Box<Cron>),
    /// Once.
    At {
        /// When.
        at: DateTime<Utc>,
    },
}

impl Schedule {
    /// The longest interval of `every`: 366 days.
    pub const MAX_EVERY_SECS: u64 = 366 * 24 * 60 * 60;

    /// Reads the object that the API takes.
    ///
    /// # Errors
    /// With one sentence on the first thing that is wrong. See [`Schedule::check`] for what depends on the time.
    pub fn parse(object: &Map<String, Value>, limits: Limits) -> Result<Self, ScheduleError> {
        parse::schedule(object, limits)
    }

    /// Checks that there is a run after `now`. For new jobs: an `at` that has been done is not wrong.
    ///
    /// # Errors
    /// When `at` has passed, or `expr` never comes true.
    pub fn check(&self, now: DateTime<Utc>) -> Result<(), ScheduleError> {
        match (self, self.next_after(now, now)) {
            (_, Some(_)) | (Self::Every { .. }, None) => Ok(()),
            (Self::Cron(_), None) => Err(ScheduleError::Never),
            (Self::At { .. }, None) => Err(ScheduleError::Past),
        }
    }

    /// `schedule_type` of the API.
    pub fn schedule_type(&self) -> &'static str {
        match self {
            Self::Every { .. } => "every",
            Self::Cron(_) => "cron",
            Self::At { .. } => "at",
        }
    }

    /// The first run strictly after `after`, of a job made at `anchor`; `None` when there is none any more.
    ///
    /// The runs of `every` are `anchor + k * every_secs` with k from 1, so that neither a late run nor a new leader
    /// shifts them. `anchor` means nothing to the other kinds.
    pub fn next_after(&self, after: DateTime<Utc>, anchor: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::Every { every_secs } => next_multiple(i64::from(*every_secs), after, anchor),
            Self::Cron(cron) => cron.next_after(after),
            Self::At { at } => Some(*at).filter(|at| *at > after),
        }
    }

    /// The next runs after `after`, at most `n`.
    pub fn preview(&self, n: usize, after: DateTime<Utc>, anchor: DateTime<Utc>) -> Vec<DateTime<Utc>> {
        iter::successors(self.next_after(after, anchor), |run| self.next_after(*run, anchor))
            .take(n)
            .collect()
    }

    /// What the schedule says, in English, for a person to read: no full stop at the end.
    pub fn describe(&self) -> String {
        match self {
            Self::Every { every_secs } => english::every(*every_secs),
            Self::Cron(cron) => cron.describe(),
            Self::At { at } => english::at(*at),
        }
    }
}

fn next_multiple(every: i64, after: DateTime<Utc>, anchor: DateTime<Utc>) -> Option<DateTime<Utc>> {
    // Whole seconds will do: k * every > d and k * every > floor(d) are the same for whole k * every.
    let elapsed = (after - anchor).num_seconds().max(0);
    let seconds = (elapsed / every + 1).checked_mul(every)?;
    anchor.checked_add_signed(TimeDelta::try_seconds(seconds)?)
}
