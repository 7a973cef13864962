//! What the clock on the wall shows, and when it shows it: where it is changed, a time may never be shown, or twice.

use chrono::{DateTime, MappedLocalTime, NaiveDateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;

/// Samoa once left out a whole day; no clock was ever changed by more.
const LONGEST_CHANGE: i64 = 25 * 60 * 60;

/// When the clock first shows `wall`, or has jumped over it.
pub(crate) fn first_instant(tz: Tz, wall: NaiveDateTime) -> Option<DateTime<Utc>> {
    shown(tz, wall)?.earliest().map(|instant| instant.to_utc())
}

/// When the clock shows `wall` for the last time, or has jumped over it.
pub(crate) fn last_instant(tz: Tz, wall: NaiveDateTime) -> Option<DateTime<Utc>> {
    shown(tz, wall)?.latest().map(|instant| instant.to_utc())
}

/// The first time that the clock shows again after it jumped over `wall`.
pub(crate) fn behind_gap(tz: Tz, wall: NaiveDateTime) -> Option<NaiveDateTime> {
    let shown = |later| tz.from_local_datetime(&(wall + later)) != MappedLocalTime::None;
    first_second(shown).map(|later| wall + later)
}

/// The first second of a day at which something holds that holds from then on.
pub(crate) fn first_second(holds: impl Fn(TimeDelta) -> bool) -> Option<TimeDelta> {
    let (mut no, mut yes) = (0, LONGEST_CHANGE);
    while yes - no > 1 {
        let middle = i64::midpoint(no, yes);
        if holds(TimeDelta::seconds(middle)) { yes = middle } else { no = middle }
    }
    Some(TimeDelta::seconds(yes)).filter(|found| holds(*found))
}

fn shown(tz: Tz, wall: NaiveDateTime) -> Option<MappedLocalTime<DateTime<Tz>>> {
    Some(match tz.from_local_datetime(&wall) {
        MappedLocalTime::None => tz.from_local_datetime(&behind_gap(tz, wall)?),
        shown => shown,
    })
}
