//! Calls of the API that are part of a trace.
//!
//! Only whoever holds the operator's key is heard: a trace that a caller has recorded costs us and the collector, and a tenant's key,
//! a hook's secret or a platform's signature is no right to that.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::response::Response;
use claw_runtime::Ids;
use claw_telemetry::trace::{Context, HEADER, Kind, Span, is_on, mark};

use crate::auth::Principal;

/// The trace that a caller says its call is part of.
#[derive(Debug, Clone, Copy)]
pub struct Caller(Option<Context>);

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        if !is_on() {
            return Ok(Self(None));
        }
        let operator = parts.extensions.get::<Principal>().is_some_and(Principal::is_operator);
        Ok(Self(if operator { named(&parts.headers) } else { None }))
    }
}

/// The trace that the headers name. Several are none, for nobody knows which one counts.
fn named(headers: &HeaderMap) -> Option<Context> {
    let mut given = headers.get_all(HEADER).into_iter();
    let (Some(header), None) = (given.next(), given.next()) else { return None };
    Context::parse(header.to_str().ok()?)
}

impl Caller {
    /// The span of this call. Its caller decides whether it is recorded; where none does, chance does.
    pub fn span(self, name: &'static str, ids: &Ids) -> Span {
        match self.0 {
            Some(caller) => Span::child_of(Some(caller), name, Kind::Server),
            None if is_on() => Span::first(ids.next().as_u128(), name, Kind::Server, mark()),
            None => Span::none(),
        }
    }
}

/// Says how a call was answered.
pub fn answered(span: &mut Span, response: &Response) {
    let status = response.status();
    span.set("http.response.status_code", u32::from(status.as_u16()));
    if status.is_server_error() {
        span.failed("server_error");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_header_names_a_trace_and_two_name_none() {
        let header = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let mut headers = HeaderMap::new();
        assert_eq!(named(&headers), None);
        headers.append(HEADER, header.parse().unwrap());
        assert_eq!(named(&headers), Context::parse(header));
        headers.append(HEADER, header.parse().unwrap());
        assert_eq!(named(&headers), None);
        headers.insert(HEADER, "00-4bf9".parse().unwrap());
        assert_eq!(named(&headers), None);
        headers.insert(HEADER, b"\xff".as_slice().try_into().unwrap());
        assert_eq!(named(&headers), None);
    }
}
