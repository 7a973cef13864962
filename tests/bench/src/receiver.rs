//! The backend of the benchmark: checks each signature, tells who waits, and keeps account of a backlog and of scheduled
//! jobs.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use chrono::{DateTime, Utc};
use claw_checker::jobs::{Arrival, Jobs};
use claw_runtime::{Clock as _, SystemClock};
use claw_secrets::signature;
use claw_testkit::jobs::number_of;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

/// The webhook secret of the benchmark.
pub(crate) const SECRET: &str = "bench-webhook-secret";
/// What a scheduled job's task says.
pub(crate) const TASK: &str = "a scheduled task";

/// The running receiver.
pub(crate) struct Receiver {
    shared: Arc<Shared>,
    address: SocketAddr,
}

#[derive(Default)]
struct Shared {
    waiting: Mutex<HashMap<String, oneshot::Sender<Instant>>>,
    badly_signed: AtomicU64,
    away: AtomicBool,
    backlog: Mutex<Backlog>,
    /// How many of the backlog came.
    drained: watch::Sender<u64>,
    jobs: Mutex<Jobs>,
    /// How many messages of jobs came.
    fired: watch::Sender<u64>,
}

/// What came of a backlog.
#[derive(Debug, Default, Clone)]
pub(crate) struct Backlog {
    /// The number expected next in each conversation.
    next: HashMap<String, u64>,
    /// When its first and its last one came.
    pub(crate) span: Option<(Instant, Instant)>,
    /// Messages that came before one of their conversation that is older.
    pub(crate) out_of_order: u64,
    /// Messages that came again.
    pub(crate) again: u64,
}

/// All of the body that is looked at.
#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow)]
    text: Cow<'a, str>,
}

/// What a job's message says beside.
#[derive(Deserialize)]
struct Fired<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
}

#[derive(Deserialize)]
struct Metadata<'a> {
    #[serde(borrow)]
    job_id: Cow<'a, str>,
    scheduled_for: DateTime<Utc>,
}

impl Backlog {
    /// Message `number` of a conversation came; tells whether it is new.
    fn came(&mut self, conversation: &str, number: u64, at: Instant) -> bool {
        let next = self.next.entry(conversation.to_owned()).or_default();
        if number < *next {
            self.again += 1;
            return false;
        }
        self.out_of_order += u64::from(number > *next);
        *next = number + 1;
        self.span = Some((self.span.map_or(at, |(first, _)| first), at));
        true
    }
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

    /// Answers 503 from now on, or takes messages again.
    pub(crate) fn be_away(&self, away: bool) {
        self.shared.away.store(away, Ordering::Relaxed);
    }

    /// Returns when `count` messages of the backlog have come, with what became of it.
    pub(crate) async fn drained(&self, count: u64) -> Backlog {
        let mut drained = self.shared.drained.subscribe();
        // The sender lives as long as we do.
        let _came = drained.wait_for(|so_far| *so_far >= count).await;
        self.shared.backlog.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many of the backlog have come.
    pub(crate) fn so_far(&self) -> u64 {
        *self.shared.drained.borrow()
    }

    /// The plans of jobs, and what came of them.
    pub(crate) fn jobs(&self) -> MutexGuard<'_, Jobs> {
        self.shared.jobs()
    }

    /// Returns when `count` messages of jobs have come.
    pub(crate) async fn fired(&self, count: u64) {
        let mut fired = self.shared.fired.subscribe();
        // The sender lives as long as we do.
        let _came = fired.wait_for(|so_far| *so_far >= count).await;
    }
}

impl Shared {
    fn jobs(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes what came of a job; `None` when it does not say which one, and for when.
    fn job_fired(&self, headers: &HeaderMap, body: &[u8]) -> Option<()> {
        let at = SystemClock.now().timestamp_millis();
        let Fired { metadata } = serde_json::from_slice(body).ok()?;
        let key = headers.get("webhook-id")?.to_str().ok()?.to_owned();
        let due = Some(metadata.scheduled_for.timestamp_millis());
        self.jobs().arrived(Arrival { job: number_of(&metadata.job_id)?, due, key, at });
        self.fired.send_modify(|so_far| *so_far += 1);
        Some(())
    }
}

/// The text of message `number` in a conversation of the backlog.
pub(crate) fn of_backlog(conversation: usize, number: u64) -> String {
    format!("backlog {conversation} {number}")
}

async fn receive(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let arrived = Instant::now();
    if shared.away.load(Ordering::Relaxed) {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    let given = headers.get(signature::HEADER).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if !signature::verify(SECRET.as_bytes(), &body, given) {
        shared.badly_signed.fetch_add(1, Ordering::Relaxed);
        return StatusCode::UNAUTHORIZED;
    }
    let Ok(Message { text }) = serde_json::from_slice::<Message<'_>>(&body) else {
        return StatusCode::BAD_REQUEST;
    };
    if text == TASK {
        return shared.job_fired(&headers, &body).map_or(StatusCode::BAD_REQUEST, |()| StatusCode::OK);
    }
    if let Some((conversation, number)) = text.strip_prefix("backlog ").and_then(|rest| rest.split_once(' '))
    {
        let Ok(number) = number.parse() else { return StatusCode::BAD_REQUEST };
        let mut backlog = shared.backlog.lock().unwrap_or_else(PoisonError::into_inner);
        if backlog.came(conversation, number, arrived) {
            shared.drained.send_modify(|so_far| *so_far += 1);
        }
        return StatusCode::OK;
    }
    if let Some(sender) = shared.waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(&*text) {
        // The client has given up.
        let _gone = sender.send(arrived);
    }
    StatusCode::OK
}
