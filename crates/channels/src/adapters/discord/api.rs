//! REST calls (<https://docs.discord.com/developers/reference#http-api>) and what their failures mean.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue, USER_AGENT};
use reqwest::multipart::{Form, Part};
use reqwest::{RequestBuilder, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

use super::buckets::{Buckets, waiting};
use super::calls::Call;
use super::gateway::budget::StartLimit;
use crate::kit::answer::{ReadError, excerpt, read, retry_after};
use crate::kit::file::File;
use crate::kit::http::{classify, repeatable};
use crate::kit::transfer::{self, STALL, Upload};
use crate::{ChannelError, Deps};

/// As Discord wants it (<https://docs.discord.com/developers/reference#user-agent>): without, its front may refuse a call.
const AGENT: &str =
    concat!("DiscordBot (https://github.com/ii-claw/ii-claw, ", env!("CARGO_PKG_VERSION"), ")");
/// Bytes of an answer: who chose `api_url` may have chosen a server that never stops.
const MAX_ANSWER: usize = 4 * 1024 * 1024;
/// Characters of what the platform says that are quoted.
const MAX_QUOTE: usize = 300;
/// Details of a refusal that are quoted.
const MAX_DETAILS: usize = 3;

/// One bot's calls.
pub(super) struct Api {
    server: Url,
    token: String,
    buckets: Buckets,
    deps: Deps,
}

/// A call that failed.
#[derive(Debug)]
pub(super) struct Failure {
    /// Discord's number for it (<https://docs.discord.com/developers/topics/opcodes-and-status-codes#json>); 0 where it said none.
    pub(super) code: u64,
    pub(super) error: ChannelError,
}

impl From<ChannelError> for Failure {
    fn from(error: ChannelError) -> Self {
        Self { code: 0, error }
    }
}

impl From<Failure> for ChannelError {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}

/// The bot itself (<https://docs.discord.com/developers/resources/user#get-current-user>).
#[derive(Deserialize)]
pub(super) struct Bot {
    pub(super) id: String,
    pub(super) username: String,
}

/// Where events come from (<https://docs.discord.com/developers/events/gateway#get-gateway-bot>).
#[derive(Deserialize)]
pub(super) struct Gateway {
    pub(super) url: String,
    /// How many connections the bot should have.
    #[serde(default = "one")]
    pub(super) shards: usize,
    pub(super) session_start_limit: StartLimit,
}

/// As Discord's own description requires the number, only a server that is another's may leave it out.
fn one() -> usize {
    1
}

/// What a refusal says (<https://docs.discord.com/developers/reference#error-messages>).
#[derive(Default, Deserialize)]
#[serde(default)]
struct Refusal {
    code: u64,
    message: String,
    errors: Value,
    retry_after: Option<f64>,
    global: bool,
}

impl Api {
    pub(super) fn new(server: &str, token: String, deps: Deps) -> Result<Self, ChannelError> {
        let server = deps.http.check(server).map_err(|why| ChannelError::Config(format!("api_url {why}")))?;
        Ok(Self { server, token, buckets: Buckets::default(), deps })
    }

    /// For the gateway, which takes it in a frame.
    pub(super) fn token(&self) -> &str {
        &self.token
    }

    pub(super) fn deps(&self) -> &Deps {
        &self.deps
    }

    pub(super) async fn me(&self) -> Result<Bot, ChannelError> {
        Ok(self.ask(&Call::get("get_my_user", &["users", "@me"])).await?)
    }

    pub(super) async fn gateway(&self) -> Result<Gateway, ChannelError> {
        let gateway: Gateway = self.ask(&Call::get("get_bot_gateway", &["gateway", "bot"])).await?;
        Ok(Gateway { shards: gateway.shards.max(1), ..gateway })
    }

    /// Makes a call and reads its answer.
    pub(super) async fn ask<T: DeserializeOwned>(&self, call: &Call) -> Result<T, Failure> {
        let answer = self.act(call).await?;
        // It said 2xx, so it happened; only the answer can't be read.
        let unreadable = "Discord's answer can't be read".to_owned();
        let error = if call.again {
            ChannelError::Retryable(unreadable)
        } else {
            ChannelError::Uncertain(unreadable)
        };
        serde_json::from_slice(&answer).map_err(|_| error.into())
    }

    /// Makes a call; its answer as it is.
    pub(super) async fn act(&self, call: &Call) -> Result<Bytes, Failure> {
        if let Some(wait) = self.buckets.wait(call.kind, &call.chat) {
            return Err(limited(call, wait, false).into());
        }
        let sent = self.sent(call).await.unwrap_or_else(|| {
            let stalled = format!("Discord took nothing of the upload for {} s", STALL.as_secs());
            Err(ChannelError::Uncertain(stalled))
        });
        let (status, headers, answer) = sent.map_err(|error| match error {
            ChannelError::Uncertain(why) if call.again => ChannelError::Retryable(why),
            error => error,
        })?;
        self.buckets.note(call.kind, &call.chat, &headers);
        if status.is_success() {
            return Ok(answer);
        }
        Err(refused(call, status, &headers, &answer, self.deps.clock.now().timestamp()))
    }

    /// `None` when an upload stands still.
    async fn sent(&self, call: &Call) -> Option<Result<(StatusCode, HeaderMap, Bytes), ChannelError>> {
        let upload = Upload::default();
        let request = match self.request(call, &upload) {
            Ok(request) => request,
            Err(error) => return Some(Err(error)),
        };
        let answered = async {
            let response = request.send().await.map_err(|error| classify(&error.without_url()))?;
            whole(response).await
        };
        if call.files.is_empty() { Some(answered.await) } else { upload.watch(answered).await }
    }

    fn request(&self, call: &Call, upload: &Upload) -> Result<RequestBuilder, ChannelError> {
        let mut url = self.server.clone();
        let no_base = |()| ChannelError::Config("api_url can't have a path behind it".to_owned());
        url.path_segments_mut().map_err(no_base)?.pop_if_empty().extend(["api", "v10"]).extend(&call.path);
        let mut request = self.deps.http.calls().request(call.method.clone(), url).header(USER_AGENT, AGENT);
        if call.has_token {
            let mut token = HeaderValue::try_from(format!("Bot {}", self.token)).map_err(|_| {
                ChannelError::Config("bot_token_env has characters that no token has".to_owned())
            })?;
            token.set_sensitive(true);
            request = request.header(AUTHORIZATION, token);
        }
        if !call.files.is_empty() {
            let length = call.files.iter().map(|file| file.bytes.len() as u64).sum();
            return Ok(request.timeout(transfer::limit(length)).multipart(form(call, upload)));
        }
        Ok(match &call.body {
            Some(body) => request.json(body),
            None => request,
        })
    }

    /// Opens an address of Discord's own that needs no token.
    pub(super) async fn fetch(&self, url: &str) -> Result<Response, ChannelError> {
        let url = self
            .deps
            .http
            .check(url)
            .map_err(|why| ChannelError::Permanent(format!("the attachment's address {why}")))?;
        let request = self.deps.http.calls().get(url).timeout(transfer::LONGEST).send();
        let late = || ChannelError::Retryable("Discord did not answer in time".to_owned());
        let response = tokio::time::timeout(STALL, request).await.map_err(|_| late())?;
        response.map_err(|error| repeatable(&error.without_url()))
    }
}

async fn whole(response: Response) -> Result<(StatusCode, HeaderMap, Bytes), ChannelError> {
    let (status, headers) = (response.status(), response.headers().clone());
    match read(response, MAX_ANSWER).await {
        Ok(answer) => Ok((status, headers, answer)),
        Err(ReadError::Broken(error)) => Err(classify(&error.without_url())),
        // Read on as what is no JSON.
        Err(ReadError::TooLarge) => Ok((status, headers, Bytes::new())),
    }
}

/// Files and the rest of a call (<https://docs.discord.com/developers/reference#uploading-files>).
fn form(call: &Call, upload: &Upload) -> Form {
    let body = call.body.as_ref().map(Value::to_string).unwrap_or_default();
    let json = || Part::text(body.clone());
    let mut form =
        Form::new().part("payload_json", json().mime_str("application/json").unwrap_or_else(|_| json()));
    for (n, file) in call.files.iter().enumerate() {
        form = form.part(format!("files[{n}]"), file_part(file, upload));
    }
    form
}

fn file_part(file: &File, upload: &Upload) -> Part {
    let length = u64::try_from(file.bytes.len()).unwrap_or(u64::MAX);
    let part =
        || Part::stream_with_length(upload.body(file.bytes.clone()), length).file_name(file.name.clone());
    // A host may have told a type that is none; Discord goes by the name.
    part().mime_str(&file.content_type).unwrap_or_else(|_| part())
}

/// A wait for the bot, or for the call's chat alone.
fn limited(call: &Call, wait: Duration, global: bool) -> ChannelError {
    if global || call.chat.is_empty() {
        ChannelError::RateLimited(wait)
    } else {
        ChannelError::ChatLimited { wait, told: true }
    }
}

/// Errors: <https://docs.discord.com/developers/topics/opcodes-and-status-codes#http>, waits:
/// <https://docs.discord.com/developers/topics/rate-limits#exceeding-a-rate-limit>.
fn refused(call: &Call, status: StatusCode, headers: &HeaderMap, answer: &[u8], now: i64) -> Failure {
    let refusal: Refusal = serde_json::from_slice(answer).unwrap_or_default();
    let text = words(status, &refusal);
    let error = match status.as_u16() {
        401 => ChannelError::BadCredentials(text),
        429 => {
            let told = refusal.retry_after.map(waiting).or_else(|| retry_after(headers, now));
            // Whoever has no JSON for us is the front, which bars the whole address.
            let global = refusal.global || refusal.retry_after.is_none();
            limited(call, told.unwrap_or(Duration::from_secs(1)), global)
        }
        400..=499 => ChannelError::Permanent(text),
        _ => ChannelError::Retryable(text),
    };
    Failure { code: refusal.code, error }
}

fn words(status: StatusCode, refusal: &Refusal) -> String {
    let mut said = vec![refusal.message.clone()];
    details("", &refusal.errors, &mut said);
    let said = excerpt(&said.join("; "), MAX_QUOTE);
    let number = if refusal.code == 0 { String::new() } else { format!(" ({})", refusal.code) };
    let said = if said.is_empty() { "no explanation".to_owned() } else { said };
    format!("Discord answered {}: {said}{number}", status.as_u16())
}

/// What is wrong with which key; Discord nests it as the body is nested.
fn details(path: &str, errors: &Value, said: &mut Vec<String>) {
    let Some(keys) = errors.as_object() else { return };
    for (key, inner) in keys {
        if said.len() > MAX_DETAILS {
            return;
        }
        if key != "_errors" {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            details(&path, inner, said);
            continue;
        }
        let messages = inner.as_array().map(Vec::as_slice).unwrap_or_default();
        said.extend(messages.iter().filter_map(|one| Some(format!("{path}: {}", one["message"].as_str()?))));
    }
}

/// For [`crate::Channel::fuzz`].
pub(super) fn fuzz(data: &[u8]) {
    let call = Call::get("get_my_user", &[]);
    for status in [StatusCode::BAD_REQUEST, StatusCode::TOO_MANY_REQUESTS] {
        drop(refused(&call, status, &HeaderMap::new(), data, 0));
    }
    drop(serde_json::from_slice::<Gateway>(data));
    drop(serde_json::from_slice::<Bot>(data));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, chat: &str, answer: &str) -> Failure {
        let call = Call { chat: chat.to_owned(), ..Call::get("get_message", &[]) };
        let headers = HeaderMap::from_iter([("retry-after".parse().unwrap(), "65".parse().unwrap())]);
        refused(&call, StatusCode::from_u16(status).unwrap(), &headers, answer.as_bytes(), 0)
    }

    #[test]
    fn failures_map_to_what_can_be_done() {
        let failure = of(403, "1", r#"{"message": "Missing Permissions", "code": 50013}"#);
        assert_eq!(failure.code, 50013);
        assert_eq!(
            failure.error,
            ChannelError::Permanent("Discord answered 403: Missing Permissions (50013)".to_owned())
        );
        assert!(matches!(
            of(401, "1", r#"{"message": "401: Unauthorized", "code": 0}"#).error,
            ChannelError::BadCredentials(_)
        ));
        assert!(matches!(of(502, "1", "<html>").error, ChannelError::Retryable(_)));
        assert_eq!(
            of(404, "1", "?").error,
            ChannelError::Permanent("Discord answered 404: no explanation".to_owned())
        );
    }

    /// Of the page on rate limits: the three examples.
    #[test]
    fn a_wait_is_the_bots_or_the_chats() {
        let wait = |seconds| Duration::from_secs_f64(seconds);
        let user = r#"{"message": "You are being rate limited.", "retry_after": 64.57, "global": false}"#;
        assert_eq!(of(429, "1", user).error, ChannelError::ChatLimited { wait: wait(64.57), told: true });
        assert_eq!(of(429, "", user).error, ChannelError::RateLimited(wait(64.57)), "no chat's call");
        let shared =
            r#"{"message": "The resource is being rate limited.", "retry_after": 1336.57, "global": false}"#;
        assert_eq!(of(429, "1", shared).error, ChannelError::ChatLimited { wait: wait(1336.57), told: true });
        let global = r#"{"message": "You are being rate limited.", "retry_after": 64.57, "global": true}"#;
        assert_eq!(of(429, "1", global).error, ChannelError::RateLimited(wait(64.57)));
        assert_eq!(
            of(429, "1", "<html>banned").error,
            ChannelError::RateLimited(wait(65.0)),
            "by the header"
        );
    }

    #[test]
    fn what_is_wrong_with_which_key_is_told() {
        let answer = r#"{"code": 50035, "message": "Invalid Form Body", "errors": {"content": {"_errors":
            [{"code": "BASE_TYPE_MAX_LENGTH", "message": "Must be 2000 or fewer in length."}]},
            "components": {"0": {"components": {"1": {"url": {"_errors": [{"message": "Not a well formed URL."}]}}}}}}}"#;
        let said = of(400, "1", answer).error.to_string();
        assert!(said.contains("content: Must be 2000 or fewer in length."), "{said}");
        assert!(said.contains("components.0.components.1.url: Not a well formed URL."), "{said}");
    }
}
