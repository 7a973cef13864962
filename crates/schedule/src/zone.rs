//! Time zones by their IANA name.
//!
//! The names and their rules are those of the database that was compiled in ([`chrono_tz::IANA_TZDB_VERSION`]), and
//! not the machine's: so all processes of one version agree on when a job runs.

use chrono_tz::{TZ_VARIANTS, Tz};
use strsim::damerau_levenshtein;

use crate::english;
use crate::error::ScheduleError;

/// Most names that are offered for a wrong one.
const OFFERED: usize = 3;
/// Longest name that is quoted and compared.
const MAX_LEN: usize = 64;

/// What people write for a zone that is none, and the zone that most of them mean.
const ABBREVIATIONS: &[(&str, &str)] = &[
    ("PST", "America/Los_Angeles"),
    ("PDT", "America/Los_Angeles"),
    ("MDT", "America/Denver"),
    ("CST", "America/Chicago"),
    ("CDT", "America/Chicago"),
    ("EDT", "America/New_York"),
    ("BST", "Europe/London"),
    ("CEST", "Europe/Berlin"),
    ("EEST", "Europe/Athens"),
    ("MSK", "Europe/Moscow"),
    ("IST", "Asia/Kolkata"),
    ("SGT", "Asia/Singapore"),
    ("JST", "Asia/Tokyo"),
    ("KST", "Asia/Seoul"),
    ("AEST", "Australia/Sydney"),
    ("AEDT", "Australia/Sydney"),
    ("NZST", "Pacific/Auckland"),
    ("NZDT", "Pacific/Auckland"),
];

/// Reads a name; none, an empty text, is UTC.
pub(crate) fn read(name: &str) -> Result<Tz, ScheduleError> {
    let name = if name.is_empty() { "UTC" } else { name };
    name.parse().map_err(|_| {
        let given: String = name.chars().take(MAX_LEN).collect();
        let hint = hint(&given);
        ScheduleError::Zone { given, hint }
    })
}

fn hint(given: &str) -> String {
    if let Some(zone) = fixed_offset(given) {
        return format!("that offset is {zone:?} (the sign is the other way round there)");
    }
    match &nearest(given)[..] {
        [] => "write one like \"Europe/Berlin\", or leave it out for UTC".to_owned(),
        names => {
            let names: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
            format!("did you mean {}?", english::list(&names, "or"))
        }
    }
}

/// `+02:00`, `UTC+2` and the like: the zone of that offset, if it is of whole hours.
fn fixed_offset(given: &str) -> Option<String> {
    let given = given.to_ascii_uppercase();
    let offset = given.strip_prefix("UTC").or_else(|| given.strip_prefix("GMT")).unwrap_or(&given);
    let (sign, digits) = match offset.split_at_checked(1)? {
        ("+", digits) => ('-', digits),
        ("-", digits) => ('+', digits),
        _ => return None,
    };
    let hours = digits.strip_suffix(":00").or_else(|| digits.strip_suffix("00")).unwrap_or(digits);
    let zone = format!("Etc/GMT{sign}{}", hours.parse::<u8>().ok()?);
    zone.parse::<Tz>().ok().map(|_| zone)
}

/// The zones whose names are most like this one, the best first.
fn nearest(given: &str) -> Vec<&'static str> {
    if let Some((_, zone)) = ABBREVIATIONS.iter().find(|(short, _)| short.eq_ignore_ascii_case(given)) {
        return vec![zone];
    }
    let (whole, place) = (plain(given), plain(last_part(given)));
    // A letter in four may be wrong.
    let worst = place.len() / 4;
    let distance = |name: &str| {
        let by_place = damerau_levenshtein(&place, &plain(last_part(name)));
        (by_place <= worst).then(|| (by_place, damerau_levenshtein(&whole, &plain(name))))
    };
    let mut found: Vec<_> =
        TZ_VARIANTS.iter().filter_map(|tz| Some((distance(tz.name())?, tz.name()))).collect();
    found.sort_unstable();
    // What differs in case and signs only is meant, and nothing else.
    if let Some(((_, 0), name)) = found.first().copied() {
        return vec![name];
    }
    let best = found.first().map(|((by_place, _), _)| *by_place);
    found.retain(|((by_place, _), _)| Some(*by_place) == best);
    found.into_iter().map(|(_, name)| name).take(OFFERED).collect()
}

fn last_part(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// Small letters and digits only: `new york` is `New_York`.
fn plain(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}
