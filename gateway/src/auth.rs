//! The bearer token on every `/api` call but health.

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::Response;
use claw_secrets::signature;
use secrecy::ExposeSecret as _;

use crate::app::Shared;
use crate::error::Problem;

/// Lets a request pass that carries the operator's key.
///
/// # Errors
/// 401 for every other one.
pub async fn require(State(app): State<Shared>, request: Request, next: Next) -> Result<Response, Problem> {
    if allowed(request.headers(), app.keys.api_key.expose_secret()) {
        Ok(next.run(request).await)
    } else {
        Err(Problem::unauthorized())
    }
}

fn allowed(headers: &HeaderMap, key: &str) -> bool {
    let mut given = headers.get_all(AUTHORIZATION).into_iter();
    let (Some(header), None) = (given.next(), given.next()) else { return false };
    // The scheme's case does not matter (RFC 9110, section 11.1), the key's does.
    let Some((scheme, token)) = header.as_bytes().split_at_checked(7) else { return false };
    scheme.eq_ignore_ascii_case(b"bearer ") && signature::same(token.trim_ascii(), key.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_key_passes() {
        let table = [
            ("Bearer key", true),
            ("bearer  key ", true),
            ("Bearer", false),
            ("Bearer ", false),
            ("Bearer kez", false),
            ("Bearer KEY", false),
            ("Bearer keyx", false),
            ("Basic key", false),
            ("key", false),
            ("", false),
            ("Bearer k\u{e9}y", false),
        ];
        for (header, expected) in table {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, header.parse().unwrap());
            assert_eq!(allowed(&headers, "key"), expected, "{header:?}");
        }
        assert!(!allowed(&HeaderMap::new(), "key"));
        let mut twice = HeaderMap::new();
        twice.append(AUTHORIZATION, "Bearer key".parse().unwrap());
        twice.append(AUTHORIZATION, "Bearer key".parse().unwrap());
        assert!(!allowed(&twice, "key"), "which one would count?");
    }
}
