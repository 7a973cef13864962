//! Calls of the Bot Connector, the tokens for them, and what their failures mean.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_RANGE};
use reqwest::StatusCode;
use serde::Deserialize;
use url::Url;

use super::calls::Call;
use super::cloud::Cloud;
use crate::kit::access_token::Grant;
use crate::kit::bearer::{self, Bearer, below, meaning};
use crate::kit::http::repeatable;
use crate::kit::public;
use crate::kit::transfer::{self, STALL, Upload};
use crate::{ChannelError, Deps, MediaStream};

const PLATFORM: &str = "Microsoft";
/// Microsoft asks for growing waits where it names none
/// (<https://learn.microsoft.com/en-us/microsoftteams/platform/bots/how-to/rate-limit#handle-http-429-responses>).
const PAUSE: Duration = Duration::from_secs(5);

/// One bot's calls.
pub(super) struct Api {
    cloud: Cloud,
    connector: Url,
    keys: Url,
    calls: Bearer,
    deps: Deps,
}

/// Whose calls they are, and where they go.
pub(super) struct Account<'a> {
    pub(super) app_id: &'a str,
    pub(super) password: &'a str,
    pub(super) tenant: Option<&'a str>,
    pub(super) cloud: Cloud,
    /// The connector, where it is not the cloud's one for all.
    pub(super) service_url: Option<&'a str>,
    /// In place of all of Microsoft's servers.
    pub(super) api_url: Option<&'a str>,
}

impl Api {
    pub(super) fn new(account: &Account<'_>, deps: &Deps) -> Result<Self, ChannelError> {
        let Account { app_id, password, tenant, cloud, api_url, .. } = *account;
        let server = |own: &str| {
            let checked = deps.http.check(api_url.unwrap_or(own));
            checked.map_err(|why| ChannelError::Config(format!("api_url {why}")))
        };
        let connector = server(&connector(account)?)?;
        let keys = below(&server(cloud.keys)?, ["v1", ".well-known", "keys"])?;
        let tenant = tenant.unwrap_or(cloud.no_tenant);
        let endpoint = below(&server(cloud.login)?, [tenant, "oauth2", "v2.0", "token"])?;
        let form = {
            let (id, secret) = (app_id.to_owned(), password.to_owned());
            move || {
                Ok(vec![
                    ("grant_type", "client_credentials".to_owned()),
                    ("client_id", id.clone()),
                    ("client_secret", secret.clone()),
                    ("scope", cloud.scope.to_owned()),
                ])
            }
        };
        let grant = Grant::new(PLATFORM, endpoint, &[app_id, password], form, deps.clone());
        let calls = Bearer::new(PLATFORM, grant, refused, deps.clone());
        Ok(Self { cloud, connector, keys, calls, deps: deps.clone() })
    }

    /// Where the keys are published.
    pub(super) fn keys(&self) -> &Url {
        &self.keys
    }

    /// Whether the app's password is right.
    pub(super) async fn try_credential(&self) -> Result<(), ChannelError> {
        self.calls.try_credential().await
    }

    /// Makes a call; the id of the activity that the connector answers. A call that it takes without one is made all the same: that is how it
    /// answers where it makes several messages of an activity, and now and then without that
    /// (<https://github.com/MicrosoftDocs/bot-docs/issues/2263>).
    ///
    /// # Errors
    /// Those of the call; [`ChannelError::Uncertain`] where the answer to one that may not be made twice is none of the connector's.
    pub(super) async fn call(&self, call: &Call) -> Result<Option<String>, ChannelError> {
        let url = below(&self.connector, &call.path)?;
        let Call { method, body, repeatable, .. } = call;
        let call = bearer::Call { method: method.clone(), url, body: body.as_ref(), repeatable: *repeatable };
        let answer = self.calls.call(call).await?;
        match named(&answer) {
            Ok(id) => Ok(id),
            Err(_) if *repeatable => Ok(None),
            Err(error) => Err(ChannelError::Uncertain(format!("Microsoft's answer can't be read: {error}"))),
        }
    }

    /// Opens an attachment: with the bot's token where a connector of the cloud keeps it, and without where a person does.
    pub(super) async fn open(&self, address: &str) -> Result<MediaStream, ChannelError> {
        let url = Url::parse(address)
            .map_err(|_| ChannelError::Permanent("the attachment has no address".to_owned()))?;
        if url.origin() == self.connector.origin() || self.cloud.serves(&url) {
            return self.calls.open(url).await;
        }
        public::open(&self.deps.http, address, "the attachment").await
    }

