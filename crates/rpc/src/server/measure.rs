//! Counts the calls that come in.

use std::time::Instant;

use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use claw_telemetry::metrics::{Counter, Histogram, Label, Values, rpc_code};
use http::HeaderMap;

/// Where a call's outcome stands: in the headers when it failed at once, which all of ours do that fail.
const STATUS: &str = "grpc-status";
/// What all of our services' names begin with.
const PACKAGE: &str = "/iiclaw.v1.";

/// Counts a call and how long its answer took. Health and reflection are `other`, and so is whatever is not served.
pub(super) async fn count(request: Request, next: Next) -> Response {
    let method = method(request.uri().path());
    let began = Instant::now();
    let response = next.run(request).await;
    Histogram::RpcDuration.observe(&[method], began.elapsed().as_secs_f64());
    Counter::RpcRequests.add(&[method, rpc_code(code(response.headers()))]);
    response
}

/// A caller may ask for any path; only what is known becomes a label.
fn method(path: &str) -> &'static str {
    let Some(Label { values: Values::Fixed(known), .. }) = Histogram::RpcDuration.spec().labels.first()
    else {
        return "other";
    };
    let asked = path.strip_prefix(PACKAGE).unwrap_or_default();
    known.iter().copied().find(|known| *known == asked).unwrap_or("other")
}

fn code(headers: &HeaderMap) -> i32 {
    let said = headers.get(STATUS).and_then(|code| code.to_str().ok());
    said.and_then(|code| code.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every call of the protocol's files has a series of its own.
    #[test]
    fn every_call_is_known() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../proto/iiclaw/v1");
        let mut calls = 0;
        for file in std::fs::read_dir(folder).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            let service = text.lines().find_map(|line| line.strip_prefix("service ")).unwrap();
            let service = service.split_whitespace().next().unwrap();
            for rpc in text.lines().filter_map(|line| line.trim().strip_prefix("rpc ")) {
                let (name, _) = rpc.split_once('(').unwrap();
                assert_eq!(method(&format!("{PACKAGE}{service}/{name}")), format!("{service}/{name}"));
                calls += 1;
            }
        }
        assert!(calls >= 11, "{calls}");
    }

    #[test]
    fn what_nobody_serves_is_no_label() {
        for path in ["/", "/grpc.health.v1.Health/Check", "/iiclaw.v1.Worker/Nonsense", "Worker/Status", ""] {
            assert_eq!(method(path), "other", "{path:?}");
        }
    }

    #[test]
    fn an_answer_without_a_code_is_good() {
        let mut headers = HeaderMap::new();
        assert_eq!(code(&headers), 0);
        headers.insert(STATUS, "14".parse().unwrap());
        assert_eq!(code(&headers), 14);
    }
}
