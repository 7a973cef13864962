//! Whether the process lives, whether it is of use, and what is wrong.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde_json::{Value, json};

use crate::app::{App, Shared};

/// The database has this long to answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// `GET /api/health`: 200 as long as the process lives, for clients that show the parts' states.
pub async fn report(State(app): State<Shared>) -> Json<Value> {
    let (database, nats) = (database(&app).await, app.bus.connected());
    let status = if database && nats { "ok" } else { "degraded" };
    Json(json!({"status": status, "version": env!("CARGO_PKG_VERSION"), "database": database, "nats": nats}))
}

/// `GET /healthz`: a probe that restarts what hangs.
pub async fn live() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: a probe that takes a gateway out of the load balancer.
pub async fn ready(State(app): State<Shared>) -> impl IntoResponse {
    let mut missing = Vec::new();
    if app.lifecycle.soft().is_cancelled() {
        missing.push("the gateway is draining");
    }
    if !database(&app).await {
        missing.push("the database does not answer");
    }
    if !app.bus.connected() {
        missing.push("NATS is not connected");
    }
    if missing.is_empty() {
        (StatusCode::OK, "ready\n".to_owned())
    } else {
        (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}\n", missing.join(", ")))
    }
}

async fn database(app: &App) -> bool {
    tokio::time::timeout(PATIENCE, app.store.ping()).await.is_ok_and(|answer| answer.is_ok())
}
