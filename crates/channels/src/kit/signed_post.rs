//! Signed POSTs. Every request that is signed is signed here, twice: by Standard Webhooks and by `X-Webhook-Signature`; the
//! secret is good for both. While a secret is replaced, others sign beside it: only by Standard Webhooks, whose
//! `webhook-signature` may carry several; `X-Webhook-Signature` is one value, that of the first secret.
//!
//! [`SignedPost`] is one attempt at a URL that a user chose: what an event destination gets, and the webhook of a job.

use std::time::Duration;

use bytes::Bytes;
use claw_secrets::signature;
use reqwest::RequestBuilder;
use reqwest::header::{CONTENT_TYPE, HeaderValue};

use super::answer;
use super::guard::{self, UrlError};
use super::http::Http;

/// As much of an answer's body is read as lets the connection be used again.
const MAX_ANSWER: usize = 64 * 1024;

/// What a request is signed with.
#[derive(Debug, Clone, Copy)]
pub struct SignedBy<'a> {
    /// The first secret: the one that the receiver is to know in the end.
    pub secret: &'a str,
    /// Others that it may still, or already, expect.
    pub others: &'a [String],
}

impl<'a> From<&'a str> for SignedBy<'a> {
    fn from(secret: &'a str) -> Self {
        Self { secret, others: &[] }
    }
}

impl SignedBy<'_> {
    /// The value of `webhook-signature`: one signature for each secret, the first one's first, separated by spaces.
    fn standard(self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let by = |secret| signature::sign_standard(&signature::standard_key(secret), id, timestamp, body);
        let mut all = by(self.secret);
        for other in self.others {
            all.push(' ');
            all.push_str(&by(other));
        }
        all
    }
}

/// Puts in a JSON body and its signatures: `id` is the `webhook-id`, `timestamp` seconds since 1970.
pub fn sign(
    request: RequestBuilder,
    by: SignedBy<'_>,
    id: &str,
    timestamp: i64,
    body: Bytes,
) -> RequestBuilder {
    let standard = by.standard(id, timestamp, &body);
    request
        .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
        .header(signature::HEADER, signature::sign(by.secret.as_bytes(), &body))
        .header("webhook-id", id)
        .header("webhook-timestamp", timestamp)
        .header("webhook-signature", standard)
        .body(body)
}

/// What to post.
#[derive(Debug, Clone)]
pub struct SignedPost<'a> {
    /// Where to.
    pub url: &'a str,
    /// The keys of the signatures, `whsec_...`.
    pub by: SignedBy<'a>,
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
    /// How long it asks to be left alone (RFC 9110, section 10.2.3), an hour at most.
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
        self.ask(http).await.map(|(posted, _)| posted)
    }

    /// Posts it; answers the beginning of the answer's body, too.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn ask(&self, http: &Http) -> Result<(Posted, Bytes), PostError> {
        let url = http.check(self.url)?;
        let request = http.calls().post(url).timeout(self.limit);
        let request = sign(request, self.by, self.id, self.timestamp, self.body.clone());
        let response = request.send().await.map_err(|error| self.broken(&error))?;
        let retry_after = answer::server_retry_after(response.headers(), self.timestamp);
        let posted = Posted { status: response.status().as_u16(), retry_after };
        Ok((posted, answer::beginning(response, MAX_ANSWER).await))
    }

    fn broken(&self, error: &reqwest::Error) -> PostError {
        if let Some(refused) = guard::refusal(error) {
            PostError::Url(refused)
        } else if error.is_connect() {
            PostError::Connect
        } else if error.is_timeout() {
            PostError::Timeout(self.limit.as_secs())
        } else {
            PostError::Broken
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn while_a_secret_is_replaced_receivers_with_either_are_served() {
        let others = ["whsec_b2xk".to_owned(), "older".to_owned()];
        let by = SignedBy { secret: "new", others: &others };
        let signatures = by.standard("m", 1_700_000_000, b"{}");
        let headers = signature::Standard { id: "m", time: "1700000000", signatures: &signatures };
        for known in ["new", "whsec_b2xk", "older"] {
            assert_eq!(headers.verify(known, b"{}", 1_700_000_000), Ok(()), "{known}");
        }
        assert!(headers.verify("unknown", b"{}", 1_700_000_000).is_err());
        let (first, _) = signatures.split_once(' ').expect("several signatures");
        assert_eq!(first, SignedBy::from("new").standard("m", 1_700_000_000, b"{}"));
    }

    #[tokio::test]
    async fn a_name_that_leads_home_is_told_from_a_host_that_is_away() {
        // Another test may have been first.
        drop(rustls::crypto::ring::default_provider().install_default());
        let sent = async |url: &str, allow_private: bool| {
            let post = SignedPost {
                url,
                by: "whsec_".into(),
                id: "1",
                timestamp: 0,
                body: Bytes::new(),
                limit: Duration::from_secs(20),
            };
            post.send(&Http::new(allow_private).unwrap()).await.unwrap_err()
        };
        assert_eq!(sent("http://localhost:1/", false).await, PostError::Url(UrlError::Private));
        assert_eq!(sent("http://localhost:1/", true).await, PostError::Connect);
    }
}
