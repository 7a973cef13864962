//! Fetches what a user's URL points to, to send it to a platform.
//!
//! The URL comes from a stranger and so does what answers: each hop is checked as `guard` describes, a few
//! redirects are followed by hand so that every one of them is checked, and size and time are counted here, whatever the
//! headers say. Nothing is decompressed. Errors are worded to follow the name of the field that holds the URL.

use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT_ENCODING, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderName, LOCATION,
};
use reqwest::{Response, StatusCode};
use url::Url;

use super::answer::{self, ReadError};
use super::filename;
use super::guard::{self, UrlError};
use super::http::Http;

/// Redirects followed at most.
const REDIRECTS: usize = 3;
/// What says nothing of its content.
const UNKNOWN: &str = "application/octet-stream";

/// What may be fetched.
#[derive(Debug, Clone, Copy)]
pub struct Limits<'a> {
    /// Bytes at most; they are held in memory.
    pub max_bytes: usize,
    /// Media types, like `image/png` or `image/*`; `None` takes any.
    pub allowed: Option<&'a [&'a str]>,
    /// For everything, redirects included.
    pub timeout: Duration,
}

/// What answered, before its bytes.
#[derive(Debug)]
pub struct Opened {
    /// Its media type, where its server tells one.
    pub content_type: Option<String>,
    /// Its name, free of folders and odd characters.
    pub filename: Option<String>,
    /// With the bytes.
    pub response: Response,
}

/// What was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Its media type as its server says, or else as its first bytes say ([`essence`] is its first part).
    pub content_type: String,
    /// Its name, free of folders and odd characters.
    pub filename: Option<String>,
    /// All of it.
    pub bytes: Bytes,
}

/// Why nothing was fetched; to be put after the name of the field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// It may not be called.
    #[error(transparent)]
    Url(UrlError),
    /// It leads to a URL that may not be called.
    #[error("redirects to a URL that {0}")]
    Redirect(#[source] UrlError),
    /// Round in circles, perhaps.
    #[error("redirects more than {REDIRECTS} times; give the URL that it leads to")]
    Redirects,
    /// No connection.
    #[error("can't be reached; check that the host is right and online")]
    Unreachable,
    /// The connection broke.
    #[error("could not be read to its end: the connection broke")]
    Broken,
    /// Too slow.
    #[error("did not arrive within {0:?}; give one that answers faster, or a smaller file")]
    TimedOut(Duration),
    /// Not a file.
    #[error("answered with status {0} and no file; check that it can be opened without signing in")]
    Status(u16),
    /// Too many bytes.
    #[error("has more than the {0} bytes that are allowed here; give a smaller file")]
    TooLarge(usize),
    /// The wrong type.
    #[error("is of the type {found}; allowed here: {allowed}")]
    Type {
        /// Which it is.
        found: String,
        /// Which it may be.
        allowed: String,
    },
    /// Compressed, although that was not asked for.
    #[error(
        "is sent compressed although it was asked for as it is; give one that is served without Content-Encoding"
    )]
    Encoded,
    /// No bytes.
    #[error("is an empty file")]
    Empty,
}

impl FetchError {
    /// Whether the same URL may work later.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable | Self::Broken | Self::TimedOut(_) => true,
            Self::Status(status) => matches!(status, 408 | 425 | 429 | 500..=599),
            _ => false,
        }
    }
}

/// Fetches it.
///
/// # Errors
/// Says why not; nothing is kept.
pub async fn fetch(http: &Http, url: &str, limits: Limits<'_>) -> Result<Fetched, FetchError> {
    let fetched = tokio::time::timeout(limits.timeout, async {
        let opened = open(http, url, limits).await?;
        take(opened, limits).await
    });
    fetched.await.unwrap_or(Err(FetchError::TimedOut(limits.timeout)))
}

