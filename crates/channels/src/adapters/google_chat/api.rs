//! Calls of the Chat API, the tokens for them, and what their failures mean.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use reqwest::{Response, StatusCode};
use serde::Deserialize;
use tokio::time::timeout;
use url::Url;

use super::account::Account;
use super::calls::Call;
use crate::kit::access_token::Grant;
use crate::kit::answer::{beginning, excerpt, retry_after};
use crate::kit::http::repeatable;
use crate::kit::transfer::{LONGEST, STALL, download};
use crate::{ChannelError, Deps, MediaStream};

/// The Chat API (<https://developers.google.com/workspace/chat/api/reference/rest>).
const API: &str = "https://chat.googleapis.com";
/// Where access tokens are handed out (<https://developers.google.com/identity/protocols/oauth2/service-account#httprest>).
const TOKENS: &str = "https://oauth2.googleapis.com";
/// Where the keys are published that sign events.
const KEYS: &str = "https://www.googleapis.com";
/// Those of Google Chat's own account (<https://developers.google.com/workspace/chat/verify-requests-from-chat>).
const CHAT_KEYS: [&str; 4] = ["service_accounts", "v1", "jwk", super::CHAT];
/// Those of Google's sign-in
/// (`jwks_uri` in <https://accounts.google.com/.well-known/openid-configuration>).
const SIGN_IN_KEYS: [&str; 3] = ["oauth2", "v3", "certs"];
/// All that is read of an answer.
const MAX_ANSWER: usize = 256 * 1024;
/// Characters of what the platform says that are quoted.
const MAX_QUOTE: usize = 300;
/// Quotas are for a minute, and Google asks for growing waits without naming one
/// (<https://developers.google.com/workspace/chat/limits#resolve_time-based_quota_errors>).
pub(super) const PAUSE: Duration = Duration::from_secs(10);

/// One app's calls.
pub(super) struct Api {
    server: Url,
    keys: Url,
    account: Arc<Account>,
    grant: Grant,
    deps: Deps,
}

impl Api {
    pub(super) fn new(
        api_url: Option<&str>,
        account: Account,
        by_sign_in: bool,
        deps: &Deps,
    ) -> Result<Self, ChannelError> {
        let server = |own: &'static str| {
            let checked = deps.http.check(api_url.unwrap_or(own));
            checked.map_err(|why| ChannelError::Config(format!("api_url {why}")))
        };
        let path: &[&str] = if by_sign_in { &SIGN_IN_KEYS } else { &CHAT_KEYS };
        let keys = below(&server(KEYS)?, path)?;
        let endpoint = below(&server(TOKENS)?, &["token"])?;
        let account = Arc::new(account);
        let form = {
            let (account, clock) = (Arc::clone(&account), Arc::clone(&deps.clock));
            move || {
                let assertion = account.assertion(clock.now().timestamp())?;
                let kind = "urn:ietf:params:oauth:grant-type:jwt-bearer".to_owned();
                Ok(vec![("grant_type", kind), ("assertion", assertion)])
            }
        };
        let credential = [account.email(), account.key_id(), account.private_key()];
        let grant = Grant::new("Google", endpoint, &credential, form, deps.clone());
        Ok(Self { server: server(API)?, keys, account, grant, deps: deps.clone() })
    }

    /// Where the keys are published.
    pub(super) fn keys(&self) -> &Url {
        &self.keys
    }

    pub(super) fn account(&self) -> &Account {
        &self.account
    }

    /// Whether the service account's key is right.
    pub(super) async fn try_credential(&self) -> Result<(), ChannelError> {
        self.grant.renewed().await
    }

    /// Makes a call; the name of the message that Google answers. Every call may be made again: a new message has its request id,
    /// and the others change nothing the second time.
    pub(super) async fn call(&self, call: &Call) -> Result<Option<String>, ChannelError> {
        let path: Vec<&str> = std::iter::once("v1").chain(call.resource.split('/')).collect();
        let mut url = below(&self.server, &path)?;
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&call.query);
        }
        let mut request = self.deps.http.calls().request(call.method.clone(), url);
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        let response = self.grant.sent(request, repeatable).await?;
        let (status, wait) = self.head(&response);
        let answer = beginning(response, MAX_ANSWER).await;
        match refused(status, &answer, wait) {
            None => Ok(serde_json::from_slice::<Resource>(&answer).unwrap_or_default().name),
            // What is gone is deleted.
            Some(_) if call.method == Method::DELETE && status == StatusCode::NOT_FOUND => Ok(None),
            Some(error) => Err(error),
        }
    }

    /// Opens what a person attached (<https://developers.google.com/workspace/chat/download-media-attachments>).
    pub(super) async fn open(&self, resource: &str) -> Result<MediaStream, ChannelError> {
        let path: Vec<&str> = ["v1", "media"].into_iter().chain(resource.split('/')).collect();
        let mut url = below(&self.server, &path)?;
        url.query_pairs_mut().append_pair("alt", "media");
        let request = self.deps.http.calls().get(url).timeout(LONGEST);
        let late = || ChannelError::Retryable("Google did not answer in time".to_owned());
        let response = timeout(STALL, self.grant.sent(request, repeatable)).await.map_err(|_| late())??;
        let (status, wait) = self.head(&response);
        if status != StatusCode::OK {
            let answer = beginning(response, MAX_ANSWER).await;
            let none = || ChannelError::Permanent("Google keeps the attachment no longer".to_owned());
            return Err(refused(status, &answer, wait).unwrap_or_else(none));
        }
        let content_type = response.headers().get(http::header::CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok()).map(str::to_owned);
        Ok(MediaStream { content_type, bytes: download(response) })
    }

    fn head(&self, response: &Response) -> (StatusCode, Option<Duration>) {
        let wait = retry_after(response.headers(), self.deps.clock.now().timestamp());
        (response.status(), wait)
    }
}

