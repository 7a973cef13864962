//! Calls (<https://developers.line.biz/en/reference/messaging-api/>) and what their failures mean.

use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::header::CONTENT_TYPE;
use reqwest::{RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::timeout;
use url::Url;
use uuid::Uuid;

use crate::kit::answer::{beginning, excerpt, retry_after};
use crate::kit::http::{classify, repeatable};
use crate::kit::transfer::{LONGEST, STALL, download};
use crate::{ChannelError, Deps, MediaStream};

/// The header by which a push that is made again counts once
/// (<https://developers.line.biz/en/docs/messaging-api/retrying-api-request/>).
const RETRY_KEY: &str = "x-line-retry-key";
/// Names the request that was accepted, in the answer to one that was made again.
const ACCEPTED: &str = "x-line-accepted-request-id";
/// All that is read of an answer.
const MAX_ANSWER: usize = 256 * 1024;
/// Characters of what the platform says that are quoted.
const MAX_QUOTE: usize = 300;
/// LINE does not say how long to wait after a 429, only to call less.
pub(super) const PAUSE: Duration = Duration::from_secs(5);
/// How LINE says that a 429 is no matter of seconds
/// (<https://developers.line.biz/en/docs/messaging-api/handling-http-429-errors/>).
const QUOTA: &str = "You have reached your monthly limit";

/// How LINE says that a reply token was used or has ended (<https://developers.line.biz/en/reference/messaging-api/#error-messages>).
const INVALID_REPLY: &str = "Invalid reply token";

/// One account's calls.
pub(super) struct Api {
    calls: Url,
    data: Url,
    token: String,
    deps: Deps,
}

/// The account itself (<https://developers.line.biz/en/reference/messaging-api/#get-bot-info>).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Bot {
    pub(super) user_id: String,
    pub(super) basic_id: String,
    pub(super) display_name: String,
    pub(super) chat_mode: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Answer {
    message: String,
    details: Vec<Detail>,
    sent_messages: Vec<Sent>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Detail {
    message: String,
    property: String,
}

/// A message that LINE has.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Sent {
    pub(super) id: String,
    /// Of what can be quoted.
    pub(super) quote_token: Option<String>,
}

impl Api {
    pub(super) fn new(calls: &str, data: &str, token: String, deps: Deps) -> Result<Self, ChannelError> {
        let check =
            |url: &str| deps.http.check(url).map_err(|why| ChannelError::Config(format!("api_url {why}")));
        let (calls, data) = (check(calls)?, check(data)?);
        Ok(Self { calls, data, token, deps })
    }

    /// The server that calls go to.
    pub(super) fn server(&self) -> &Url {
        &self.calls
    }

    /// Sends messages as a reply; `None` when its token is good no more, so that nothing was sent.
    ///
    /// There is no retry key for it: what is not answered may have happened
    /// (<https://developers.line.biz/en/docs/messaging-api/retrying-api-request/>).
    pub(super) async fn reply(&self, body: &Value) -> Result<Option<Sent>, ChannelError> {
        let request = self.deps.http.calls().post(address(&self.calls, &["message", "reply"])?);
        let response = request.bearer_auth(&self.token).json(body).send().await;
        let response = response.map_err(|error| classify(&error.without_url()))?;
        let status = response.status();
        let wait = retry_after(response.headers(), self.deps.clock.now().timestamp());
        replied(status, &beginning(response, MAX_ANSWER).await, wait)
    }

    /// Marks a message as read, and those before it.
    pub(super) async fn mark_read(&self, body: &Value) -> Result<(), ChannelError> {
        let request = self.deps.http.calls().post(address(&self.calls, &["chat", "markAsRead"])?);
        self.answer(request.json(body)).await.map(drop)
    }

    /// Pushes messages; the first of them. A key that was accepted before answers as then.
    pub(super) async fn push(&self, body: &Value, key: Uuid) -> Result<Sent, ChannelError> {
        let request = self.deps.http.calls().post(address(&self.calls, &["message", "push"])?);
        let response = self.sent(request.header(RETRY_KEY, key.to_string()).json(body)).await?;
        let (status, accepted) = (response.status(), text(&response, ACCEPTED));
        let wait = retry_after(response.headers(), self.deps.clock.now().timestamp());
        let answer = beginning(response, MAX_ANSWER).await;
        pushed(status, &answer, wait, accepted)
    }

    /// Shows the loading animation.
    pub(super) async fn load(&self, body: &Value) -> Result<(), ChannelError> {
        let request = self.deps.http.calls().post(address(&self.calls, &["chat", "loading", "start"])?);
        self.answer(request.json(body)).await.map(drop)
    }

    pub(super) async fn bot(&self) -> Result<Bot, ChannelError> {
        self.get(&["info"]).await
    }

    /// Asks for something, below `/v2/bot/`.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &[&str]) -> Result<T, ChannelError> {
        let answer = self.answer(self.deps.http.calls().get(address(&self.calls, path)?)).await?;
        serde_json::from_slice(&answer)
            .map_err(|_| ChannelError::Retryable("LINE's answer can't be read".to_owned()))
    }

    /// The time.
    pub(super) fn now(&self) -> DateTime<Utc> {
        self.deps.clock.now()
    }

    /// Opens what a person attached (<https://developers.line.biz/en/reference/messaging-api/#get-content>).
    pub(super) async fn open(&self, message_id: &str) -> Result<MediaStream, ChannelError> {
        let url = address(&self.data, &["message", message_id, "content"])?;
        let request = self.deps.http.calls().get(url).timeout(LONGEST);
        let late = || ChannelError::Retryable("LINE did not answer in time".to_owned());
        let response = timeout(STALL, self.sent(request)).await.map_err(|_| late())??;
        match response.status() {
            StatusCode::OK => {}
            // A film or a sound that LINE is still bringing into shape.
            StatusCode::ACCEPTED => {
                return Err(ChannelError::Retryable(
                    "LINE has not finished preparing the attachment".to_owned(),
                ));
            }
            status => return Err(refused(status, &beginning(response, MAX_ANSWER).await, None)),
        }
        let content_type = text(&response, CONTENT_TYPE.as_str());
        Ok(MediaStream { content_type, bytes: download(response) })
    }

    async fn answer(&self, request: RequestBuilder) -> Result<Bytes, ChannelError> {
        let response = self.sent(request).await?;
        let status = response.status();
        let wait = retry_after(response.headers(), self.deps.clock.now().timestamp());
        let answer = beginning(response, MAX_ANSWER).await;
        if status.is_success() { Ok(answer) } else { Err(refused(status, &answer, wait)) }
    }

    /// Every call but a reply may be made again: a push has its key, the others change nothing more.
    async fn sent(&self, request: RequestBuilder) -> Result<Response, ChannelError> {
        let request = request.bearer_auth(&self.token);
        request.send().await.map_err(|error| repeatable(&error.without_url()))
    }
}

