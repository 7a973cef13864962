//! Reading the API's object.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use crate::cron::Cron;
use crate::error::ScheduleError;
use crate::schedule::{Limits, Schedule};

const SECONDS: &str = "a whole number of seconds";
const EXPR: &str = "a text of five fields like \"0 9 * * 1-5\"";
const TZ: &str = "the name of a time zone like \"Europe/Berlin\"";
const AT: &str = "a time with its offset like \"2026-12-01T09:00:00Z\" (RFC 3339)";

/// Reads a schedule. `null` is as good as an absent key, as everywhere in the API.
pub(crate) fn schedule(object: &Map<String, Value>, limits: Limits) -> Result<Schedule, ScheduleError> {
    match object.get("type").and_then(Value::as_str) {
        Some("every") => {
            known(object, "every", &["every_secs"])?;
            every(required(object, "every", "every_secs", SECONDS)?, limits)
        }
        Some("cron") => {
            known(object, "cron", &["expr", "tz"])?;
            cron(required(object, "cron", "expr", EXPR)?, optional(object, "tz"))
        }
        Some("at") => {
            known(object, "at", &["at"])?;
            at(required(object, "at", "at", AT)?)
        }
        _ => Err(ScheduleError::Type),
    }
}

fn known(object: &Map<String, Value>, kind: &'static str, keys: &[&str]) -> Result<(), ScheduleError> {
    match object.keys().find(|key| *key != "type" && !keys.contains(&key.as_str())) {
        None => Ok(()),
        Some(key) => Err(ScheduleError::Unknown {
            key: key.chars().take(64).collect(),
            kind,
            known: format!("type, {}", keys.join(", ")),
        }),
    }
}

fn optional<'a>(object: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    object.get(key).filter(|value| !value.is_null())
}

fn required<'a>(
    object: &'a Map<String, Value>,
    kind: &'static str,
    key: &'static str,
    expected: &'static str,
) -> Result<&'a Value, ScheduleError> {
    optional(object, key).ok_or(ScheduleError::Missing { key, kind, expected })
}

fn every(value: &Value, limits: Limits) -> Result<Schedule, ScheduleError> {
    let given = match value {
        Value::Number(number) => number.as_u64(),
        // Only digits: `parse` alone would take a plus sign too.
        Value::String(text) if text.trim().bytes().all(|b| b.is_ascii_digit()) => text.trim().parse().ok(),
        _ => None,
    };
    let given = given.ok_or(ScheduleError::Value { key: "every_secs", expected: SECONDS })?;
    // An interval of no seconds would never get past `after`, whatever the operator allows.
    let (min, max) = (limits.min_every_secs.max(1), Schedule::MAX_EVERY_SECS);
    match u32::try_from(given) {
        Ok(every_secs) if (min..=max).contains(&given) => Ok(Schedule::Every { every_secs }),
        _ => Err(ScheduleError::Every { min, max, given }),
    }
}

fn cron(expr: &Value, tz: Option<&Value>) -> Result<Schedule, ScheduleError> {
    let expr = expr.as_str().ok_or(ScheduleError::Value { key: "expr", expected: EXPR })?;
    let tz = match tz {
        None => "",
        Some(tz) => tz.as_str().ok_or(ScheduleError::Value { key: "tz", expected: TZ })?,
    };
    Ok(Schedule::Cron(Box::new(Cron::parse(expr, tz.trim())?)))
}

fn at(value: &Value) -> Result<Schedule, ScheduleError> {
    let at = value.as_str().and_then(|text| DateTime::parse_from_rfc3339(text.trim()).ok());
    let at = at.ok_or(ScheduleError::Value { key: "at", expected: AT })?;
    Ok(Schedule::At { at: at.with_timezone(&Utc) })
}
