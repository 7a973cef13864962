//! Calls (<https://www.twilio.com/docs/usage/requests-to-twilio>) and what their failures mean.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, LOCATION};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use serde::de::IgnoredAny;
use tokio::time::timeout;
use url::Url;

use crate::kit::answer::{beginning, excerpt, retry_after};
use crate::kit::fetch::{self, Limits};
use crate::kit::http::{classify, repeatable};
use crate::kit::transfer::{LONGEST, STALL, download};
use crate::{ChannelError, Deps, MediaStream};

/// All that is read of an answer.
const MAX_ANSWER: usize = 256 * 1024;
/// Characters of what the platform says that are quoted.
const MAX_QUOTE: usize = 300;
/// Where a 429 does not say how long to wait: Twilio asks to back off (<https://www.twilio.com/docs/api/errors/20429>).
pub(super) const PAUSE: Duration = Duration::from_secs(5);
/// <https://www.twilio.com/docs/api/errors/20003>.
const NOT_AUTHENTICATED: u64 = 20003;
/// <https://www.twilio.com/docs/api/errors/21610>.
const UNSUBSCRIBED: u64 = 21610;

/// One account's calls.
pub(super) struct Api {
    server: Url,
    account: String,
    signer: Signer,
    deps: Deps,
}

/// Who makes calls: the account itself with its auth token, or an API key (<https://www.twilio.com/docs/iam/api-keys>).
pub(super) struct Signer {
    pub(super) name: String,
    pub(super) secret: String,
}

/// The account itself (<https://www.twilio.com/docs/iam/api/account>).
#[derive(Debug, Deserialize)]
pub(super) struct Account {
    pub(super) friendly_name: String,
    pub(super) status: String,
    pub(super) r#type: String,
}

#[derive(Deserialize)]
struct Created {
    sid: String,
}

/// <https://www.twilio.com/docs/usage/twilios-response#response-formats-exceptions>.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    code: Option<u64>,
    message: String,
}

impl Api {
    pub(super) fn new(
        server: &str,
        account: String,
        signer: Signer,
        deps: Deps,
    ) -> Result<Self, ChannelError> {
        let checked = deps.http.check(server);
        let server = checked.map_err(|why| ChannelError::Config(format!("api_url {why}")))?;
        Ok(Self { server, account, signer, deps })
    }

    /// Sends a message; its id. A call without an answer may have sent it: Twilio has no key for calls.
    pub(super) async fn create(&self, fields: &[(&str, String)]) -> Result<String, ChannelError> {
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self.deps.http.calls().post(self.address(&["Messages.json"])?);
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(form);
        let sent = self.signed(request).send().await.map_err(|error| classify(&error.without_url()))?;
        let answer = self.answer(sent).await?;
        let created: Result<Created, _> = serde_json::from_slice(&answer);
        // It was taken: another try would send it twice.
        created.map(|created| created.sid).map_err(|_| {
            ChannelError::Uncertain("Twilio took the message, and its answer names none".to_owned())
        })
    }

    /// Who the account is. `None` for an API key: most may not ask, so its last message is asked for instead, which every key may see
    /// that may send (<https://www.twilio.com/docs/iam/api-keys/keys-in-console>).
    pub(super) async fn account(&self) -> Result<Option<Account>, ChannelError> {
        let is_key = self.signer.name != self.account;
        let path: &[&str] = if is_key { &["Messages.json"] } else { &[] };
        let mut url = self.address(path)?;
        if is_key {
            url.query_pairs_mut().append_pair("PageSize", "1");
        }
        let request = self.deps.http.calls().get(url);
        let asked = self.signed(request).send().await.map_err(|error| repeatable(&error.without_url()))?;
        let answer = self.answer(asked).await?;
        let unread = |_| ChannelError::Retryable("Twilio's answer can't be read".to_owned());
        if is_key {
            return serde_json::from_slice::<IgnoredAny>(&answer).map(|_| None).map_err(unread);
        }
        serde_json::from_slice(&answer).map(Some).map_err(unread)
    }

    /// Opens what a person attached (<https://www.twilio.com/docs/messaging/api/media-resource>). Twilio leads on to where it is
    /// kept, and that server is not shown the secret.
    pub(super) async fn open(&self, handle: &str) -> Result<MediaStream, ChannelError> {
        let (message, media) = handle.split_once('/').unwrap_or((handle, ""));
        let url = self.address(&["Messages", message, "Media", media])?;
        let request = self.signed(self.deps.http.calls().get(url).timeout(LONGEST));
        let late = || ChannelError::Retryable("Twilio did not answer in time".to_owned());
        let response = timeout(STALL, request.send()).await.map_err(|_| late())?;
        let response = response.map_err(|error| repeatable(&error.without_url()))?;
        if response.status().is_redirection() {
            return self.follow(&response).await;
        }
        if !response.status().is_success() {
            return Err(refused(response.status(), &beginning(response, MAX_ANSWER).await, None));
        }
        let content_type = text(&response, CONTENT_TYPE.as_str());
        Ok(MediaStream { content_type, bytes: download(response) })
    }

