//! A cron expression in its time zone.
//!
//! croner knows the calendar. What happens when clocks change is decided here for schedules that name their hours,
//! because croner does so only for one single time of day: of `0 2,14 * * *` it skips a run in spring, and makes one
//! too many in autumn. The rule is the one of Vixie cron and people's expectation: a job that names its hours has
//! each run once a day. A time that the clocks jump over is done when they have jumped, a time that comes twice the
//! first time. A job for every hour or every few (`*`, `*/2`) follows the clock on the wall: no run in the
//! hour that is not there, and one in each of the two that are called the same.

use chrono::{DateTime, Datelike, MappedLocalTime, NaiveDateTime, SubsecRound, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use croner::parser::{CronParser, Seconds, Year};

use crate::error::ScheduleError;
use crate::fields;

/// The longest expression. The longest that makes sense, every field listed in full, is shorter.
const MAX_LEN: usize = 512;

/// Samoa once left out a whole day; no clock ever jumped further.
const LONGEST_GAP_MINUTES: i64 = 25 * 60;

/// A cron expression in its time zone.
#[derive(Debug, Clone, PartialEq)]
pub struct Cron {
    pattern: croner::Cron,
    tz: Tz,
    names_hours: bool,
}

impl Cron {
    /// Reads an expression of five fields, or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`, `@annually`.
    /// Without a zone (an empty text) it is in UTC.
    ///
    /// # Errors
    /// With one sentence on the first thing that is wrong.
    pub fn parse(expr: &str, tz: &str) -> Result<Self, ScheduleError> {
        let upper = expr.trim().to_uppercase();
        if upper.len() > MAX_LEN {
            return Err(ScheduleError::Expr(format!("it has more than {MAX_LEN} characters")));
        }
        fields::check(&upper)?;
        let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
        let pattern = parser.parse(&upper).map_err(|error| ScheduleError::Expr(error.to_string()))?;
        let zone = if tz.is_empty() { "UTC" } else { tz };
        let tz = zone.parse().map_err(|_| ScheduleError::Zone(zone.chars().take(64).collect()))?;
        Ok(Self { names_hours: !pattern.pattern.hours.from_wildcard, pattern, tz })
    }

    /// The expression, in upper case.
    pub fn expr(&self) -> &str {
        self.pattern.as_str()
    }

    /// The zone's name.
    pub fn tz(&self) -> &'static str {
        self.tz.name()
    }

    pub(crate) fn next_after(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        // Runs are at whole seconds, so the first after the whole second is the first after its fraction too. The
        // years are where croner looks; chrono can't turn its own last instants into local time.
        let after =
            Some(after.trunc_subsecs(0)).filter(|t| (1900..croner::YEAR_UPPER_LIMIT).contains(&t.year()))?;
        let local = after.with_timezone(&self.tz);
        if !self.names_hours {
            return self.pattern.find_next_occurrence(&local, false).ok().map(|run| run.to_utc());
        }
        let mut wall = local.naive_local();
        loop {
            wall = self.pattern.find_next_occurrence(&wall, false).ok()?;
            // Not after: a time of the hour that comes twice, already done when it came first.
            if let Some(run) = self.instant(wall).filter(|run| *run > after) {
                return Some(run);
            }
        }
    }

    /// When the clock on the wall first shows `wall`, or has jumped over it.
    fn instant(&self, wall: NaiveDateTime) -> Option<DateTime<Utc>> {
        let minutes = (0..=LONGEST_GAP_MINUTES).map(TimeDelta::minutes);
        let instants = minutes.map(|later| self.tz.from_local_datetime(&(wall + later)));
        instants.map(MappedLocalTime::earliest).find_map(|found| found.map(|run| run.to_utc()))
    }

    /// What the expression says, in English; `None` where that could not be told truthfully.
    pub fn describe(&self) -> Option<String> {
        // croner keeps one step for a field: of `5,*/20` it would tell the step and not the list.
        if self.expr().split_whitespace().any(|field| field.contains('/') && field.contains([',', '-'])) {
            return None;
        }
        let zone = if self.tz == Tz::UTC { "UTC" } else { self.tz() };
        Some(format!("{} ({zone})", self.pattern.describe().trim_end_matches('.')))
    }
}
