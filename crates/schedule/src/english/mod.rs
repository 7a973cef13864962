//! Schedules in English, for a person who looks at a job.
//!
//! A description is made of the sets that a schedule was read into, not of how it was written: so it is true by its
//! making, there is one for every schedule, and two ways to write the same read the same. What must hold: it says
//! everything, so that who knows only the description knows the runs, but for those on days when clocks are changed.
//! `tests/oracle` reads descriptions back and checks just that.

mod days;
mod times;

use chrono::{DateTime, TimeZone, Timelike, Utc};
use chrono_tz::{OffsetComponents, Tz};

use crate::calendar::Calendar;

const MINUTE: u32 = 60;
const HOUR: u32 = 60 * MINUTE;
const DAY: u32 = 24 * HOUR;

/// An expression in its zone: `At 09:00 on Monday to Friday, New York time (America/New_York)`.
pub(crate) fn cron(calendar: &Calendar, tz: Tz) -> String {
    let times = times::tell(calendar);
    let days = days::tell(calendar, times.each_day);
    format!("{}{days}, {}", times.text, zone(tz))
}

/// An interval: `Every 5 minutes`. A day is 24 hours here and not a date, so one alone is told in hours.
pub(crate) fn every(secs: u32) -> String {
    let days = if secs < 2 * DAY { 0 } else { secs / DAY };
    let hours = (secs - days * DAY) / HOUR;
    let parts = [(days, "day"), (hours, "hour"), (secs % HOUR / MINUTE, "minute"), (secs % MINUTE, "second")];
    let parts: Vec<_> = parts.into_iter().filter(|(number, _)| *number > 0).collect();
    if let [(number, unit)] = parts[..] {
        return each(number, unit);
    }
    let parts: Vec<String> = parts.into_iter().map(|(number, unit)| count(number, unit)).collect();
    format!("Every {}", list(&parts, "and"))
}

/// One instant, in UTC: `Once on Tuesday, 1 December 2026 at 09:00, UTC`.
pub(crate) fn at(at: DateTime<Utc>) -> String {
    let time = match (at.second(), at.nanosecond()) {
        (0, 0) => "%H:%M",
        (_, 0) => "%H:%M:%S",
        _ => "%H:%M:%S%.3f",
    };
    at.format(&format!("Once on %A, %-d %B %Y at {time}, UTC")).to_string()
}

/// `New York time (America/New_York)`; what is called after no place by its offset or its name alone.
fn zone(tz: Tz) -> String {
    let name = tz.name();
    match name.rsplit_once('/') {
        _ if tz == Tz::UTC => "UTC".to_owned(),
        Some(("Etc", _)) => format!("{} ({name})", fixed_offset(tz)),
        Some((_, place)) => format!("{} time ({name})", place.replace('_', " ")),
        None => format!("time zone {name}"),
    }
}

/// `UTC-05:00`, of a zone that has one offset for all times.
fn fixed_offset(tz: Tz) -> String {
    let offset = tz.offset_from_utc_datetime(&DateTime::UNIX_EPOCH.naive_utc());
    match offset.base_utc_offset().num_minutes() {
        0 => "UTC".to_owned(),
        ahead => {
            let (sign, minutes) = (if ahead < 0 { '-' } else { '+' }, ahead.abs());
            format!("UTC{sign}{:02}:{:02}", minutes / 60, minutes % 60)
        }
    }
}

/// `Every minute`, `Every 5 minutes`.
fn each(number: u32, unit: &str) -> String {
    if number == 1 { format!("Every {unit}") } else { format!("Every {number} {unit}s") }
}

fn count(number: u32, unit: &str) -> String {
    if number == 1 { format!("1 {unit}") } else { format!("{number} {unit}s") }
}

/// `a`, `a and b`, `a, b and c`.
pub(crate) fn list(items: &[String], conjunction: &str) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [some @ .., last] => format!("{} {conjunction} {last}", some.join(", ")),
    }
}

/// The items of a list in which three or more neighbours are a range: `1`, `3 to 5`, `9`.
fn ranges(values: &[u32], name: impl Fn(u32) -> String) -> Vec<String> {
    let runs = values.chunk_by(|one, next| one + 1 == *next);
    let items = runs.flat_map(|run| match run {
        [first, _, .., last] => vec![format!("{} to {}", name(*first), name(*last))],
        few => few.iter().map(|value| name(*value)).collect(),
    });
    items.collect()
}

/// The same, as a text.
fn ranged(values: &[u32], name: impl Fn(u32) -> String) -> String {
    list(&ranges(values, name), "and")
}

/// The distance of values that are equally far from each other.
fn step(values: &[u32]) -> Option<u32> {
    let step = values.get(1)? - values.first()?;
    values.windows(2).all(|pair| pair[1] - pair[0] == step).then_some(step)
}