/// Below `/v2/bot/`; an id in it can't lead elsewhere.
fn address(server: &Url, path: &[&str]) -> Result<Url, ChannelError> {
    let mut url = server.clone();
    let no_base = |()| ChannelError::Config("api_url can't have a path behind it".to_owned());
    url.path_segments_mut().map_err(no_base)?.pop_if_empty().extend(["v2", "bot"]).extend(path);
    Ok(url)
}

fn text(response: &Response, name: &str) -> Option<String> {
    response.headers().get(name)?.to_str().ok().map(str::to_owned)
}

/// What the answer to a push means.
fn pushed(
    status: StatusCode,
    answer: &[u8],
    wait: Option<Duration>,
    accepted: Option<String>,
) -> Result<Sent, ChannelError> {
    if !status.is_success() && status != StatusCode::CONFLICT {
        return Err(refused(status, answer, wait));
    }
    let read: Answer = serde_json::from_slice(answer).unwrap_or_default();
    let accepted = || accepted.map(|id| Sent { id, quote_token: None });
    // It was accepted. Asked again with the same key, LINE says the id once more.
    read.sent_messages
        .into_iter()
        .next()
        .or_else(accepted)
        .ok_or_else(|| ChannelError::Retryable("LINE's answer names no message".to_owned()))
}

/// What the answer to a reply means.
fn replied(status: StatusCode, answer: &[u8], wait: Option<Duration>) -> Result<Option<Sent>, ChannelError> {
    let read: Answer = serde_json::from_slice(answer).unwrap_or_default();
    match status.as_u16() {
        400 if read.message.contains(INVALID_REPLY) => Ok(None),
        200..=299 => {
            let unnamed = || ChannelError::Uncertain("LINE's answer names no message".to_owned());
            read.sent_messages.into_iter().next().map(Some).ok_or_else(unnamed)
        }
        500.. => Err(ChannelError::Uncertain(format!(
            "LINE answered {} to a reply, which it may have sent: {}",
            status.as_u16(),
            excerpt(&read.message, MAX_QUOTE)
        ))),
        _ => Err(refused(status, answer, wait)),
    }
}

