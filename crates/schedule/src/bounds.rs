//! The bounds that a job may put on its schedule.
//!
//! Whoever asks for a job's next time asks here: the API that stores it, the preview that shows it and the leader that
//! moves on to it. So all of them agree on when a job is over.

use chrono::{DateTime, SubsecRound as _, TimeDelta, Utc};

use crate::error::ScheduleError;
use crate::schedule::Schedule;

/// From when to when a schedule counts, and how often.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bounds {
    /// No run is before. An `every` is counted from here, and its first run is at this very time.
    pub starts_at: Option<DateTime<Utc>>,
    /// No run is after.
    pub ends_at: Option<DateTime<Utc>>,
    /// No more runs than these.
    pub max_runs: Option<u32>,
}

impl Bounds {
    /// The first run strictly after `after`, of a job made at `anchor` that has had `runs`; `None` when there is none any
    /// more. Without bounds it is [`Schedule::next_after`].
    pub fn next_after(
        &self,
        schedule: &Schedule,
        after: DateTime<Utc>,
        anchor: DateTime<Utc>,
        runs: u64,
    ) -> Option<DateTime<Utc>> {
        if self.spent(runs).is_some() {
            return None;
        }
        let next = match self.starts_at {
            None => schedule.next_after(after, anchor),
            Some(starts_at) => from(schedule, starts_at, after),
        };
        next.filter(|run| self.ends_at.is_none_or(|ends_at| *run <= ends_at))
    }

    /// Checks that a job which has had `runs` has one after `now`.
    ///
    /// # Errors
    /// When the schedule itself has none, or none that is within the bounds.
    pub fn check(&self, schedule: &Schedule, now: DateTime<Utc>, runs: u64) -> Result<(), ScheduleError> {
        schedule.check(now)?;
        if let Some(max_runs) = self.spent(runs) {
            return Err(ScheduleError::Spent(max_runs));
        }
        if self.ends_at.is_some_and(|ends_at| ends_at <= now) {
            return Err(ScheduleError::Ended);
        }
        match self.next_after(schedule, now, now, runs) {
            Some(_) => Ok(()),
            None => Err(ScheduleError::Outside),
        }
    }

    /// The next runs after `now` of a job that is made now, at most `n`.
    pub fn preview(&self, schedule: &Schedule, n: usize, now: DateTime<Utc>) -> Vec<DateTime<Utc>> {
        let mut runs = Vec::new();
        let mut after = now;
        for had in (0_u64..).take(n) {
            let Some(run) = self.next_after(schedule, after, now, had) else { break };
            runs.push(run);
            after = run;
        }
        runs
    }

    fn spent(&self, runs: u64) -> Option<u32> {
        self.max_runs.filter(|most| runs >= u64::from(*most))
    }
}

/// The first run after `after` that is not before `starts_at`.
fn from(schedule: &Schedule, starts_at: DateTime<Utc>, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
    // As exact as PostgreSQL keeps the times that come of it.
    let starts_at = starts_at.trunc_subsecs(6);
    let just_before = starts_at.checked_sub_signed(TimeDelta::microseconds(1))?;
    let anchor = match schedule {
        Schedule::Every { every_secs } => {
            starts_at.checked_sub_signed(TimeDelta::seconds(i64::from(*every_secs)))?
        }
        Schedule::Cron(_) | Schedule::At { .. } => starts_at,
    };
    schedule.next_after(after.max(just_before), anchor)
}
