//! What to write instead, for the mistakes that people make who know other schedulers.

use crate::fields::{Spec, number};

/// What a wrong item of a field should be.
pub(crate) fn item(spec: &Spec, item: &str) -> String {
    match item {
        "?" => return "write * for any".to_owned(),
        "*" => return "* means all, and stands alone".to_owned(),
        "" => return "a comma stands between two items".to_owned(),
        _ => {}
    }
    let hint = other_dialect(spec, item).or_else(|| step(spec, item)).or_else(|| range(spec, item));
    hint.or_else(|| name(spec, item)).unwrap_or_else(|| spec.help.to_owned())
}

/// Quartz has days that do not exist here.
fn other_dialect(spec: &Spec, item: &str) -> Option<String> {
    let hint = match spec.name {
        "day of week" if item == "L" => "say which weekday: 5L is the last Friday of the month",
        "day of month" if item.ends_with('W') => {
            "the nearest working day (W) can't be asked for; write the day, or 1-5 as the day of week"
        }
        "day of month" if item.starts_with("L-") => {
            "days before the last can't be counted; write L for the last day, or a day like 28"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

fn step(spec: &Spec, item: &str) -> Option<String> {
    let (range, step) = item.split_once('/')?;
    let step = number(step)?;
    if !(1..=spec.max).contains(&step) {
        return Some(format!("a step of the {} is 1 to {}", spec.name, spec.max));
    }
    spec.value(range)?;
    Some(format!("a step needs a range; write {range}-{}/{step}", spec.last()))
}

fn range(spec: &Spec, item: &str) -> Option<String> {
    let (from, to) = item.split_once('-')?;
    let upwards = spec.value(from)? <= spec.value(to)?;
    let split = format!("{from}-{},{}-{to}", spec.last(), spec.min);
    (!upwards).then(|| format!("a range goes upwards; write {split}"))
}

/// `MONDAY` is `MON`.
fn name(spec: &Spec, item: &str) -> Option<String> {
    let name = spec.names.iter().find(|name| item.starts_with(**name))?;
    item.bytes().all(|b| b.is_ascii_alphabetic()).then(|| format!("write {name}"))
}
