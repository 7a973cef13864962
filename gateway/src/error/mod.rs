//! What a caller is told when something goes wrong: problem details (RFC 9457) that also carry `error`, because the
//! client reads that key.
//!
//! A 4xx says what to change. A 5xx tells nothing of the inside; its cause is logged once, by [`crate::answers`].

mod kind;

use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{Extensions, StatusCode};
use axum::response::{IntoResponse, Response};
use claw_channels::kit::guard::UrlError;
use claw_channels::{ChannelError, FieldError};
use claw_store::{Scope, chain};
use claw_types::Invalid;
use serde_json::{Map, Value};

pub use self::kind::Kind;

/// A refused or failed request.
#[derive(Debug)]
pub struct Problem {
    kind: Kind,
    status: StatusCode,
    detail: String,
    more: Map<String, Value>,
    retry_after: Option<u64>,
    cause: Option<String>,
}

/// Why an answer is a 5xx, for the log only; travels in the response's extensions.
#[derive(Debug, Clone)]
pub struct Cause(pub String);

impl Problem {
    /// Any status with a sentence for the caller.
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        let kind = Kind::of(status);
        Self { kind, status, detail: detail.into(), more: Map::new(), retry_after: None, cause: None }
    }

    /// A problem of this kind, with the status that belongs to it.
    pub fn of(kind: Kind, detail: impl Into<String>) -> Self {
        Self { kind, ..Self::new(kind.status(), detail) }
    }

    /// The sentence.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Whether it is the caller's to change something, and not a fault of ours.
    pub fn is_refusal(&self) -> bool {
        self.status.is_client_error()
    }

    /// What the log should say.
    pub fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    /// 400: the request itself is wrong.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 401, asking for the bearer token.
    pub fn unauthorized() -> Self {
        let detail = "send the header \"Authorization: Bearer <II_CLAW_API_KEY>\" with the gateway's key";
        Self::of(Kind::Unauthorized, detail)
    }

    /// 429: too many calls without a good key from one address.
    pub fn too_many_failures(seconds: u64) -> Self {
        let detail =
            "too many calls without a good key came from this address: check the key, then try again";
        Self { retry_after: Some(seconds), ..Self::of(Kind::TooManyRequests, detail) }
    }

    /// 403: the key belongs to one user, the path to another.
    pub fn another_user() -> Self {
        Self::of(Kind::Forbidden, "this key is good for one user, and the path is another user's")
    }

    /// 403: the key belongs to one user, the body names another.
    pub fn another_users_body() -> Self {
        Self::of(Kind::Forbidden, "this key is good for one user, and \"user_id\" names another")
    }

    /// 403: the key belongs to one user, the path to all.
    pub fn not_the_operator() -> Self {
        let detail = "this key is good for one user only; this call needs a key of all users";
        Self::of(Kind::Forbidden, detail)
    }

    /// 403: the key may not do this.
    pub fn out_of_scope(needed: Scope) -> Self {
        let detail = format!("this key lacks the scope {:?}, which this call needs", needed.as_str());
        Self::of(Kind::Forbidden, detail)
    }

    /// 404.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// 409: right in itself, but not in this state of affairs.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail)
    }

    /// 500.
    pub fn internal() -> Self {
        let detail = "something went wrong inside the gateway; its log says what";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, detail)
    }

    /// 503: the same request may work in a moment.
    pub fn unavailable() -> Self {
        let detail = "the gateway can't reach its database just now: try again in a moment";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
    }

    /// Adds what the log should say.
    #[must_use]
    pub fn caused_by(mut self, error: &dyn std::error::Error) -> Self {
        self.cause = Some(chain(error));
        self
    }

    /// Adds a key to the answer.
    #[must_use]
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.more.insert(key.to_owned(), value.into());
        self
    }

    /// What is wrong with the URL in a field.
    pub fn of_url(field: &str, error: &UrlError) -> Self {
        Self::bad_request(format!("the field {field:?} {error}"))
    }
}

impl From<Invalid> for Problem {
    fn from(Invalid(sentence): Invalid) -> Self {
        Self::bad_request(sentence)
    }
}

