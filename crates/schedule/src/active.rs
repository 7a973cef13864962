//! The hours of the day in which something may be done, by the clock on the wall of a zone.
//!
//! The hours of a day are one stretch of time, however the clock is changed meanwhile: from when it first shows their beginning
//! to when it last shows their end, and what it jumps over is when it has jumped.

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, TimeDelta, Utc};
use chrono_tz::Tz;

use crate::error::ScheduleError;
use crate::wall::{first_instant, last_instant};
use crate::zone;

/// The hours of the day in which something may be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActiveHours {
    from: NaiveTime,
    to: NaiveTime,
    /// Whether they end on the day after the one on which they begin.
    over_midnight: bool,
    /// On which days they begin, from Monday.
    days: [bool; 7],
    tz: Tz,
}

/// A stretch of time; its end does not belong to it.
struct Stretch {
    start: DateTime<Utc>,
    end: DateTime<Utc>,
}

impl ActiveHours {
    /// Hours `from` one time `to` another (both `HH:MM`; `to` may be `24:00`, and before `from`: of the next day), beginning on
    /// these days (1 for Monday to 7 for Sunday, 0 is Sunday, too; none given: every day) of a zone (an empty text: UTC).
    ///
    /// # Errors
    /// With one sentence on the first thing that is wrong.
    pub fn new(from: &str, to: &str, tz: &str, days: Option<&[u8]>) -> Result<Self, ScheduleError> {
        let tz = zone::read(tz)?;
        let days = days.map_or(Ok([true; 7]), weekdays)?;
        if from == to {
            return Err(ScheduleError::NoHours);
        }
        let begins = time("from", from)?;
        let ends = if to == "24:00" { NaiveTime::MIN } else { time("to", to)? };
        Ok(Self { from: begins, to: ends, over_midnight: ends <= begins, days, tz })
    }

    /// Whether this instant is within them.
    pub fn contains(&self, instant: DateTime<Utc>) -> bool {
        let today = instant.with_timezone(&self.tz).date_naive();
        let days = [today.pred_opt(), Some(today)].into_iter().flatten();
        days.filter_map(|day| self.of(day)).any(|hours| hours.start <= instant && instant < hours.end)
    }

    /// The first heartbeat after `now` within these hours. `beat` tells the first one after a time, if there were no hours; they
    /// are at whole seconds. Where all of the hours pass without one, their beginning is one: an interval that is longer than
    /// they are must not mean that none ever comes.
    pub fn first_beat(
        &self,
        now: DateTime<Utc>,
        beat: impl Fn(DateTime<Utc>) -> DateTime<Utc>,
    ) -> DateTime<Utc> {
        let today = now.with_timezone(&self.tz).date_naive();
        // Yesterday's may go on.
        let days = today.pred_opt().unwrap_or(today).iter_days();
        let mut beats = days.filter_map(|day| self.of(day)?.first_beat(now, &beat));
        // Only the end of the calendar is without hours.
        beats.next().unwrap_or_else(|| beat(now))
    }

    /// The hours that begin on this day, if it has any.
    fn of(&self, day: NaiveDate) -> Option<Stretch> {
        let weekday = usize::try_from(day.weekday().num_days_from_monday()).ok()?;
        let last = if self.over_midnight { day.succ_opt()? } else { day };
        let start = first_instant(self.tz, day.and_time(self.from))?;
        let end = last_instant(self.tz, last.and_time(self.to))?;
        // The clock may jump over all of them.
        Some(Stretch { start, end }).filter(|hours| self.days[weekday] && hours.start < hours.end)
    }
}

impl Stretch {
    fn first_beat(
        &self,
        now: DateTime<Utc>,
        beat: impl Fn(DateTime<Utc>) -> DateTime<Utc>,
    ) -> Option<DateTime<Utc>> {
        let first = beat(self.start - TimeDelta::seconds(1));
        if first >= self.end {
            return Some(self.start).filter(|start| *start > now);
        }
        let next = if first > now { first } else { beat(now) };
        Some(next).filter(|next| *next < self.end)
    }
}

fn time(key: &'static str, given: &str) -> Result<NaiveTime, ScheduleError> {
    // chrono takes blanks and single digits, too.
    let digits =
        given.len() == 5 && given.bytes().enumerate().all(|(n, byte)| n == 2 || byte.is_ascii_digit());
    let read = NaiveTime::parse_from_str(given, "%H:%M").ok().filter(|_| digits);
    read.ok_or_else(|| ScheduleError::TimeOfDay { key, given: given.chars().take(32).collect() })
}

