//! Whose call it is and about which channel, from the path.

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use claw_types::{InstanceId, UserId};

use crate::error::Problem;

/// `/api/users/{user}/...`
#[derive(Debug)]
pub struct UserPath(pub UserId);

/// `/api/users/{user}/channels/{instance}/...`
#[derive(Debug)]
pub struct ChannelPath {
    /// Whose.
    pub user: UserId,
    /// Which one.
    pub instance: InstanceId,
}

impl<S: Send + Sync> FromRequestParts<S> for UserPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = params(parts, state).await?;
        Ok(Self(parse(&params, "user")?))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ChannelPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = params(parts, state).await?;
        Ok(Self { user: parse(&params, "user")?, instance: parse(&params, "instance")? })
    }
}

/// The decoded segments of the path that the route names.
///
/// # Errors
/// 400 when one is not UTF-8.
pub async fn params<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<RawPathParams, Problem> {
    RawPathParams::from_request_parts(parts, state)
        .await
        .map_err(|_| Problem::bad_request("the path is not percent-encoded UTF-8"))
}

/// The segment of this name.
pub fn segment<'a>(params: &'a RawPathParams, name: &str) -> &'a str {
    params.iter().find_map(|(key, value)| (key == name).then_some(value)).unwrap_or_default()
}

fn parse<T: std::str::FromStr<Err = claw_types::IdError>>(
    params: &RawPathParams,
    name: &str,
) -> Result<T, Problem> {
    segment(params, name)
        .parse()
        .map_err(|error: claw_types::IdError| Problem::bad_request(error.to_string()))
}
