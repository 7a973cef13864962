//! The five fields of a cron expression, read strictly.
//!
//! What other readers take without a word is refused here, with the field that it is in: `MON` as a month, `1,,2`, a
//! range that goes backwards, `L` as a weekday (which day?), seconds and years.

use crate::calendar::{Calendar, Occurrences};
use crate::error::ScheduleError;
use crate::hints;

const MONTHS: &[&str] = &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const DAYS: &[&str] = &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
const ALIASES: &[(&str, &str)] = &[
    ("@HOURLY", "0 * * * *"),
    ("@DAILY", "0 0 * * *"),
    ("@WEEKLY", "0 0 * * 0"),
    ("@MONTHLY", "0 0 1 * *"),
    ("@YEARLY", "0 0 1 1 *"),
    ("@ANNUALLY", "0 0 1 1 *"),
];

/// What one field takes.
pub(crate) struct Spec {
    /// What it is called in a refusal.
    pub(crate) name: &'static str,
    /// Its least value.
    pub(crate) min: u32,
    /// Its greatest value, and its greatest step.
    pub(crate) max: u32,
    /// Names of the values from `min` on.
    pub(crate) names: &'static [&'static str],
    /// What to write, when nothing better can be said.
    pub(crate) help: &'static str,
}

const MINUTE: Spec =
    Spec { name: "minute", min: 0, max: 59, names: &[], help: "write 0 to 59, like 5, 0-30, */15 or 0,30" };
const HOUR: Spec =
    Spec { name: "hour", min: 0, max: 23, names: &[], help: "write 0 to 23, like 9, 9-17, */6 or 9,18" };
const DAY: Spec = Spec {
    name: "day of month",
    min: 1,
    max: 31,
    names: &[],
    help: "write 1 to 31, like 1, 1-7, */2 or 1,15, or L for the last day",
};
const MONTH: Spec = Spec {
    name: "month",
    min: 1,
    max: 12,
    names: MONTHS,
    help: "write 1 to 12 or JAN to DEC, like 1, 1-6, */3 or JAN,JUL",
};
const WEEKDAY: Spec = Spec {
    name: "day of week",
    min: 0,
    max: 7,
    names: DAYS,
    help: "write 0 to 7 or SUN to SAT (0 and 7 are Sunday), like 1-5, MON,THU, 1#2 for the second Monday of the \
           month or 5#L for the last Friday",
};

/// Reads an upper-case expression.
pub(crate) fn read(expr: &str) -> Result<Calendar, ScheduleError> {
    let alias = ALIASES.iter().find(|(alias, _)| *alias == expr).map(|(_, fields)| *fields);
    if expr.starts_with('@') && alias.is_none() {
        return Err(ScheduleError::Alias(shortened(&expr.to_lowercase())));
    }
    let fields: Vec<&str> = alias.unwrap_or(expr).split_whitespace().collect();
    let [minute, hour, day, month, weekday] = fields[..] else {
        return Err(ScheduleError::FieldCount(fields.len()));
    };
    let minutes = MINUTE.values(minute)?;
    let hours = HOUR.values(hour)?;
    let (days, last_day) = days(day)?;
    Ok(Calendar {
        minutes,
        hours,
        every_hour: hour.contains('*'),
        days,
        last_day,
        any_day: day == "*",
        months: MONTH.values(month)?,
        weekdays: weekdays(weekday)?,
        any_weekday: weekday == "*",
    })
}

/// What stands between the commas. `*` stands alone, or with a step.
fn items(field: &str) -> impl Iterator<Item = &str> {
    (if field == "*" { "*/1" } else { field }).split(',')
}

/// The days of the month, and whether the last is one.
fn days(field: &str) -> Result<(u64, bool), ScheduleError> {
    items(field).try_fold((0, false), |(days, last), item| {
        if item == "L" { Ok((days, true)) } else { Ok((days | DAY.item(item)?, last)) }
    })
}

fn weekdays(field: &str) -> Result<[Occurrences; 7], ScheduleError> {
    let mut found = [Occurrences::default(); 7];
    for item in items(field) {
        let (days, occurrences) = match nth_weekday(item) {
            Some((day, occurrence)) => (1 << day, occurrence),
            None => (WEEKDAY.item(item)?, Occurrences::EVERY),
        };
        for (day, wanted) in found.iter_mut().enumerate() {
            // Sunday is 7, too.
            if days & 1 << day != 0 || (day == 0 && days & 1 << 7 != 0) {
                wanted.0 |= occurrences;
            }
        }
    }
    Ok(found)
}

/// `1#2`, `5#L`, `5L`: the weekday, and which of the month's.
fn nth_weekday(item: &str) -> Option<(u32, u8)> {
    let (day, nth) = match item.split_once('#') {
        Some(parts) => parts,
        None => (item.strip_suffix('L')?, "L"),
    };
    let occurrence = match nth {
        "L" => Occurrences::LAST,
        _ => 1 << (number(nth).filter(|nth| (1..=5).contains(nth))? - 1),
    };
    Some((WEEKDAY.value(day)?, occurrence))
}

impl Spec {
    fn values(&self, field: &str) -> Result<u64, ScheduleError> {
        items(field).try_fold(0, |set, item| Ok(set | self.item(item)?))
    }

    fn item(&self, item: &str) -> Result<u64, ScheduleError> {
        self.read(item).ok_or_else(|| ScheduleError::Field {
            field: self.name,
            item: shortened(item),
            expected: hints::item(self, item),
        })
    }

    fn read(&self, item: &str) -> Option<u64> {
        let Some((range, step)) = item.split_once('/') else {
            return match item.split_once('-') {
                Some(_) => self.range(item).map(|(from, to)| stepped(from, to, 1)),
                None => self.value(item).map(|value| 1 << value),
            };
        };
        // A step larger than the field is a slip: `*/90` in the minutes means every hour.
        let step = number(step).filter(|step| (1..=self.max).contains(step))?;
        let (from, to) = if range == "*" { (self.min, self.max) } else { self.range(range)? };
        Some(stepped(from, to, step))
    }

    fn range(&self, range: &str) -> Option<(u32, u32)> {
        let (from, to) = range.split_once('-')?;
        // `SAT-SUN` is 6-7.
        let to = if to == "SUN" { self.value("7") } else { self.value(to) };
        self.value(from).zip(to).filter(|(from, to)| from <= to)
    }

    /// The greatest value that is not the least by another number, as Sunday's 7 is.
    pub(crate) fn last(&self) -> u32 {
        if self.min == 0 && self.max == 7 { 6 } else { self.max }
    }

    /// A number or a name.
    pub(crate) fn value(&self, text: &str) -> Option<u32> {
        let named =
            self.names.iter().zip(self.min..).find(|(name, _)| **name == text).map(|(_, value)| value);
        named.or_else(|| number(text)).filter(|value| (self.min..=self.max).contains(value))
    }
}

fn stepped(from: u32, to: u32, step: u32) -> u64 {
    (from..=to).filter(|value| (value - from).is_multiple_of(step)).fold(0, |set, value| set | 1 << value)
}

/// One or two digits.
pub(crate) fn number(text: &str) -> Option<u32> {
    let digits = text.len() <= 2 && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}
