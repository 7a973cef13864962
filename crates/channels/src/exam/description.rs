//! A platform's own description of its calls, as far as it is needed: which keys an object must and may have.
//!
//! It is extracted from what the platform publishes and kept beside the adapter as JSON: `{"methods": {name: object}, "types":
//! {name: object}}`, where an object is `{"required": [key], "optional": [key]}`.

use std::collections::BTreeSet;

use serde_json::Value;

/// The description of one platform.
pub struct Description(Value);

impl Description {
    /// Of its JSON; what can't be read knows no object, so that every check fails.
    pub fn new(json: &str) -> Self {
        Self(serde_json::from_str(json).unwrap_or_default())
    }

    /// Whether an object has what is required, and nothing that the platform does not know; `name` is like
    /// `methods/sendMessage`.
    ///
    /// # Errors
    /// What does not fit.
    pub fn fits(&self, name: &str, object: &Value) -> Result<(), String> {
        let required = self.keys(name, "required")?;
        let optional = self.keys(name, "optional")?;
        let Value::Object(given) = object else { return Err(format!("{name} must be an object: {object}")) };
        let given: BTreeSet<&str> = given.keys().map(String::as_str).collect();
        if let Some(missing) = required.difference(&given).next() {
            return Err(format!("{name} lacks {missing:?}: {object}"));
        }
        let unknown = given.iter().find(|key| !required.contains(*key) && !optional.contains(*key));
        unknown.map_or(Ok(()), |key| Err(format!("{name} has no {key:?}: {object}")))
    }

    fn keys(&self, name: &str, kind: &str) -> Result<BTreeSet<&str>, String> {
        let keys = self.0.pointer(&format!("/{name}/{kind}")).and_then(Value::as_array);
        let keys = keys.ok_or_else(|| format!("the platform's description has no {name}"))?;
        Ok(keys.iter().filter_map(Value::as_str).collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_object_has_what_is_required_and_nothing_unknown() {
        let description = Description::new(r#"{"types": {"T": {"required": ["a"], "optional": ["b"]}}}"#);
        assert_eq!(description.fits("types/T", &json!({"a": 1})), Ok(()));
        assert_eq!(description.fits("types/T", &json!({"a": 1, "b": 2})), Ok(()));
        for (name, object, why) in [
            ("types/T", json!({"b": 2}), "types/T lacks \"a\""),
            ("types/T", json!({"a": 1, "c": 3}), "types/T has no \"c\""),
            ("types/T", json!([]), "must be an object"),
            ("types/U", json!({"a": 1}), "has no types/U"),
        ] {
            let said = description.fits(name, &object).unwrap_err();
            assert!(said.contains(why), "{said}");
        }
    }
}
