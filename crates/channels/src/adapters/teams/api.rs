//! Calls of the Bot Connector, the tokens for them, and what their failures mean.

use std::time::Duration;

use http::Method;
use reqwest::{Response, StatusCode};
use serde::Deserialize;
use tokio::time::timeout;
use url::Url;

use super::calls::Call;
use crate::adapters::webhook::media;
use crate::kit::access_token::Grant;
use crate::kit::answer::{beginning, excerpt, retry_after};
use crate::kit::http::{classify, repeatable};
use crate::kit::transfer::{LONGEST, STALL, download};
use crate::{ChannelError, Deps, MediaStream};

/// Where tokens are handed out
/// (<https://learn.microsoft.com/en-us/azure/bot-service/rest-api/bot-framework-rest-connector-authentication#bot-to-connector>).
const LOGIN: &str = "https://login.microsoftonline.com";
/// In place of an organisation, for bots that belong to none.
const NO_TENANT: &str = "botframework.com";
/// For what they are.
const SCOPE: &str = "https://api.botframework.com/.default";
/// Where the keys are published that sign what is posted to bots.
const KEYS: &str = "https://login.botframework.com";
/// Serves every conversation of the public cloud: `TeamsProactiveServiceEndpoints.publicGlobal` of Microsoft's own library
/// (<https://learn.microsoft.com/en-us/microsoftteams/platform/bots/how-to/conversations/send-proactive-messages>).
const CONNECTOR: &str = "https://smba.trafficmanager.net/teams";
/// All that is read of an answer.
const MAX_ANSWER: usize = 256 * 1024;
/// Characters of what the platform says that are quoted.
const MAX_QUOTE: usize = 300;
/// Microsoft asks for growing waits where it names none
/// (<https://learn.microsoft.com/en-us/microsoftteams/platform/bots/how-to/rate-limit#handle-http-429-responses>).
const PAUSE: Duration = Duration::from_secs(5);

/// One bot's calls.
pub(super) struct Api {
    connector: Url,
    keys: Url,
    grant: Grant,
    deps: Deps,
}

