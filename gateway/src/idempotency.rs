//! The header `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header): a repeated call with the same value is the
//! same call.

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use utoipa::IntoParams;

use crate::error::Problem;

const HEADER: &str = "idempotency-key";

/// The caller's key, if any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(pub Option<String>);

/// The header, for the document.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "only its description is used")]
pub struct IdempotencyParams {
    /// Makes a repeated call the same call; kept for at least 7 days. 1 to 255 visible ASCII characters.
    #[param(
        rename = "Idempotency-Key",
        required = false,
        min_length = 1,
        max_length = 255,
        pattern = r"^[!-~]+$"
    )]
    key: String,
}

impl<S: Send + Sync> FromRequestParts<S> for IdempotencyKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        read(&parts.headers).map(Self)
    }
}

/// Whether a text may be a key.
pub fn is_key(text: &str) -> bool {
    (1..=255).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}

fn read(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let Some(value) = headers.get(HEADER) else { return Ok(None) };
    match value.to_str().ok().filter(|text| is_key(text)) {
        Some(key) => Ok(Some(key.to_owned())),
        None => {
            Err(Problem::bad_request("the header Idempotency-Key must be 1 to 255 visible ASCII characters"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_visible_ascii() {
        let with = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(HEADER, value.parse().unwrap());
            read(&headers).ok().flatten()
        };
        assert_eq!(with("a-1"), Some("a-1".to_owned()));
        assert_eq!(with(""), None);
        assert_eq!(with("a b"), None);
        assert_eq!(with("\u{e9}"), None);
        assert_eq!(with(&"x".repeat(256)), None);
        assert!(read(&HeaderMap::new()).is_ok_and(|key| key.is_none()));
    }
}
