//! A signed POST to a URL that a user chose: what an event destination gets. One attempt, and nothing of the answer but
//! its status.
//!
//! Signed twice, as the backend's webhook is: Standard Webhooks and `X-Webhook-Signature`. The secret is good for both.

use std::time::Duration;

use bytes::Bytes;
use claw_secrets::signature;
use reqwest::Response;
use reqwest::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};

use super::guard::UrlError;
use super::http::Http;

/// As much of an answer's body is read as lets the connection be used again.
const MAX_ANSWER: usize = 64 * 1024;

/// What to post.
#[derive(Debug, Clone)]
pub struct SignedPost<'a> {
    /// Where to.
    pub url: &'a str,
    /// The key of the signatures, `whsec_...`.
    pub secret: &'a str,
    /// The `webhook-id`: the same for every attempt.
    pub id: &'a str,
    /// Seconds since 1970.
    pub timestamp: i64,
    /// The exact body, JSON.
    pub body: Bytes,
    /// How long the answer may take.
    pub limit: Duration,
}

/// An answer, whatever its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Posted {
    /// The HTTP status.
    pub status: u16,
    /// How long it asks to be left alone (RFC 9110, section 10.2.3; seconds only), an hour at most.
    pub retry_after: Option<Duration>,
}

/// Why there was no answer. Written for the user, without the URL.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum PostError {
    /// The URL may not be called.
    #[error("its URL {0}")]
    Url(#[from] UrlError),
    /// No connection.
    #[error("can't connect to it")]
    Connect,
    /// No answer in time.
    #[error("it did not answer within {0} s")]
    Timeout(u64),
    /// The connection broke.
    #[error("the connection to it broke")]
    Broken,
}

impl Posted {
    /// Whether it took it.
    pub fn taken(self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl SignedPost<'_> {
    /// Posts it.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn send(&self, http: &Http) -> Result<Posted, PostError> {
        let url = http.check(self.url)?;
        let key = signature::standard_key(self.secret);
        let request = http
            .calls()
            .post(url)
            .timeout(self.limit)
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header(signature::HEADER, signature::sign(self.secret.as_bytes(), &self.body))
            .header("webhook-id", self.id)
            .header("webhook-timestamp", self.timestamp)
            .header("webhook-signature", signature::sign_standard(&key, self.id, self.timestamp, &self.body))
            .body(self.body.clone());
        let response = request.send().await.map_err(|error| self.broken(&error))?;
        let posted = Posted { status: response.status().as_u16(), retry_after: retry_after(&response) };
        skim(response).await;
        Ok(posted)
    }

    fn broken(&self, error: &reqwest::Error) -> PostError {
        if error.is_connect() {
            PostError::Connect
        } else if error.is_timeout() {
            PostError::Timeout(self.limit.as_secs())
        } else {
            PostError::Broken
        }
    }
}

fn retry_after(response: &Response) -> Option<Duration> {
    let text = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    Some(Duration::from_secs(text.parse::<u64>().ok()?.clamp(1, 3600)))
}

async fn skim(mut response: Response) {
    let mut seen = 0;
    while let Ok(Some(chunk)) = response.chunk().await {
        seen += chunk.len();
        if seen > MAX_ANSWER {
            return;
        }
    }
}
