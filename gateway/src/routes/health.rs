//! Whether the process lives, whether it is of use, and what is wrong.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::app::{App, Shared};

/// The database has this long to answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// How the gateway is.
#[derive(Serialize, ToSchema)]
pub struct Health {
    /// `ok`, or `degraded` when the database or NATS is away.
    #[schema(example = "ok")]
    status: &'static str,
    version: &'static str,
    /// What tells this cluster from others, and nothing more: whoever asks at a public address sees whether it leads to the right one.
    cluster: Uuid,
    /// Whether the database answers.
    database: bool,
    /// Whether NATS is connected.
    nats: bool,
}

/// 200 as long as the process lives, for clients that show the parts' states.
#[utoipa::path(
    get, path = "/api/health", tag = "health", operation_id = "health",
    responses((status = 200, description = "The process lives.", body = Health))
)]
pub async fn report(State(app): State<Shared>) -> Json<Health> {
    let (database, nats) = (database(&app).await, app.bus.connected());
    let status = if database && nats { "ok" } else { "degraded" };
    Json(Health { status, version: env!("CARGO_PKG_VERSION"), cluster: app.cluster, database, nats })
}

/// A probe that restarts what hangs.
#[utoipa::path(
    get, path = "/healthz", tag = "health", operation_id = "live",
    responses((status = 200, description = "The process lives.", body = String, content_type = "text/plain"))
)]
pub async fn live() -> &'static str {
    "ok\n"
}

/// A probe that takes a gateway out of the load balancer.
#[utoipa::path(
    get, path = "/readyz", tag = "health", operation_id = "ready",
    responses(
        (status = 200, description = "It serves.", body = String, content_type = "text/plain"),
        (status = 503, description = "It does not; the text says what is missing.", body = String, content_type = "text/plain"),
    )
)]
pub async fn ready(State(app): State<Shared>) -> impl IntoResponse {
    let missing = missing(&app).await;
    if missing.is_empty() {
        (StatusCode::OK, "ready\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}\n", missing.join(", ")))
    }
}

/// What keeps the gateway from serving.
pub async fn missing(app: &App) -> Vec<&'static str> {
    let mut missing = Vec::new();
    if app.lifecycle.soft().is_cancelled() {
        missing.push("the gateway is draining");
    }
    if !database(app).await {
        missing.push("the database does not answer");
    }
    if !app.bus.connected() {
        missing.push("NATS is not connected");
    }
    missing
}

async fn database(app: &App) -> bool {
    tokio::time::timeout(PATIENCE, app.store.ping()).await.is_ok_and(|answer| answer.is_ok())
}
