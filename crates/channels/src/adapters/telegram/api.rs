//! The Bot API's calls (<https://core.telegram.org/bots/api#making-requests>) and what their failures mean.

use std::time::Duration;

use bytes::Bytes;
use reqwest::multipart::{Form, Part};
use reqwest::{Client, RequestBuilder, StatusCode};
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::calls::Call;
use super::commands::BotCommand;
use super::files;
use super::hook;
use crate::kit::answer::{ReadError, excerpt, read, waiting};
use crate::kit::http::{Http, classify};
use crate::kit::transfer::{self, LONGEST, STALL, Upload, download};
use crate::{ChannelError, MediaStream};

/// What is asked for; without a word, Telegram tells of no reactions (<https://core.telegram.org/bots/api#getupdates>).
pub(super) const UPDATES: [&str; 5] =
    ["message", "edited_message", "callback_query", "message_reaction", "message_reaction_count"];
/// The calls that need nothing but a bot.
const GET_ME: &str = "getMe";
const GET_UPDATES: &str = "getUpdates";
/// How a poll is told that the bot has a webhook (409).
pub(super) const HAS_WEBHOOK: &str = "webhook is active";
/// Beyond what the server holds a long poll.
const POLL_MARGIN: Duration = Duration::from_secs(10);
/// Bytes of an answer: who chose `api_url` may have chosen a server that never stops.
const MAX_ANSWER: usize = 1024 * 1024;
/// Of an answer with a hundred updates.
const MAX_UPDATES: usize = 16 * 1024 * 1024;
/// Characters of what the platform says that are quoted.
const MAX_QUOTE: usize = 300;

/// One bot's calls.
pub(super) struct Api {
    base: String,
    token: String,
    http: Http,
}

/// An update, not yet looked into: one that teloxide can't read must not hide the others.
pub(super) struct RawUpdate {
    pub(super) update_id: i64,
    pub(super) json: Box<RawValue>,
}

/// The bot itself (<https://core.telegram.org/bots/api#getme>).
#[derive(Deserialize)]
pub(super) struct Bot {
    pub(super) id: i64,
    pub(super) first_name: String,
    pub(super) username: Option<String>,
    #[serde(default)]
    pub(super) can_read_all_group_messages: bool,
}

#[derive(Deserialize)]
struct File {
    file_path: Option<String>,
}

#[derive(Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
struct Envelope<T> {
    ok: bool,
    result: Option<T>,
    #[serde(default)]
    description: String,
    parameters: Option<Parameters>,
}

#[derive(Deserialize)]
struct Parameters {
    retry_after: Option<u64>,
    /// The supergroup that the group has become.
    migrate_to_chat_id: Option<i64>,
}

/// A call that failed.
#[derive(Debug)]
struct Failure {
    error: ChannelError,
    /// Where the chat is now, when it was refused because it is there no more.
    moved_to: Option<i64>,
}

impl From<ChannelError> for Failure {
    fn from(error: ChannelError) -> Self {
        Self { error, moved_to: None }
    }
}

impl From<Failure> for ChannelError {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}

impl Api {
    pub(super) fn new(base: String, token: String, http: Http) -> Self {
        Self { base, token, http }
    }

    /// Updates from `offset` on; held open for `hold` when there are none.
    pub(super) async fn updates(&self, offset: i64, hold: Duration) -> Result<Vec<RawUpdate>, ChannelError> {
        #[derive(Deserialize)]
        struct Head {
            update_id: i64,
        }
        let body = json!({
            "offset": offset, "timeout": hold.as_secs(), "limit": 100, "allowed_updates": UPDATES,
        });
        let request = self.post(self.http.polls(), GET_UPDATES)?.timeout(hold + POLL_MARGIN).json(&body);
        let updates: Vec<Box<RawValue>> = answer(GET_UPDATES, request, MAX_UPDATES).await?;
        updates
            .into_iter()
            .map(|json| {
                let head: Head = serde_json::from_str(json.get())
                    .map_err(|_| ChannelError::Retryable("an update without an id".to_owned()))?;
                Ok(RawUpdate { update_id: head.update_id, json })
            })
            .collect()
    }

    /// Makes a call and reads its answer. A group that became a supergroup has another id, by which alone it is reached from then on, and
    /// which Telegram names as it refuses the old one (<https://core.telegram.org/bots/api#responseparameters>): the call is made once more,
    /// with that.
    pub(super) async fn send<T: DeserializeOwned>(&self, call: &Call) -> Result<T, ChannelError> {
        match self.attempt(call).await {
            Err(Failure { error, moved_to: Some(supergroup) }) => match call.moved(supergroup) {
                Some(call) => Ok(self.attempt(&call).await?),
                None => Err(error),
            },
            other => Ok(other?),
        }
    }

