//! A platform's own description of its calls, and whether a call fits it: path, query and body.
//!
//! It is checked as far as the description beside the adapter goes: to the last value for `discord`, `line`, `slack`, `telegram` and
//! `whatsapp`; for `google_chat`, `matrix`, `sms` and `teams` only which keys there are and which of them are required.
//!
//! What platforms publish has many forms: OpenAPI 3.0 and 3.1, Swagger 2, tables of fields with limits in sentences.
//! `crates/channels/descriptions.py` makes one of them for the first five, which is kept beside the adapter as JSON:
//!
//! - `calls`: by name what is called, as `{"call": "POST /a/{id}", "path": {"id": schema}, "query": schema, "body": schema}`;
//! - `methods`: by name the schema of the parameters, where all of a platform's calls have paths of one form;
//! - `types`: by name the schemas that others refer to.
//!
//! A schema has the rules that `schema.rs` checks, and one more than JSON Schema has: an object with `properties` may have no others.
//! Descriptions rarely forbid what they do not know, but platforms do, or they ignore it, and either way the adapter is wrong.
//!
//! Must hold: whatever can't be read fits nothing, so that no check passes because its description is broken.
//!
//! Rejected: the crate `jsonschema`. The exam is part of the product (`ii-claw channels exam`), so some forty crates would be, for some
//! twenty rules; and what is not mentioned would be allowed.

mod schema;
#[cfg(test)]
mod tests;

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use url::form_urlencoded;

use self::schema::Rules;

/// The description of one platform.
pub struct Description(Value);

impl Description {
    /// Of its JSON; what can't be read knows nothing, so that every check fails.
    pub fn new(json: &str) -> Self {
        Self(serde_json::from_str(json).unwrap_or_default())
    }

    /// Whether a value is what is described by this name, like `methods/sendMessage`.
    ///
    /// # Errors
    /// What does not fit.
    pub fn fits(&self, name: &str, value: &Value) -> Result<(), String> {
        let schema = self.0.pointer(&format!("/{name}"));
        let schema = schema.ok_or_else(|| format!("the platform's description has no {name}"))?;
        self.rules().check(schema, value, name)
    }

    /// The name of a call.
    ///
    /// # Errors
    /// When the platform has none like it.
    pub fn call(&self, method: &str, path: &str) -> Result<&str, String> {
        let found = self.candidates(method, path)?;
        found.first().map(|(name, _)| *name).ok_or_else(|| unknown(method, path))
    }

    /// Whether a call with this method, path and query, and body fits; a body that is none is null.
    ///
    /// # Errors
    /// What does not fit.
    pub fn asked(&self, method: &str, target: &str, body: &Value) -> Result<(), String> {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        // Two calls may have paths of one form; of what fits none, the last one tells why.
        let mut found = Err(unknown(method, path));
        for (name, call) in self.candidates(method, path)? {
            found = self.call_fits((name, call), path, query, body);
            if found.is_ok() {
                break;
            }
        }
        found
    }

    /// The fields of a form as they are described: a form has texts only, so what is no text is one as JSON.
    pub fn of_form(&self, name: &str, fields: impl IntoIterator<Item = (String, String)>) -> Value {
        let schema = self.0.pointer(&format!("/{name}")).unwrap_or(&Value::Null);
        self.rules().typed(schema, fields)
    }

    fn rules(&self) -> Rules<'_> {
        Rules { types: &self.0["types"] }
    }

    /// The calls with such a path, of which those go first that have most of it written out.
    fn candidates(&self, method: &str, path: &str) -> Result<Vec<(&str, &Value)>, String> {
        let all = self.0["calls"].as_object().into_iter().flatten();
        let is_like = |call: &Value| {
            let (known, template) = parts(call);
            known == method && filled(template, path).is_some()
        };
        let mut found: Vec<_> =
            all.filter(|(_, call)| is_like(call)).map(|(name, call)| (name.as_str(), call)).collect();
        let open = |call: &Value| parts(call).1.matches('{').count();
        let fewest = found.iter().map(|(_, call)| open(call)).min().ok_or_else(|| unknown(method, path))?;
        found.retain(|(_, call)| open(call) == fewest);
        Ok(found)
    }

    fn call_fits(
        &self,
        (name, call): (&str, &Value),
        path: &str,
        query: &str,
        body: &Value,
    ) -> Result<(), String> {
        let rules = self.rules();
        for (key, given) in filled(parts(call).1, path).unwrap_or_default() {
            let given = percent_decode_str(given).decode_utf8_lossy();
            rules.check(&call["path"][key], &json!(given), &format!("{name} {{{key}}}"))?;
        }
        let query = form_urlencoded::parse(query.as_bytes()).into_owned();
        rules.check(&call["query"], &rules.typed(&call["query"], query), &format!("{name}?"))?;
        match call.get("body") {
            Some(schema) => rules.check(schema, body, name),
            None if body.is_null() => Ok(()),
            None => Err(format!("{name} takes no body: {body}")),
        }
    }
}

fn unknown(method: &str, path: &str) -> String {
    format!("the platform's description has no {method} {path}")
}

/// Method and path of a call.
fn parts(call: &Value) -> (&str, &str) {
    call["call"].as_str().and_then(|call| call.split_once(' ')).unwrap_or_default()
}

/// What stands in a path for what a template has in braces; `None` for another path.
fn filled<'a>(template: &'a str, path: &'a str) -> Option<Vec<(&'a str, &'a str)>> {
    let (known, given) = (template.split('/'), path.split('/'));
    if known.clone().count() != given.clone().count() {
        return None;
    }
    let mut filled = Vec::new();
    for (known, given) in known.zip(given) {
        match known.strip_prefix('{').and_then(|known| known.strip_suffix('}')) {
            Some(key) if !given.is_empty() => filled.push((key, given)),
            None if known == given => {}
            _ => return None,
        }
    }
    Some(filled)
}
