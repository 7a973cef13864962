//! A backend: receives webhooks, keeps their exact bytes, answers what it is told.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use futures::{StreamExt as _, stream};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// One webhook as it arrived.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Its headers.
    pub headers: HeaderMap,
    /// The exact body.
    pub body: Bytes,
}

impl Delivery {
    /// The body read as JSON.
    ///
    /// # Panics
    /// When it is not JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("the webhook's body is JSON")
    }

    /// A header's text.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// A piece of a stream, and how long after the one before it comes.
pub type Chunk = (Duration, String);

struct Shared {
    deliveries: Mutex<Vec<Delivery>>,
    /// Each with the seconds of its `Retry-After`, if it has one.
    answers: Mutex<VecDeque<(StatusCode, Option<u64>)>>,
    reply: Mutex<Value>,
    stream: Mutex<Option<Vec<Chunk>>>,
    cut: AtomicBool,
    streaming: AtomicUsize,
    delay: Mutex<Duration>,
    count: watch::Sender<usize>,
}

/// The running receiver.
pub struct Receiver {
    shared: Arc<Shared>,
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Receiver {
    /// Listens on a free port.
    ///
    /// # Panics
    /// When there is none.
    pub async fn start() -> Self {
        Self::start_on("127.0.0.1:0".parse().expect("an address")).await
    }

    /// Listens on this address: to come back after an outage.
    ///
    /// # Panics
    /// When it is taken.
    pub async fn start_on(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.expect("the receiver can listen");
        let address = listener.local_addr().expect("a bound address");
        let shared = Arc::new(Shared {
            deliveries: Mutex::default(),
            answers: Mutex::default(),
            reply: Mutex::new(json!({"async_processing": true})),
            stream: Mutex::default(),
            cut: AtomicBool::default(),
            streaming: AtomicUsize::default(),
            delay: Mutex::default(),
            count: watch::Sender::new(0),
        });
        let app = Router::new().route("/hook", post(receive)).with_state(Arc::clone(&shared));
        #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
        let task =
            tokio::spawn(async move { axum::serve(listener, app).await.expect("the receiver serves") });
        Self { shared, address, task }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The webhook's URL.
    pub fn url(&self) -> String {
        format!("http://{}/hook", self.address)
    }

    /// Answers the next webhooks with these codes, one each, then 200 again.
    pub fn answer_next(&self, codes: impl IntoIterator<Item = StatusCode>) {
        self.shared.answers.lock().unwrap().extend(codes.into_iter().map(|code| (code, None)));
    }

    /// Answers the next webhook with this code, and asks to come back in so many seconds.
    pub fn ask_to_wait(&self, code: StatusCode, seconds: u64) {
        self.shared.answers.lock().unwrap().push_back((code, Some(seconds)));
    }

    /// The JSON of every 200 from now on.
    pub fn reply_with(&self, reply: Value) {
        *self.shared.reply.lock().unwrap() = reply;
    }

    /// The server-sent events of every 200 from now on; `None`: JSON again. One whose last piece never comes never ends.
    pub fn stream_with(&self, chunks: Option<Vec<Chunk>>) {
        *self.shared.stream.lock().unwrap() = chunks;
    }

    /// Whether streams are cut off behind their last piece from now on.
    pub fn cut_streams(&self, cut: bool) {
        self.shared.cut.store(cut, Ordering::Relaxed);
    }

    /// How many streams are being read right now.
    pub fn streaming(&self) -> usize {
        self.shared.streaming.load(Ordering::Relaxed)
    }

    /// Takes so long for every answer from now on.
    pub fn answer_after(&self, delay: Duration) {
        *self.shared.delay.lock().unwrap() = delay;
    }

    /// Everything received so far, refused ones too.
    pub fn deliveries(&self) -> Vec<Delivery> {
        self.shared.deliveries.lock().unwrap().clone()
    }

    /// Waits until at least `count` webhooks arrived.
    ///
    /// # Panics
    /// When they did not within 30 s.
    pub async fn wait_for(&self, count: usize) -> Vec<Delivery> {
        let mut seen = self.shared.count.subscribe();
        let all = seen.wait_for(|n| *n >= count);
        let waited = tokio::time::timeout(Duration::from_secs(30), all).await;
        assert!(waited.is_ok(), "{} of {count} webhooks after 30 s", self.deliveries().len());
        self.deliveries()
    }
}

/// A stream that is being read.
struct Streaming(Arc<Shared>);

impl Streaming {
    fn begin(shared: &Arc<Shared>) -> Self {
        shared.streaming.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(shared))
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        self.0.streaming.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn receive(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    // What `ii-claw doctor` asks with: no message.
    if body.as_ref() == b"{}" {
        return StatusCode::UNPROCESSABLE_ENTITY.into_response();
    }
    let (status, wait) = shared.answers.lock().unwrap().pop_front().unwrap_or((StatusCode::OK, None));
    shared.deliveries.lock().unwrap().push(Delivery { headers, body });
    shared.count.send_modify(|n| *n += 1);
    let delay = *shared.delay.lock().unwrap();
    tokio::time::sleep(delay).await;
    if !status.is_success() {
        let mut response = (status, axum::Json(json!({"error": "as told"}))).into_response();
        response.headers_mut().extend(wait.map(|seconds| (RETRY_AFTER, HeaderValue::from(seconds))));
        return response;
    }
    if let Some(chunks) = shared.stream.lock().unwrap().clone() {
        let open = Streaming::begin(&shared);
        let body = stream::iter(chunks).then(move |(pause, chunk)| {
            // Dropped with the body, when it is over or nobody reads it any more.
            let _open = &open;
            async move {
                tokio::time::sleep(pause).await;
                Ok(chunk)
            }
        });
        let cut = shared.cut.load(Ordering::Relaxed).then(|| Err(io::Error::other("cut off, as told")));
        let body = body.chain(stream::iter(cut));
        return ([(CONTENT_TYPE, "text/event-stream")], Body::from_stream(body)).into_response();
    }
    let reply = shared.reply.lock().unwrap().clone();
    axum::Json(reply).into_response()
}
