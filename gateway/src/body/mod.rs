//! Request bodies: read within limits into typed values. The type is also what the API document shows, so the two
//! can't differ; every refusal names its key.

pub mod lenient;
pub mod sentence;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use axum::body::{Body as Stream, HttpBody as _};
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use bytes::{Bytes, BytesMut};
use claw_secrets::signature;
use claw_types::limits;
use futures::{StreamExt as _, stream};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::Problem;

/// Largest body of any request.
pub const LIMIT: usize = 2 * 1024 * 1024;
/// How much of a larger one is still read and thrown away: a caller that is writing does not see an answer, and
/// closing on it would make it see a broken connection instead of the 413.
const DRAIN: usize = 16 * 1024 * 1024;
/// How long a body may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Reads a whole body.
///
/// # Errors
/// 413 when it is larger than [`LIMIT`], 408 when it takes too long, 400 when it breaks off.
pub async fn read(body: Stream) -> Result<Bytes, Problem> {
    let slow = |_| {
        let detail = format!("the body did not arrive within {} s", TIMEOUT.as_secs());
        Problem::new(StatusCode::REQUEST_TIMEOUT, detail)
    };
    tokio::time::timeout(TIMEOUT, collect(body)).await.map_err(slow)?
}

async fn collect(body: Stream) -> Result<Bytes, Problem> {
    let mut chunks = body.into_data_stream();
    let (mut kept, mut seen) = (BytesMut::new(), 0_usize);
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Problem::bad_request("the body broke off before its end"))?;
        seen += chunk.len();
        if seen <= LIMIT {
            kept.extend_from_slice(&chunk);
        } else if seen > DRAIN {
            break;
        }
    }
    if seen > LIMIT {
        let detail = format!("the body is larger than {} MiB, the largest that is taken", LIMIT >> 20);
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
    }
    Ok(kept.freeze())
}

/// The same request, and whether its body was read to its end.
pub fn watched(request: Request) -> (Request, Arc<AtomicBool>) {
    let read = Arc::new(AtomicBool::new(request.body().is_end_stream()));
    if read.load(Ordering::Relaxed) {
        return (request, read);
    }
    let mark = Arc::clone(&read);
    let end = stream::poll_fn(move |_| {
        mark.store(true, Ordering::Relaxed);
        Poll::Ready(None)
    });
    (request.map(|body| Stream::from_stream(body.into_data_stream().chain(end))), read)
}

/// A JSON object from a request's body, whatever its content type says, read as a `T`.
#[derive(Debug)]
pub struct Body<T> {
    /// The value.
    pub value: T,
    /// SHA-256 of the body's bytes: what makes a repeated request the same one.
    pub digest: [u8; 32],
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let bytes = read(request.into_body()).await?;
        Ok(Self { value: parse(&bytes)?, digest: signature::sha256(&bytes) })
    }
}

/// Reads an object.
///
/// # Errors
/// 400 for what is not JSON, with line and column, not an object, or not a `T`.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    if bytes.trim_ascii().is_empty() {
        return Err(Problem::bad_request("the body is empty: send a JSON object"));
    }
    let value: Value = serde_json::from_slice(bytes)
        .map_err(|error| Problem::bad_request(format!("the body is not valid JSON: {error}")))?;
    if !value.is_object() {
        return Err(Problem::bad_request(format!("the body must be a JSON object, not {}", kind(&value))));
    }
    sentence::read(value)
}

/// As much of a caller's text as belongs into an answer.
pub fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}

/// Refuses a text that is too long or can't be shown.
///
/// # Errors
/// 400 naming the key.
pub fn printable(key: &str, text: &str, limit: usize) -> Result<(), Problem> {
    Ok(limits::printable(key, text, limit)?)
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
