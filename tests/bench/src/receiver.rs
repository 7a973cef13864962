//! The backend of the benchmark: checks each signature and tells who waits.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use claw_secrets::signature;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// The webhook secret of the benchmark.
pub(crate) const SECRET: &str = "bench-webhook-secret";

/// The running receiver.
pub(crate) struct Receiver {
    shared: Arc<Shared>,
    address: SocketAddr,
}

#[derive(Default)]
struct Shared {
    waiting: Mutex<HashMap<String, oneshot::Sender<Instant>>>,
    badly_signed: AtomicU64,
}

impl Receiver {
    pub(crate) async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared::default());
        let app = Router::new().route("/hook", post(receive)).with_state(Arc::clone(&shared));
        #[expect(clippy::disallowed_methods, reason = "ends with the process")]
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(Self { shared, address })
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// The moment at which the message with this text arrives.
    pub(crate) fn expect(&self, text: &str) -> oneshot::Receiver<Instant> {
        let (sender, receiver) = oneshot::channel();
        self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(text.to_owned(), sender);
        receiver
    }

    pub(crate) fn badly_signed(&self) -> u64 {
        self.shared.badly_signed.load(Ordering::Relaxed)
    }
}

async fn receive(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let arrived = Instant::now();
    let given = headers.get(signature::HEADER).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !signature::verify(SECRET.as_bytes(), &body, given) {
        shared.badly_signed.fetch_add(1, Ordering::Relaxed);
        return StatusCode::UNAUTHORIZED;
    }
    let Ok(message) = serde_json::from_slice::<serde_json::Value>(&body) else {
        return StatusCode::BAD_REQUEST;
    };
    let text = message["text"].as_str().unwrap_or_default();
    if let Some(sender) = shared.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(text) {
        // The client has given up.
        let _gone = sender.send(arrived);
    }
    StatusCode::OK
}
