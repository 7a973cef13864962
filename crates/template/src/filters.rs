//! The filters and tests that templates have.
//!
//! minijinja's own are left out for those that cost more than they are charged for (`"x"|trim(body)` writes all of
//! the body), or make lists. These take texts, numbers and booleans; what is not there is an empty text.

use std::borrow::Cow;

use minijinja::value::ValueKind;
use minijinja::{Environment, Error, ErrorKind, State, Value};

/// The names of the filters.
pub const FILTERS: &[&str] = &[
    "default", "first", "join", "last", "length", "lower", "replace", "round", "tojson", "trim", "truncate",
    "upper",
];

/// The names of the tests, as in `x is defined`.
pub const TESTS: &[&str] = &[
    "boolean",
    "defined",
    "endingwith",
    "mapping",
    "none",
    "number",
    "sequence",
    "startingwith",
    "string",
    "undefined",
];

const SCALAR: &str = "this filter takes a text or a number; for a list or an object use join or tojson";

pub(crate) fn add(env: &mut Environment<'static>) {
    env.add_filter("default", |value: Value, other: Value| if absent(&value) { other } else { value });
    env.add_filter("first", |value: Value| item(&value, Some(0)));
    env.add_filter("join", join);
    env.add_filter("last", |value: Value| item(&value, value.len().and_then(|len| len.checked_sub(1))));
    env.add_filter("length", length);
    env.add_filter("lower", |value: Value| Ok::<_, Error>(text(&value)?.to_lowercase()));
    env.add_filter("replace", replace);
    env.add_filter("round", round);
    env.add_filter("tojson", to_json);
    env.add_filter("trim", |value: Value| Ok::<_, Error>(text(&value)?.trim().to_owned()));
    env.add_filter("truncate", truncate);
    env.add_filter("upper", |value: Value| Ok::<_, Error>(text(&value)?.to_uppercase()));

    env.add_test("defined", |value: Value| !value.is_undefined());
    env.add_test("undefined", |value: Value| value.is_undefined());
    env.add_test("none", |value: Value| value.is_none());
    env.add_test("string", |value: Value| value.kind() == ValueKind::String);
    env.add_test("number", |value: Value| value.kind() == ValueKind::Number);
    env.add_test("boolean", |value: Value| value.kind() == ValueKind::Bool);
    env.add_test("sequence", |value: Value| value.kind() == ValueKind::Seq);
    env.add_test("mapping", |value: Value| value.kind() == ValueKind::Map);
    env.add_test("startingwith", |value: &Value, with: &str| text(value).is_ok_and(|t| t.starts_with(with)));
    env.add_test("endingwith", |value: &Value, with: &str| text(value).is_ok_and(|t| t.ends_with(with)));
}

/// Not there, or null.
pub(crate) fn absent(value: &Value) -> bool {
    value.is_undefined() || value.is_none()
}

/// Compact JSON, as `{{ }}` writes it; the engine charges for that.
pub(crate) fn json(value: &Value) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))
}

fn to_json(state: &State, value: &Value) -> Result<String, Error> {
    let json = json(value)?;
    // As much as `{{ }}` costs. For a filter the engine charges only as if a text was copied.
    state.consume_fuel(json.len() as u64 / 4)?;
    Ok(json)
}

fn wrong(reason: &'static str) -> Error {
    Error::new(ErrorKind::InvalidOperation, reason)
}

fn text(value: &Value) -> Result<Cow<'_, str>, Error> {
    match value.kind() {
        ValueKind::String => Ok(Cow::Borrowed(value.as_str().unwrap_or_default())),
        ValueKind::Undefined | ValueKind::None => Ok(Cow::Borrowed("")),
        ValueKind::Bool => Ok(Cow::Borrowed(if value.is_true() { "true" } else { "false" })),
        ValueKind::Number => Ok(Cow::Owned(value.to_string())),
        _ => Err(wrong(SCALAR)),
    }
}

fn item(value: &Value, index: Option<usize>) -> Value {
    let found = index.and_then(|index| value.get_item_by_index(index).ok());
    found.unwrap_or(Value::UNDEFINED)
}

fn length(value: &Value) -> Result<usize, Error> {
    match value.len() {
        Some(len) => Ok(len),
        None if absent(value) => Ok(0),
        None => Err(wrong("length takes a text, a list or an object")),
    }
}

fn join(state: &State, value: &Value, between: Option<&str>) -> Result<String, Error> {
    if absent(value) {
        return Ok(String::new());
    }
    let between = between.unwrap_or_default();
    let mut joined = String::new();
    for (n, item) in value.try_iter()?.enumerate() {
        let item = text(&item)?;
        // Before the memory is taken.
        charge(state, between.len() + item.len())?;
        if n > 0 {
            joined.push_str(between);
        }
        joined.push_str(&item);
    }
    Ok(joined)
}

fn replace(state: &State, value: &Value, from: &str, to: &str) -> Result<String, Error> {
    let value = text(value)?;
    if from.is_empty() {
        return Err(wrong("replace needs a text to look for"));
    }
    charge(state, value.len())?;
    let grown = value.matches(from).count().saturating_mul(to.len());
    charge(state, grown)?;
    Ok(value.replace(from, to))
}

fn charge(state: &State, bytes: usize) -> Result<(), Error> {
    state.consume_fuel(1 + bytes as u64 / 64)
}

fn round(value: Value, places: Option<u8>) -> Result<Value, Error> {
    match f64::try_from(value) {
        Ok(number) => {
            let factor = 10_f64.powi(i32::from(places.unwrap_or(0).min(15)));
            Ok(Value::from((number * factor).round() / factor))
        }
        Err(_) => Err(wrong("round takes a number")),
    }
}

fn truncate(value: &Value, length: usize, end: Option<&str>) -> Result<String, Error> {
    let value = text(value)?;
    match value.char_indices().nth(length) {
        None => Ok(value.into_owned()),
        Some((cut, _)) => Ok(format!("{}{}", &value[..cut], end.unwrap_or("…"))),
    }
}
