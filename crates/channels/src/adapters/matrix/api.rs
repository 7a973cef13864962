//! Calls of the client-server API (<https://spec.matrix.org/latest/client-server-api/>) and what their failures mean.
//!
//! Every call may be made again: what is sent carries an id by which the homeserver knows it
//! (<https://spec.matrix.org/latest/client-server-api/#transaction-identifiers>), an attachment that is uploaded twice is referred to
//! once, and the others change nothing.

#[cfg(feature = "matrix-encryption")]
mod keys;

use std::time::Duration;

use bytes::Bytes;
use http::Method;
use http::header::{CONTENT_TYPE, LOCATION};
use reqwest::{RequestBuilder, Response, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::timeout;
use url::Url;

use super::sync::{Page, Sync};
use crate::kit::answer::{ReadError, beginning, excerpt, read, retry_after, waiting};
use crate::kit::fetch;
use crate::kit::http::repeatable;
use crate::kit::transfer::{self, LONGEST, STALL, Upload, download};
use crate::{ChannelError, Deps, MediaStream};

/// All that is read of an ordinary answer.
const MAX_ANSWER: usize = 1024 * 1024;
/// Of one about rooms: an event has at most 64 KiB, an account is in hundreds of rooms.
const MAX_SYNC: usize = 64 * 1024 * 1024;
/// Beyond what the homeserver holds a long poll.
const POLL_MARGIN: Duration = Duration::from_secs(15);
/// For a look at all rooms, which a busy homeserver takes its time for.
const LOOK_LIMIT: Duration = Duration::from_secs(180);
/// Characters of what the homeserver says that are quoted.
const MAX_QUOTE: usize = 300;
/// Where a 429 does not say how long to wait.
const PAUSE: Duration = Duration::from_secs(5);

/// What is said of an answer that can't be read.
const NO_HOMESERVER: &str = "the answer is none of a Matrix homeserver: check homeserver_url";

/// One account's calls.
pub(super) struct Api {
    homeserver: Url,
    token: String,
    deps: Deps,
}

/// Whose token it is (<https://spec.matrix.org/latest/client-server-api/#get_matrixclientv3accountwhoami>).
#[derive(Deserialize)]
pub(super) struct Whoami {
    pub(super) user_id: String,
    pub(super) device_id: Option<String>,
}

#[derive(Deserialize)]
struct Sent {
    event_id: String,
}

#[derive(Deserialize)]
struct Uploaded {
    content_uri: String,
}

/// A refusal (<https://spec.matrix.org/latest/client-server-api/#standard-error-response>).
#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    errcode: String,
    error: String,
    retry_after_ms: Option<u64>,
}

impl Api {
    pub(super) fn new(homeserver: &str, token: String, deps: Deps) -> Result<Self, ChannelError> {
        let homeserver = deps.http.check(homeserver);
        let homeserver = homeserver.map_err(|why| ChannelError::Config(format!("homeserver_url {why}")))?;
        Ok(Self { homeserver, token, deps })
    }

    pub(super) async fn whoami(&self) -> Result<Whoami, ChannelError> {
        let who = self.answer(self.get(&["client", "v3", "account", "whoami"])?, MAX_ANSWER).await;
        who.map_err(|error| match error {
            // Asked for the first time, an address that answers something else is the wrong one, and will be tomorrow.
            ChannelError::Retryable(why) if why == NO_HOMESERVER => ChannelError::Permanent(why),
            error => error,
        })
    }

    /// What is new since then, held open for `hold` when nothing is; without a `since`, how things are.
    pub(super) async fn sync(
        &self,
        since: Option<&str>,
        filter: &Value,
        hold: Duration,
    ) -> Result<Sync, ChannelError> {
        let url = self.address(&["client", "v3", "sync"])?;
        let limit = if since.is_some() { hold + POLL_MARGIN } else { LOOK_LIMIT };
        let mut query = vec![("filter", filter.to_string()), ("timeout", hold.as_millis().to_string())];
        query.extend(since.map(|since| ("since", since.to_owned())));
        self.answer(self.deps.http.polls().get(with_query(url, &query)).timeout(limit), MAX_SYNC).await
    }

    /// What was written in a room from one place to another, in order.
    pub(super) async fn messages(
        &self,
        room: &str,
        from: &str,
        to: Option<&str>,
        filter: &Value,
    ) -> Result<Page, ChannelError> {
        let url = self.address(&["client", "v3", "rooms", room, "messages"])?;
        let mut query = vec![("dir", "f".to_owned()), ("from", from.to_owned()), ("limit", "100".to_owned())];
        query.push(("filter", filter.to_string()));
        query.extend(to.map(|to| ("to", to.to_owned())));
        self.answer(self.deps.http.calls().get(with_query(url, &query)), MAX_SYNC).await
    }

