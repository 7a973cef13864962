//! Slack's place in these tests: takes every call, notes it, and answers as the test says.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::adapters::slack::exam::described;
use crate::adapters::webhook::testing::serve;

/// What Slack answers to a call: by its method and its number among all calls, a status and a body.
pub(super) type Answers = fn(method: &str, host: &str, count: usize) -> (u16, Value);

/// A call.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) path: String,
    pub(super) token: Option<String>,
    pub(super) body: Bytes,
    headers: HeaderMap,
}

impl Call {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    pub(super) fn method(&self) -> &str {
        self.path.rsplit('/').next().unwrap()
    }
}

/// A server, for as long as the test.
pub(super) struct Fake {
    pub(super) url: String,
    calls: Arc<Mutex<Vec<Call>>>,
    links: mpsc::Receiver<WebSocket>,
}

#[derive(Clone)]
struct Shared {
    calls: Arc<Mutex<Vec<Call>>>,
    links: mpsc::Sender<WebSocket>,
    answers: Answers,
}

impl Fake {
    pub(super) async fn start(answers: Answers) -> Self {
        let calls = Arc::default();
        let (sender, links) = mpsc::channel(8);
        let shared = Shared { calls: Arc::clone(&calls), links: sender, answers };
        let router = Router::new().route("/link", get(link)).fallback(call).with_state(shared);
        Self { url: serve(router).await, calls, links }
    }

    /// The calls since the last time, each of which Slack describes.
    pub(super) fn calls(&self) -> Vec<Call> {
        let calls = std::mem::take(&mut *self.calls.lock().unwrap());
        for call in calls.iter().filter(|call| call.path.starts_with("/api/")) {
            described(call.method(), &call.headers, &call.body).unwrap();
        }
        calls
    }

    /// The next socket that is opened.
    pub(super) async fn link(&mut self) -> WebSocket {
        self.links.recv().await.unwrap()
    }
}

async fn link(State(shared): State<Shared>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async move |socket| drop(shared.links.send(socket).await))
}

async fn call(State(shared): State<Shared>, headers: HeaderMap, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let body = axum::body::to_bytes(request.into_body(), usize::MAX).await.unwrap();
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
    let (token, host) = (text("authorization"), text("host").unwrap());
    let called = Call { path, token, body, headers };
    let count = {
        let mut calls = shared.calls.lock().unwrap();
        calls.push(called.clone());
        calls.len()
    };
    let (status, answer) = (shared.answers)(called.method(), &host, count);
    (StatusCode::from_u16(status).unwrap(), axum::Json(answer)).into_response()
}

/// Every call works.
pub(super) fn well(method: &str, host: &str, _: usize) -> (u16, Value) {
    let answer = match method {
        "auth.test" => json!({"ok": true, "user": "bot", "user_id": "U0BOT"}),
        "apps.connections.open" => json!({"ok": true, "url": format!("ws://{host}/link?ticket=1")}),
        "conversations.open" => json!({"ok": true, "channel": {"id": "D0ADA"}}),
        "files.getUploadURLExternal" => {
            json!({"ok": true, "file_id": "F0FILE", "upload_url": format!("http://{host}/upload/v1/ABC")})
        }
        "files.info" => {
            json!({"ok": true, "file": {"shares": {"public": {"C1": [{"ts": "1700000000.000050"}]}}}})
        }
        "conversations.info" => json!({"ok": true, "channel": {"id": "C1", "name": "research"}}),
        "users.info" => {
            json!({"ok": true, "user": {"name": "ada.l", "profile": {"display_name": "Ada", "real_name": "Ada L"}}})
        }
        _ => json!({"ok": true, "channel": "C1", "ts": "1700000000.000100"}),
    };
    (200, answer)
}
