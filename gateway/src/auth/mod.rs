//! Who calls, and what they may.
//!
//! Every path under `/api` but health, and some others, passes [`require`]: a bearer token that is the operator's key or one of the stored
//! ones. A key of one user opens only paths that carry that user's id; a path without one is for keys of all users, unless
//! the body names the user.
//! What a route needs beyond that, its scope, stands beside it in the router's list ([`scope`]).

mod address;
mod principal;
mod throttle;
mod verify;

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::Response;
use claw_store::Scope;

pub use address::Proxies;
pub use principal::Principal;
pub use throttle::Throttle;
pub use verify::{Verifier, digest, token};

use crate::app::Shared;
use crate::error::Problem;
use crate::path;

/// Lets a request pass that carries a key which is good for its path; the handler finds the [`Principal`].
///
/// # Errors
/// 401 without a good key, 429 after too many of those, 403 for another user's path.
pub async fn require(State(app): State<Shared>, request: Request, next: Next) -> Result<Response, Problem> {
    let (mut parts, body) = request.into_parts();
    let principal = caller(&app, &parts.headers, &parts.extensions).await?;
    let params = path::params(&mut parts, &()).await?;
    match params.iter().find(|(name, _)| *name == "user") {
        Some((_, user)) if !principal.may_act_for(user) => return Err(Problem::another_user()),
        None if principal.user.is_some() && !open_to_all(&parts) && !names_its_user(&parts) => {
            return Err(Problem::not_the_operator());
        }
        _ => {}
    }
    parts.extensions.insert(principal);
    Ok(next.run(Request::from_parts(parts, body)).await)
}

/// What no tenant's data is in: any key may look.
fn open_to_all(parts: &axum::http::request::Parts) -> bool {
    parts.uri.path() == "/api/channels"
}

/// What names its user in the body, which only the handler reads: it refuses another user's key.
fn names_its_user(parts: &axum::http::request::Parts) -> bool {
    matches!(parts.uri.path(), "/hooks/wake" | "/hooks/agent")
}

/// Lets a request pass whose key has this scope.
///
/// # Errors
/// 403 otherwise.
pub async fn scope(
    State(needed): State<Scope>,
    principal: Principal,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if principal.has(needed) { Ok(next.run(request).await) } else { Err(Problem::out_of_scope(needed)) }
}

/// Whose key it is. Failures are counted by the caller's address.
///
/// # Errors
/// 401, or 429 when there were too many of those.
pub async fn caller(
    app: &Shared,
    headers: &HeaderMap,
    extensions: &axum::http::Extensions,
) -> Result<Principal, Problem> {
    let address = app.proxies.client(headers, extensions);
    let found = match bearer(headers) {
        Some(token) => app.verifier.verify(app, token, address).await?,
        None => None,
    };
    match found {
        Some(principal) => Ok(Principal { address, ..principal }),
        None => Err(app.throttle.failed(app, address)),
    }
}

/// Whether the key of a request that goes on for long is still good for the same. While the database can't tell, it is.
pub async fn still_good(app: &Shared, headers: &HeaderMap, before: &Principal) -> bool {
    let Some(token) = bearer(headers) else { return false };
    match app.verifier.verify(app, token, before.address).await {
        Ok(now) => now.is_some_and(|now| now.user == before.user && now.has(Scope::Read)),
        Err(_) => true,
    }
}

/// The one bearer token of a request.
pub fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let mut given = headers.get_all(AUTHORIZATION).into_iter();
    let (Some(header), None) = (given.next(), given.next()) else { return None };
    // The scheme's case does not matter (RFC 9110, section 11.1), the key's does.
    let (scheme, token) = header.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bearer_token_is_found_whatever_the_case_of_its_scheme() {
        let table = [
            ("Bearer key", Some("key")),
            ("bearer  key ", Some("key")),
            ("BEARER KEY", Some("KEY")),
            ("Bearer", None),
            ("Bearer ", Some("")),
            ("Basic key", None),
            ("key", None),
            ("", None),
        ];
        for (header, expected) in table {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, header.parse().unwrap());
            assert_eq!(bearer(&headers), expected.map(str::as_bytes), "{header:?}");
        }
        assert_eq!(bearer(&HeaderMap::new()), None);
        let mut twice = HeaderMap::new();
        twice.append(AUTHORIZATION, "Bearer key".parse().unwrap());
        twice.append(AUTHORIZATION, "Bearer key".parse().unwrap());
        assert_eq!(bearer(&twice), None, "which one would count?");
    }
}