    /// An event by its id.
    pub(super) async fn event(&self, room: &str, id: &str) -> Result<Value, ChannelError> {
        self.answer(self.get(&["client", "v3", "rooms", room, "event", id])?, MAX_ANSWER).await
    }

    /// Events of one kind that refer to another
    /// (<https://spec.matrix.org/latest/client-server-api/#get_matrixclientv1roomsroomidrelationseventidreltypeeventtype>).
    pub(super) async fn reactions(&self, room: &str, id: &str) -> Result<Page, ChannelError> {
        let path = ["client", "v1", "rooms", room, "relations", id, "m.annotation", "m.reaction"];
        let url = with_query(self.address(&path)?, &[("limit", "100".to_owned())]);
        self.answer(self.deps.http.calls().get(url), MAX_SYNC).await
    }

    /// Puts an event into a room; its id.
    pub(super) async fn put(
        &self,
        room: &str,
        kind: &str,
        transaction: &str,
        content: &Value,
    ) -> Result<String, ChannelError> {
        let path = ["client", "v3", "rooms", room, "send", kind, transaction];
        let sent: Sent = self.answer(self.put_json(&path, content)?, MAX_ANSWER).await?;
        Ok(sent.event_id)
    }

    /// Takes an event back.
    pub(super) async fn redact(&self, room: &str, id: &str, transaction: &str) -> Result<(), ChannelError> {
        let path = ["client", "v3", "rooms", room, "redact", id, transaction];
        self.act(self.put_json(&path, &json!({}))?).await
    }

    pub(super) async fn typing(&self, room: &str, account: &str, body: &Value) -> Result<(), ChannelError> {
        self.act(self.put_json(&["client", "v3", "rooms", room, "typing", account], body)?).await
    }

    /// Tells the room's people that everything up to this event was read.
    pub(super) async fn read(&self, room: &str, event: &str) -> Result<(), ChannelError> {
        let url = self.address(&["client", "v3", "rooms", room, "receipt", "m.read", event])?;
        self.act(self.deps.http.calls().post(url).json(&json!({}))).await
    }

    /// Enters a room, by way of these servers where our own does not know it
    /// (<https://spec.matrix.org/latest/client-server-api/#post_matrixclientv3joinroomidoralias>).
    pub(super) async fn join(&self, room: &str, via: Option<&str>) -> Result<(), ChannelError> {
        let url = self.address(&["client", "v3", "join", room])?;
        let via: Vec<_> = via
            .into_iter()
            .flat_map(|via| [("server_name", via.to_owned()), ("via", via.to_owned())])
            .collect();
        let url = if via.is_empty() { url } else { with_query(url, &via) };
        self.act(self.deps.http.calls().post(url).json(&json!({}))).await
    }

    /// Keeps a note on a room, which only this account sees.
    pub(super) async fn note(&self, account: &str, room: &str, kind: &str) -> Result<(), ChannelError> {
        let path = ["client", "v3", "user", account, "rooms", room, "account_data", kind];
        self.act(self.put_json(&path, &json!({"told": true}))?).await
    }

    /// Uploads an attachment, whose name may be nobody's business; its `mxc:` address.
    pub(super) async fn upload(
        &self,
        name: Option<&str>,
        content_type: &str,
        bytes: &Bytes,
    ) -> Result<String, ChannelError> {
        let mut url = self.address(&["media", "v3", "upload"])?;
        if let Some(name) = name {
            url = with_query(url, &[("filename", name.to_owned())]);
        }
        let upload = Upload::default();
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        let request = self.deps.http.calls().post(url).timeout(transfer::limit(length));
        let request = request.header(CONTENT_TYPE, content_type).header(http::header::CONTENT_LENGTH, length);
        let request = request.body(upload.body(bytes.clone()));
        let uploaded: Option<Result<Uploaded, _>> = upload.watch(self.answer(request, MAX_ANSWER)).await;
        let stalled = || format!("the homeserver took nothing of the upload for {} s", STALL.as_secs());
        Ok(uploaded.unwrap_or_else(|| Err(ChannelError::Retryable(stalled())))?.content_uri)
    }

    /// Opens what a person attached: with the token
    /// (<https://spec.matrix.org/latest/client-server-api/#get_matrixclientv1mediadownloadservernamemediaid>), or where the homeserver
    /// is older than that (before version 1.11), without.
    pub(super) async fn open(&self, mxc: &str) -> Result<MediaStream, ChannelError> {
        let (server, id) = media_id(mxc)?;
        match self.opened(&["client", "v1", "media", "download", server, id]).await {
            Err(ChannelError::Permanent(why)) if why.contains("M_UNRECOGNIZED") => {
                self.opened(&["media", "v3", "download", server, id]).await
            }
            other => other,
        }
    }

