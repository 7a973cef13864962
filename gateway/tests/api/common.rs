//! A gateway of its own for each test, and how to talk to it.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use claw_channels::kit::http::Http;
use claw_config::GatewaySettings;
use claw_gateway::Gateway;
use claw_runtime::Lifecycle;
use claw_secrets::{MasterKey, signature};
use claw_store::Store;
use claw_testkit::TestDatabase;
use claw_types::{ShardCount, Work};
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;

pub const KEY: &str = "an-api-key-of-the-tests";
pub const SECRET: &str = "a-channel-secret-of-the-tests";
const SHARDS: u16 = 4;

#[derive(clap::Parser)]
struct Cli {
    #[command(flatten)]
    settings: GatewaySettings,
}

/// Two running gateways on a database of their own. Requests go to them in turn, as behind a plain load balancer: so
/// every test shows that it does not matter which one serves.
pub struct TestGateway {
    urls: [String; 2],
    turn: AtomicUsize,
    pub database: TestDatabase,
    pub store: Store,
    pub lifecycle: Lifecycle,
    pub client: Client,
    pub media: TempDir,
}

/// An answer, read.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

impl TestGateway {
    /// Ones that may call private addresses and does not wait for deliveries.
    pub async fn start() -> Self {
        Self::start_with(&["--allow-private-urls", "--send-wait-ms=0"]).await
    }

    pub async fn start_with(flags: &[&str]) -> Self {
        Self::on(TestDatabase::create().await, flags).await
    }

    /// On this database.
    pub async fn on(database: TestDatabase, flags: &[&str]) -> Self {
        claw_testkit::install_tls();
        let store = Store::connect(database.url(), "test", 4).await.unwrap();
        store.migrate(ShardCount::new(SHARDS)).await.unwrap();
        let nats = claw_testkit::nats_url();
        let mut args = vec![
            "gateway",
            "--listen=127.0.0.1:0",
            "--rpc-listen=127.0.0.1:0",
            "--api-key",
            KEY,
            "--nats-url",
            &nats,
        ];
        let media = tempfile::tempdir().unwrap();
        args.extend(["--media", media.path().to_str().unwrap(), "--database-url", database.url()]);
        args.extend(flags);
        let cli: Cli = clap::Parser::parse_from(args);
        let lifecycle = Lifecycle::new();
        let start = async || {
            let address = Gateway::start(cli.settings.clone(), None, &lifecycle).await.unwrap();
            format!("http://{address}")
        };
        let urls = [start().await, start().await];
        let client = Http::new(true).unwrap().calls().clone();
        Self { urls, turn: AtomicUsize::new(0), database, store, lifecycle, client, media }
    }

    /// The next gateway's address.
    pub fn url(&self) -> &str {
        &self.urls[self.turn.fetch_add(1, Ordering::Relaxed) % 2]
    }

