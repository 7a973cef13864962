//! JSON as minijinja's values.
//!
//! An own object in place of minijinja's maps and lists, for what those do without charging fuel: comparing two of
//! them walks both, and so does turning one into a string, which many operations do in passing. Here a list or an
//! object equals only itself, and its text is a word; the JSON comes with `{{ }}` and `tojson`, which are charged.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use minijinja::Value;
use minijinja::value::{DynObject, Enumerator, Object, ObjectExt, ObjectRepr};
use serde_json::Value as Json;

use crate::TemplateError;

/// As deep as `serde_json` parses. Deeper values would overflow the stack when they are written.
pub(crate) const MAX_DEPTH: usize = 128;

#[derive(Debug)]
enum Container {
    List(Vec<Value>),
    Object(BTreeMap<Arc<str>, Value>),
}

/// Turns JSON into a value.
pub(crate) fn value(json: &Json) -> Result<Value, TemplateError> {
    nested(json, MAX_DEPTH).ok_or(TemplateError::Deep(MAX_DEPTH))
}

/// An object of texts.
pub(crate) fn texts<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Value {
    let pairs = pairs.into_iter().map(|(key, text)| (Arc::from(key), Value::from(text)));
    Value::from_object(Container::Object(pairs.collect()))
}

fn nested(json: &Json, levels: usize) -> Option<Value> {
    Some(match json {
        Json::Null => Value::from(()),
        Json::Bool(value) => Value::from(*value),
        Json::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => Value::from(number),
            (None, Some(number)) => Value::from(number),
            (None, None) => number.as_f64().map(Value::from)?,
        },
        Json::String(text) => Value::from(text),
        Json::Array(items) => {
            let levels = levels.checked_sub(1)?;
            let items: Option<_> = items.iter().map(|item| nested(item, levels)).collect();
            Value::from_object(Container::List(items?))
        }
        Json::Object(map) => {
            let levels = levels.checked_sub(1)?;
            let pairs = map.iter().map(|(key, item)| Some((Arc::from(key.as_str()), nested(item, levels)?)));
            let pairs: Option<_> = pairs.collect();
            Value::from_object(Container::Object(pairs?))
        }
    })
}

impl Object for Container {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        match **self {
            Self::List(_) => ObjectRepr::Seq,
            Self::Object(_) => ObjectRepr::Map,
        }
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        match &**self {
            Self::List(items) => items.get(key.as_usize()?).cloned(),
            Self::Object(pairs) => pairs.get(key.as_str()?).cloned(),
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        match &**self {
            Self::List(items) => Enumerator::Seq(items.len()),
            // Lazily: a copy of all keys for each loop over them would be free of charge.
            Self::Object(_) => self.mapped_enumerator(|this| match this {
                Self::List(_) => Box::new(std::iter::empty()),
                Self::Object(pairs) => Box::new(pairs.keys().map(|key| Value::from(Arc::clone(key)))),
            }),
        }
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(match &**self {
            Self::List(items) => items.len(),
            Self::Object(pairs) => pairs.len(),
        })
    }

    /// minijinja asks only when they are not the same object. There is nothing that sorts, so that any order will do.
    fn custom_cmp(self: &Arc<Self>, _other: &DynObject) -> Option<Ordering> {
        Some(Ordering::Less)
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match **self {
            Self::List(_) => "[list]",
            Self::Object(_) => "[object]",
        })
    }
}