    async fn opened(&self, path: &[&str]) -> Result<MediaStream, ChannelError> {
        let request = self.get(path)?.timeout(LONGEST);
        let late = || ChannelError::Retryable("the homeserver did not answer in time".to_owned());
        let response = timeout(STALL, self.sent(request)).await.map_err(|_| late())??;
        let status = response.status();
        if let (307 | 308, Some(next)) = (status.as_u16(), text(&response, LOCATION.as_str())) {
            return self.elsewhere(&next).await;
        }
        if !status.is_success() {
            let wait = self.wait(&response);
            return Err(refused(status, &beginning(response, MAX_ANSWER).await, wait));
        }
        let content_type = text(&response, CONTENT_TYPE.as_str());
        Ok(MediaStream { content_type, bytes: download(response) })
    }

    /// Where the homeserver keeps attachments with somebody else, who must not see the token.
    async fn elsewhere(&self, url: &str) -> Result<MediaStream, ChannelError> {
        let limits = fetch::Limits { max_bytes: usize::MAX, allowed: None, timeout: LONGEST };
        let opened = timeout(STALL, fetch::open(&self.deps.http, url, limits)).await;
        let opened = opened.map_err(|_| {
            ChannelError::Retryable("the attachment's server did not answer in time".to_owned())
        })?;
        let opened = opened.map_err(|error| {
            let why = format!("the address to which the homeserver sends us for the attachment {error}");
            if error.is_passing() { ChannelError::Retryable(why) } else { ChannelError::Permanent(why) }
        })?;
        Ok(MediaStream { content_type: opened.content_type, bytes: download(opened.response) })
    }

    fn get(&self, path: &[&str]) -> Result<RequestBuilder, ChannelError> {
        Ok(self.deps.http.calls().get(self.address(path)?))
    }

    fn put_json(&self, path: &[&str], body: &Value) -> Result<RequestBuilder, ChannelError> {
        Ok(self.deps.http.calls().request(Method::PUT, self.address(path)?).json(body))
    }

    /// Below `/_matrix/`; an id in it can't lead elsewhere.
    fn address(&self, path: &[&str]) -> Result<Url, ChannelError> {
        if path.iter().any(|segment| matches!(*segment, "" | "." | "..")) {
            return Err(ChannelError::Permanent("an id that is empty or only dots names nothing".to_owned()));
        }
        let mut url = self.homeserver.clone();
        let no_base = |()| ChannelError::Config("homeserver_url can't have a path behind it".to_owned());
        url.path_segments_mut().map_err(no_base)?.pop_if_empty().push("_matrix").extend(path);
        Ok(url)
    }

    async fn act(&self, request: RequestBuilder) -> Result<(), ChannelError> {
        self.answer::<serde::de::IgnoredAny>(request, MAX_ANSWER).await.map(drop)
    }

    async fn answer<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
        limit: usize,
    ) -> Result<T, ChannelError> {
        let response = self.sent(request).await?;
        let (status, wait) = (response.status(), self.wait(&response));
        let bytes = match read(response, limit).await {
            Ok(bytes) => bytes,
            Err(ReadError::Broken(error)) => return Err(repeatable(&error.without_url())),
            // Read on as what is no JSON.
            Err(ReadError::TooLarge) => Bytes::new(),
        };
        understood(status, &bytes, wait)
    }

    async fn sent(&self, request: RequestBuilder) -> Result<Response, ChannelError> {
        request.bearer_auth(&self.token).send().await.map_err(|error| repeatable(&error.without_url()))
    }

    fn wait(&self, response: &Response) -> Option<Duration> {
        retry_after(response.headers(), self.deps.clock.now().timestamp())
    }
}

fn with_query(mut url: Url, query: &[(&str, String)]) -> Url {
    url.query_pairs_mut().extend_pairs(query);
    url
}

fn text(response: &Response, name: &str) -> Option<String> {
    response.headers().get(name)?.to_str().ok().map(str::to_owned)
}

/// Server and id out of an `mxc:` address (<https://spec.matrix.org/latest/client-server-api/#matrix-content-mxc-uris>).
fn media_id(mxc: &str) -> Result<(&str, &str), ChannelError> {
    let parts = mxc.strip_prefix("mxc://").and_then(|rest| rest.split_once('/'));
    parts.ok_or_else(|| {
        ChannelError::Permanent("the attachment has no address that the homeserver knows".to_owned())
    })
}