/// Opens it, for who reads it piece by piece and counts what comes: `max_bytes` is not looked at.
///
/// # Errors
/// Says why not.
pub async fn open(http: &Http, url: &str, limits: Limits<'_>) -> Result<Opened, FetchError> {
    let mut target = url.to_owned();
    let mut blame: fn(UrlError) -> FetchError = FetchError::Url;
    for _ in 0..=REDIRECTS {
        let url = http.check(&target).map_err(blame)?;
        let request = http.calls().get(url).timeout(limits.timeout).header(ACCEPT_ENCODING, "identity");
        let response = request.send().await.map_err(|error| not_sent(&error, limits, blame))?;
        let Some(next) = next_hop(&response)? else { return checked(response, limits) };
        target = next.into();
        blame = FetchError::Redirect;
    }
    Err(FetchError::Redirects)
}

/// Where a redirect leads; `None` when it is none.
fn next_hop(response: &Response) -> Result<Option<Url>, FetchError> {
    let status = response.status();
    if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let location = text(response.headers(), LOCATION).ok_or(FetchError::Status(status.as_u16()))?;
    let next = response.url().join(location).map_err(|_| FetchError::Redirect(UrlError::Invalid))?;
    Ok(Some(next))
}

/// The head of an answer that is a file.
fn checked(response: Response, limits: Limits<'_>) -> Result<Opened, FetchError> {
    if response.status() != StatusCode::OK {
        return Err(FetchError::Status(response.status().as_u16()));
    }
    let headers = response.headers();
    if text(headers, CONTENT_ENCODING).is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
        return Err(FetchError::Encoded);
    }
    let content_type = text(headers, CONTENT_TYPE).filter(|declared| is_told(declared)).map(str::to_owned);
    // Before the body is read: most mistakes are pages in place of pictures.
    content_type.as_deref().map_or(Ok(()), |declared| allow(declared, limits))?;
    let named = headers.get(CONTENT_DISPOSITION).and_then(|value| filename::of_disposition(value.as_bytes()));
    let filename = named.or_else(|| filename::of_url(response.url()));
    Ok(Opened { content_type, filename, response })
}

async fn take(opened: Opened, limits: Limits<'_>) -> Result<Fetched, FetchError> {
    let Opened { content_type, filename, response } = opened;
    let bytes = answer::read(response, limits.max_bytes).await.map_err(|error| match error {
        ReadError::TooLarge => FetchError::TooLarge(limits.max_bytes),
        ReadError::Broken(error) => broken(&error, limits),
    })?;
    if bytes.is_empty() {
        return Err(FetchError::Empty);
    }
    if let Some(content_type) = content_type {
        return Ok(Fetched { content_type, filename, bytes });
    }
    let content_type = infer::get(&bytes).map_or(UNKNOWN, |kind| kind.mime_type()).to_owned();
    allow(&content_type, limits)?;
    Ok(Fetched { content_type, filename, bytes })
}

/// `type/subtype` of a header's value.
pub fn essence(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// Whether it tells anything of the content.
fn is_told(content_type: &str) -> bool {
    let essence = essence(content_type);
    let known = essence.split_once('/').is_some_and(|(kind, sub)| !kind.is_empty() && !sub.is_empty());
    known && ![UNKNOWN, "binary/octet-stream"].iter().any(|unknown| essence.eq_ignore_ascii_case(unknown))
}

fn allow(found: &str, limits: Limits<'_>) -> Result<(), FetchError> {
    let Some(allowed) = limits.allowed else { return Ok(()) };
    let essence = essence(found).to_ascii_lowercase();
    let fits = |pattern: &&str| match pattern.strip_suffix('*') {
        Some(start) => essence.starts_with(start),
        None => essence == **pattern,
    };
    if allowed.iter().any(fits) {
        return Ok(());
    }
    Err(FetchError::Type { found: essence, allowed: allowed.join(", ") })
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

fn not_sent(error: &reqwest::Error, limits: Limits<'_>, blame: fn(UrlError) -> FetchError) -> FetchError {
    if let Some(refused) = guard::refusal(error) {
        return blame(refused);
    }
    if error.is_connect() { FetchError::Unreachable } else { broken(error, limits) }
}

fn broken(error: &reqwest::Error, limits: Limits<'_>) -> FetchError {
    if error.is_timeout() { FetchError::TimedOut(limits.timeout) } else { FetchError::Broken }
}

#[cfg(test)]
mod tests;
