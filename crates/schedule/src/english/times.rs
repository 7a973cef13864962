//! The minutes and hours.

use super::{each, list, ranged, step};
use crate::calendar::{Calendar, values};

/// From this many on, what is equally far apart is told by its distance and its ends.
const MANY: usize = 5;
/// Most times that are listed rather than told by minutes and hours apart, if there is more than one of each.
const LISTED: usize = 6;

/// The times of a day.
pub(super) struct Times {
    pub(super) text: String,
    /// Whether it is about times of a day, so that it should be said that they are those of every day.
    pub(super) each_day: bool,
}

pub(super) fn tell(calendar: &Calendar) -> Times {
    let (minutes, hours) = (values(calendar.minutes), values(calendar.hours));
    match of_every_hour(&minutes, &hours) {
        Some(text) => Times { text, each_day: false },
        None => Times { text: of_a_day(&minutes, &hours), each_day: true },
    }
}

/// What happens in all hours alike.
fn of_every_hour(minutes: &[u32], hours: &[u32]) -> Option<String> {
    if hours.len() < 24 {
        return None;
    }
    Some(match (minutes, round_the_hour(minutes)) {
        ([0], _) => "Every hour on the hour".to_owned(),
        ([minute], _) => format!("Every hour at minute {minute}"),
        (_, Some(step)) if minutes[0] == 0 => each(step, "minute"),
        _ => format!("{} of every hour", of_an_hour(minutes)),
    })
}

fn of_a_day(minutes: &[u32], hours: &[u32]) -> String {
    let clock = |hour: u32, minute: u32| format!("{hour:02}:{minute:02}");
    let ends = || {
        let [first, last] =
            [minutes.first(), minutes.last()].map(|minute| minute.copied().unwrap_or_default());
        let [opening, closing] = [hours.first(), hours.last()].map(|hour| hour.copied().unwrap_or_default());
        format!("from {} to {}", clock(opening, first), clock(closing, last))
    };
    let all = minutes.len() * hours.len();
    let by_hour = step(hours).filter(|_| minutes.len() == 1 && hours.len() >= MANY);
    // From one hour into the next without a break.
    let onwards = round_the_hour(minutes).filter(|_| step(hours) == Some(1));
    let within = step(minutes).filter(|_| hours.len() == 1 && minutes.len() >= MANY);
    if let Some(hours) = by_hour {
        format!("{} {}", each(hours, "hour"), ends())
    } else if minutes.len() == 1 || all <= LISTED {
        let times = hours.iter().flat_map(|hour| minutes.iter().map(|minute| clock(*hour, *minute)));
        format!("At {}", list(&times.collect::<Vec<_>>(), "and"))
    } else if let Some(minutes) = onwards.or(within) {
        format!("{} {}", each(minutes, "minute"), ends())
    } else {
        let word = if hours.len() == 1 { "hour" } else { "hours" };
        format!("{} in {word} {}", of_an_hour(minutes), ranged(hours, |hour| hour.to_string()))
    }
}

/// The minutes of hours that are told by themselves.
fn of_an_hour(minutes: &[u32]) -> String {
    match (round_the_hour(minutes), step(minutes), minutes) {
        (Some(step), ..) if minutes[0] == 0 => each(step, "minute"),
        (_, Some(step), [first, .., last]) if minutes.len() >= MANY => {
            format!("{} from minute {first} to {last}", each(step, "minute"))
        }
        (_, _, [one]) => format!("At minute {one}"),
        _ => format!("At minutes {}", ranged(minutes, |minute| minute.to_string())),
    }
}

/// The distance of minutes that is the same from the last one to the first one of the next hour.
fn round_the_hour(minutes: &[u32]) -> Option<u32> {
    let (first, last) = (minutes.first()?, minutes.last()?);
    step(minutes).filter(|step| last + step == 60 + first)
}