fn weekdays(given: &[u8]) -> Result<[bool; 7], ScheduleError> {
    let mut days = [false; 7];
    for day in given {
        // Sunday is 7, and 0 as in cron.
        let place = (usize::from(*day) + 6) % 7;
        *days.get_mut(place).filter(|_| *day <= 7).ok_or(ScheduleError::Days)? = true;
    }
    if given.is_empty() { Err(ScheduleError::Days) } else { Ok(days) }
}

#[cfg(test)]
mod tests {
    use chrono::{TimeZone, Timelike};
    use proptest::prelude::*;

    use super::*;

    fn hours(from: &str, to: &str, tz: &str, days: Option<&[u8]>) -> ActiveHours {
        ActiveHours::new(from, to, tz, days).unwrap()
    }

    fn utc(time: &str) -> DateTime<Utc> {
        time.parse().unwrap()
    }

    /// Beats at the multiples of `every` seconds, plus an offset.
    fn grid(every: i64, offset: i64) -> impl Fn(DateTime<Utc>) -> DateTime<Utc> {
        move |now| {
            let since = (now.timestamp() - offset).rem_euclid(every);
            DateTime::from_timestamp(now.timestamp() - since + every, 0).unwrap()
        }
    }

    #[test]
    fn beats_keep_to_the_hours() {
        let day = hours("08:00", "22:00", "Europe/Berlin", None);
        let half_hours = grid(1_800, 0);
        for (now, expected) in [
            ("2026-11-27T06:59:00Z", "2026-11-27T07:00:00Z"),
            ("2026-11-27T07:00:00Z", "2026-11-27T07:30:00Z"),
            ("2026-11-27T20:15:00Z", "2026-11-27T20:30:00Z"),
            ("2026-11-27T20:30:00Z", "2026-11-28T07:00:00Z"),
            ("2026-07-27T21:00:00Z", "2026-07-28T06:00:00Z"),
        ] {
            assert_eq!(day.first_beat(utc(now), &half_hours), utc(expected), "{now}");
        }
        let night = hours("22:00", "06:00", "UTC", Some(&[5]));
        assert_eq!(night.first_beat(utc("2026-11-27T12:00:00Z"), &half_hours), utc("2026-11-27T22:00:00Z"));
        assert_eq!(night.first_beat(utc("2026-11-28T05:00:00Z"), &half_hours), utc("2026-11-28T05:30:00Z"));
        assert_eq!(night.first_beat(utc("2026-11-28T05:30:00Z"), &half_hours), utc("2026-12-04T22:00:00Z"));
    }

    #[test]
    fn an_interval_longer_than_the_hours_does_not_starve() {
        let morning = hours("08:00", "08:10", "UTC", Some(&[1, 2, 3, 4, 5]));
        let daily_at_noon = grid(86_400, 43_200);
        let first = morning.first_beat(utc("2026-11-27T07:00:00Z"), &daily_at_noon);
        assert_eq!(first, utc("2026-11-27T08:00:00Z"));
        assert_eq!(
            morning.first_beat(first, &daily_at_noon),
            utc("2026-11-30T08:00:00Z"),
            "not on a Saturday"
        );
        assert_eq!(
            morning.first_beat(utc("2026-11-27T08:05:00Z"), &daily_at_noon),
            utc("2026-11-30T08:00:00Z")
        );
    }

    #[test]
    fn hours_follow_the_clock_when_it_is_changed() {
        let early = hours("02:00", "03:00", "Europe/Berlin", None);
        let minutes = grid(60, 0);
        // The hour that is left out has no beats, the one that comes twice has 120.
        assert_eq!(early.first_beat(utc("2026-03-28T02:00:00Z"), &minutes), utc("2026-03-30T00:00:00Z"));
        let (mut beats, mut now) = (0, utc("2026-10-24T12:00:00Z"));
        while now < utc("2026-10-25T12:00:00Z") {
            now = early.first_beat(now, &minutes);
            beats += i32::from(now < utc("2026-10-25T12:00:00Z"));
        }
        assert_eq!(beats, 120);
        // Samoa had no 30 December 2011.
        let day = hours("08:00", "20:00", "Pacific/Apia", None);
        let last = utc("2011-12-30T05:59:00Z");
        assert!(day.contains(last) && !day.contains(utc("2011-12-30T06:00:00Z")));
        assert_eq!(day.first_beat(last, &minutes), utc("2011-12-30T18:00:00Z"), "the morning of the 31st");
    }