    async fn attempt<T: DeserializeOwned>(&self, call: &Call) -> Result<T, Failure> {
        if call.files.is_empty() {
            let request = self.post(self.http.calls(), call.method)?.json(&call.body);
            return answer(call.method, request, MAX_ANSWER).await;
        }
        let upload = Upload::default();
        let length = call.files.iter().map(|(_, file)| file.bytes.len() as u64).sum();
        let request = self.post(self.http.calls(), call.method)?.timeout(transfer::limit(length));
        let request = request.multipart(form(call, &upload));
        let answered = upload.watch(answer(call.method, request, MAX_ANSWER)).await;
        answered.unwrap_or_else(|| {
            let stalled = format!("the platform took nothing of the upload for {} s", STALL.as_secs());
            Err(ChannelError::Uncertain(stalled).into())
        })
    }

    /// Makes a call of which only matters that it worked.
    pub(super) async fn act(&self, call: &Call) -> Result<(), ChannelError> {
        self.send::<IgnoredAny>(call).await.map(drop)
    }

    pub(super) async fn me(&self) -> Result<Bot, ChannelError> {
        self.call(GET_ME, &json!({})).await
    }

    pub(super) async fn webhook_info(&self) -> Result<hook::Info, ChannelError> {
        self.call("getWebhookInfo", &json!({})).await
    }

    pub(super) async fn set_webhook(&self, body: &Value) -> Result<(), ChannelError> {
        self.call::<IgnoredAny>("setWebhook", body).await.map(drop)
    }

    pub(super) async fn delete_webhook(&self, body: &Value) -> Result<(), ChannelError> {
        self.call::<IgnoredAny>("deleteWebhook", body).await.map(drop)
    }

    pub(super) async fn commands(&self) -> Result<Vec<BotCommand>, ChannelError> {
        self.call("getMyCommands", &json!({})).await
    }

    pub(super) async fn set_commands(&self, body: &Value) -> Result<(), ChannelError> {
        self.call::<IgnoredAny>("setMyCommands", body).await.map(drop)
    }

    /// Opens a file by its id (<https://core.telegram.org/bots/api#getfile>: up to 20 MB).
    pub(super) async fn open(&self, file_id: &str) -> Result<MediaStream, ChannelError> {
        let body = json!({"file_id": file_id});
        let file: File = self.call("getFile", &body).await?;
        let path = file.file_path.ok_or_else(|| {
            ChannelError::Permanent("the platform does not hand this file out (more than 20 MB?)".to_owned())
        })?;
        let url = self.url(&format!("{}/file/bot{}/{path}", self.base, self.token))?;
        let request = self.http.calls().get(url).timeout(LONGEST).send();
        let late = || ChannelError::Retryable("the platform did not answer in time".to_owned());
        let response = timeout(STALL, request).await.map_err(|_| late())?;
        let response = response.map_err(|e| classify(&e.without_url()))?;
        if !response.status().is_success() {
            return Err(ChannelError::Retryable(format!(
                "the platform answered {}",
                response.status().as_u16()
            )));
        }
        let header = response.headers().get(http::header::CONTENT_TYPE);
        let content_type = header.and_then(|value| value.to_str().ok()).map(str::to_owned);
        Ok(MediaStream { content_type, bytes: download(response) })
    }

    fn url(&self, url: &str) -> Result<url::Url, ChannelError> {
        self.http.check(url).map_err(|why| ChannelError::Config(format!("api_url {why}")))
    }

    async fn call<T: DeserializeOwned>(
        &self,
        method: &str,
        body: &impl Serialize,
    ) -> Result<T, ChannelError> {
        Ok(answer(method, self.post(self.http.calls(), method)?.json(body), MAX_ANSWER).await?)
    }

    fn post(&self, client: &Client, method: &str) -> Result<RequestBuilder, ChannelError> {
        Ok(client.post(self.url(&format!("{}/bot{}/{method}", self.base, self.token))?))
    }
}

async fn answer<T: DeserializeOwned>(
    method: &str,
    request: RequestBuilder,
    limit: usize,
) -> Result<T, Failure> {
    let response = request.send().await.map_err(|e| classify(&e.without_url()))?;
    let status = response.status();
    let bytes = match read(response, limit).await {
        Ok(bytes) => bytes,
        Err(ReadError::Broken(error)) => return Err(classify(&error.without_url()).into()),
        // Read on as what is no JSON.
        Err(ReadError::TooLarge) => Bytes::new(),
    };
    understood(method, status, &bytes)
}

/// What an answer's body means.
fn understood<T: DeserializeOwned>(method: &str, status: StatusCode, body: &[u8]) -> Result<T, Failure> {
    match serde_json::from_slice::<Envelope<T>>(body) {
        Ok(Envelope { ok: true, result: Some(result), .. }) => Ok(result),
        Ok(refused) => {
            let moved_to = refused.parameters.as_ref().and_then(|parameters| parameters.migrate_to_chat_id);
            Err(Failure {
                error: meaning(method, status, &refused.description, refused.parameters),
                moved_to,
            })
        }
        Err(_) if status.is_success() => {
            // It said 200, so it probably happened; only the answer can't be read.
            Err(ChannelError::Uncertain("the platform's answer can't be read".to_owned()).into())
        }
        Err(_) => Err(meaning(method, status, "no explanation", None).into()),
    }
}