/// What an answer means.
fn understood<T: DeserializeOwned>(
    status: StatusCode,
    answer: &[u8],
    wait: Option<Duration>,
) -> Result<T, ChannelError> {
    if !status.is_success() {
        return Err(refused(status, answer, wait));
    }
    // Asked again with the same id, the homeserver says the same once more.
    serde_json::from_slice(answer).map_err(|_| ChannelError::Retryable(NO_HOMESERVER.to_owned()))
}

/// Errors: <https://spec.matrix.org/latest/client-server-api/#common-error-codes>.
fn refused(status: StatusCode, answer: &[u8], wait: Option<Duration>) -> ChannelError {
    let read: Refusal = serde_json::from_slice(answer).unwrap_or_default();
    let code = excerpt(&read.errcode, 60);
    let said = match (code.as_str(), read.error.as_str()) {
        ("", _) => "without a reason that a Matrix homeserver gives: check homeserver_url".to_owned(),
        (code, "") => code.to_owned(),
        (code, error) => format!("{code}: {}", excerpt(error, MAX_QUOTE)),
    };
    let said = format!("the homeserver answered {} {said}", status.as_u16());
    match (status.as_u16(), code.as_str()) {
        (429, _) | (_, "M_LIMIT_EXCEEDED") => {
            let told = read.retry_after_ms.map(|ms| waiting(ms.div_ceil(1000)));
            ChannelError::RateLimited(told.or(wait).unwrap_or(PAUSE))
        }
        // Also of a soft logout: a bot has nothing by which to log in again.
        (401, _) | (_, "M_UNKNOWN_TOKEN" | "M_MISSING_TOKEN" | "M_USER_DEACTIVATED" | "M_USER_LOCKED") => {
            ChannelError::BadCredentials(said)
        }
        (408 | 500.., _) => ChannelError::Retryable(said),
        _ => ChannelError::Permanent(said),
    }
}

/// For [`crate::Channel::fuzz`].
pub(super) fn fuzz(data: &[u8]) {
    for status in [StatusCode::OK, StatusCode::FORBIDDEN, StatusCode::TOO_MANY_REQUESTS] {
        drop(understood::<Whoami>(status, data, None));
    }
    if let Ok(text) = std::str::from_utf8(data) {
        drop(media_id(text).map(|(server, _)| server.len()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_map_to_what_can_be_done() {
        let of = |status: u16, answer: &str| {
            refused(StatusCode::from_u16(status).unwrap(), answer.as_bytes(), None)
        };
        let limited =
            r#"{"errcode": "M_LIMIT_EXCEEDED", "error": "Too Many Requests", "retry_after_ms": 6100}"#;
        assert_eq!(of(429, limited), ChannelError::RateLimited(Duration::from_secs(7)));
        let hours = r#"{"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 36000000}"#;
        assert_eq!(of(429, hours), ChannelError::RateLimited(Duration::from_hours(10)));
        assert_eq!(of(429, "?"), ChannelError::RateLimited(PAUSE));
        let header = refused(StatusCode::TOO_MANY_REQUESTS, b"{}", Some(Duration::from_secs(9)));
        assert_eq!(header, ChannelError::RateLimited(Duration::from_secs(9)));
        let gone = r#"{"errcode": "M_UNKNOWN_TOKEN", "error": "Token is not active", "soft_logout": true}"#;
        assert!(
            matches!(of(401, gone), ChannelError::BadCredentials(why) if why.contains("Token is not active"))
        );
        assert!(matches!(of(403, r#"{"errcode": "M_USER_DEACTIVATED"}"#), ChannelError::BadCredentials(_)));
        let forbidden = r#"{"errcode": "M_FORBIDDEN", "error": "User @bot:x not in room !a:x"}"#;
        let said = "the homeserver answered 403 M_FORBIDDEN: User @bot:x not in room !a:x";
        assert_eq!(of(403, forbidden), ChannelError::Permanent(said.to_owned()));
        assert!(matches!(of(404, "<html>"), ChannelError::Permanent(why) if why.contains("homeserver_url")));
        for status in [500, 502, 504, 408] {
            assert!(matches!(of(status, "?"), ChannelError::Retryable(_)), "{status}");
        }
    }

    #[test]
    fn an_attachment_is_a_server_and_an_id() {
        assert_eq!(media_id("mxc://example.org/AbC"), Ok(("example.org", "AbC")));
        for wrong in ["https://example.org/a", "mxc://example.org", "x"] {
            assert!(media_id(wrong).is_err(), "{wrong}");
        }
    }
}