    #[test]
    fn whole_days_may_be_named() {
        let weekdays = hours("00:00", "24:00", "Asia/Kathmandu", Some(&[1, 2, 3, 4, 5]));
        let first = weekdays.first_beat(utc("2026-11-28T00:00:00Z"), grid(1_800, 0));
        assert_eq!(first, utc("2026-11-29T18:30:00Z"), "Monday begins, a quarter to six ahead");
        let sundays = [0, 7].map(|day| hours("08:00", "09:00", "", Some(&[day])));
        assert_eq!(sundays[0], sundays[1]);
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_a_sentence() {
        let refused =
            |from, to, tz, days: Option<&[u8]>| ActiveHours::new(from, to, tz, days).unwrap_err().to_string();
        assert!(refused("8:00", "22:00", "", None).starts_with("\"8:00\" in \"from\" is not a time of day"));
        assert!(refused("24:00", "22:00", "", None).contains("\"from\""));
        assert!(refused("08:00", "22:60", "", None).contains("\"to\""));
        assert!(refused("08:00", "22h", "", None).contains("\"to\""));
        assert!(refused("08:00", "08:00", "", None).contains("the same time"));
        assert!(refused("08:00", "09:00", "Berlin", None).contains("did you mean \"Europe/Berlin\"?"));
        assert!(refused("08:00", "09:00", "", Some(&[])).contains("\"days\""));
        assert!(refused("08:00", "09:00", "", Some(&[8])).contains("1 (Monday) to 7 (Sunday)"));
    }

    const ZONES: [&str; 6] = [
        "UTC",
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",
        "Africa/Casablanca",
        "Pacific/Apia",
    ];

    prop_compose! {
        fn any_hours()(from in 0_u32..1_440, length in 1_u32..1_440, zone in 0..ZONES.len(), days in 1_u8..128)
            -> (ActiveHours, [u32; 2], u8)
        {
            let shown = |minute: u32| format!("{:02}:{:02}", minute / 60 % 24, minute % 60);
            let set: Vec<u8> = (1..=7).filter(|day| days & 1 << (day - 1) != 0).collect();
            (hours(&shown(from), &shown(from + length), ZONES[zone], Some(&set)), [from, from + length], days)
        }
    }

    /// Whether the clock on the wall shows a time within the hours, of a day on which they begin.
    fn shows(hours: &ActiveHours, [from, to]: [u32; 2], days: u8, instant: DateTime<Utc>) -> bool {
        let wall = instant.with_timezone(&hours.tz).naive_local();
        let minute = wall.hour() * 60 + wall.minute();
        let on = |day: NaiveDate| days & 1 << day.weekday().num_days_from_monday() != 0;
        (on(wall.date()) && minute >= from && minute < to)
            || (on(wall.date().pred_opt().unwrap()) && minute + 1_440 < to)
    }

    /// Whether the clock of the zone is changed within three days of this instant.
    fn changes(hours: &ActiveHours, instant: DateTime<Utc>) -> bool {
        let offset = |days| {
            let near = instant + TimeDelta::days(days);
            hours.tz.from_utc_datetime(&near.naive_utc()).naive_local() - near.naive_utc()
        };
        (-9..9).any(|day| offset(day) != offset(day + 1))
    }

    proptest! {
        #[test]
        fn a_beat_is_the_first_one_within_the_hours(
            (hours, span, days) in any_hours(), every in 60_i64..=86_400, offset in 0_i64..86_400,
            now in 1_200_000_000_i64..2_200_000_000,
        ) {
            let (beat, now) = (grid(every, offset), DateTime::from_timestamp(now, 0).unwrap());
            let first = hours.first_beat(now, &beat);
            prop_assert!(first > now && first <= now + TimeDelta::days(15));
            prop_assert!(hours.contains(first));
            prop_assert_eq!(hours.first_beat(first - TimeDelta::seconds(1), &beat), first, "it stays until it has come");
            // Away from changes of the clock, an independent look at the wall says the same.
            if !changes(&hours, now) && first < now + TimeDelta::days(8) {
                prop_assert!(shows(&hours, span, days, first));
                let mut before = beat(now);
                while before < first {
                    prop_assert!(!shows(&hours, span, days, before), "{before} would have been one");
                    before = beat(before);
                }
                let on_grid = beat(first - TimeDelta::seconds(1)) == first;
                prop_assert!(on_grid || !shows(&hours, span, days, first - TimeDelta::seconds(1)), "or their beginning");
            }
        }
    }
}
