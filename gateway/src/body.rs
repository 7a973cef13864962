//! Request bodies: read within limits, and JSON objects taken apart key by key, so that every refusal names its key.
//!
//! Not a derived struct: serde's errors for a wrong type do not say which key they are about, and the callers of this
//! API are people who debug with nothing but the answer.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use serde_json::{Map, Value};

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
pub async fn read(body: Body) -> Result<Bytes, Problem> {
    let slow = |_| {
        let detail = format!("the body did not arrive within {} s", TIMEOUT.as_secs());
        Problem::new(StatusCode::REQUEST_TIMEOUT, detail)
    };
    tokio::time::timeout(TIMEOUT, collect(body)).await.map_err(slow)?
}

async fn collect(body: Body) -> Result<Bytes, Problem> {
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

/// A JSON object from a request's body, whatever its content type says.
#[derive(Debug)]
pub struct Object(Map<String, Value>);

impl<S: Send + Sync> FromRequest<S> for Object {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        Self::parse(&read(request.into_body()).await?)
    }
}

impl Object {
    /// Reads an object.
    ///
    /// # Errors
    /// 400 for what is not JSON, with line and column, or not an object.
    pub fn parse(bytes: &[u8]) -> Result<Self, Problem> {
        if bytes.trim_ascii().is_empty() {
            return Err(Problem::bad_request("the body is empty: send a JSON object"));
        }
        let value: Value = serde_json::from_slice(bytes)
            .map_err(|error| Problem::bad_request(format!("the body is not valid JSON: {error}")))?;
        match value {
            Value::Object(map) => Ok(Self(map)),
            other => {
                Err(Problem::bad_request(format!("the body must be a JSON object, not {}", kind(&other))))
            }
        }
    }

    /// Refuses every key but these.
    ///
    /// # Errors
    /// 400 naming the first other key.
    pub fn only(&self, known: &[&str]) -> Result<(), Problem> {
        match self.0.keys().find(|key| !known.contains(&key.as_str())) {
            None => Ok(()),
            Some(key) => {
                let (key, known) = (shown(key), known.join(", "));
                Err(Problem::bad_request(format!("the key {key:?} is not known here; the keys are: {known}")))
            }
        }
    }

    /// Whether the key is there, be it null.
    pub fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    /// A text; null is as good as absent.
    ///
    /// # Errors
    /// 400 when it is something else.
    pub fn text(&mut self, key: &str) -> Result<Option<String>, Problem> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(wrong(key, "text", &other)),
        }
    }

    /// A text or a whole number, which platforms' ids are in some clients.
    ///
    /// # Errors
    /// 400 when it is something else.
    pub fn id(&mut self, key: &str) -> Result<Option<String>, Problem> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(Value::Number(number)) if !number.is_f64() => Ok(Some(number.to_string())),
            Some(other) => Err(wrong(key, "text or a whole number", &other)),
        }
    }

    /// A boolean, or one as the client's form sends it.
    ///
    /// # Errors
    /// 400 when it is something else.
    pub fn flag(&mut self, key: &str) -> Result<Option<bool>, Problem> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(other) => Err(wrong(key, "true or false", &other)),
        }
    }

    /// An object.
    ///
    /// # Errors
    /// 400 when it is something else.
    pub fn object(&mut self, key: &str) -> Result<Option<Map<String, Value>>, Problem> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::Object(map)) => Ok(Some(map)),
            Some(other) => Err(wrong(key, "an object", &other)),
        }
    }

    fn take(&mut self, key: &str) -> Option<Value> {
        self.0.remove(key).filter(|value| !value.is_null())
    }
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
    let length = text.chars().count();
    if length > limit {
        return Err(Problem::bad_request(format!(
            "{key:?} has {length} characters; at most {limit} are allowed"
        )));
    }
    match text.chars().find(|c| c.is_control()) {
        None => Ok(()),
        Some(c) => Err(Problem::bad_request(format!("{key:?} may not contain the control character {c:?}"))),
    }
}

fn wrong(key: &str, expected: &str, given: &Value) -> Problem {
    let given = match given {
        Value::String(_) => "this text",
        other => kind(other),
    };
    Problem::bad_request(format!("{key:?} must be {expected}, not {given}"))
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