/// For [`crate::Channel::fuzz`].
pub(super) fn fuzz(data: &[u8]) {
    drop(understood::<Vec<Box<RawValue>>>(GET_UPDATES, StatusCode::OK, data));
    drop(understood::<Bot>(GET_ME, StatusCode::BAD_REQUEST, data));
    drop(understood::<Value>("sendMessage", StatusCode::BAD_GATEWAY, data));
}

/// A call with files: parameters that are no texts are written as JSON.
fn form(call: &Call, upload: &Upload) -> Form {
    let mut form = Form::new();
    for (key, value) in &call.body {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        form = form.text(key.clone(), text);
    }
    for (name, file) in &call.files {
        form = form.part(name.clone(), file_part(file, upload));
    }
    form
}

fn file_part(file: &files::File, upload: &Upload) -> Part {
    let length = u64::try_from(file.bytes.len()).unwrap_or(u64::MAX);
    let bytes = || upload.body(file.bytes.clone());
    let part = || Part::stream_with_length(bytes(), length).file_name(file.name.clone());
    // A host may have told a type that is none; Telegram can do without.
    part().mime_str(&file.content_type).unwrap_or_else(|_| part())
}

/// Errors: <https://core.telegram.org/bots/api#responseparameters> and, for the codes,
/// <https://core.telegram.org/api/errors>.
fn meaning(
    method: &str,
    status: StatusCode,
    description: &str,
    parameters: Option<Parameters>,
) -> ChannelError {
    let text = format!("Telegram answered {}: {}", status.as_u16(), excerpt(description, MAX_QUOTE));
    if let Some(supergroup) = parameters.as_ref().and_then(|parameters| parameters.migrate_to_chat_id) {
        return ChannelError::Permanent(format!("{text}; its id is {supergroup} now"));
    }
    match status.as_u16() {
        429 => ChannelError::RateLimited(waiting(parameters.and_then(|p| p.retry_after).unwrap_or(1))),
        401 => ChannelError::BadCredentials(text),
        // A token that does not exist is a path that does not exist. So is a method that a server does not have, but these every one has.
        404 if [GET_ME, GET_UPDATES].contains(&method) => ChannelError::BadCredentials(text),
        404 => ChannelError::Permanent(format!(
            "{text}; the server does not know {method}, or not the bot: bring your own Bot API server (api_url) up to date, or test the channel"
        )),
        409 if description.contains(HAS_WEBHOOK) => ChannelError::Retryable(text),
        409 => ChannelError::Retryable(
            "another program polls with the same token: stop it, or give one of them another bot".to_owned(),
        ),
        400..=499 => ChannelError::Permanent(text),
        _ => ChannelError::Retryable(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_map_to_what_can_be_done() {
        let by = |method, code: u16, parameters| {
            meaning(method, StatusCode::from_u16(code).unwrap(), "x", parameters)
        };
        let of = |code, parameters| by("sendMessage", code, parameters);
        for (asked, waits) in [(7, 7), (36_000, 36_000), (u64::MAX, 86_400)] {
            let wait = Some(Parameters { retry_after: Some(asked), migrate_to_chat_id: None });
            assert_eq!(of(429, wait), ChannelError::RateLimited(Duration::from_secs(waits)), "{asked}");
        }
        assert!(matches!(of(401, None), ChannelError::BadCredentials(_)));
        assert!(matches!(of(403, None), ChannelError::Permanent(_)));
        assert!(matches!(of(409, None), ChannelError::Retryable(_)));
        assert!(matches!(of(502, None), ChannelError::Retryable(_)));
        for method in [GET_ME, GET_UPDATES] {
            assert!(matches!(by(method, 404, None), ChannelError::BadCredentials(_)), "{method}");
        }
        for method in ["sendMessage", "setMyCommands"] {
            let unknown = by(method, 404, None);
            assert!(matches!(&unknown, ChannelError::Permanent(why) if why.contains(method)), "{unknown:?}");
        }
    }

    #[tokio::test]
    async fn the_token_never_shows_in_an_error() {
        // Another test may have installed it.
        drop(rustls::crypto::ring::default_provider().install_default());
        let token = "123456:SECRETSECRETSECRETSECRET";
        let http = Http::new(true).unwrap();
        let api = Api::new("http://127.0.0.1:1".to_owned(), token.to_owned(), http);
        let error = api.me().await.map(|_| ()).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("SECRET"));
        assert!(matches!(error, ChannelError::Retryable(_)), "nothing was sent: {error:?}");
        let private = Api::new("http://127.0.0.1:1".to_owned(), token.to_owned(), Http::new(false).unwrap());
        let error = private.me().await.map(|_| ()).unwrap_err();
        assert!(matches!(error, ChannelError::Config(_)), "{error:?}");
    }
}
