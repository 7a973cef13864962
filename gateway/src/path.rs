//! Whose call it is and about what, from the path.

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use claw_types::{HookName, InstanceId, UserId};
use utoipa::IntoParams;
use uuid::Uuid;

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

/// `/api/users/{user}/.../{id}/...`
#[derive(Debug)]
pub struct ItemPath {
    /// Whose.
    pub user: UserId,
    /// Which one.
    pub id: Uuid,
}

/// `/api/users/{user}/hooks/{name}/...`
#[derive(Debug)]
pub struct HookPath {
    /// Whose.
    pub user: UserId,
    /// Which one.
    pub name: HookName,
}

/// `/api/users/{user}/channels/{instance}/messages/{message}`
#[derive(Debug)]
pub struct MessagePath {
    /// Which channel.
    pub channel: ChannelPath,
    /// Our id of the message, or the platform's.
    pub message: String,
}

/// `/api/users/{user}/channels/{instance}/pairing/{code}`
#[derive(Debug)]
pub struct PairingPath {
    /// Which channel.
    pub channel: ChannelPath,
    /// As it was typed.
    pub code: String,
}

/// `/api/.../{id}`
#[derive(Debug)]
pub struct IdPath(pub Uuid);

/// [`UserPath`], for the document.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "only its description is used")]
pub struct UserParams {
    /// Your own id of one of your users: 1 to 128 bytes, no white space, no `/`, no control characters.
    #[param(min_length = 1, max_length = 128, pattern = r"^[^\s/\x00-\x1f\x7f]+$", example = "ada")]
    user: String,
}

/// [`ChannelPath`], for the document.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "only its description is used")]
pub struct ChannelParams {
    /// Your own id of one of your users.
    #[param(min_length = 1, max_length = 128, pattern = r"^[^\s/\x00-\x1f\x7f]+$", example = "ada")]
    user: String,
    /// The name of a channel within its user.
    #[param(min_length = 1, max_length = 64, pattern = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$", example = "chat_1")]
    instance: String,
}

/// [`MessagePath`], for the document.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "only its description is used")]
pub struct MessageParams {
    /// Your own id of one of your users.
    #[param(min_length = 1, max_length = 128, pattern = r"^[^\s/\x00-\x1f\x7f]+$", example = "ada")]
    user: String,
    /// The name of a channel within its user.
    #[param(min_length = 1, max_length = 64, pattern = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$", example = "chat_1")]
    instance: String,
    /// Our id of the message (of the answer to its sending, or the `webhook-id` of a person's), or the platform's.
    #[param(min_length = 1, max_length = 512)]
    message: String,
}

/// [`PairingPath`], for the document.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "only its description is used")]
pub struct PairingParams {
    /// Your own id of one of your users.
    #[param(min_length = 1, max_length = 128, pattern = r"^[^\s/\x00-\x1f\x7f]+$", example = "ada")]
    user: String,
    /// The name of a channel within its user.
    #[param(min_length = 1, max_length = 64, pattern = r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$", example = "chat_1")]
    instance: String,
    /// The code of a request or an invitation, in any case; hyphens and spaces do not count.
    #[param(min_length = 8, max_length = 40, example = "K7QM2XRA")]
    code: String,
}

/// [`ItemPath`], for the document.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "only its description is used")]
pub struct ItemParams {
    /// Your own id of one of your users.
    #[param(min_length = 1, max_length = 128, pattern = r"^[^\s/\x00-\x1f\x7f]+$", example = "ada")]
    user: String,
    /// Which one.
    id: Uuid,
}

/// [`HookPath`], for the document.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "only its description is used")]
pub struct HookParams {
    /// Your own id of one of your users.
    #[param(min_length = 1, max_length = 128, pattern = r"^[^\s/\x00-\x1f\x7f]+$", example = "ada")]
    user: String,
    /// The hook's name.
    #[param(
        min_length = 3,
        max_length = 64,
        pattern = r"^[a-z0-9][a-z0-9_-]{2,63}$",
        example = "github-claw"
    )]
    name: String,
}

/// [`IdPath`], for the document.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(dead_code, reason = "only its description is used")]
pub struct IdParams {
    /// Which one.
    id: Uuid,
}

impl MessagePath {
    /// Of a request that does something to this message: the same body for another message is another request.
    pub fn digest(&self, body: &[u8]) -> [u8; 32] {
        claw_secrets::signature::sha256(&[self.message.as_bytes(), b"\0", body].concat())
    }
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

impl<S: Send + Sync> FromRequestParts<S> for MessagePath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = params(parts, state).await?;
        let message = segment(&params, "message").to_owned();
        crate::body::printable("message", &message, 512)?;
        let channel = ChannelPath { user: parse(&params, "user")?, instance: parse(&params, "instance")? };
        Ok(Self { channel, message })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PairingPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = params(parts, state).await?;
        let channel = ChannelPath { user: parse(&params, "user")?, instance: parse(&params, "instance")? };
        Ok(Self { channel, code: segment(&params, "code").to_owned() })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ItemPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = params(parts, state).await?;
        Ok(Self { user: parse(&params, "user")?, id: id(&params)? })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for HookPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = params(parts, state).await?;
        Ok(Self { user: parse(&params, "user")?, name: parse(&params, "name")? })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IdPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        Ok(Self(id(&params(parts, state).await?)?))
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

fn id(params: &RawPathParams) -> Result<Uuid, Problem> {
    Uuid::try_parse(segment(params, "id")).map_err(|_| {
        Problem::bad_request("the id in the path must be a UUID, as the list of these things shows it")
    })
}

/// The segment of this name as an id.
///
/// # Errors
/// 400 naming what is wrong with it.
pub fn parse<T: std::str::FromStr<Err = claw_types::IdError>>(
    params: &RawPathParams,
    name: &str,
) -> Result<T, Problem> {
    segment(params, name)
        .parse()
        .map_err(|error: claw_types::IdError| Problem::bad_request(error.to_string()))
}
