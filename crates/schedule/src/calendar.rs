//! The five fields as sets of bits, and the walk over the calendar.
//!
//! The walk knows no zones: it takes and gives what a clock on the wall shows. It goes from month to month and not
//! from second to second, because a leader asks it at every run: the rarest date that there is (the fifth Monday of a
//! February, once in 28 or 40 years) must cost it no more than a moment.

use chrono::{Datelike, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike};

/// How far ahead is looked. The longest that a date can be away is 40 years, a fifth weekday of February across a
/// year like 2100, which is no leap year; what is not found within this never comes.
const HORIZON_YEARS: i32 = 41;

/// Every seventh day, from day 0.
const WEEKLY: u64 = 1 | 1 << 7 | 1 << 14 | 1 << 21 | 1 << 28;

/// Which of a weekday's days in a month: bit 0 is the first, bit 4 the fifth, [`Occurrences::LAST`] the last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Occurrences(pub(crate) u8);

impl Occurrences {
    pub(crate) const LAST: u8 = 1 << 5;
    pub(crate) const EVERY: u8 = 0b1_1111;

    pub(crate) fn is_every(self) -> bool {
        self.0 & Self::EVERY == Self::EVERY
    }
}

/// The days, months and times of day of a cron expression: bit n of a set is the value n.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each says something else about another field")]
pub(crate) struct Calendar {
    /// 0 to 59; never empty, as `hours` and `months`.
    pub(crate) minutes: u64,
    /// 0 to 23.
    pub(crate) hours: u64,
    /// Whether the hours have a `*`, alone or with a step: then runs follow the clock when it is changed.
    pub(crate) every_hour: bool,
    /// 1 to 31.
    pub(crate) days: u64,
    /// Whether the last day of the month, too, whichever it is.
    pub(crate) last_day: bool,
    /// Whether the day of month is `*`: then it says nothing, and the weekday alone decides.
    pub(crate) any_day: bool,
    /// 1 to 12.
    pub(crate) months: u64,
    /// From Sunday.
    pub(crate) weekdays: [Occurrences; 7],
    /// Whether the day of week is `*`.
    pub(crate) any_weekday: bool,
}

impl Calendar {
    /// The first minute after `wall`; `None` when there is none.
    pub(crate) fn next_after(&self, wall: NaiveDateTime) -> Option<NaiveDateTime> {
        let minute = wall.with_nanosecond(0)?.checked_add_signed(TimeDelta::seconds(60))?;
        let minute = minute.with_second(0)?;
        let date = minute.date();
        if self.days_of(date.year(), date.month())? & 1 << date.day() != 0
            && let Some(time) = self.time_from(minute.hour(), minute.minute())
        {
            return Some(date.and_time(time));
        }
        Some(self.day_after(date)?.and_time(self.time_from(0, 0)?))
    }

    /// The first time of a day that is not before this one.
    fn time_from(&self, hour: u32, minute: u32) -> Option<NaiveTime> {
        let this_hour = if self.hours & 1 << hour == 0 { None } else { first_from(self.minutes, minute) };
        match this_hour {
            Some(minute) => NaiveTime::from_hms_opt(hour, minute, 0),
            None => {
                NaiveTime::from_hms_opt(first_from(self.hours, hour + 1)?, first_from(self.minutes, 0)?, 0)
            }
        }
    }

    fn day_after(&self, date: NaiveDate) -> Option<NaiveDate> {
        let (mut year, mut month, mut from) = (date.year(), date.month(), date.day() + 1);
        let end = year + HORIZON_YEARS;
        while year <= end {
            if let Some(day) = first_from(self.days_of(year, month)?, from) {
                return NaiveDate::from_ymd_opt(year, month, day);
            }
            from = 1;
            let later = first_from(self.months, month + 1);
            year += i32::from(later.is_none());
            month = later.or_else(|| first_from(self.months, 1))?;
        }
        None
    }

    /// The days of one month. Day of month and day of week: either will do, as POSIX has it, and a `*` says nothing.
    fn days_of(&self, year: i32, month: u32) -> Option<u64> {
        if self.months & 1 << month == 0 {
            return Some(0);
        }
        let first = NaiveDate::from_ymd_opt(year, month, 1)?;
        let length = u32::from(first.num_days_in_month());
        let whole = (1 << (length + 1)) - 2;
        let by_day = || self.days | if self.last_day { 1 << length } else { 0 };
        let by_weekday = || self.weekdays_of(first, whole);
        Some(match (self.any_day, self.any_weekday) {
            (true, true) => whole,
            (false, true) => by_day() & whole,
            (true, false) => by_weekday(),
            (false, false) => (by_day() & whole) | by_weekday(),
        })
    }

    fn weekdays_of(&self, first: NaiveDate, whole: u64) -> u64 {
        let opening = first.weekday().num_days_from_sunday();
        (0..7).zip(self.weekdays).filter(|(_, wanted)| wanted.0 != 0).fold(0, |days, (weekday, wanted)| {
            let start = 1 + (7 + weekday - opening) % 7;
            let all = (WEEKLY << start) & whole;
            let nth = |n: u32| if wanted.0 & 1 << n == 0 { 0 } else { 1 << (start + 7 * n) };
            let last = if wanted.0 & Occurrences::LAST == 0 { 0 } else { 1 << all.ilog2() };
            days | last | (0..5).fold(0, |some, n| some | nth(n)) & all
        })
    }
}

/// The smallest value of a set that is at least `from`.
fn first_from(set: u64, from: u32) -> Option<u32> {
    let rest = set & (u64::MAX << from);
    (rest != 0).then(|| rest.trailing_zeros())
}

/// The values of a set, from the smallest.
pub(crate) fn values(set: u64) -> Vec<u32> {
    (0..u64::BITS).filter(|value| set & 1 << value != 0).collect()
}
