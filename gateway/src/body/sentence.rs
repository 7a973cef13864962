//! What serde says of a wrong value, as a sentence that names the key and says what to change.
//!
//! serde's own texts speak of structs, maps and sequences; the callers of this API debug with nothing but the answer.

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::shown;
use crate::error::Problem;

/// Longest part of an answer that repeats what was sent.
const SHOWN: usize = 200;

/// Reads a typed value; every refusal names the place and says what belongs there.
///
/// # Errors
/// 400.
pub fn read<T: DeserializeOwned>(value: Value) -> Result<T, Problem> {
    serde_path_to_error::deserialize(value)
        .map_err(|error| refused(&error.path().to_string(), &error.inner().to_string()))
}

/// [`read`] for the value of a key of the body.
///
/// # Errors
/// 400.
pub fn read_in<T: DeserializeOwned>(key: &str, value: Value) -> Result<T, Problem> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let path = if path == "." { key.to_owned() } else { format!("{key}.{path}") };
        refused(&path, &error.inner().to_string())
    })
}

/// The refusal for what serde said about the value at `path` (`.` for the whole).
pub fn refused(path: &str, said: &str) -> Problem {
    Problem::bad_request(sentence(if path == "." { "" } else { path }, said))
}

fn sentence(path: &str, said: &str) -> String {
    if let Some(rest) = said.strip_prefix("unknown field `") {
        // serde_path_to_error ends such a path with the unknown key itself.
        let (key, rest) = rest.split_once("`, ").unwrap_or((rest, ""));
        let place = if path.is_empty() { shown(key) } else { shown(path) };
        return match names(rest) {
            Some(names) => format!("the key {place:?} is not known here; the keys are: {names}"),
            None => format!("the key {place:?} is not known here; there are none"),
        };
    }
    if let Some(key) = said.strip_prefix("missing field `").and_then(|rest| rest.strip_suffix('`')) {
        return format!("{:?} is required", below(path, key));
    }
    if let Some((given, expected)) =
        said.strip_prefix("invalid type: ").and_then(|rest| rest.split_once(", expected "))
    {
        return match kind(given) {
            "null" => format!("{:?} is required", shown(path)),
            given => format!("{} must be {}, not {given}", place(path), wanted(expected)),
        };
    }
    if let Some((given, expected)) =
        said.strip_prefix("invalid value: integer `").and_then(|rest| rest.split_once("`, expected "))
    {
        return format!("{} must be {}, not {given}", place(path), wanted(expected));
    }
    if let Some(rest) = said.strip_prefix("unknown variant `") {
        let known = rest.split_once("`, expected ").and_then(|(_, rest)| names(rest)).unwrap_or_default();
        return format!("{} must be one of: {known}", place(path));
    }
    let said: String = said.chars().filter(|c| !c.is_control()).take(SHOWN).collect();
    format!("{}: {said}", place(path))
}

fn place(path: &str) -> String {
    if path.is_empty() { "the body".to_owned() } else { format!("{:?}", shown(path)) }
}

fn below(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// The names that serde puts between backticks.
fn names(text: &str) -> Option<String> {
    let names: Vec<&str> = text.split('`').skip(1).step_by(2).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

fn kind(given: &str) -> &str {
    match given.split([' ', '`']).next().unwrap_or_default() {
        "null" | "unit" | "Option" => "null",
        "boolean" => "a boolean",
        "integer" | "floating" => "a number",
        "string" | "character" => "this text",
        "sequence" => "an array",
        "map" => "an object",
        _ => "this",
    }
}

fn wanted(expected: &str) -> &str {
    match expected {
        "a string" | "string" => "text",
        "a boolean" => "true or false",
        "a map" => "an object",
        "a sequence" => "an array",
        "u8" | "u16" | "u32" | "u64" | "usize" => "a whole number from 0",
        "i8" | "i16" | "i32" | "i64" => "a whole number",
        "f64" | "f32" => "a number",
        other if other.starts_with("struct ") || other.contains("tagged enum") => "an object",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its errors matter")]
    struct Outer {
        name: String,
        inner: Option<Vec<Inner>>,
        loud: Option<bool>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its errors matter")]
    struct Inner {
        count: u32,
        colour: Option<Colour>,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Colour {
        Red,
        Blue,
    }

    #[test]
    fn every_refusal_names_the_place_and_what_belongs_there() {
        let table = [
            (json!({}), "\"name\" is required"),
            (json!({"name": null}), "\"name\" is required"),
            (json!({"name": 5}), "\"name\" must be text, not a number"),
            (json!({"name": ["a"]}), "\"name\" must be text, not an array"),
            (
                json!({"name": "a", "nope": 1}),
                "the key \"nope\" is not known here; the keys are: name, inner, loud",
            ),
            (json!({"name": "a", "loud": "x"}), "\"loud\" must be true or false, not this text"),
            (json!({"name": "a", "inner": {}}), "\"inner\" must be an array, not an object"),
            (json!({"name": "a", "inner": [5]}), "\"inner[0]\" must be an object, not a number"),
            (json!({"name": "a", "inner": [{}]}), "\"inner[0].count\" is required"),
            (
                json!({"name": "a", "inner": [{"count": -1}]}),
                "\"inner[0].count\" must be a whole number from 0, not -1",
            ),
            (
                json!({"name": "a", "inner": [{"count": 1, "x": 2}]}),
                "the key \"inner[0].x\" is not known here; the keys are: count, colour",
            ),
            (
                json!({"name": "a", "inner": [{"count": "1"}]}),
                "\"inner[0].count\" must be a whole number from 0, not this text",
            ),
            (
                json!({"name": "a", "inner": [{"count": 1, "colour": "green"}]}),
                "\"inner[0].colour\" must be one of: red, blue",
            ),
        ];
        for (value, expected) in table {
            let problem = read::<Outer>(value.clone()).unwrap_err();
            assert_eq!(problem.detail(), expected, "{value}");
        }
    }
}
