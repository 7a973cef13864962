//! Calls of the Chat API and of the Google Workspace Events API, the tokens for them, and what their failures mean.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Method;
use reqwest::StatusCode;
use serde::Deserialize;
use url::Url;

use super::account::{self, Account};
use super::calls::Call;
use super::poster::CHAT;
use crate::kit::access_token::Grant;
use crate::kit::bearer::{self, Bearer, below, meaning};
use crate::{ChannelError, Deps, MediaStream};

const PLATFORM: &str = "Google";
/// The Chat API (<https://developers.google.com/workspace/chat/api/reference/rest>).
const API: &str = "https://chat.googleapis.com";
/// The Google Workspace Events API (<https://developers.google.com/workspace/events/reference/rest>).
const EVENTS: &str = "https://workspaceevents.googleapis.com";
/// Where access tokens are handed out (<https://developers.google.com/identity/protocols/oauth2/service-account#httprest>).
const TOKENS: &str = "https://oauth2.googleapis.com";
/// Where the keys are published that sign events.
const KEYS: &str = "https://www.googleapis.com";
/// Those of Google Chat's own account (<https://developers.google.com/workspace/chat/verify-requests-from-chat>).
const CHAT_KEYS: [&str; 4] = ["service_accounts", "v1", "jwk", CHAT];
/// Those of Google's sign-in
/// (`jwks_uri` in <https://accounts.google.com/.well-known/openid-configuration>).
const SIGN_IN_KEYS: [&str; 3] = ["oauth2", "v3", "certs"];
/// Quotas are for a minute, and Google asks for growing waits without naming one
/// (<https://developers.google.com/workspace/chat/limits#resolve_time-based_quota_errors>).
pub(super) const PAUSE: Duration = Duration::from_secs(10);

/// Which of the two is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Server {
    Chat,
    Events,
}

/// One app's calls.
pub(super) struct Api {
    server: Url,
    events: Url,
    chat_keys: Url,
    sign_in_keys: Url,
    account: Arc<Account>,
    calls: Bearer,
    /// Those that an administrator has to approve: to make and to change subscriptions.
    approved: Bearer,
}

impl Api {
    pub(super) fn new(api_url: Option<&str>, account: Account, deps: &Deps) -> Result<Self, ChannelError> {
        let server = |own: &'static str| {
            let checked = deps.http.check(api_url.unwrap_or(own));
            checked.map_err(|why| ChannelError::Config(format!("api_url {why}")))
        };
        let keys = server(KEYS)?;
        let endpoint = below(&server(TOKENS)?, ["token"])?;
        let account = Arc::new(account);
        let calling = |scope: &'static str, judge: bearer::Judge| {
            Bearer::new(PLATFORM, grant(&account, &endpoint, scope, deps), judge, deps.clone())
        };
        let calls = calling(account::BOT, refused);
        let approved = calling(account::MESSAGES, refused_unless_there);
        Ok(Self {
            server: server(API)?,
            events: server(EVENTS)?,
            chat_keys: below(&keys, CHAT_KEYS)?,
            sign_in_keys: below(&keys, SIGN_IN_KEYS)?,
            account,
            calls,
            approved,
        })
    }

    /// Where the keys are published by which Google Chat signs itself.
    pub(super) fn chat_keys(&self) -> &Url {
        &self.chat_keys
    }

    /// Where those of Google's sign-in are.
    pub(super) fn sign_in_keys(&self) -> &Url {
        &self.sign_in_keys
    }

    pub(super) fn account(&self) -> &Account {
        &self.account
    }

    /// Whether the service account's key is right.
    pub(super) async fn try_credential(&self) -> Result<(), ChannelError> {
        self.calls.try_credential().await
    }

    /// Makes a call of the Chat API; the message that Google answers.
    pub(super) async fn call(&self, call: &Call) -> Result<Message, ChannelError> {
        let answer = self.ask(Server::Chat, call).await?;
        Ok(serde_json::from_slice(&answer).unwrap_or_default())
    }

    /// Makes a call; what Google answers. Every call may be made again: a new message has its request id, there is one subscription of a
    /// space, and the others change nothing the second time.
    pub(super) async fn ask(&self, server: Server, call: &Call) -> Result<Bytes, ChannelError> {
        let mut url = self.address(server, &call.resource)?;
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&call.query);
        }
        let is_approved = server == Server::Events && [Method::POST, Method::PATCH].contains(&call.method);
        let by = if is_approved { &self.approved } else { &self.calls };
        let call =
            bearer::Call { method: call.method.clone(), url, body: call.body.as_ref(), repeatable: true };
        by.call(call).await
    }

    /// Opens what a person attached (<https://developers.google.com/workspace/chat/download-media-attachments>).
    pub(super) async fn open(&self, resource: &str) -> Result<MediaStream, ChannelError> {
        let mut url = self.address(Server::Chat, &format!("media/{resource}"))?;
        url.query_pairs_mut().append_pair("alt", "media");
        self.calls.open(url).await
    }

    fn address(&self, server: Server, resource: &str) -> Result<Url, ChannelError> {
        let server = if server == Server::Chat { &self.server } else { &self.events };
        below(server, ["v1"].into_iter().chain(resource.split('/')))
    }
}