    /// A request without a key.
    pub fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let method: Method = method.parse().unwrap();
        self.client.request(method, format!("{}{path}", self.url()))
    }

    /// A call with the operator's key.
    pub async fn call(&self, method: &str, path: &str, body: Value) -> Answer {
        let request = self.request(method, path).bearer_auth(KEY);
        let request = if body.is_null() { request } else { request.json(&body) };
        read(request).await
    }

    /// A call with this key.
    pub async fn call_as(&self, key: &str, method: &str, path: &str, body: Value) -> Answer {
        let request = self.request(method, path).bearer_auth(key);
        let request = if body.is_null() { request } else { request.json(&body) };
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        Answer { status, headers, text: text(response).await }
    }

    /// Asks until both gateways refuse with this status: one of them may hear of a change a moment later.
    pub async fn everywhere(&self, status: u16, ask: impl AsyncFn() -> Answer) {
        let both = async || {
            let (one, other) = (ask().await, ask().await);
            let refused = one.status == status && other.status == status;
            refused.then(|| (one.problem(status), other.problem(status)))
        };
        claw_testkit::eventually("both gateways refuse it", Duration::from_secs(10), both).await;
    }

    /// Waits until both gateways know that a channel is switched off. It asks for what stores nothing: a send that one of them
    /// still takes would be the first one of its key from then on, and never be refused.
    pub async fn switched_off_everywhere(&self, channel: &str) {
        let path = format!("{channel}/typing");
        self.everywhere(409, async || self.call("POST", &path, json!({"recipient": "a"})).await).await;
    }

    /// A new key with these scopes, for one user or all.
    pub async fn key(&self, user: Option<&str>, scopes: &[&str]) -> String {
        let body = json!({"name": "of a test", "user_id": user, "scopes": scopes});
        let made = self.call("POST", "/api/keys", body).await.expect(201);
        made["key"].as_str().unwrap().to_owned()
    }

    /// Configures a `webhook` channel; tells its `Channel`.
    pub async fn webhook(&self, user: &str, slug: &str) -> Value {
        let path = format!("/api/users/{user}/channels/{slug}/configure");
        self.call("POST", &path, webhook_body()).await.expect(201)
    }

    pub async fn channels(&self, user: &str) -> Vec<Value> {
        let answer = self.call("GET", &format!("/api/users/{user}/channels"), Value::Null).await.expect(200);
        answer["channels"].as_array().unwrap().clone()
    }

    /// Everything accepted and not yet done, in order.
    pub async fn pending(&self) -> Vec<Work> {
        let after: Vec<_> = ShardCount::new(SHARDS).unwrap().all().map(|shard| (shard, 0)).collect();
        let rows = self.store.messages_pending(&after, 1_000).await.unwrap();
        let mut work: Vec<Work> = rows.into_iter().map(|(work, _)| work).collect();
        work.sort_by_key(|work| work.seq);
        work
    }

    /// Posts to a channel's webhook address as the platform would.
    pub async fn post(&self, channel: &Value, body: &[u8]) -> Answer {
        let header = signature::sign(SECRET.as_bytes(), body);
        self.post_signed(channel, body, &header).await
    }

    pub async fn post_signed(&self, channel: &Value, body: &[u8], header: &str) -> Answer {
        let request = self.request("POST", channel["webhook_path"].as_str().unwrap());
        read(request.header(signature::HEADER, header).body(body.to_vec())).await
    }

    /// What a series of `/metrics` says, with its labels; 0 where there is none. All tests of a process count together.
    pub async fn counted(&self, series: &str) -> u64 {
        let text =
            self.request("GET", "/metrics").bearer_auth(KEY).send().await.unwrap().text().await.unwrap();
        let of_it = |line: &str| line.strip_prefix(series)?.strip_prefix(' ')?.parse::<u64>().ok();
        text.lines().find_map(of_it).unwrap_or(0)
    }

    pub async fn stop(self) {
        self.lifecycle.finish(Duration::from_secs(10)).await.unwrap();
    }
}

/// A right configuration of a `webhook` channel.
pub fn webhook_body() -> Value {
    json!({"channel_type": "webhook",
           "fields": {"secret_env": SECRET, "callback_url": "http://127.0.0.1:9/callback"}})
}

/// One that a gateway may know beside its own.
pub const OTHER_MASTER_KEY: &str = "b3RoZXIgbWFzdGVyIGtleSBvZiAzMiBieXRlcy4uLi4=";

/// The master key that follows from [`KEY`].
pub fn master_key() -> MasterKey {
    MasterKey::from_api_key(KEY)
}

pub async fn read(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let text = text(response).await;
    assert!(!text.contains(SECRET) && !text.contains(KEY), "a secret is in {text}");
    Answer { status, headers, text }
}

/// The body; none of a stream, which would not end.
async fn text(response: Response) -> String {
    let kind = response.headers().get(CONTENT_TYPE).cloned();
    if kind.is_some_and(|kind| kind == "text/event-stream") {
        return String::new();
    }
    response.text().await.unwrap()
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }

    /// The JSON of an answer with this status.
    pub fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        assert_eq!(self.headers["x-content-type-options"], "nosniff");
        self.json()
    }

    /// The sentence of a problem with this status.
    pub fn problem(&self, status: u16) -> String {
        let body = self.expect(status);
        assert_eq!(self.headers[CONTENT_TYPE], "application/problem+json", "{self:?}");
        assert_eq!(body["status"], json!(status));
        assert_eq!(body["detail"], body["error"]);
        body["error"].as_str().unwrap().to_owned()
    }
}

/// What this thread logs above debug: tests with it run on one thread.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub fn follow() -> (Self, DefaultGuard) {
        let log = Self::default();
        let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false).finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    /// The lines with this in them.
    pub fn lines(&self, with: &str) -> Vec<String> {
        let log = self.0.lock().unwrap();
        let lines = String::from_utf8_lossy(&log);
        lines.lines().filter(|line| line.contains(with)).map(str::to_owned).collect()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
