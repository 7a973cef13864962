//! What is in the body of a call, for the exams of platforms that take JSON.

use serde_json::Value;

/// What stands at a place of the body (a JSON pointer, like `/message/text`), if it is a text or a number; nothing of a body that is no
/// JSON.
pub fn at(body: &[u8], place: &str) -> Vec<String> {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let found = match body.pointer(place) {
        Some(Value::String(text)) => Some(text.clone()),
        Some(Value::Number(number)) => Some(number.to_string()),
        _ => None,
    };
    found.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_numbers_are_found_and_nothing_else() {
        let body = br#"{"a": {"b": "c", "m.d": [7]}, "e": {}}"#;
        assert_eq!((at(body, "/a/b"), at(body, "/a/m.d/0")), (vec!["c".to_owned()], vec!["7".to_owned()]));
        for nothing in [at(body, "/e"), at(body, "/a/x"), at(b"a=b", "/a")] {
            assert!(nothing.is_empty(), "{nothing:?}");
        }
    }
}
