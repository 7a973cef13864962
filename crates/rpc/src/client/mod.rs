//! Calling other roles.

mod connect;
mod delivery;
mod gateway;
mod scheduler;
mod worker;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use claw_runtime::{Backoff, Random};
use tokio::time::Instant;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status};
use tracing::debug;

pub use delivery::{Owners, WorkerClients};

use crate::auth::{Attach, Credentials};
use crate::traced;

/// A question about the other side itself is answered within this.
const QUICK: Duration = Duration::from_secs(2);
/// Attempts at a call that may be repeated, within its deadline.
const REPEATED: Backoff = Backoff { attempts: 3, ..Backoff::RPC };

/// Why a call failed for good.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Not an address.
    #[error("{0:?} is not an address to call")]
    Address(String),
    /// The other side can't be reached, does not know us, or did not answer in time.
    #[error("the call to {address} failed: {reason}")]
    Failed {
        /// Who was called.
        address: String,
        /// Why, down to the cause.
        reason: String,
    },
    /// The other side is not in the state for it: it does not own the shard, it does not lead.
    #[error("{0}")]
    Refused(String),
    /// The other side is of a version that does not have this call.
    #[error("the process at {0} is of a version that can't do that")]
    Unknown(String),
}

/// Whether a call may be made twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Repeat {
    /// Twice is as good as once.
    Harmless,
    /// It is made once: its answer may have been lost, not its effect.
    Never,
}

/// A connection that shows the token.
type Line = InterceptedService<Channel, Attach>;

/// Calls other roles; connections are made when first needed and kept.
pub struct Peers {
    credentials: Credentials,
    random: Arc<dyn Random>,
    lines: Mutex<HashMap<String, Channel>>,
}

impl Peers {
    /// No connections yet.
    pub fn new(credentials: Credentials, random: Arc<dyn Random>) -> Self {
        Self { credentials, random, lines: Mutex::default() }
    }

    /// Calls `address` until it answers, at most `limit` long in all.
    async fn call<T, F>(
        &self,
        address: &str,
        repeat: Repeat,
        limit: Duration,
        call: impl Fn(Line, Duration) -> F,
    ) -> Result<T, CallError>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let deadline = Instant::now() + limit;
        let mut failed = 0;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let answered = tokio::time::timeout(left, call(self.line(address)?, left)).await;
            let status = match answered {
                Ok(Ok(response)) => return Ok(response.into_inner()),
                Ok(Err(status)) => status,
                Err(_) => Status::deadline_exceeded(format!("no answer within {limit:?}")),
            };
            let broken = connect::is_broken(&status);
            if broken {
                self.forget(address);
            }
            failed += 1;
            let again = broken && repeat == Repeat::Harmless;
            let wait = again.then(|| REPEATED.wait(failed, &*self.random)).flatten();
            match wait.filter(|wait| Instant::now() + *wait < deadline) {
                Some(wait) => {
                    debug!(address, "calling {address} again: {}", connect::reason(&status));
                    tokio::time::sleep(wait).await;
                }
                None => return Err(failure(address, &status)),
            }
        }
    }

    fn line(&self, address: &str) -> Result<Line, CallError> {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let channel = if let Some(channel) = lines.get(address) {
            channel.clone()
        } else {
            let channel = connect::lazily(address, self.credentials.tls.clone())?;
            lines.insert(address.to_owned(), channel.clone());
            channel
        };
        Ok(InterceptedService::new(channel, self.credentials.token.attach()))
    }

    fn forget(&self, address: &str) {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).remove(address);
    }
}

/// A message with its deadline, by which the other side stops working for nobody.
fn timed<T>(message: T, limit: Duration) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(limit);
    traced::put(&mut request);
    request
}

fn failure(address: &str, status: &Status) -> CallError {
    match status.code() {
        Code::FailedPrecondition | Code::NotFound => CallError::Refused(status.message().to_owned()),
        Code::Unimplemented => CallError::Unknown(address.to_owned()),
        _ => CallError::Failed { address: address.to_owned(), reason: connect::reason(status) },
    }
}
