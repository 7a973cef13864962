//! The five fields of a cron expression, checked one by one.
//!
//! croner reads them; this comes before it because croner takes too much without a word (`MON` as a month, `1,,2`,
//! `L` as a weekday, which then never comes true) and its errors do not say which field they are about.

use crate::error::ScheduleError;

const MONTHS: &[&str] = &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const DAYS: &[&str] = &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
const ALIASES: &[&str] = &["@HOURLY", "@DAILY", "@WEEKLY", "@MONTHLY", "@YEARLY", "@ANNUALLY"];

struct Spec {
    name: &'static str,
    min: u8,
    max: u8,
    /// Names of the values from `min` on.
    names: &'static [&'static str],
    help: &'static str,
}

const SPECS: [Spec; 5] = [
    Spec { name: "minute", min: 0, max: 59, names: &[], help: "write 0 to 59, like 5, 0-30, */15 or 0,30" },
    Spec { name: "hour", min: 0, max: 23, names: &[], help: "write 0 to 23, like 9, 9-17, */6 or 9,18" },
    Spec {
        name: "day of month",
        min: 1,
        max: 31,
        names: &[],
        help: "write 1 to 31, like 1, 1-7, */2 or 1,15, or L for the last day",
    },
    Spec {
        name: "month",
        min: 1,
        max: 12,
        names: MONTHS,
        help: "write 1 to 12 or JAN to DEC, like 1, 1-6, */3 or JAN,JUL",
    },
    Spec {
        name: "day of week",
        min: 0,
        max: 7,
        names: DAYS,
        help: "write 0 to 7 or SUN to SAT (0 and 7 are Sunday), like 1-5, MON,THU, 1#2 for the second Monday of \
               the month or 5#L for the last Friday",
    },
];

/// Checks an upper-case expression.
pub(crate) fn check(expr: &str) -> Result<(), ScheduleError> {
    if expr.starts_with('@') {
        let known = ALIASES.contains(&expr);
        return if known { Ok(()) } else { Err(ScheduleError::Alias(shortened(&expr.to_lowercase()))) };
    }
    let fields: Vec<&str> = expr.split_whitespace().collect();
    if fields.len() != SPECS.len() {
        return Err(ScheduleError::FieldCount(fields.len()));
    }
    fields.iter().zip(&SPECS).try_for_each(|(field, spec)| {
        if *field == "*" {
            return Ok(());
        }
        field.split(',').try_for_each(|item| {
            if spec.takes(item) {
                return Ok(());
            }
            Err(ScheduleError::Field {
                field: spec.name,
                item: shortened(item),
                expected: spec.help.to_owned(),
            })
        })
    })
}

fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

impl Spec {
    fn takes(&self, item: &str) -> bool {
        if self.special(item) {
            return true;
        }
        let Some((range, step)) = item.split_once('/') else {
            return self.value(item).is_some() || self.range(item);
        };
        // A step larger than the field is a slip: `*/90` in the minutes means every hour.
        (range == "*" || self.range(range)) && number(step).is_some_and(|step| (1..=self.max).contains(&step))
    }

    fn special(&self, item: &str) -> bool {
        match self.name {
            "day of month" => item == "L",
            "day of week" => {
                let (day, nth) = match item.split_once('#') {
                    Some(parts) => parts,
                    None => (item.strip_suffix('L').unwrap_or_default(), "L"),
                };
                self.value(day).is_some() && matches!(nth, "L" | "1" | "2" | "3" | "4" | "5")
            }
            _ => false,
        }
    }

    fn range(&self, range: &str) -> bool {
        let Some((from, to)) = range.split_once('-') else { return false };
        // `SAT-SUN` is 6-7.
        let to = if to == "SUN" { self.value("7") } else { self.value(to) };
        self.value(from).zip(to).is_some_and(|(from, to)| from <= to)
    }

    fn value(&self, text: &str) -> Option<u8> {
        let named =
            self.names.iter().zip(self.min..).find(|(name, _)| **name == text).map(|(_, value)| value);
        named.or_else(|| number(text)).filter(|value| (self.min..=self.max).contains(value))
    }
}

/// One or two digits.
fn number(text: &str) -> Option<u8> {
    let digits = text.len() <= 2 && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}
