//! The built-in backend of `ii-claw up` without an `AI_WEBHOOK_URL`: it answers what it was told.
//!
//! It speaks the real contract, as II-Agent does: checks the signature over the exact body, answers the webhook at
//! once with an immediate reply, and sends the real answer afterwards by the REST API.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use claw_runtime::Lifecycle;
use claw_secrets::signature;
use claw_types::WebhookBody;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tracing::warn;

struct Echo {
    secret: String,
    api_key: String,
    api: String,
    client: reqwest::Client,
    lifecycle: Lifecycle,
}

/// Starts it on a free local port; answers the webhook's URL. `api` is where the gateway will listen.
pub(crate) async fn start(
    lifecycle: &Lifecycle,
    api: SocketAddr,
    api_key: &str,
    secret: &str,
) -> anyhow::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.context("the echo backend has no port")?;
    let address = listener.local_addr()?;
    let host = if api.ip().is_unspecified() { "127.0.0.1".to_owned() } else { api.ip().to_string() };
    let echo = Arc::new(Echo {
        secret: secret.to_owned(),
        api_key: api_key.to_owned(),
        api: format!("http://{host}:{}", api.port()),
        client: claw_channels::kit::http::operator_client(Duration::from_secs(30))?,
        lifecycle: lifecycle.clone(),
    });
    let app = Router::new().route("/webhook", post(receive)).with_state(echo);
    let (soft, failed) = (lifecycle.soft(), lifecycle.clone());
    lifecycle.spawn("echo backend", async move {
        if let Err(error) = axum::serve(listener, app).with_graceful_shutdown(soft.cancelled_owned()).await {
            failed.fail(format!("the echo backend failed: {error}"));
        }
    });
    Ok(format!("http://{address}/webhook"))
}

async fn receive(
    State(echo): State<Arc<Echo>>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, Json<Value>) {
    let given = headers.get(signature::HEADER).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !signature::verify(echo.secret.as_bytes(), &body, given) {
        return (StatusCode::UNAUTHORIZED, Json(json!({"error": "the signature does not fit the body"})));
    }
    let Ok(message) = serde_json::from_slice::<WebhookBody>(&body) else {
        return (StatusCode::BAD_REQUEST, Json(json!({"error": "this is not a message"})));
    };
    let id = headers.get("webhook-id").and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    let lifecycle = echo.lifecycle.clone();
    lifecycle.spawn("echo", async move { answer(&echo, &id, &message).await });
    (StatusCode::OK, Json(json!({"async_processing": true})))
}

async fn answer(echo: &Echo, id: &str, message: &WebhookBody) {
    let text = match (&message.text, &message.media_url) {
        (Some(text), _) => format!("You said: {text}"),
        (None, Some(url)) => format!("You sent: {url}"),
        (None, None) => format!("You sent something of type {}.", message.content_type),
    };
    // An event that nobody waits for an answer to.
    let Some(to) = &message.reply_to else { return };
    let url = format!("{}/api/users/{}/channels/{}/send", echo.api, message.user_id, message.instance_name);
    let body = json!({"recipient": to.recipient, "thread_id": to.thread_id, "message": text});
    // The webhook may come twice; the key makes the answer one.
    let call = echo.client.post(url).bearer_auth(&echo.api_key).header("idempotency-key", id).json(&body);
    match call.send().await {
        Ok(response) if response.status().is_success() => {}
        Ok(response) => warn!(status = response.status().as_u16(), "the echo backend's answer was refused"),
        Err(error) => warn!("the echo backend could not answer: {error}"),
    }
}
