//! What whole-system tests share: a cluster of real processes and a client for its API.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::missing_panics_doc, reason = "test support")]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use claw_runtime::{Ids, OsRandom, SystemClock};
use claw_testkit::{Balancer, Claw, Receiver, TestDatabase, eventually};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::process::Command;

/// The operator's key of every test cluster.
pub const API_KEY: &str = "test-api-key-0123456789";
/// The webhook secret of every test cluster.
pub const SECRET: &str = "test-webhook-secret-0123456789";

/// A token of this many random bytes.
pub fn token(bytes: usize) -> String {
    Ids::new(std::sync::Arc::new(SystemClock), std::sync::Arc::new(OsRandom)).token(bytes)
}

/// An HTTP client.
pub fn client() -> Client {
    claw_testkit::install_tls();
    claw_channels::kit::http::operator_client(Duration::from_secs(30)).unwrap()
}

/// The API of one gateway.
#[derive(Clone)]
pub struct Api {
    /// `http://host:port`
    pub base: String,
    /// Makes other calls.
    pub client: Client,
}

impl Api {
    /// At this base URL.
    pub fn new(base: &str) -> Self {
        Self { base: base.to_owned(), client: client() }
    }

    /// A call with the operator's key.
    pub async fn call(&self, method: &str, path: &str, body: Option<Value>) -> (StatusCode, Value) {
        let url = format!("{}{path}", self.base);
        let request = self.client.request(method.parse().unwrap(), url).bearer_auth(API_KEY);
        let request = if let Some(body) = body { request.json(&body) } else { request };
        let response = request.send().await.unwrap();
        let status = response.status();
        (status, response.json().await.unwrap())
    }

    /// Configures a channel and answers its id.
    pub async fn configure(&self, user: &str, slug: &str, channel_type: &str, fields: Value) -> String {
        let path = format!("/api/users/{user}/channels/{slug}/configure");
        let body = json!({"channel_type": channel_type, "fields": fields});
        let (status, answer) = self.call("POST", &path, Some(body)).await;
        assert_eq!(status, StatusCode::CREATED, "{answer}");
        answer["id"].as_str().unwrap().to_owned()
    }

    /// Waits until a channel has this status.
    pub async fn wait_for_status(&self, user: &str, slug: &str, status: &str) {
        let what = format!("{slug} to be {status}");
        eventually(&what, Duration::from_secs(30), async || {
            let (_, answer) = self.call("GET", &format!("/api/users/{user}/channels"), None).await;
            let channels = answer["channels"].as_array().cloned().unwrap_or_default();
            channels.iter().any(|c| c["instance_name_id"] == slug && c["status"] == status).then_some(())
        })
        .await;
    }

    /// Sends a text; answers status and body.
    pub async fn send(&self, user: &str, slug: &str, recipient: &str, text: &str) -> (StatusCode, Value) {
        let path = format!("/api/users/{user}/channels/{slug}/send");
        self.call("POST", &path, Some(json!({"recipient": recipient, "message": text}))).await
    }

    /// What a third-party system does at a channel of type webhook: a signed POST. `None` when nobody answered.
    pub async fn push(&self, channel: &str, secret: &str, body: &Value) -> Option<StatusCode> {
        let bytes = serde_json::to_vec(body).unwrap();
        let url = format!("{}/webhooks/webhook/{channel}", self.base);
        let signature = claw_secrets::signature::sign(secret.as_bytes(), &bytes);
        let request = self.client.post(url).header("x-webhook-signature", signature).body(bytes);
        Some(request.send().await.ok()?.status())
    }
}

/// Separate processes on one database and one NATS.
pub struct Cluster {
    /// The database.
    pub database: TestDatabase,
    /// The backend.
    pub receiver: Receiver,
    environment: Vec<(String, String)>,
    /// Of which version processes are that are started from now on; the present one's when not set.
    pub program: Option<PathBuf>,
}

impl Cluster {
    /// A migrated database and a backend; no process yet.
    pub async fn prepare() -> Self {
        Self::prepare_with(&claw_testkit::nats_url()).await
    }

    /// As [`Cluster::prepare`], with a NATS of the caller's.
    pub async fn prepare_with(nats: &str) -> Self {
        let cluster = Self::empty(nats).await;
        assert_eq!(cluster.start(&["migrate"], &[]).wait().await, Some(0));
        cluster
    }

