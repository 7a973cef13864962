//! One attempt to hand a message over: the exact stored bytes, signed, and what came back.

use std::time::Duration;

use bytes::Bytes;
use claw_channels::kit::answer;
use claw_channels::kit::guard;
use claw_channels::kit::signed_post::{self, SignedBy};
use claw_telemetry::trace::{self, Context};
use reqwest::{Client, Response, StatusCode};
use tokio::time::timeout;
use url::Url;

use super::breaker::Sign;

/// The client's own limit counts until the end of the body, and some answers are streams. Ours end sooner: for the headers here,
/// for the body with who reads it.
const LONGEST: Duration = Duration::from_hours(2);

/// Where a message is posted to, and how.
pub(crate) struct Target {
    pub(crate) client: Client,
    pub(crate) url: Url,
    pub(crate) secrets: Secrets,
    /// How long an answer may take that is no stream, and how long one may be silent that is.
    pub(crate) limit: Duration,
}

/// What webhooks are signed with.
pub(crate) struct Secrets {
    /// The one that the backend is to know in the end.
    pub(crate) first: String,
    /// Sign, too, while the backend is given another one.
    pub(crate) others: Vec<String>,
}

/// Why an attempt failed.
#[derive(Debug)]
pub(crate) struct Refused {
    pub(crate) reason: String,
    /// What the backend asked for (RFC 9110, section 10.2.3), with 429 or any 5xx.
    pub(crate) retry_after: Option<Duration>,
    /// For how long it asked not to be sent anything else, either: the same with 429 or 503.
    pub(super) rest: Option<Duration>,
    /// What it says of the backend.
    pub(crate) sign: Sign,
    /// 410: it wants no more.
    pub(crate) gone: bool,
}

impl Secrets {
    /// The first one first; `None` when there is none.
    pub(crate) fn new(all: Vec<String>) -> Option<Self> {
        let mut all = all.into_iter();
        Some(Self { first: all.next()?, others: all.collect() })
    }
}

impl Refused {
    /// Nothing was posted, because of how the backend is configured.
    pub(crate) fn unusable(why: &str) -> Self {
        Self { reason: why.to_owned(), retry_after: None, rest: None, sign: Sign::Answered, gone: false }
    }

    /// There was no answer in time.
    pub(super) fn late() -> Self {
        let reason = "the backend did not answer in time".to_owned();
        Self { reason, retry_after: None, rest: None, sign: Sign::Silent, gone: false }
    }
}

impl Target {
    /// Posts `body` under the message's `id` at `now`, in seconds since 1970, as part of the trace that is given. The answer is a
    /// 2xx; its body is still to be read.
    pub(crate) async fn post(
        &self,
        id: &str,
        body: Bytes,
        now: i64,
        context: Option<Context>,
    ) -> Result<Response, Refused> {
        let by = SignedBy { secret: &self.secrets.first, others: &self.secrets.others };
        let request = self.client.post(self.url.clone()).timeout(LONGEST);
        let request = signed_post::sign(request, by, id, now, body);
        let request = match context {
            Some(context) => request.header(trace::HEADER, context.header()),
            None => request,
        };
        let answered = timeout(self.limit, request.send()).await.map_err(|_| Refused::late())?;
        let response = answered.map_err(|error| broken(&error))?;
        if response.status().is_success() { Ok(response) } else { Err(refused(&response, now)) }
    }
}

/// What a connection that broke means, before the answer or in it.
pub(super) fn broken(error: &reqwest::Error) -> Refused {
    let (reason, sign) = if let Some(refused) = guard::refusal(error) {
        (format!("the backend's URL {refused}"), Sign::Unreachable)
    } else if error.is_connect() {
        ("can't connect to the backend".to_owned(), Sign::Unreachable)
    } else if error.is_timeout() {
        return Refused::late();
    } else {
        ("the connection to the backend broke".to_owned(), Sign::Silent)
    };
    Refused { reason, retry_after: None, rest: None, sign, gone: false }
}

/// What an answer means that is no 2xx.
pub(super) fn refused(response: &Response, now: i64) -> Refused {
    let status = response.status();
    let asks = status == StatusCode::TOO_MANY_REQUESTS || status.is_server_error();
    let retry_after = answer::server_retry_after(response.headers(), now).filter(|_| asks);
    let rest = retry_after.filter(|_| asks_to_rest(status.as_u16()));
    let sign = match status {
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            Sign::Silent
        }
        _ if status.is_server_error() => Sign::Failing,
        _ => Sign::Answered,
    };
    let reason = format!("the backend answered {}", status.as_u16());
    Refused { reason, retry_after, rest, sign, gone: status == StatusCode::GONE }
}

/// Whether a `Retry-After` with this status is about whatever may come, not about one message: too many requests, or the whole
/// service is away (RFC 6585, section 4; RFC 9110, section 15.6.4).
pub(in crate::deliver) fn asks_to_rest(status: u16) -> bool {
    matches!(status, 429 | 503)
}