/// Errors: <https://developers.line.biz/en/reference/messaging-api/#status-codes>.
fn refused(status: StatusCode, answer: &[u8], wait: Option<Duration>) -> ChannelError {
    let read: Answer = serde_json::from_slice(answer).unwrap_or_default();
    let details =
        read.details.into_iter().map(|Detail { message, property }| format!("{property}: {message}"));
    let said: Vec<_> = std::iter::once(read.message).chain(details).collect();
    let said = excerpt(&said.join("; "), MAX_QUOTE);
    let text = format!("LINE answered {}: {said}", status.as_u16());
    match status.as_u16() {
        401 => ChannelError::BadCredentials(text),
        429 if said.contains(QUOTA) => ChannelError::Permanent(text),
        429 => ChannelError::RateLimited(wait.unwrap_or(PAUSE)),
        400..=499 => ChannelError::Permanent(text),
        _ => ChannelError::Retryable(text),
    }
}

/// For [`crate::Channel::fuzz`].
pub(super) fn fuzz(data: &[u8]) {
    drop(pushed(StatusCode::OK, data, None, None));
    drop(replied(StatusCode::OK, data, None));
    drop(refused(StatusCode::BAD_REQUEST, data, None));
    drop(serde_json::from_slice::<Bot>(data));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, answer: &str) -> Result<String, ChannelError> {
        let accepted = Some("request-1".to_owned());
        pushed(StatusCode::from_u16(status).unwrap(), answer.as_bytes(), None, accepted).map(|sent| sent.id)
    }

    #[test]
    fn a_reply_that_may_have_been_sent_is_not_tried_again() {
        let of = |status: u16, answer: &str| {
            replied(StatusCode::from_u16(status).unwrap(), answer.as_bytes(), None)
        };
        let sent = Sent { id: "5".to_owned(), quote_token: Some("q".to_owned()) };
        assert_eq!(of(200, r#"{"sentMessages": [{"id": "5", "quoteToken": "q"}]}"#), Ok(Some(sent)));
        assert_eq!(of(400, r#"{"message": "Invalid reply token"}"#), Ok(None));
        assert!(matches!(
            of(400, r#"{"message": "The property is invalid"}"#),
            Err(ChannelError::Permanent(_))
        ));
        assert_eq!(of(429, "{}"), Err(ChannelError::RateLimited(PAUSE)));
        assert!(matches!(of(401, "{}"), Err(ChannelError::BadCredentials(_))));
        for (status, answer) in [(200, "{}"), (200, "<html>"), (500, "{}"), (503, "")] {
            assert!(matches!(of(status, answer), Err(ChannelError::Uncertain(_))), "{status} {answer}");
        }
    }

    #[test]
    fn a_push_that_was_accepted_before_is_sent() {
        let sent = r#"{"sentMessages": [{"id": "461230966842064897", "quoteToken": "q"}]}"#;
        assert_eq!(of(200, sent), Ok("461230966842064897".to_owned()));
        let again = r#"{"message": "The retry key is already accepted", "sentMessages": [{"id": "461230966842064897"}]}"#;
        assert_eq!(of(409, again), Ok("461230966842064897".to_owned()));
        assert_eq!(
            of(409, r#"{"message": "The retry key is already accepted"}"#),
            Ok("request-1".to_owned())
        );
    }

    #[test]
    fn failures_map_to_what_can_be_done() {
        let slow = r#"{"message": "The API rate limit has been exceeded. Try again later."}"#;
        assert_eq!(of(429, slow), Err(ChannelError::RateLimited(PAUSE)));
        let over = r#"{"message": "You have reached your monthly limit."}"#;
        assert!(matches!(of(429, over), Err(ChannelError::Permanent(why)) if why.contains("monthly")));
        let details = r#"{"message": "The request body has 1 error(s)", "details": [{"message": "May not be empty", "property": "messages[0].text"}]}"#;
        let said = "LINE answered 400: The request body has 1 error(s); messages[0].text: May not be empty";
        assert_eq!(of(400, details), Err(ChannelError::Permanent(said.to_owned())));
        assert!(matches!(of(401, "{}"), Err(ChannelError::BadCredentials(_))));
        assert!(matches!(of(500, "no json"), Err(ChannelError::Retryable(_))));
    }

    #[test]
    fn an_id_stays_one_segment_of_its_address() {
        let server = Url::parse("https://api.line.me/").unwrap();
        let url = address(&server, &["message", "../1?x=#", "content"]).unwrap();
        assert_eq!(url.as_str(), "https://api.line.me/v2/bot/message/..%2F1%3Fx=%23/content");
    }
}