    /// An empty database and a backend.
    pub async fn empty(nats: &str) -> Self {
        let database = TestDatabase::create().await;
        let receiver = Receiver::start().await;
        let environment = [
            ("DATABASE_URL", database.url()),
            ("NATS_URL", nats),
            ("II_CLAW_API_KEY", API_KEY),
            ("AI_WEBHOOK_URL", &receiver.url()),
            ("AI_WEBHOOK_SECRET", SECRET),
            ("II_CLAW_ALLOW_PRIVATE_URLS", "true"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self { database, receiver, environment: environment.into(), program: None }
    }

    /// With another value of this setting in every process that is started from now on.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.environment.retain(|(known, _)| known != name);
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Without this setting in every process that is started from now on.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.environment.retain(|(known, _)| known != name);
        self
    }

    /// Starts a process with the cluster's settings and these.
    pub fn start(&self, args: &[&str], more: &[(&str, &str)]) -> Claw {
        let settings = self.environment.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let environment: Vec<_> = settings.chain(more.iter().copied()).collect();
        match &self.program {
            Some(program) => Claw::start_program(program, args, &environment),
            None => Claw::start(args, &environment),
        }
    }

    /// Runs a command against a gateway to its end, which must have this code; answers what it printed.
    pub async fn command(&self, api: &Api, args: &[&str], code: i32) -> String {
        let mut command = self.start(args, &[("II_CLAW_URL", &api.base)]);
        let ended = command.wait().await;
        let output = command.all_output().await;
        assert_eq!(ended, Some(code), "{args:?}: {output}");
        assert!(!output.contains(API_KEY));
        output
    }

    /// Starts a gateway on a free port.
    pub async fn gateway(&self) -> (Claw, Api) {
        let more = [("II_CLAW_LISTEN", "127.0.0.1:0"), ("II_CLAW_RPC_LISTEN", "127.0.0.1:0")];
        let mut gateway = self.start(&["gateway"], &more);
        let address = address_in(&gateway.wait_for_line("the gateway listens on").await);
        (gateway, Api::new(&format!("http://{address}")))
    }

    /// Starts two gateways behind a round robin; the last API is the round robin's.
    pub async fn gateways(&self) -> ([(Claw, Api); 2], Balancer, Api) {
        let gateways = [self.gateway().await, self.gateway().await];
        let addresses = gateways.each_ref().map(|(_, api)| address_in(&api.base));
        let balancer = Balancer::start(&addresses).await;
        let api = Api::new(&balancer.url());
        (gateways, balancer, api)
    }

    /// Starts a worker and waits until it has claimed something.
    pub async fn worker(&self, name: &str, public_url: &str) -> Claw {
        let more = [
            ("II_CLAW_RPC_LISTEN", "127.0.0.1:0"),
            ("II_CLAW_NAME", name),
            ("II_CLAW_PUBLIC_URL", public_url),
        ];
        let mut worker = self.start(&["worker"], &more);
        worker.wait_for_line("claimed").await;
        worker
    }

    /// Starts a scheduler.
    pub async fn scheduler(&self, name: &str) -> (Claw, SocketAddr) {
        let more = [("II_CLAW_RPC_LISTEN", "127.0.0.1:0"), ("II_CLAW_NAME", name)];
        let mut scheduler = self.start(&["scheduler"], &more);
        let address = address_in(&scheduler.wait_for_line("the scheduler's RPC listens on").await);
        (scheduler, address)
    }
}

/// The address that a line of the log, or a URL without a path, names.
pub fn address_in(line: &str) -> SocketAddr {
    let words = line.split_whitespace().map(|word| word.trim_start_matches("http://"));
    let named = words.into_iter().find_map(|word| word.parse().ok());
    named.unwrap_or_else(|| panic!("no address in {line:?}"))
}

/// A port that was free a moment ago, for a server that can't be handed an open one.
pub async fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

/// Runs the Python of the tests with these arguments and variables to its successful end; answers what it printed.
pub async fn python(args: &[&str], environment: &[(&str, String)]) -> String {
    let python = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/venv/bin/python");
    let output = Command::new(std::env::var("II_CLAW_TEST_PYTHON").unwrap_or_else(|_| python.to_owned()))
        .args(args)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .kill_on_drop(true)
        .output()
        .await
        .expect("Python runs (`scripts/setup.sh test` installs it)");
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{report}\n{}", String::from_utf8_lossy(&output.stderr));
    report
}
