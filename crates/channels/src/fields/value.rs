//! Single values: whatever form they were sent in, they are kept in one.

use claw_types::limits::is_emoji;
use serde_json::{Map, Number, Value};

use super::{Field, FieldError, FieldKind, MOST_WORDS, WORD_LIMIT};

/// A value as it is kept; `None` for an empty one.
pub(super) fn coerce(field: &Field, value: Value) -> Result<Option<Value>, FieldError> {
    if value.is_null() || value.as_str().is_some_and(|text| text.trim().is_empty()) {
        return Ok(None);
    }
    let wrong = |expected| FieldError::Type { key: field.key.to_owned(), expected, given: type_of(&value) };
    let coerced = match (field.kind, &value) {
        // A secret that is a file, such as the key of a service account: as that file is written, or as what is in it.
        (FieldKind::Secret, Value::Object(_)) => Value::String(value.to_string()),
        (FieldKind::Secret, Value::String(text)) if text.trim_start().starts_with('{') => {
            document(text).ok_or_else(|| wrong("a whole JSON document"))?
        }
        (FieldKind::Text | FieldKind::Secret | FieldKind::Url, Value::String(text)) => {
            if text.contains(char::is_control) {
                return Err(wrong("text without control characters"));
            }
            Value::String(text.trim().to_owned())
        }
        (FieldKind::Text | FieldKind::Secret, Value::Number(number)) => Value::String(number.to_string()),
        (FieldKind::Emoji, Value::String(text)) if is_emoji(text.trim()) => {
            Value::String(text.trim().to_owned())
        }
        (FieldKind::Number, Value::Number(number)) if number.is_u64() => value,
        (FieldKind::Number, Value::String(text)) => {
            let number: u64 = text.trim().parse().map_err(|_| wrong("a whole number"))?;
            Value::Number(Number::from(number))
        }
        (FieldKind::Bool, Value::Bool(_)) => value,
        (FieldKind::Bool, Value::String(text)) => match text.trim() {
            "true" | "True" => Value::Bool(true),
            "false" | "False" => Value::Bool(false),
            _ => return Err(wrong("\"true\" or \"false\"")),
        },
        (FieldKind::Choice(choices), Value::String(text)) if choices.contains(&text.trim()) => {
            Value::String(text.trim().to_owned())
        }
        (FieldKind::Choice(choices), _) => {
            return Err(FieldError::Choice { key: field.key.to_owned(), choices: choices.join(", ") });
        }
        (FieldKind::List | FieldKind::Ids | FieldKind::Words | FieldKind::Items(_), Value::String(text)) => {
            // Lines may have commas in them. One that ends with a comma is no item: a list with commas goes on in the next.
            let text = text.trim();
            let goes_on = text.lines().any(|line| line.trim_end().ends_with(','));
            list(text.split(if text.contains('\n') && !goes_on { '\n' } else { ',' }))
        }
        (FieldKind::List | FieldKind::Ids | FieldKind::Words | FieldKind::Items(_), Value::Array(items)) => {
            let texts: Option<Vec<String>> = items.iter().map(scalar).collect();
            list(texts.ok_or_else(|| wrong("a list of texts"))?.iter().map(String::as_str))
        }
        (FieldKind::List | FieldKind::Ids | FieldKind::Words, Value::Number(number)) => {
            list([number.to_string().as_str()].into_iter())
        }
        (kind, _) => return Err(wrong(expected(kind))),
    };
    if let Some(most) = field.most
        && coerced.as_u64().is_some_and(|number| number > most)
    {
        return Err(FieldError::TooLarge { key: field.key.to_owned(), most });
    }
    if let FieldKind::Items(choices) = field.kind
        && !only(&coerced, choices)
    {
        return Err(FieldError::Items { key: field.key.to_owned(), choices: choices.join(", ") });
    }
    if field.kind == FieldKind::Ids
        && let Some(name) = coerced.as_array().into_iter().flatten().filter_map(Value::as_str).find(is_name)
    {
        return Err(FieldError::Name { key: field.key, name: name.to_owned() });
    }
    if field.kind == FieldKind::Words {
        check_words(field.key, &coerced)?;
    }
    Ok(Some(coerced))
}

fn check_words(key: &'static str, list: &Value) -> Result<(), FieldError> {
    let words = || list.as_array().into_iter().flatten().filter_map(Value::as_str);
    if words().count() > MOST_WORDS {
        return Err(FieldError::TooMany { key, most: MOST_WORDS });
    }
    let is_word = |text: &&str| text.chars().count() <= WORD_LIMIT && text.contains(char::is_alphanumeric);
    match words().find(|word| !is_word(word)) {
        Some(word) => {
            let word = word.chars().take(WORD_LIMIT).collect();
            Err(FieldError::Word { key, most: WORD_LIMIT, word })
        }
        None => Ok(()),
    }
}

/// A JSON document in one line.
fn document(text: &str) -> Option<Value> {
    let document: Map<String, Value> = serde_json::from_str(text).ok()?;
    Some(Value::String(Value::Object(document).to_string()))
}

/// Whether every item of a list is one of these.
fn only(list: &Value, choices: &[&str]) -> bool {
    let mut items = list.as_array().into_iter().flatten();
    items.all(|item| item.as_str().is_some_and(|item| choices.contains(&item)))
}

/// Whether it is an @name. Ids such as `@ada:example.org` say which server they are of.
fn is_name(text: &&str) -> bool {
    text.starts_with('@') && !text.contains(':')
}

fn list<'a>(items: impl Iterator<Item = &'a str>) -> Value {
    items.map(str::trim).filter(|item| !item.is_empty()).collect()
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.contains(char::is_control) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn expected(kind: FieldKind) -> &'static str {
    match kind {
        FieldKind::Text | FieldKind::Secret | FieldKind::Choice(_) => "text",
        FieldKind::Url => "an http or https URL",
        FieldKind::Emoji => "one emoji, without white space",
        FieldKind::Number => "a whole number",
        FieldKind::Bool => "true or false",
        FieldKind::List | FieldKind::Ids | FieldKind::Words | FieldKind::Items(_) => {
            "a list, or a text with commas"
        }
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number of another kind",
        Value::String(_) => "this text",
        Value::Array(_) => "a list of something else",
        Value::Object(_) => "an object",
    }
}