    /// Puts a file where a person said that it may be. No token goes there: the address is the permission.
    pub(super) async fn upload(&self, address: &str, bytes: &Bytes) -> Result<(), ChannelError> {
        let odd = |why| ChannelError::BadRequest(format!("the place for the file {why}"));
        let url = self.deps.http.check(address).map_err(odd)?;
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let upload = Upload::default();
        let request = self.deps.http.calls().put(url).timeout(transfer::limit(length));
        let request = request
            .header(CONTENT_LENGTH, length)
            .header(CONTENT_RANGE, format!("bytes 0-{}/{length}", length.saturating_sub(1)))
            .body(upload.body(bytes.clone()));
        let stalled = || {
            ChannelError::Retryable(format!("OneDrive took nothing of the file for {} s", STALL.as_secs()))
        };
        let sent = upload.watch(request.send()).await.ok_or_else(stalled)?;
        let status = sent.map_err(|error| repeatable(&error.without_url()))?.status();
        if status.is_success() {
            return Ok(());
        }
        Err(ChannelError::Permanent(format!("OneDrive answered {} to the file", status.as_u16())))
    }
}

/// Where calls go, unless they go to another server altogether. It gets the bot's token, so it is one of the cloud's.
fn connector(account: &Account<'_>) -> Result<String, ChannelError> {
    let Account { cloud, service_url, api_url, .. } = *account;
    if let Some(given) = service_url {
        let is_served = api_url.is_some() || Url::parse(given).is_ok_and(|url| cloud.serves(&url));
        let other = || {
            format!(
                "service_url is not of the channel's cloud: it begins with https:// and one of {}",
                cloud.hosts()
            )
        };
        return if is_served { Ok(given.to_owned()) } else { Err(ChannelError::Config(other())) };
    }
    let none = || {
        format!(
            "service_url is needed in this cloud, for which Microsoft names no address that serves all: take the serviceUrl of an \
             activity, at {}",
            cloud.hosts()
        )
    };
    let own = cloud.connector.or(api_url);
    own.map(str::to_owned).ok_or_else(|| ChannelError::Config(none()))
}

#[derive(Default, Deserialize)]
struct Resource {
    id: Option<String>,
}

/// The id in an answer, if there is one.
fn named(answer: &[u8]) -> Result<Option<String>, serde_json::Error> {
    if answer.trim_ascii().is_empty() {
        return Ok(None);
    }
    let resource: Option<Resource> = serde_json::from_slice(answer)?;
    Ok(resource.unwrap_or_default().id.filter(|id| !id.is_empty()))
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Answer {
    error: Said,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Said {
    code: String,
    message: String,
}

/// Errors: <https://learn.microsoft.com/en-us/microsoftteams/platform/bots/build-conversational-capability#status-codes-from-bot-conversational-apis>.
fn refused(status: StatusCode, answer: &[u8], wait: Option<Duration>) -> Option<ChannelError> {
    let Answer { error: Said { code, message } } = serde_json::from_slice(answer).unwrap_or_default();
    match meaning(PLATFORM, status, [code, message], wait, PAUSE)? {
        // Two calls at once for one conversation.
        ChannelError::Permanent(text) if status == StatusCode::PRECONDITION_FAILED => {
            Some(ChannelError::Retryable(text))
        }
        error => Some(error),
    }
}

/// For [`crate::Channel::fuzz`].
pub(super) fn fuzz(data: &[u8]) {
    drop(refused(StatusCode::BAD_REQUEST, data, None));
    drop(named(data));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_in_microsofts_words() {
        let of = |status: u16, answer: &str| {
            refused(StatusCode::from_u16(status).unwrap(), answer.as_bytes(), None)
        };
        let gone = r#"{"error": {"code": "BotNotInConversationRoster", "message": "The bot is not part of the conversation roster."}}"#;
        let said = "Microsoft answered 403: BotNotInConversationRoster: The bot is not part of the conversation roster.";
        assert_eq!(of(403, gone), Some(ChannelError::Permanent(said.to_owned())));
        assert!(matches!(of(412, "no json"), Some(ChannelError::Retryable(_))));
        assert_eq!(of(201, r#"{"id": "1"}"#), None);
    }

    #[test]
    fn an_answer_without_an_id_is_an_answer() {
        let of = |answer: &str| named(answer.as_bytes()).ok();
        assert_eq!(of(r#"{"id": "1"}"#), Some(Some("1".to_owned())));
        for none in ["", " ", "{}", "null", r#"{"id": ""}"#, r#"{"id": null}"#] {
            assert_eq!(of(none), Some(None), "{none}");
        }
        assert_eq!(of("<html>"), None);
    }
}
