//! `GET /metrics`.

use axum::http::header::{CONTENT_TYPE, HeaderName};
use claw_telemetry::metrics;

/// What this gateway has counted since it started, for Prometheus. Behind a load balancer each call shows one gateway's:
/// scrape each by its own address, best at the internal port, where every role has the same path without a key.
///
/// # Errors
/// None of its own.
#[utoipa::path(
    get, path = "/metrics", tag = "health", operation_id = "metrics",
    responses((status = 200, description = "The counters.", body = String, content_type = "text/plain"))
)]
pub async fn handle() -> ([(HeaderName, &'static str); 1], String) {
    ([(CONTENT_TYPE, metrics::FORMAT)], metrics::scrape())
}
