//! The backend: takes every webhook that is signed and tells the checker.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use chrono::{DateTime, Utc};
use claw_checker::jobs::{Arrival, Jobs};
use claw_checker::{Checker, Event};
use claw_runtime::{Clock as _, SystemClock};
use claw_secrets::signature;
use claw_testkit::jobs::number_of;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// The key of the webhook's signatures.
pub(crate) const SECRET: &str = "chaos-webhook-secret-0123456789";

/// What everybody who sees something tells it to.
#[derive(Clone, Default)]
pub(crate) struct Witness {
    checker: Arc<Mutex<Checker>>,
    jobs: Arc<Mutex<Jobs>>,
}

impl Witness {
    pub(crate) fn checker(&self) -> MutexGuard<'_, Checker> {
        self.checker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn jobs(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a scheduled job sent; `None` when it does not say which one, and for when.
    fn fired(&self, metadata: &Value, key: &str) -> Option<()> {
        let at = SystemClock.now().timestamp_millis();
        let due: DateTime<Utc> = metadata["scheduled_for"].as_str()?.parse().ok()?;
        let (job, due) = (number_of(metadata["job_id"].as_str()?)?, Some(due.timestamp_millis()));
        self.jobs().arrived(Arrival { job, due, key: key.to_owned(), at });
        Some(())
    }

    pub(crate) fn accepted(&self, conversation: &str, id: &str) {
        self.checker().record(Event::Accepted { conversation: conversation.to_owned(), id: id.to_owned() });
    }

    pub(crate) fn delivered(&self, id: &str, key: &str, body: &[u8]) {
        let conversation = id.split_once(':').map_or(id, |(conversation, _)| conversation).to_owned();
        let digest = hex::encode(signature::sha256(body));
        self.checker().record(Event::Delivered {
            conversation,
            id: id.to_owned(),
            key: key.to_owned(),
            digest,
        });
    }
}

/// Serves until this process ends; answers where.
pub(crate) async fn start(witness: Witness) -> anyhow::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let app = Router::new().route("/hook", post(receive)).with_state(witness);
    #[expect(clippy::disallowed_methods, reason = "ends with the process")]
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(address)
}

async fn receive(
    State(witness): State<Witness>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, Json<Value>) {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !signature::verify(SECRET.as_bytes(), &body, header(signature::HEADER)) {
        return (StatusCode::UNAUTHORIZED, Json(json!({"error": "the signature is wrong"})));
    }
    let Ok(message) = serde_json::from_slice::<Value>(&body) else {
        return (StatusCode::BAD_REQUEST, Json(json!({"error": "this is not JSON"})));
    };
    let metadata = &message["metadata"];
    if metadata["source"] == "cron" {
        return match witness.fired(metadata, header("webhook-id")) {
            Some(()) => (StatusCode::OK, Json(json!({"async_processing": true}))),
            None => (
                StatusCode::BAD_REQUEST,
                Json(json!({"error": "it does not say which job's it is, and for when"})),
            ),
        };
    }
    let text = message["text"].as_str().unwrap_or_default();
    witness.delivered(text, header("webhook-id"), &body);
    (StatusCode::OK, Json(json!({"async_processing": true})))
}
