//! Whether a value fits a schema: the rules of JSON Schema that the descriptions beside the adapters have.
//!
//! Of its own are `maxBytes` of a text, `distinct` of a list (JSON pointers to what no two of its items may have alike; the empty one is
//! the item itself), and of `format` the kinds that `has_format` names. A rule that is not known fails, because it would be a rule that
//! nobody checks.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use url::Url;

use crate::kit::answer::excerpt;

/// Characters of a value that are shown.
const MAX_SHOWN: usize = 300;

type Checked = Result<(), String>;

/// The schemas to which others refer.
#[derive(Clone, Copy)]
pub(super) struct Rules<'a> {
    pub(super) types: &'a Value,
}

impl Rules<'_> {
    /// Whether a value fits; what does not is told as being at `at`.
    pub(super) fn check(self, schema: &Value, value: &Value, at: &str) -> Checked {
        let rules = schema.as_object().ok_or_else(|| format!("nothing describes {at}: {}", shown(value)))?;
        rules.iter().try_for_each(|(keyword, rule)| self.rule(rules, (keyword.as_str(), rule), value, at))
    }

    fn rule(
        self,
        rules: &Map<String, Value>,
        (keyword, rule): (&str, &Value),
        value: &Value,
        at: &str,
    ) -> Checked {
        match keyword {
            "$ref" => self.named(rule, value, at),
            "type" => is_type(rule, value, at),
            "enum" => is_one_of(rule, value, at),
            "format" => has_format(rule, value, at),
            "minLength" | "maxLength" | "maxBytes" | "minItems" | "maxItems" | "minimum" | "maximum" => {
                is_within(keyword, rule, value, at)
            }
            "multipleOf" => is_multiple(rule, value, at),
            "items" => self.items(rule, value, at),
            "distinct" => are_distinct(rule, value, at),
            "properties" => self.properties(rules, value, at),
            "required" => has_required(rule, value, at),
            // Goes with the properties, where there are any.
            "additionalProperties" if !rules.contains_key("properties") => self.properties(rules, value, at),
            "additionalProperties" => Ok(()),
            "anyOf" => self.any_of(rule, value, at),
            "discriminator" => self.tagged(rule, value, at),
            unknown => Err(format!("nothing checks the rule {unknown:?} of {at}")),
        }
    }

    fn named(self, name: &Value, value: &Value, at: &str) -> Checked {
        let name = name.as_str().unwrap_or_default();
        self.check(&self.types[name], value, at)
    }

    fn items(self, schema: &Value, value: &Value, at: &str) -> Checked {
        let mut items = value.as_array().into_iter().flatten().enumerate();
        items.try_for_each(|(place, item)| self.check(schema, item, &format!("{at}[{place}]")))
    }

    fn properties(self, rules: &Map<String, Value>, value: &Value, at: &str) -> Checked {
        let known = rules.get("properties").unwrap_or(&Value::Null);
        for (key, one) in value.as_object().into_iter().flatten() {
            match (known.get(key), rules.get("additionalProperties")) {
                (Some(schema), _) | (None, Some(schema @ Value::Object(_))) => {
                    self.check(schema, one, &format!("{at}.{key}"))?;
                }
                (None, Some(Value::Bool(true))) => {}
                _ => return Err(format!("{at} has no {key:?}: {}", shown(value))),
            }
        }
        Ok(())
    }

    fn any_of(self, schemas: &Value, value: &Value, at: &str) -> Checked {
        let mut why = Vec::new();
        for schema in schemas.as_array().into_iter().flatten() {
            match self.check(schema, value, at) {
                Ok(()) => return Ok(()),
                Err(one) => why.push(one),
            }
        }
        Err(format!("{at} fits none of {}: {}", why.len(), why.join("; ")))
    }

    /// The type that the value says it is.
    fn tagged(self, rule: &Value, value: &Value, at: &str) -> Checked {
        let key = rule["propertyName"].as_str().unwrap_or_default();
        let tag = value[key].as_str().unwrap_or_default();
        match rule["mapping"].get(tag) {
            Some(name) => self.named(name, value, at),
            None => Err(format!("{at}.{key} is none that is sent here: {}", shown(value))),
        }
    }

    /// Fields that came as texts, as they are described.
    pub(super) fn typed(self, schema: &Value, fields: impl IntoIterator<Item = (String, String)>) -> Value {
        let one = |(key, text): (String, String)| {
            let is_text = self.takes_text(&schema["properties"][key.as_str()]);
            let other = if is_text { None } else { serde_json::from_str(&text).ok() };
            (key, other.unwrap_or(Value::String(text)))
        };
        Value::Object(fields.into_iter().map(one).collect())
    }

    fn takes_text(self, schema: &Value) -> bool {
        if let Some(name) = schema["$ref"].as_str() {
            return self.takes_text(&self.types[name]);
        }
        if let Some(schemas) = schema["anyOf"].as_array().filter(|_| schema.get("type").is_none()) {
            return schemas.iter().any(|schema| self.takes_text(schema));
        }
        match &schema["type"] {
            Value::Null => true,
            Value::Array(names) => names.iter().any(|name| name == "string"),
            name => name == "string",
        }
    }
}

