//! A cron expression in its time zone.
//!
//! The calendar of [`crate::calendar`] knows what the clock on the wall should show; what happens when that clock is
//! changed is decided here. The rule is the one of Vixie cron and people's expectation: a job that names its hours
//! has each run once a day. A time that the clocks jump over is done when they have jumped, a time that comes twice
//! the first time. A job for every hour or every few (`*`, `*/2`) follows the clock on the wall: no run in the
//! hour that is not there, and one in each of the two that are called the same.

use std::ops::Range;

use chrono::{DateTime, Datelike, MappedLocalTime, NaiveDateTime, SubsecRound, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

use crate::calendar::Calendar;
use crate::error::ScheduleError;
use crate::wall::{behind_gap, first_instant, first_second};
use crate::{english, fields, zone};

/// The longest expression. The longest that makes sense, every field listed in full, is shorter.
const MAX_LEN: usize = 512;

/// The years that are looked at: zones know nothing of others, and chrono can't turn its own last instants into local
/// time.
const YEARS: Range<i32> = 1900..5000;

/// A cron expression in its time zone. Two are equal when they mean the same, however they are written.
#[derive(Debug, Clone)]
pub struct Cron {
    expr: String,
    calendar: Calendar,
    tz: Tz,
}

impl PartialEq for Cron {
    fn eq(&self, other: &Self) -> bool {
        (&self.calendar, self.tz) == (&other.calendar, other.tz)
    }
}

impl Cron {
    /// Reads an expression of five fields, or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`, `@annually`.
    /// Without a zone (an empty text) it is in UTC.
    ///
    /// # Errors
    /// With one sentence on the first thing that is wrong.
    pub fn parse(expr: &str, tz: &str) -> Result<Self, ScheduleError> {
        let expr = expr.trim().to_uppercase();
        if expr.len() > MAX_LEN {
            return Err(ScheduleError::Long { max: MAX_LEN });
        }
        Ok(Self { calendar: fields::read(&expr)?, tz: zone::read(tz)?, expr })
    }

    /// The expression, in upper case.
    pub fn expr(&self) -> &str {
        &self.expr
    }

    /// The zone's name.
    pub fn tz(&self) -> &'static str {
        self.tz.name()
    }

    /// What the expression says, in English.
    pub fn describe(&self) -> String {
        english::cron(&self.calendar, self.tz)
    }

    pub(crate) fn next_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        // Runs are at whole seconds, so the first after the whole second is the first after its fraction too.
        let after = Some(after.trunc_subsecs(0)).filter(|time| YEARS.contains(&time.year()))?;
        if self.calendar.every_hour { self.next_shown(after) } else { self.next_of_day(after) }
    }

    /// For named hours: the first time of a day whose instant is after this one.
    fn next_of_day(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut wall = self.wall(after);
        loop {
            wall = self.calendar.next_after(wall)?;
            // Not after: a time of the hour that comes twice, already done when it came first.
            if let Some(run) = first_instant(self.tz, wall).filter(|run| *run > after) {
                return Some(run);
            }
        }
    }

    /// For every hour: the first instant after this one at which the clock on the wall shows a time.
    fn next_shown(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let run = self.shown_after(self.wall(after), after)?;
        let Some(change) = self.end_of_first_pass(after) else { return Some(run) };
        // The clock will be put back, and times before this one shown again, perhaps before that run.
        let before = change - TimeDelta::seconds(1);
        let again = self.wall(change) - TimeDelta::seconds(1);
        self.shown_after(again, before).map(|second| run.min(second))
    }

    fn shown_after(&self, mut wall: NaiveDateTime, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        loop {
            wall = self.calendar.next_after(wall)?;
            let shown = self.tz.from_local_datetime(&wall);
            if shown == MappedLocalTime::None {
                // Not shown at all: go on behind the gap, whose end may be a time of the calendar.
                wall = behind_gap(self.tz, wall)? - TimeDelta::seconds(1);
            }
            let runs = [shown.earliest(), shown.latest()].into_iter().flatten();
            if let Some(run) = runs.map(|run| run.to_utc()).find(|run| *run > after) {
                return Some(run);
            }
        }
    }

    fn wall(&self, instant: DateTime<Utc>) -> NaiveDateTime {
        instant.with_timezone(&self.tz).naive_local()
    }

    /// When `instant` lies in an hour that comes twice, and before the clock is put back: when that happens.
    fn end_of_first_pass(&self, instant: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let shown = self.tz.from_local_datetime(&self.wall(instant));
        let MappedLocalTime::Ambiguous(first, _) = shown else { return None };
        let offset =
            |instant: DateTime<Utc>| instant.with_timezone(&self.tz).naive_local() - instant.naive_utc();
        let changed = |later| offset(instant + later) != offset(instant);
        (first == instant).then(|| first_second(changed)).flatten().map(|later| instant + later)
    }
}
