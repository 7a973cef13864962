//! What the exams of platforms share that sign with web tokens and hand out access tokens. Pure, of public test vectors.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};

use super::{Answer, Asked};
use crate::RawRequest;
use crate::kit::jwt::SigningKey;
use crate::kit::jwt::vectors::{RFC_7515, RFC_7520, Vector};

/// The name of the key that the platform has: the `secret` of [`super::Road::Webhook`].
pub const SECRET: &str = RFC_7515.kid;

/// The access token: what [`super::Platform::hands_out`].
pub const TOKEN: &str = "exam-token";

/// A request with this body and these claims, as the platform signs. Another `secret` is another key, under the same name.
pub fn signed(secret: &str, body: &str, claims: &Value) -> RawRequest {
    let by = if secret == SECRET { RFC_7515 } else { RFC_7520 };
    RawRequest {
        headers: bearing(Vector { kid: RFC_7515.kid, ..by }, claims),
        query: String::new(),
        body: body.to_owned().into(),
    }
}

/// The headers of a request with these claims in its token.
pub fn bearing(by: Vector, claims: &Value) -> HeaderMap {
    let token = SigningKey::from_pem(by.pem).and_then(|key| key.token(by.kid, claims)).unwrap_or_default();
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::try_from(format!("Bearer {token}")) {
        headers.insert(AUTHORIZATION, value);
    }
    headers
}

/// The answer with an access token.
pub fn grants() -> Answer {
    Answer::json(200, &json!({"token_type": "Bearer", "expires_in": 3599, "access_token": TOKEN}))
}

/// Whether a call has that token.
///
/// # Errors
/// When it has not.
pub fn has_token(asked: &Asked) -> Result<(), String> {
    let given =
        asked.headers.get(AUTHORIZATION).and_then(|header| header.to_str().ok()?.strip_prefix("Bearer "));
    if given == Some(TOKEN) {
        return Ok(());
    }
    Err(format!("{} lacks the token", asked.path()))
}

/// The list in a value; empty where there is none.
pub fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}