    async fn follow(&self, response: &Response) -> Result<MediaStream, ChannelError> {
        let leads = text(response, LOCATION.as_str()).and_then(|text| response.url().join(&text).ok());
        let url =
            leads.ok_or_else(|| ChannelError::Permanent("Twilio's attachment leads nowhere".to_owned()))?;
        // How much of it is taken, its reader counts.
        let limits = Limits { max_bytes: usize::MAX, allowed: None, timeout: LONGEST };
        let opened = fetch::open(&self.deps.http, url.as_str(), limits);
        let late = || {
            ChannelError::Retryable("the server with Twilio's attachments did not answer in time".to_owned())
        };
        let opened = timeout(STALL, opened).await.map_err(|_| late())?.map_err(|error| {
            let why = format!("Twilio's attachment {error}");
            if error.is_passing() { ChannelError::Retryable(why) } else { ChannelError::Permanent(why) }
        })?;
        Ok(MediaStream { content_type: opened.content_type, bytes: download(opened.response) })
    }

    async fn answer(&self, response: Response) -> Result<Bytes, ChannelError> {
        let status = response.status();
        let wait = retry_after(response.headers(), self.deps.clock.now().timestamp());
        let answer = beginning(response, MAX_ANSWER).await;
        if status.is_success() { Ok(answer) } else { Err(refused(status, &answer, wait)) }
    }

    fn signed(&self, request: RequestBuilder) -> RequestBuilder {
        request.basic_auth(&self.signer.name, Some(&self.signer.secret))
    }

    /// Below the account; the account itself without a path. An id in it can't lead elsewhere.
    fn address(&self, path: &[&str]) -> Result<Url, ChannelError> {
        let mut url = self.server.clone();
        let account = format!("{}.json", self.account);
        let account = if path.is_empty() { &account } else { &self.account };
        let no_base = |()| ChannelError::Config("api_url can't have a path behind it".to_owned());
        url.path_segments_mut()
            .map_err(no_base)?
            .pop_if_empty()
            .extend(["2010-04-01", "Accounts", account])
            .extend(path);
        Ok(url)
    }
}

fn text(response: &Response, name: &str) -> Option<String> {
    response.headers().get(name)?.to_str().ok().map(str::to_owned)
}

/// Errors: <https://www.twilio.com/docs/api/errors>.
fn refused(status: StatusCode, answer: &[u8], wait: Option<Duration>) -> ChannelError {
    let Refusal { code, message } = serde_json::from_slice(answer).unwrap_or_default();
    let code_text = code.map(|code| format!(" (error {code})")).unwrap_or_default();
    let text = format!("Twilio answered {}{code_text}: {}", status.as_u16(), excerpt(&message, MAX_QUOTE));
    match (status.as_u16(), code) {
        (401, _) | (_, Some(NOT_AUTHENTICATED)) => ChannelError::BadCredentials(text),
        (429, _) => ChannelError::RateLimited(wait.unwrap_or(PAUSE)),
        (_, Some(UNSUBSCRIBED)) => ChannelError::Permanent(format!(
            "the person wrote STOP to this number, so nothing can be sent to them until they write START ({text})"
        )),
        (400..=499, _) => ChannelError::Permanent(text),
        _ => ChannelError::Retryable(text),
    }
}

/// For [`crate::Channel::fuzz`].
pub(super) fn fuzz(data: &[u8]) {
    drop(refused(StatusCode::BAD_REQUEST, data, None));
    drop(serde_json::from_slice::<Created>(data));
    drop(serde_json::from_slice::<Account>(data));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, answer: &str) -> ChannelError {
        refused(StatusCode::from_u16(status).unwrap(), answer.as_bytes(), None)
    }

    #[test]
    fn failures_map_to_what_can_be_done() {
        let limited = r#"{"code": 20429, "message": "Too Many Requests", "status": 429}"#;
        assert_eq!(of(429, limited), ChannelError::RateLimited(PAUSE));
        let unknown = r#"{"code": 20003, "message": "Authenticate", "status": 401}"#;
        assert!(matches!(of(401, unknown), ChannelError::BadCredentials(_)));
        assert!(matches!(of(403, unknown), ChannelError::BadCredentials(_)));
        assert!(matches!(of(503, "<html>"), ChannelError::Retryable(_)));
        let number = r#"{"code": 21211, "message": "Invalid 'To' Phone Number: 1", "status": 400}"#;
        let said = "Twilio answered 400 (error 21211): Invalid 'To' Phone Number: 1";
        assert_eq!(of(400, number), ChannelError::Permanent(said.to_owned()));
    }

    #[test]
    fn who_stopped_is_told_of_as_such() {
        let stopped =
            r#"{"code": 21610, "message": "Attempt to send to unsubscribed recipient", "status": 400}"#;
        let ChannelError::Permanent(why) = of(400, stopped) else { panic!("it will not help to try again") };
        assert!(why.contains("wrote STOP") && why.contains("START") && why.contains("21610"), "{why}");
    }
}
