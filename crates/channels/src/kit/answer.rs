//! The answer of a server that a stranger chose: read with an end to it, quoted with care.
//!
//! Must hold: no answer takes more memory than its reader allows, whatever its headers say; what is quoted of one can be
//! logged and stored.

use std::time::{Duration, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::RETRY_AFTER;
use reqwest::Response;

/// Nobody waits longer than this for the sake of a server that a tenant chose.
const SERVER_ASKS: Duration = Duration::from_hours(1);
/// Nor longer than this for a platform's, which may ban for some hours: who calls meanwhile may be banned for longer. More than a day is
/// taken for a mistake.
pub const PLATFORM_ASKS: Duration = Duration::from_hours(24);

/// Why a body was not read to its end.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It has more bytes than its reader allows.
    #[error("the answer has more bytes than are read")]
    TooLarge,
    /// The connection broke, or it took too long.
    #[error(transparent)]
    Broken(#[from] reqwest::Error),
}

/// The body, of at most `limit` bytes.
///
/// # Errors
/// When it is longer, or can't be read to its end.
pub async fn read(mut response: Response, limit: usize) -> Result<Bytes, ReadError> {
    let told = response.content_length().map(usize::try_from);
    if told.is_some_and(|told| told.map_or(true, |told| told > limit)) {
        return Err(ReadError::TooLarge);
    }
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len().saturating_add(chunk.len()) > limit {
            return Err(ReadError::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// The body as far as it came, about `limit` bytes: for one of which the status said it all. Reading it lets the
/// connection be used again.
pub async fn beginning(mut response: Response, limit: usize) -> Bytes {
    let mut body = BytesMut::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        body.extend_from_slice(&chunk);
        if body.len() > limit {
            break;
        }
    }
    body.freeze()
}

/// How long the platform asks to be left alone from `now` on, in seconds since 1970 (RFC 9110, section 10.2.3: seconds or
/// a date): at least a second, because zero would have us call again without a pause, [`PLATFORM_ASKS`] at most.
pub fn retry_after(headers: &HeaderMap, now: i64) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(waiting(seconds));
    }
    let until = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?.as_secs();
    // A date that is over is a wait of none.
    Some(waiting(until.saturating_sub(u64::try_from(now).ok()?)))
}

/// The same of a server that a tenant chose (a backend, a destination, a program): an hour at most.
pub fn server_retry_after(headers: &HeaderMap, now: i64) -> Option<Duration> {
    retry_after(headers, now).map(|asked| asked.min(SERVER_ASKS))
}

/// A wait of so many seconds, within the same bounds as [`retry_after`], wherever the platform says it.
pub fn waiting(seconds: u64) -> Duration {
    Duration::from_secs(seconds.max(1)).min(PLATFORM_ASKS)
}

/// The first `limit` characters, fit for a log line and for the database, which takes no NUL.
pub fn excerpt(text: &str, limit: usize) -> String {
    text.chars().take(limit).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::routing::get;
    use futures::stream;

    use super::*;
    use crate::adapters::webhook::testing::serve;
    use crate::kit::http::Http;

    async fn answered(body: fn() -> Body) -> Response {
        // Another test may have been first.
        drop(rustls::crypto::ring::default_provider().install_default());
        let url = serve(Router::new().route("/", get(async move || body()))).await;
        Http::new(true).unwrap().calls().get(url).send().await.unwrap()
    }

    fn endless() -> Body {
        Body::from_stream(stream::repeat_with(|| Ok::<_, String>(Bytes::from_static(&[b'x'; 10_000]))))
    }

    #[tokio::test]
    async fn an_answer_has_an_end_whatever_its_server_does() {
        assert_eq!(read(answered(|| "1234".into()).await, 4).await.unwrap(), "1234");
        assert!(matches!(read(answered(|| "12345".into()).await, 4).await, Err(ReadError::TooLarge)));
        assert!(matches!(read(answered(endless).await, 100_000).await, Err(ReadError::TooLarge)));
        let some = beginning(answered(endless).await, 50_000).await.len();
        assert!((50_001..1_000_000).contains(&some), "{some}");
        assert_eq!(beginning(answered(|| "12345".into()).await, 50_000).await, "12345");
    }

    #[test]
    fn a_wait_is_seconds_or_a_date_within_bounds() {
        // Sun, 06 Nov 1994 08:49:37 GMT, the example of RFC 9110, section 5.6.7.
        const NOW: i64 = 784_111_777;
        let headers =
            |text: &str| -> HeaderMap { HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]) };
        let of = |text: &str| retry_after(&headers(text), NOW).map(|wait| wait.as_secs());
        let cases = [
            ("7", Some(7)),
            (" 7 ", Some(7)),
            ("0", Some(1)),
            ("36000", Some(36_000)),
            ("999999", Some(86_400)),
        ];
        let dates = [
            ("Sun, 06 Nov 1994 08:50:07 GMT", Some(30)),
            ("Sunday, 06-Nov-94 08:50:07 GMT", Some(30)),
            ("Sun Nov  6 08:50:07 1994", Some(30)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(1)),
            ("Sat, 05 Nov 1994 08:49:37 GMT", Some(1)),
            ("Mon, 06 Nov 1995 08:49:37 GMT", Some(86_400)),
            ("Sun, 06 Nov 1994", None),
        ];
        for (text, wait) in cases.into_iter().chain(dates).chain([("soon", None), ("-1", None)]) {
            assert_eq!(of(text), wait, "{text:?}");
            let of_server = server_retry_after(&headers(text), NOW).map(|wait| wait.as_secs());
            assert_eq!(of_server, wait.map(|wait| wait.min(3_600)), "a tenant's server, {text:?}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), NOW), None);
    }

    #[test]
    fn a_quote_is_short_and_clean() {
        assert_eq!(excerpt("a\0b\nc", 9), "a b c");
        assert_eq!(excerpt("ééé", 2), "éé");
    }
}
