//! The days, weekdays and months.

use super::{list, ranged, ranges, step};
use crate::calendar::{Calendar, Occurrences, values};

const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const NTH: [&str; 6] = ["first", "second", "third", "fourth", "fifth", "last"];

/// All days of a month.
const WHOLE_MONTH: u64 = (1 << 32) - 2;
/// From this many on, days that are equally far apart are told by their distance and their ends.
const MANY: usize = 5;

/// The months, when they are not all.
struct Months {
    /// `in January and July`, `from June to August`.
    within: String,
    /// `January and July`, `each month from June to August`.
    of: String,
}

impl Months {
    fn of(set: u64) -> Option<Self> {
        let months = values(set);
        let names = ranges(&months, |month| MONTHS[month as usize - 1].to_owned());
        match &names[..] {
            _ if months.len() == MONTHS.len() => None,
            [range] if months.len() > 1 => {
                Some(Self { within: format!("from {range}"), of: format!("each month from {range}") })
            }
            names => {
                let of = list(names, "and");
                Some(Self { within: format!("in {of}"), of })
            }
        }
    }
}

/// The days, with a blank before; nothing when they are all and `each_day` does not ask for the words.
pub(super) fn tell(calendar: &Calendar, each_day: bool) -> String {
    let months = Months::of(calendar.months);
    let of = months.as_ref().map_or("the month", |months| &months.of);
    let within = months.as_ref().map(|months| format!(" {}", months.within)).unwrap_or_default();
    let every_date = calendar.days == WHOLE_MONTH;
    let every_weekday = calendar.weekdays.iter().all(|wanted| wanted.is_every());
    match (calendar.any_day, calendar.any_weekday) {
        (true, false) if !every_weekday => format!(" on {}", weekdays(calendar, &within, of)),
        (false, true) if !every_date => format!(" on {}", dates(calendar, of)),
        (false, false) if !every_date && !every_weekday => {
            format!(" on {} and also on {}", dates(calendar, of), weekdays(calendar, &within, of))
        }
        _ if each_day => format!(" every day{within}"),
        _ => within,
    }
}

/// `the 1st, 15th and last day of the month`.
fn dates(calendar: &Calendar, of: &str) -> String {
    let days = values(calendar.days);
    let apart = step(&days).filter(|step| *step > 1 && days.len() >= MANY);
    let (article, mut items) = match (apart, &days[..]) {
        (Some(step), [first, .., last]) => {
            let [step, first, last] = [step, *first, *last].map(ordinal);
            ("", vec![format!("every {step} day from the {first} to the {last}")])
        }
        _ => ("the ", ranges(&days, ordinal)),
    };
    if calendar.last_day {
        items.push(if article.is_empty() { "the last day" } else { "last day" }.to_owned());
    }
    format!("{article}{} of {of}", list(&items, "and"))
}

/// `Monday to Friday and the last Saturday of the month`.
fn weekdays(calendar: &Calendar, within: &str, of: &str) -> String {
    // The week begins with Monday here, so that its end is in one piece.
    let day = |number: u32| (number as usize + 1) % 7;
    let wanted = |number: u32| calendar.weekdays[day(number)];
    let (each, some): (Vec<u32>, Vec<u32>) =
        (0..7).filter(|number| wanted(*number).0 != 0).partition(|number| wanted(*number).is_every());
    let nth = |number: u32| {
        let Occurrences(bits) = wanted(number);
        let which = (0..).zip(NTH).filter(move |(bit, _)| bits & 1 << bit != 0);
        which.map(move |(_, nth)| format!("the {nth} {}", WEEKDAYS[day(number)]))
    };
    let some: Vec<String> = some.into_iter().flat_map(nth).collect();
    let mut items = Vec::new();
    if !each.is_empty() {
        items.push(format!("{}{within}", ranged(&each, |number| WEEKDAYS[day(number)].to_owned())));
    }
    if !some.is_empty() {
        items.push(format!("{} of {of}", list(&some, "and")));
    }
    list(&items, "and")
}

fn ordinal(number: u32) -> String {
    let ending = match (number / 10 % 10, number % 10) {
        (1, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}
