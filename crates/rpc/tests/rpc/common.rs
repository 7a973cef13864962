//! A scheduler that says what it is told to, and a log that can be read.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use claw_rpc::{
    Credentials, Health, Peers, RanNow, Refused, SchedulerService, SchedulerStatus, SteppedDown,
    serve_scheduler,
};
use claw_runtime::{Lifecycle, OsRandom};
use claw_secrets::{KeyRing, MasterKey};
use tokio::net::TcpListener;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::MakeWriter;

pub fn key() -> KeyRing {
    MasterKey::from_api_key("of the tests").into()
}

/// A scheduler of the tests.
#[derive(Default)]
pub struct Clock {
    pub unready: AtomicBool,
    /// Calls of `status`, and those that were given up while they waited.
    pub asked: AtomicUsize,
    pub given_up: Arc<AtomicUsize>,
    /// Whether `status` never answers.
    pub hangs: AtomicBool,
}

struct GivenUp(Arc<AtomicUsize>);

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Health for Clock {
    async fn ready(&self) -> Result<(), String> {
        if self.unready.load(Ordering::SeqCst) { Err("not wound up".to_owned()) } else { Ok(()) }
    }
}

#[async_trait]
impl SchedulerService for Clock {
    async fn status(&self) -> SchedulerStatus {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.hangs.load(Ordering::SeqCst) {
            let _guard = GivenUp(Arc::clone(&self.given_up));
            std::future::pending::<()>().await;
        }
        SchedulerStatus { name: "clock".to_owned(), version: "1".to_owned(), leading: Some(7) }
    }

    async fn step_down(&self) -> Result<SteppedDown, Refused> {
        Ok(SteppedDown { term: 7, stands_by: Duration::from_secs(10) })
    }

    async fn run_now(&self) -> Result<RanNow, Refused> {
        Err(Refused::NotMine("this scheduler does not lead".to_owned()))
    }
}

/// Serves one on a free port; answers where.
pub async fn serve(lifecycle: &Lifecycle, credentials: &Credentials, clock: Arc<Clock>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    serve_scheduler(lifecycle, listener, credentials, clock).unwrap();
    address
}

pub fn peers(credentials: &Credentials) -> Peers {
    Peers::new(credentials.clone(), Arc::new(OsRandom))
}

/// What this thread logs: tests with it run on one thread.
#[derive(Clone, Default)]
pub struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub fn follow() -> (Self, DefaultGuard) {
        let log = Self::default();
        let subscriber = tracing_subscriber::fmt().with_writer(log.clone()).with_ansi(false).finish();
        (log, tracing::subscriber::set_default(subscriber))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
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