impl From<claw_store::Error> for Problem {
    fn from(error: claw_store::Error) -> Self {
        use claw_store::Error;

        match &error {
            Error::NoChannel => {
                Self::not_found("there is no such channel; list the user's channels to see them")
            }
            Error::NotFound(_) => Self::not_found(error.to_string()),
            Error::KeyReused => Self::of(Kind::KeyReused, error.to_string()),
            Error::CredentialInUse(_) | Error::Conflict | Error::BeingErased | Error::TooMany { .. } => {
                Self::conflict(error.to_string())
            }
            Error::Schedule(_) | Error::NoTarget(_) | Error::ManyTargets { .. } => {
                Self::bad_request(error.to_string())
            }
            Error::Database(_) | Error::NotCommitted(_) => Self::unavailable().caused_by(&error),
            _ => Self::internal().caused_by(&error),
        }
    }
}

impl From<FieldError> for Problem {
    fn from(error: FieldError) -> Self {
        Self::bad_request(error.to_string())
    }
}

impl From<ChannelError> for Problem {
    fn from(error: ChannelError) -> Self {
        let status = match error {
            ChannelError::Config(_) | ChannelError::BadRequest(_) => StatusCode::BAD_REQUEST,
            ChannelError::BadSignature(_) => StatusCode::UNAUTHORIZED,
            ChannelError::Permanent(_) => StatusCode::NOT_FOUND,
            ChannelError::Unsupported(_) => StatusCode::UNPROCESSABLE_ENTITY,
            ChannelError::RateLimited(_)
            | ChannelError::ChatLimited { .. }
            | ChannelError::Retryable(_)
            | ChannelError::Uncertain(_)
            | ChannelError::BadCredentials(_) => StatusCode::BAD_GATEWAY,
        };
        // These texts are written for the channel's user and never hold a credential.
        Self::new(status, error.to_string())
    }
}

impl From<claw_media::Error> for Problem {
    fn from(error: claw_media::Error) -> Self {
        use claw_media::Error;

        match &error {
            Error::TooLarge(_) => Self::of(Kind::BodyTooLarge, error.to_string()),
            Error::TimedOut(_) => Self::of(Kind::PlatformFailed, error.to_string()),
            Error::Source(source) => match source.downcast_ref::<ChannelError>() {
                Some(source) => source.clone().into(),
                None => Self::of(Kind::PlatformFailed, error.to_string()),
            },
            Error::Changed => Self::unavailable().caused_by(&error),
            _ => Self::internal().caused_by(&error),
        }
    }
}

impl From<serde_json::Error> for Problem {
    fn from(error: serde_json::Error) -> Self {
        Self::internal().caused_by(&error)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut body = self.more;
        body.insert("type".to_owned(), self.kind.uri().into());
        body.insert("title".to_owned(), self.status.canonical_reason().unwrap_or("Problem").into());
        body.insert("status".to_owned(), self.status.as_u16().into());
        body.insert("detail".to_owned(), self.detail.clone().into());
        body.insert("error".to_owned(), self.detail.into());
        let mut response = (self.status, Value::Object(body).to_string()).into_response();
        let mut set = |name: HeaderName, value| response.headers_mut().insert(name, value);
        set(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::UNAUTHORIZED {
            set(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        let retry_after = self.retry_after.or((self.status == StatusCode::SERVICE_UNAVAILABLE).then_some(1));
        if let Some(seconds) = retry_after {
            set(RETRY_AFTER, HeaderValue::from(seconds));
        }
        remember(self.cause, response.extensions_mut());
        response
    }
}

fn remember(cause: Option<String>, extensions: &mut Extensions) {
    if let Some(cause) = cause {
        extensions.insert(Cause(cause));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_server_error_tells_nothing_of_the_inside() {
        let inside = claw_store::Error::NotCommitted("password=hunter2".into());
        let response = Problem::from(inside).into_response();
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[RETRY_AFTER], "1");
        assert!(response.extensions().get::<Cause>().unwrap().0.contains("hunter2"), "the log says why");
        let body = crate::body::read(response.into_body()).await.unwrap();
        assert!(!String::from_utf8_lossy(&body).contains("hunter2"));
    }
}
