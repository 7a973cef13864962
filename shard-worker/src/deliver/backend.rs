//! The backend's webhook: the exact stored bytes, signed twice, one attempt; and who may attempt now.
//!
//! All tenants share one destination. So that messages of one that are many, or answered late, never take all places,
//! each may have a quarter of them ([`Turns`]): whoever waits then waits for its own, and the others go on.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use claw_channels::kit::answer;
use claw_channels::kit::signed_post::{self, SignedBy};
use claw_runtime::Clock;
use claw_types::UserId;
use reqwest::{Client, Response, StatusCode};
use serde::Deserialize;
use url::Url;

use super::turns::{Turn, Turns};

/// Webhooks in flight from one worker: a slow backend must not exhaust our sockets.
const IN_FLIGHT: usize = 256;
/// Of those, one tenant's.
const IN_FLIGHT_OF_ONE: usize = IN_FLIGHT / 4;
/// An answer longer than this is not read.
const MAX_ANSWER: usize = 256 * 1024;

/// Where messages go.
pub(crate) struct Backend {
    client: Client,
    url: Url,
    secrets: Secrets,
    clock: Arc<dyn Clock>,
    turns: Arc<Turns>,
}

/// What webhooks are signed with.
pub(crate) struct Secrets {
    pub(crate) present: String,
    /// Signs, too, until the backend knows the present one.
    pub(crate) former: Option<String>,
}

/// What the backend answers at once; the real answer comes later, by the API.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Answer {
    /// Shown to the person: "Processing...".
    pub(crate) immediate_reply: Option<String>,
    /// The answer itself, from a backend that works synchronously.
    pub(crate) reply: Option<String>,
}

/// Why an attempt failed.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) reason: String,
    /// What the backend asked for (RFC 9110, section 10.2.3).
    pub(crate) retry_after: Option<Duration>,
}

impl Backend {
    pub(crate) fn new(client: Client, url: Url, secrets: Secrets, clock: Arc<dyn Clock>) -> Self {
        Self { client, url, secrets, clock, turns: Arc::new(Turns::new(IN_FLIGHT, IN_FLIGHT_OF_ONE)) }
    }

    /// Waits until one more message of this tenant may be posted: hold it over [`Backend::post`].
    pub(crate) async fn turn(&self, tenant: &UserId) -> Turn {
        self.turns.take(Some(tenant)).await
    }

    /// One attempt to hand over `body` under the message's `id`.
    pub(crate) async fn post(&self, id: &str, body: Bytes) -> Result<Answer, Refused> {
        let timestamp = self.clock.now().timestamp();
        let request = self.client.post(self.url.clone());
        let by = SignedBy { secret: &self.secrets.present, former: self.secrets.former.as_deref() };
        let request = signed_post::sign(request, by, id, timestamp, body);
        let response = request.send().await.map_err(|error| broken(&error))?;
        if !response.status().is_success() {
            return Err(refused(&response, self.clock.now().timestamp()));
        }
        Ok(read(response).await)
    }
}

fn broken(error: &reqwest::Error) -> Refused {
    let reason = if error.is_connect() {
        "can't connect to the backend"
    } else if error.is_timeout() {
        "the backend did not answer in time"
    } else {
        "the connection to the backend broke"
    };
    Refused { reason: reason.to_owned(), retry_after: None }
}

fn refused(response: &Response, now: i64) -> Refused {
    let status = response.status();
    let asks = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    let retry_after = answer::retry_after(response.headers(), now).filter(|_| asks);
    Refused { reason: format!("the backend answered {}", status.as_u16()), retry_after }
}

/// The message was taken, whatever the body says; a body that can't be read only shows nothing at once.
async fn read(response: Response) -> Answer {
    let body = answer::read(response, MAX_ANSWER).await.unwrap_or_default();
    serde_json::from_slice(&body).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use claw_channels::kit::http::operator_client;
    use claw_runtime::SystemClock;
    use futures::FutureExt as _;
    use tokio::task::unconstrained;

    use super::*;

    fn backend() -> Backend {
        claw_testkit::install_tls();
        let client = operator_client(Duration::from_secs(1)).unwrap();
        let secrets = Secrets { present: "secret".to_owned(), former: None };
        Backend::new(client, "http://127.0.0.1:1/".parse().unwrap(), secrets, Arc::new(SystemClock))
    }

    #[tokio::test]
    async fn one_tenants_messages_leave_three_quarters_of_the_places() {
        let (backend, ada): (_, UserId) = (backend(), "ada".parse().unwrap());
        // More are taken here at once than tokio lets a task take before others run.
        let mut hers = Vec::new();
        while let Some(turn) = unconstrained(backend.turn(&ada)).now_or_never() {
            hers.push(turn);
        }
        assert_eq!(hers.len(), 64);
        for name in ["bob", "cy", "dan"] {
            let other: UserId = name.parse().unwrap();
            let free = unconstrained(backend.turn(&other)).now_or_never();
            assert!(free.is_some(), "{name} waits for ada's messages");
        }
        drop(hers.pop());
        assert!(unconstrained(backend.turn(&ada)).now_or_never().is_some(), "her next one, when one is over");
    }
}
