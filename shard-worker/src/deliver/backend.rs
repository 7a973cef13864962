//! The backend's webhook: the exact stored bytes, signed twice, one attempt.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use claw_channels::kit::{answer, signed_post};
use claw_runtime::Clock;
use reqwest::{Client, Response, StatusCode};
use serde::Deserialize;
use tokio::sync::Semaphore;
use url::Url;

/// Webhooks in flight from one worker: a slow backend must not exhaust our sockets.
const IN_FLIGHT: usize = 256;
/// An answer longer than this is not read.
const MAX_ANSWER: usize = 256 * 1024;

/// Where messages go.
pub(crate) struct Backend {
    client: Client,
    url: Url,
    secret: String,
    clock: Arc<dyn Clock>,
    in_flight: Semaphore,
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
    /// What the backend asked for (RFC 9110, section 10.2.3; seconds only).
    pub(crate) retry_after: Option<Duration>,
}

impl Backend {
    pub(crate) fn new(client: Client, url: Url, secret: &str, clock: Arc<dyn Clock>) -> Self {
        Self { client, url, secret: secret.to_owned(), clock, in_flight: Semaphore::new(IN_FLIGHT) }
    }

    /// One attempt to hand over `body` under the message's `id`.
    pub(crate) async fn post(&self, id: &str, body: Bytes) -> Result<Answer, Refused> {
        // The semaphore is never closed.
        let _permit = self.in_flight.acquire().await;
        let timestamp = self.clock.now().timestamp();
        let request = self.client.post(self.url.clone());
        let request = signed_post::sign(request, &self.secret, id, timestamp, body);
        let response = request.send().await.map_err(|error| broken(&error))?;
        if !response.status().is_success() {
            return Err(refused(&response));
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

fn refused(response: &Response) -> Refused {
    let status = response.status();
    let asks = matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
    let retry_after = answer::retry_after(response.headers()).filter(|_| asks);
    Refused { reason: format!("the backend answered {}", status.as_u16()), retry_after }
}

/// The message was taken, whatever the body says; a body that can't be read only shows nothing at once.
async fn read(response: Response) -> Answer {
    let body = answer::read(response, MAX_ANSWER).await.unwrap_or_default();
    serde_json::from_slice(&body).unwrap_or_default()
}
