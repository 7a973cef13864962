//! Traces across calls between roles: W3C's `traceparent` in the metadata. It is read behind the check of the token, so it is a
//! member's word.

use claw_telemetry::trace::{Context, HEADER, Kind, Span, current, is_on};
use tonic::Request;

/// The call by which a gateway waits for a delivery, as spans of calls are named: service and method
/// (<https://opentelemetry.io/docs/specs/semconv/rpc/rpc-spans/>).
pub(crate) const AWAIT_DELIVERY: &str = "iiclaw.v1.Worker/AwaitDelivery";

/// Puts in the span that the call is made in, if that is recorded.
pub(crate) fn put<T>(request: &mut Request<T>) {
    if let Some(header) = current().and_then(|context| context.header().parse().ok()) {
        request.metadata_mut().insert(HEADER, header);
    }
}

/// The span of answering a call; `name` is its service and method.
pub(crate) fn answering<T>(request: &Request<T>, name: &'static str) -> Span {
    if !is_on() {
        return Span::none();
    }
    let header = request.metadata().get(HEADER).and_then(|header| header.to_str().ok());
    Span::child_of(header.and_then(Context::parse), name, Kind::Server)
}
