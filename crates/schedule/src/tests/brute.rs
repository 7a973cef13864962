//! Random expressions against a search that looks at every minute.
//!
//! Which minutes an expression names is croner's word here, when clocks are changed is chrono-tz's, and the rule between
//! them is written down a second time. Nothing is shared with the search that is tested.

use std::sync::LazyLock;

use crate::{Cron, Schedule};
use chrono::{DateTime, MappedLocalTime, NaiveDateTime, Offset, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use croner::parser::{CronParser, Seconds, Year};
use proptest::prelude::*;

const MINUTE: TimeDelta = TimeDelta::minutes(1);
/// How far every minute is looked at.
const WINDOW: TimeDelta = TimeDelta::hours(54);
/// No clock was changed by more than Samoa's, which left out a day.
const CHANGE: TimeDelta = TimeDelta::hours(25);

const ZONES: [Tz; 12] = [
    Tz::America__New_York,
    Tz::Europe__Berlin,
    Tz::Europe__Dublin,
    Tz::Australia__Lord_Howe,
    Tz::Africa__Casablanca,
    Tz::Pacific__Apia,
    Tz::America__Santiago,
    Tz::America__Sao_Paulo,
    Tz::Asia__Beirut,
    Tz::Pacific__Chatham,
    Tz::Antarctica__Troll,
    Tz::America__Scoresbysund,
];

/// Every change of the clocks in these zones from 2005 to 2030, to the minute.
static CHANGES: LazyLock<Vec<(Tz, DateTime<Utc>)>> = LazyLock::new(|| {
    let start: DateTime<Utc> = "2005-01-01T00:00:00Z".parse().unwrap();
    let days = |zone| (0..25 * 365).map(move |day| (zone, start + TimeDelta::days(day)));
    let changed =
        |(zone, day): &(Tz, DateTime<Utc>)| offset(*zone, *day) != offset(*zone, *day + TimeDelta::days(1));
    let minute = |(zone, day): (Tz, DateTime<Utc>)| {
        let minutes = (0..=24 * 60).map(|minute| day + TimeDelta::minutes(minute));
        minutes.into_iter().find(|at| offset(zone, *at) != offset(zone, day)).map(|at| (zone, at))
    };
    ZONES.into_iter().flat_map(days).filter(changed).filter_map(minute).collect()
});

fn offset(zone: Tz, at: DateTime<Utc>) -> i32 {
    zone.offset_from_utc_datetime(&at.naive_utc()).fix().local_minus_utc()
}

fn minutes_from(first: NaiveDateTime, length: TimeDelta) -> impl Iterator<Item = NaiveDateTime> {
    (0..=length.num_minutes()).map(move |minute| first + TimeDelta::minutes(minute))
}

fn croner(expr: &str) -> croner::Cron {
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    parser.parse(expr).unwrap()
}

/// The first run after `after`, if there is one within the window.
fn brute(expr: &str, zone: Tz, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let (pattern, every_hour) = (croner(expr), expr.split(' ').nth(1).unwrap().contains('*'));
    let wall = |at: DateTime<Utc>| at.with_timezone(&zone).naive_local();
    let first = DateTime::from_timestamp(after.timestamp() / 60 * 60, 0).unwrap();
    if every_hour {
        let mut instants = minutes_from(first.naive_utc() + MINUTE, WINDOW).map(|at| at.and_utc());
        return instants.find(|at| pattern.is_time_matching(&wall(*at)).unwrap());
    }
    let instant = |shown: NaiveDateTime| {
        let mut later = minutes_from(shown, CHANGE).map(|shown| zone.from_local_datetime(&shown));
        later.find(|at| *at != MappedLocalTime::None).unwrap().earliest().unwrap().to_utc()
    };
    let named = minutes_from(wall(first) - CHANGE, WINDOW + CHANGE + CHANGE);
    let runs = named.filter(|shown| pattern.is_time_matching(shown).unwrap()).map(instant);
    runs.filter(|run| *run > after && *run <= first + WINDOW).min()
}

fn expression() -> impl Strategy<Value = String> {
    let minute = r"([0-9]|[1-5][0-9])|\*|\*/([2-9]|1[0-9]|30)|0,30|15,45|5-55/10|[0-4],[1-3][0-9]-4[0-9]";
    let hour = r"[0-5]|2[0-3]|\*|\*/[1-6]|[0-3],1[0-9]|[0-2]-[3-5]|0-23|22-23|5,\*/2|0-23/[2-5]";
    let day = r"\*|\*|\*|\*|L|[1-9]|1-31/[2-4]|\*/[2-3]|29,30,31";
    let month = r"\*|\*|\*|1-6|3,4,9-12|\*/2";
    let weekday = r"\*|\*|\*|[0-7]|6-7|SAT-SUN|MON,5#L|0L|[0-7]#[1-5]|0,6";
    [minute, hour, day, month, weekday].prop_map(|fields| fields.join(" "))
}

fn schedule(expr: &str, zone: Tz) -> Schedule {
    Schedule::Cron(Box::new(Cron::parse(expr, zone.name()).unwrap()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn near_changes_the_next_run_is_the_one_that_a_look_at_every_minute_finds(
        expr in expression(),
        (zone, change) in prop::sample::select(CHANGES.as_slice()),
        millis in -100_000_000_i64..10_000_000,
    ) {
        let after = change + TimeDelta::milliseconds(millis);
        let (found, looked) = (schedule(&expr, zone).next_after(after, after), brute(&expr, zone, after));
        match looked {
            Some(_) => prop_assert_eq!(found, looked),
            None => prop_assert!(found.is_none_or(|run| run > after + WINDOW - MINUTE), "{:?}", found),
        }
    }

    #[test]
    fn asked_later_it_is_never_earlier(
        expr in expression(),
        (zone, change) in prop::sample::select(CHANGES.as_slice()),
        millis in -100_000_000_i64..10_000_000,
        later in 0_i64..20_000_000,
    ) {
        let after = change + TimeDelta::milliseconds(millis);
        let (schedule, later) = (schedule(&expr, zone), after + TimeDelta::milliseconds(later));
        if let (Some(one), Some(next)) = (schedule.next_after(after, after), schedule.next_after(later, later)) {
            prop_assert!(after < one && one <= next);
        }
    }

    /// Where clocks are not changed croner, which goes from day to day, has to agree, however rare the dates are.
    #[test]
    fn in_utc_the_runs_are_those_of_croner(
        expr in expression(),
        rare in prop::option::of("(0|30) (0|5) (29|30|31|\\*) (2|FEB|2,4) (\\*|[0-6]#5)"),
        secs in 946_684_800_i64..4_000_000_000,
    ) {
        let (expr, after) = (rare.unwrap_or(expr), DateTime::from_timestamp(secs, 0).unwrap());
        let found = schedule(&expr, Tz::UTC).next_after(after, after);
        let theirs = croner(&expr).find_next_occurrence(&after, false).ok();
        prop_assert_eq!(found, theirs, "{} after {}", expr, after);
    }
}
