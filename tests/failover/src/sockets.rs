//! Platforms to which each bot holds a WebSocket, for `make idle IDLE_ARGS="--type discord --channels 1000"`: in this process, so
//! that the worker's memory is the worker's alone. They say as little as their platform must: what is measured is silence.
//!
//! A platform of another kind is one more [`Kind`]: what its channels are configured with, its calls, and what it says to what it
//! hears.

use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use axum::body::Bytes;
use axum::extract::State;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::routing::{any, get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::timeout;

/// Nothing here takes longer.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two pings, of which a channel of Slack's misses one in 30 s at most.
const PING: Duration = Duration::from_secs(10);
/// Between two heartbeats of a connection, as Discord asks for them.
const HEARTBEAT: Duration = Duration::from_millis(41_250);

/// A kind of platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Kind {
    /// Discord's gateway
    Discord,
    /// Slack's Socket Mode
    Slack,
}

/// A platform that runs.
pub(crate) struct Sockets {
    kind: Kind,
    url: String,
    counts: watch::Receiver<Counts>,
}

/// What there was so far.
#[derive(Debug, Clone, Copy, Default)]
struct Counts {
    open: usize,
    begun: usize,
    beats: usize,
}

#[derive(Clone)]
struct Shared {
    url: Arc<str>,
    counts: Arc<watch::Sender<Counts>>,
}

impl Kind {
    /// The type of its channels.
    pub(crate) fn channel_type(self) -> &'static str {
        match self {
            Self::Discord => "discord",
            Self::Slack => "slack",
        }
    }

    fn fields(self, n: u32, url: &str) -> Value {
        match self {
            Self::Discord => {
                json!({"bot_token_env": format!("bot{n:08}.GsUqQd.stand-in-for-a-bots-secret"), "api_url": url})
            }
            Self::Slack => json!({
                "bot_token_env": format!("xoxb-1-{n}-stand-in-for-a-bots-secret"),
                "app_token_env": format!("xapp-1-A{n:08}-1-stand-in-for-an-apps-secret"), "api_url": url,
            }),
        }
    }

    fn calls(self) -> Router<Shared> {
        match self {
            Self::Discord => Router::new()
                .route("/api/v10/users/@me", get(async || Json(json!({"id": "1", "username": "bot"}))))
                .route("/api/v10/gateway/bot", get(entrance)),
            Self::Slack => Router::new()
                .route(
                    "/api/auth.test",
                    post(async || Json(json!({"ok": true, "user": "bot", "user_id": "U1"}))),
                )
                .route(
                    "/api/users.info",
                    post(async || Json(json!({"ok": true, "user": {"id": "U1", "name": "bot"}}))),
                )
                .route("/api/apps.connections.open", post(ticket)),
        }
    }

    /// The first word of a connection.
    fn greeting(self) -> Value {
        match self {
            Self::Discord => json!({"op": 10, "d": {"heartbeat_interval": HEARTBEAT.as_millis()}}),
            Self::Slack => json!({"type": "hello", "num_connections": 1}),
        }
    }

    /// How often the platform pings; `None` where it is the bot whose heart beats. There, a session begins with a word of the bot's.
    fn ping_every(self) -> Option<Duration> {
        match self {
            Self::Discord => None,
            Self::Slack => Some(PING),
        }
    }

    /// What is said to what was heard.
    fn answer(self, heard: &Value, shared: &Shared) -> Option<Value> {
        match (self, heard["op"].as_u64()) {
            (Self::Discord, Some(1)) => {
                shared.counts.send_modify(|counts| counts.beats += 1);
                Some(json!({"op": 11}))
            }
            (Self::Discord, Some(2)) => {
                shared.counts.send_modify(|counts| counts.begun += 1);
                Some(json!({"op": 0, "t": "READY", "s": 1, "d": {"v": 10, "session_id": "s",
                    "resume_gateway_url": format!("{}/socket", shared.url.replacen("http", "ws", 1)),
                    "user": {"id": "1", "username": "bot", "bot": true}, "guilds": [], "application": {"id": "1", "flags": 0}}}))
            }
            _ => None,
        }
    }
}

async fn entrance(State(shared): State<Shared>) -> Json<Value> {
    Json(
        json!({"url": format!("{}/socket", shared.url.replacen("http", "ws", 1)), "shards": 1, "session_start_limit":
        {"total": 1000, "remaining": 1000, "reset_after": 14_400_000, "max_concurrency": 1}}),
    )
}

async fn ticket(State(shared): State<Shared>) -> Json<Value> {
    Json(json!({"ok": true, "url": format!("{}/socket?ticket=1", shared.url.replacen("http", "ws", 1))}))
}

impl Sockets {
    /// Listens on a free port.
    pub(crate) async fn start(kind: Kind) -> anyhow::Result<Self> {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let (sender, counts) = watch::channel(Counts::default());
        let shared = Shared { url: url.clone().into(), counts: Arc::new(sender) };
        let connect = async move |State(shared): State<Shared>, upgrade: WebSocketUpgrade| {
            // A small buffer here, too: the connections are many.
            upgrade.read_buffer_size(4096).on_upgrade(async move |socket| talk(kind, socket, &shared).await)
        };
        let app = kind.calls().route("/socket", any(connect)).with_state(shared);
        #[expect(clippy::disallowed_methods, reason = "ends with the measurement's runtime")]
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(Self { kind, url, counts })
    }

    /// The fields of the channel with this number.
    pub(crate) fn fields(&self, n: u32) -> Value {
        self.kind.fields(n, &self.url)
    }

    /// Waits until so many sockets are open and have begun their sessions.
    pub(crate) async fn all_open(&mut self, count: usize) -> anyhow::Result<()> {
        self.wait_for("open", |counts| counts.open == count && counts.begun >= count).await
    }

    /// Waits until there was a heartbeat for each of so many sockets.
    pub(crate) async fn all_beat(&mut self, count: usize) -> anyhow::Result<()> {
        self.wait_for("alive", |counts| counts.beats >= count).await
    }

    async fn wait_for(&mut self, what: &str, reached: impl Fn(&Counts) -> bool) -> anyhow::Result<()> {
        let waited = timeout(PATIENCE, self.counts.wait_for(reached)).await.is_ok();
        let counts = *self.counts.borrow();
        ensure!(waited, "not all sockets are {what} after {PATIENCE:?}: {counts:?}");
        Ok(())
    }
}

async fn talk(kind: Kind, mut socket: WebSocket, shared: &Shared) {
    let pings = kind.ping_every();
    shared.counts.send_modify(|counts| {
        counts.open += 1;
        counts.begun += usize::from(pings.is_some());
    });
    let mut next = Some(kind.greeting());
    loop {
        if let Some(said) = next.take()
            && socket.send(Message::Text(said.to_string().into())).await.is_err()
        {
            break;
        }
        let Ok(heard) = timeout(pings.unwrap_or(Duration::MAX), socket.recv()).await else {
            if socket.send(Message::Ping(Bytes::new())).await.is_err() {
                break;
            }
            continue;
        };
        match heard {
            Some(Ok(Message::Pong(_))) => shared.counts.send_modify(|counts| counts.beats += 1),
            Some(Ok(Message::Text(text))) => {
                next = serde_json::from_str(&text).ok().and_then(|heard| kind.answer(&heard, shared));
            }
            Some(Ok(Message::Close(_)) | Err(_)) | None => break,
            Some(Ok(_)) => {}
        }
    }
    shared.counts.send_modify(|counts| counts.open -= 1);
}