fn shown(value: &Value) -> String {
    excerpt(&value.to_string(), MAX_SHOWN)
}

fn is_type(rule: &Value, value: &Value, at: &str) -> Checked {
    let is = |name: &Value| match name.as_str().unwrap_or_default() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "null" => value.is_null(),
        _ => false,
    };
    let fits = rule.as_array().map_or_else(|| is(rule), |names| names.iter().any(is));
    if fits { Ok(()) } else { Err(format!("{at} is no {rule}: {}", shown(value))) }
}

fn is_one_of(rule: &Value, value: &Value, at: &str) -> Checked {
    let known = rule.as_array().is_some_and(|known| known.contains(value));
    if known { Ok(()) } else { Err(format!("{at} is none of {}: {}", shown(rule), shown(value))) }
}

/// Texts: `uri`, `https` (an address that begins so), `digits`, `word` (a to z, digits, `_`), `ascii_word` (A to Z, too), `stamp` (digits, a
/// point, digits). Numbers: `int32`.
fn has_format(rule: &Value, value: &Value, at: &str) -> Checked {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    let fits = match (rule.as_str().unwrap_or_default(), value) {
        ("int32", Value::Number(number)) => {
            number.as_i64().is_some_and(|number| i32::try_from(number).is_ok())
        }
        ("uri", Value::String(text)) => Url::parse(text).is_ok(),
        ("https", Value::String(text)) => Url::parse(text).is_ok_and(|url| url.scheme() == "https"),
        ("digits", Value::String(text)) => digits(text),
        ("word", Value::String(text)) => text.bytes().all(word),
        ("ascii_word", Value::String(text)) => text.bytes().all(|b| word(b.to_ascii_lowercase())),
        ("stamp", Value::String(text)) => {
            text.split_once('.').is_some_and(|(seconds, rest)| digits(seconds) && digits(rest))
        }
        ("int32" | "uri" | "https" | "digits" | "word" | "ascii_word" | "stamp", _) => true,
        (unknown, _) => return Err(format!("nothing checks the format {unknown:?} of {at}")),
    };
    if fits { Ok(()) } else { Err(format!("{at} is not of the form {rule}: {}", shown(value))) }
}

/// Lengths are those of JSON Schema, in Unicode scalar values: platforms that count otherwise count more.
fn is_within(keyword: &str, rule: &Value, value: &Value, at: &str) -> Checked {
    let size = match (keyword, value) {
        ("minLength" | "maxLength", Value::String(text)) => json!(text.chars().count()),
        ("maxBytes", Value::String(text)) => json!(text.len()),
        ("minItems" | "maxItems", Value::Array(items)) => json!(items.len()),
        ("minimum" | "maximum", Value::Number(_)) => value.clone(),
        _ => return Ok(()),
    };
    let fits = match (size.as_f64(), rule.as_f64()) {
        (Some(size), Some(least)) if keyword.starts_with("min") => size >= least,
        (Some(size), Some(most)) => size <= most,
        _ => false,
    };
    if fits { Ok(()) } else { Err(format!("{at} breaks {keyword} {rule} with {size}: {}", shown(value))) }
}

fn is_multiple(rule: &Value, value: &Value, at: &str) -> Checked {
    let fits = match (value.as_u64(), rule.as_u64()) {
        (Some(number), Some(step)) => number.checked_rem(step) == Some(0),
        _ => !value.is_number(),
    };
    if fits { Ok(()) } else { Err(format!("{at} is no multiple of {rule}: {value}")) }
}

fn are_distinct(rule: &Value, value: &Value, at: &str) -> Checked {
    let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
    for place in rule.as_array().into_iter().flatten().filter_map(Value::as_str) {
        let mut seen = BTreeSet::new();
        let mut found = items.iter().filter_map(|item| item.pointer(place)).map(Value::to_string);
        if let Some(twice) = found.find(|one| !seen.insert(one.clone())) {
            return Err(format!("{at} has {twice} twice as {place:?}: {}", shown(value)));
        }
    }
    Ok(())
}

fn has_required(rule: &Value, value: &Value, at: &str) -> Checked {
    let Value::Object(given) = value else { return Ok(()) };
    let mut required = rule.as_array().into_iter().flatten().filter_map(Value::as_str);
    match required.find(|key| !given.contains_key(*key)) {
        Some(missing) => Err(format!("{at} lacks {missing:?}: {}", shown(value))),
        None => Ok(()),
    }
}
