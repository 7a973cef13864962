//! `GET /metrics`.

use axum::http::header::{CONTENT_TYPE, HeaderName};
use claw_telemetry::metrics;

/// The format's name (<https://prometheus.io/docs/instrumenting/exposition_formats/>).
const FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What this gateway has counted since it started, for Prometheus. Behind a load balancer each call shows one gateway's:
/// scrape each by its own address.
///
/// # Errors
/// None of its own.
#[utoipa::path(
    get, path = "/metrics", tag = "health", operation_id = "metrics",
    responses((status = 200, description = "The counters.", body = String, content_type = "text/plain"))
)]
pub async fn handle() -> ([(HeaderName, &'static str); 1], String) {
    ([(CONTENT_TYPE, FORMAT)], metrics::scrape())
}
