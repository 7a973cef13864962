//! A collector of traces that is not ours: `rotel`, a Python wheel. What it received it hands on, written anew by itself, to a
//! receiver here.

use std::io::Read as _;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use flate2::read::GzDecoder;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use crate::eventually;
use crate::process::spawn_peer;

/// The wheel's program in place of Python, so that it is what is killed with its handle.
const START: &str = "import os, sys, rotel\n\
    program = os.path.join(os.path.dirname(rotel.__file__), 'rotel-agent')\n\
    os.execv(program, [program, *sys.argv[1:]])";

type Bodies = Arc<Mutex<Vec<Vec<u8>>>>;

/// A running collector; killed with its handle.
pub struct Collector {
    url: String,
    bodies: Bodies,
    receiving: JoinHandle<()>,
    _process: Child,
}

impl Collector {
    /// Takes traces as soon as this returns.
    ///
    /// # Panics
    /// When it can't be started: `make setup-test` installs it.
    pub async fn start() -> Self {
        let bodies = Bodies::default();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let behind = format!("http://{}", listener.local_addr().expect("a bound address"));
        let app = Router::new().route("/v1/traces", post(receive)).with_state(Arc::clone(&bodies));
        #[expect(clippy::disallowed_methods, reason = "ends with the test's runtime")]
        let receiving = tokio::spawn(async move { axum::serve(listener, app).await.expect("it serves") });
        let (grpc, http) = (free_address().await, free_address().await);
        let python = concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/venv/bin/python");
        let mut command = Command::new(python);
        command.args(["-c", START, "start", "--exporter", "otlp", "--otlp-exporter-protocol", "http"]);
        command.args(["--otlp-exporter-endpoint", &behind, "--otlp-grpc-endpoint", &grpc]);
        command.args(["--otlp-http-endpoint", &http]).stdout(Stdio::null()).stderr(Stdio::null());
        let process = spawn_peer(&mut command);
        eventually("the collector to listen", Duration::from_secs(30), async || {
            TcpStream::connect(&http).await.ok()
        })
        .await;
        Self { url: format!("http://{http}"), bodies, receiving, _process: process }
    }

    /// Where traces are to be sent to.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it received so far: bodies of OTLP requests.
    ///
    /// # Panics
    /// When a receiver panicked before.
    pub fn bodies(&self) -> Vec<Vec<u8>> {
        self.bodies.lock().unwrap().clone()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.receiving.abort();
    }
}

/// It compresses, whatever it is told.
async fn receive(State(bodies): State<Bodies>, body: Bytes) {
    let mut plain = Vec::new();
    GzDecoder::new(&*body).read_to_end(&mut plain).expect("a collector sends what can be read");
    bodies.lock().unwrap().push(plain);
}

/// A port that was free a moment ago.
async fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("a bound address").to_string()
}