/// Access tokens of one scope. There is one for each, because Google hands out none at all where one of the scopes of several is not approved.
fn grant(account: &Arc<Account>, endpoint: &Url, scope: &'static str, deps: &Deps) -> Grant {
    let form = {
        let (account, clock) = (Arc::clone(account), Arc::clone(&deps.clock));
        move || {
            let assertion = account.assertion(scope, clock.now().timestamp())?;
            let kind = "urn:ietf:params:oauth:grant-type:jwt-bearer".to_owned();
            Ok(vec![("grant_type", kind), ("assertion", assertion)])
        }
    };
    let credential = [account.email(), account.key_id(), account.private_key(), scope];
    Grant::new(PLATFORM, endpoint.clone(), &credential, form, deps.clone())
}

/// A message, as far as it is read.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Message {
    pub(super) name: Option<String>,
    create_time: Option<String>,
    last_update_time: Option<String>,
}

impl Message {
    /// Of which version it is, as who quotes it must say.
    pub(super) fn version(self) -> Option<String> {
        self.last_update_time.or(self.create_time)
    }
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

/// Errors: <https://cloud.google.com/apis/design/errors>.
fn refused(status: StatusCode, answer: &[u8], wait: Option<Duration>) -> Option<ChannelError> {
    let Answer { error: Said { message, status: name } } = serde_json::from_slice(answer).unwrap_or_default();
    meaning(PLATFORM, status, [name, message], wait, PAUSE)
}

/// The same of what is there once at most: somebody else made it meanwhile (`ALREADY_EXISTS`).
fn refused_unless_there(status: StatusCode, answer: &[u8], wait: Option<Duration>) -> Option<ChannelError> {
    if status == StatusCode::CONFLICT { None } else { refused(status, answer, wait) }
}

/// For [`crate::Channel::fuzz`].
pub(super) fn fuzz(data: &[u8]) {
    drop(refused(StatusCode::BAD_REQUEST, data, None));
    drop(serde_json::from_slice::<Message>(data));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_in_googles_words() {
        let denied = r#"{"error": {"code": 403, "message": "This Chat app is not a member of this space.", "status": "PERMISSION_DENIED"}}"#;
        let said = "Google answered 403: PERMISSION_DENIED: This Chat app is not a member of this space.";
        let refused = |status: u16, answer: &str| {
            refused(StatusCode::from_u16(status).unwrap(), answer.as_bytes(), None)
        };
        assert_eq!(refused(403, denied), Some(ChannelError::Permanent(said.to_owned())));
        assert!(matches!(refused(503, "no json"), Some(ChannelError::Retryable(_))));
        assert_eq!(refused(429, ""), Some(ChannelError::ChatLimited { wait: PAUSE, told: false }));
    }
}
