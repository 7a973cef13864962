//! Calls with an access token ([`Grant`]) to a platform that says by its statuses what went wrong: made, read and judged.
//!
//! What a status means is the adapter's to say ([`Judge`]); most of it is the same for all ([`meaning`]).

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http::header::CONTENT_TYPE;
use reqwest::{Response, StatusCode};
use serde_json::Value;
use tokio::time::timeout;
use url::Url;

use super::access_token::Grant;
use super::answer::{beginning, excerpt, retry_after};
use super::http::{classify, repeatable};
use super::transfer::{LONGEST, STALL, download};
use crate::{ChannelError, Deps, MediaStream};

/// All that is read of an answer.
const MAX_ANSWER: usize = 256 * 1024;
/// Characters of what the platform says that are quoted.
const MAX_QUOTE: usize = 300;

/// What an answer means, by its status, its body and the wait that it asks for; `None` for what is no refusal.
pub type Judge = fn(StatusCode, &[u8], Option<Duration>) -> Option<ChannelError>;

/// The calls of one account.
pub struct Bearer {
    platform: &'static str,
    grant: Grant,
    judge: Judge,
    deps: Deps,
}

/// One call.
pub struct Call<'a> {
    /// How.
    pub method: Method,
    /// Where.
    pub url: Url,
    /// What, as JSON.
    pub body: Option<&'a Value>,
    /// Whether making it twice is the same as making it once.
    pub repeatable: bool,
}

impl Bearer {
    /// Calls of `platform`, as its people call it.
    pub fn new(platform: &'static str, grant: Grant, judge: Judge, deps: Deps) -> Self {
        Self { platform, grant, judge, deps }
    }

    /// Whether the credential is right.
    ///
    /// # Errors
    /// As [`Grant::renewed`].
    pub async fn try_credential(&self) -> Result<(), ChannelError> {
        self.grant.renewed().await
    }

    /// Makes a call; the body of the answer, as far as it is read. What is gone is deleted: its answer counts as an empty one.
    ///
    /// # Errors
    /// What the answer means, or that there was none.
    pub async fn call(&self, call: Call<'_>) -> Result<Bytes, ChannelError> {
        let is_deletion = call.method == Method::DELETE;
        let mut request = self.deps.http.calls().request(call.method, call.url);
        if let Some(body) = call.body {
            request = request.json(body);
        }
        let unanswered = if call.repeatable { repeatable } else { classify };
        let response = self.grant.sent(request, unanswered).await?;
        let (status, wait) = self.head(&response);
        let answer = beginning(response, MAX_ANSWER).await;
        match (self.judge)(status, &answer, wait) {
            None => Ok(answer),
            Some(_) if is_deletion && status == StatusCode::NOT_FOUND => Ok(Bytes::new()),
            Some(error) => Err(error),
        }
    }

    /// Opens an attachment that the platform keeps.
    ///
    /// # Errors
    /// What the answer means, or that there was none.
    pub async fn open(&self, url: Url) -> Result<MediaStream, ChannelError> {
        let request = self.deps.http.calls().get(url).timeout(LONGEST);
        let late = || ChannelError::Retryable(format!("{} did not answer in time", self.platform));
        let response = timeout(STALL, self.grant.sent(request, repeatable)).await.map_err(|_| late())??;
        let (status, wait) = self.head(&response);
        if status != StatusCode::OK {
            let answer = beginning(response, MAX_ANSWER).await;
            let none =
                || ChannelError::Permanent(format!("{} keeps the attachment no longer", self.platform));
            return Err((self.judge)(status, &answer, wait).unwrap_or_else(none));
        }
        let content_type = response.headers().get(CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok()).map(str::to_owned);
        Ok(MediaStream { content_type, bytes: download(response) })
    }

    fn head(&self, response: &Response) -> (StatusCode, Option<Duration>) {
        let wait = retry_after(response.headers(), self.deps.clock.now().timestamp());
        (response.status(), wait)
    }
}

/// What most platforms mean by a status: `said` is what this one says with it, a name and a sentence of which either may be empty. A 429
/// is of a chat or of the account, it does not say which; `pause` is the wait where it names none.
pub fn meaning(
    platform: &str,
    status: StatusCode,
    said: [String; 2],
    wait: Option<Duration>,
    pause: Duration,
) -> Option<ChannelError> {
    let said = said.into_iter().filter(|said| !said.is_empty()).collect::<Vec<_>>().join(": ");
    let text = format!("{platform} answered {}: {}", status.as_u16(), excerpt(&said, MAX_QUOTE));
    match status.as_u16() {
        200..=299 => None,
        401 => Some(ChannelError::BadCredentials(text)),
        429 => Some(ChannelError::ChatLimited { wait: wait.unwrap_or(pause), told: false }),
        300..=499 => Some(ChannelError::Permanent(text)),
        _ => Some(ChannelError::Retryable(text)),
    }
}

/// An address below a server's; a segment can't lead elsewhere.
///
/// # Errors
/// [`ChannelError::Config`] when the server's address is of a kind that has no path.
pub fn below<S: AsRef<str>>(server: &Url, path: impl IntoIterator<Item = S>) -> Result<Url, ChannelError> {
    let mut url = server.clone();
    let no_base = |()| ChannelError::Config("api_url can't have a path behind it".to_owned());
    url.path_segments_mut().map_err(no_base)?.pop_if_empty().extend(path);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, wait: Option<Duration>) -> Option<ChannelError> {
        let said = ["NAME".to_owned(), "A sentence.".to_owned()];
        meaning("Acme", StatusCode::from_u16(status).unwrap(), said, wait, Duration::from_secs(5))
    }

    #[test]
    fn a_status_says_what_can_be_done() {
        assert_eq!((of(200, None), of(204, None)), (None, None));
        let denied = "Acme answered 403: NAME: A sentence.".to_owned();
        assert_eq!(of(403, None), Some(ChannelError::Permanent(denied)));
        assert!(matches!(of(401, None), Some(ChannelError::BadCredentials(_))));
        let limited = |secs| Some(ChannelError::ChatLimited { wait: Duration::from_secs(secs), told: false });
        assert_eq!((of(429, None), of(429, Some(Duration::from_secs(7)))), (limited(5), limited(7)));
        for again in [500, 502, 503, 504] {
            assert!(matches!(of(again, None), Some(ChannelError::Retryable(_))), "{again}");
        }
        for never in [302, 400, 404, 413] {
            assert!(matches!(of(never, None), Some(ChannelError::Permanent(_))), "{never}");
        }
    }

    #[test]
    fn an_id_stays_one_segment_of_its_address() {
        let server = Url::parse("https://smba.example/base/").unwrap();
        let url = below(&server, ["v3", "19:a@thread.tacv2;messageid=1/../../x?y#z"]).unwrap();
        assert_eq!(
            url.as_str(),
            "https://smba.example/base/v3/19:a@thread.tacv2;messageid=1%2F..%2F..%2Fx%3Fy%23z"
        );
    }
}