impl Api {
    pub(super) fn new(
        api_url: Option<&str>,
        app_id: &str,
        password: &str,
        tenant: Option<&str>,
        deps: &Deps,
    ) -> Result<Self, ChannelError> {
        let server = |own: &'static str| {
            let checked = deps.http.check(api_url.unwrap_or(own));
            checked.map_err(|why| ChannelError::Config(format!("api_url {why}")))
        };
        let connector = server(CONNECTOR)?;
        let keys = below(&server(KEYS)?, ["v1", ".well-known", "keys"])?;
        let tenant = tenant.unwrap_or(NO_TENANT);
        let endpoint = below(&server(LOGIN)?, [tenant, "oauth2", "v2.0", "token"])?;
        let form = {
            let (id, secret) = (app_id.to_owned(), password.to_owned());
            move || {
                Ok(vec![
                    ("grant_type", "client_credentials".to_owned()),
                    ("client_id", id.clone()),
                    ("client_secret", secret.clone()),
                    ("scope", SCOPE.to_owned()),
                ])
            }
        };
        let grant = Grant::new("Microsoft", endpoint, &[app_id, password], form, deps.clone());
        Ok(Self { connector, keys, grant, deps: deps.clone() })
    }

    /// Where the keys are published.
    pub(super) fn keys(&self) -> &Url {
        &self.keys
    }

    /// Whether the app's password is right.
    pub(super) async fn try_credential(&self) -> Result<(), ChannelError> {
        self.grant.renewed().await
    }

    /// Makes a call; the id of the activity that the connector answers.
    pub(super) async fn call(&self, call: &Call) -> Result<Option<String>, ChannelError> {
        let url = below(&self.connector, &call.path)?;
        let mut request = self.deps.http.calls().request(call.method.clone(), url);
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        let meaning = if call.repeatable { repeatable } else { classify };
        let response = self.grant.sent(request, meaning).await?;
        let (status, wait) = self.head(&response);
        let answer = beginning(response, MAX_ANSWER).await;
        match refused(status, &answer, wait) {
            None => Ok(serde_json::from_slice::<Resource>(&answer).unwrap_or_default().id),
            // What is gone is deleted.
            Some(_) if call.method == Method::DELETE && status == StatusCode::NOT_FOUND => Ok(None),
            Some(error) => Err(error),
        }
    }

    /// Opens an attachment: with the bot's token where the connector keeps it, and without where a person does.
    pub(super) async fn open(&self, address: &str) -> Result<MediaStream, ChannelError> {
        let url = Url::parse(address)
            .map_err(|_| ChannelError::Permanent("the attachment has no address".to_owned()))?;
        if url.origin() != self.connector.origin() {
            return media::open(&self.deps.http, address).await;
        }
        let request = self.deps.http.calls().get(url).timeout(LONGEST);
        let late = || ChannelError::Retryable("Microsoft did not answer in time".to_owned());
        let response = timeout(STALL, self.grant.sent(request, repeatable)).await.map_err(|_| late())??;
        let (status, wait) = self.head(&response);
        if status != StatusCode::OK {
            let answer = beginning(response, MAX_ANSWER).await;
            let none = || ChannelError::Permanent("Microsoft keeps the attachment no longer".to_owned());
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
fn below<S: AsRef<str>>(server: &Url, path: impl IntoIterator<Item = S>) -> Result<Url, ChannelError> {
    let mut url = server.clone();
    let no_base = |()| ChannelError::Config("api_url can't have a path behind it".to_owned());
    url.path_segments_mut().map_err(no_base)?.pop_if_empty().extend(path);
    Ok(url)
}

#[derive(Default, Deserialize)]
struct Resource {
    id: Option<String>,
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
/// `None` for what is none.
fn refused(status: StatusCode, answer: &[u8], wait: Option<Duration>) -> Option<ChannelError> {
    let Answer { error: Said { code, message } } = serde_json::from_slice(answer).unwrap_or_default();
    let said = [code, message].into_iter().filter(|said| !said.is_empty()).collect::<Vec<_>>().join(": ");
    let text = format!("Microsoft answered {}: {}", status.as_u16(), excerpt(&said, MAX_QUOTE));
    match status.as_u16() {
        200..=299 => None,
        401 => Some(ChannelError::BadCredentials(text)),
        // Of a conversation or of the bot in all of an organisation, it does not say which.
        429 => Some(ChannelError::ChatLimited { wait: wait.unwrap_or(PAUSE), told: false }),
        // Two calls at once for one conversation.
        412 => Some(ChannelError::Retryable(text)),
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
        assert_eq!(of(201, r#"{"id": "1"}"#), None);
        let gone = r#"{"error": {"code": "BotNotInConversationRoster", "message": "The bot is not part of the conversation roster."}}"#;
        let said = "Microsoft answered 403: BotNotInConversationRoster: The bot is not part of the conversation roster.";
        assert_eq!(of(403, gone), Some(ChannelError::Permanent(said.to_owned())));
        assert!(matches!(of(401, "{}"), Some(ChannelError::BadCredentials(_))));
        assert_eq!(of(429, ""), Some(ChannelError::ChatLimited { wait: PAUSE, told: false }));
        for again in [412, 500, 502, 504] {
            assert!(matches!(of(again, "no json"), Some(ChannelError::Retryable(_))), "{again}");
        }
        for never in [302, 400, 404, 413] {
            assert!(matches!(of(never, "{}"), Some(ChannelError::Permanent(_))), "{never}");
        }
    }

    #[test]
    fn an_id_stays_one_segment_of_its_address() {
        let server = Url::parse(CONNECTOR).unwrap();
        let url =
            below(&server, ["v3", "conversations", "19:a@thread.tacv2;messageid=1/../../x?y#z"]).unwrap();
        assert_eq!(
            url.as_str(),
            "https://smba.trafficmanager.net/teams/v3/conversations/19:a@thread.tacv2;messageid=1%2F..%2F..%2Fx%3Fy%23z"
        );
    }
}