/// Below an address; a segment can't lead elsewhere.
fn below(server: &Url, path: &[&str]) -> Result<Url, ChannelError> {
    let mut url = server.clone();
    let no_base = |()| ChannelError::Config("api_url can't have a path behind it".to_owned());
    url.path_segments_mut().map_err(no_base)?.pop_if_empty().extend(path);
    Ok(url)
}

#[derive(Default, Deserialize)]
struct Resource {
    name: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Answer {
    error: Said,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Said {
    message: String,
    status: String,
}

/// Errors: <https://cloud.google.com/apis/design/errors>. `None` for what is none.
fn refused(status: StatusCode, answer: &[u8], wait: Option<Duration>) -> Option<ChannelError> {
    let Answer { error: Said { message, status: name } } = serde_json::from_slice(answer).unwrap_or_default();
    let said = [name, message].into_iter().filter(|said| !said.is_empty()).collect::<Vec<_>>().join(": ");
    let text = format!("Google answered {}: {}", status.as_u16(), excerpt(&said, MAX_QUOTE));
    match status.as_u16() {
        200..=299 => None,
        401 => Some(ChannelError::BadCredentials(text)),
        // Of the space or of the project, it does not say which.
        429 => Some(ChannelError::ChatLimited { wait: wait.unwrap_or(PAUSE), told: false }),
        300..=499 => Some(ChannelError::Permanent(text)),
        _ => Some(ChannelError::Retryable(text)),
    }
}

/// For [`crate::Channel::fuzz`].
pub(super) fn fuzz(data: &[u8]) {
    drop(refused(StatusCode::BAD_REQUEST, data, None));
    drop(serde_json::from_slice::<Resource>(data));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, answer: &str) -> Option<ChannelError> {
        refused(StatusCode::from_u16(status).unwrap(), answer.as_bytes(), None)
    }

    #[test]
    fn failures_map_to_what_can_be_done() {
        assert_eq!(of(200, r#"{"name": "spaces/A/messages/B"}"#), None);
        let denied = r#"{"error": {"code": 403, "message": "This Chat app is not a member of this space.", "status": "PERMISSION_DENIED"}}"#;
        let said = "Google answered 403: PERMISSION_DENIED: This Chat app is not a member of this space.";
        assert_eq!(of(403, denied), Some(ChannelError::Permanent(said.to_owned())));
        assert!(matches!(of(401, "{}"), Some(ChannelError::BadCredentials(_))));
        assert_eq!(of(429, ""), Some(ChannelError::ChatLimited { wait: PAUSE, told: false }));
        assert!(matches!(of(503, "no json"), Some(ChannelError::Retryable(_))));
        assert!(matches!(of(404, "{}"), Some(ChannelError::Permanent(_))));
    }
}
