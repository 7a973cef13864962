//! Files, both ways. One that is sent goes where Slack says (<https://docs.slack.dev/messaging/working-with-files#upload>), and is then
//! shown; until then nobody sees it, so all but the last call may be made again. One that was sent to us is behind the bot's token,
//! which goes to no other server than Slack's.

use std::time::Duration;

use bytes::Bytes;
use claw_runtime::Backoff;
use claw_types::Media;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use reqwest::multipart::{Form, Part};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use tracing::warn;

use super::api::{Api, Call, by_status};
use super::calls::Place;
use crate::kit::fetch::{Fetched, essence};
use crate::kit::file;
use crate::kit::http::repeatable;
use crate::kit::plan::Text;
use crate::kit::transfer::{self, LONGEST, STALL, Upload, download};
use crate::{ChannelError, MediaStream};

/// Of a message. Slack takes a gigabyte; this is what we hold in memory.
pub(super) const MAX_BYTES: usize = 50_000_000;

/// How often, over some two seconds, Slack is asked as which message it shows a file. It shares files in a queue, behind its search for
/// malware, so the call that shows one is answered before there is a message; Slack's own people say to ask `files.info` until it
/// tells (<https://github.com/slackapi/bolt-js/issues/2115>).
const SHARING: Backoff =
    Backoff { first: Duration::from_millis(200), factor: 2.0, cap: Duration::from_secs(1), attempts: 5 };

/// A file that Slack has and nobody sees yet.
pub(super) struct Uploaded {
    id: String,
    title: String,
}

#[derive(Deserialize)]
struct Target {
    upload_url: String,
    file_id: String,
}

#[derive(Deserialize)]
struct Info {
    file: File,
}

#[derive(Deserialize)]
struct File {
    mimetype: Option<String>,
    url_private: Option<String>,
    url_private_download: Option<String>,
    /// The messages that show it: of `public` and of `private`, direct messages among them, a list for each conversation
    /// (<https://docs.slack.dev/reference/objects/file-object>). A value, because what is empty there need not be an object.
    #[serde(default)]
    shares: Value,
}

impl File {
    /// The time of the message that shows it in a conversation.
    fn shown_in(&self, channel: &str) -> Option<String> {
        let time = |kind: &str| self.shares[kind][channel][0]["ts"].as_str().map(str::to_owned);
        time("public").or_else(|| time("private"))
    }
}

/// Uploads what was fetched.
pub(super) async fn upload(
    api: &Api,
    media: &[Media],
    fetched: &[Fetched],
) -> Result<Vec<Uploaded>, ChannelError> {
    let mut uploaded = Vec::with_capacity(fetched.len());
    for (media, fetched) in media.iter().zip(fetched) {
        // By what stands behind the point, Slack chooses how to show it.
        let file::File { name: title, bytes, .. } = file::File::new(media, fetched);
        let ask = Call::form("files.getUploadURLExternal");
        let ask = ask.with("filename", title.as_str()).with("length", bytes.len());
        let target: Target = api.call(&ask).await?;
        hand_over(api, &target.upload_url, &title, bytes).await?;
        uploaded.push(Uploaded { id: target.file_id, title });
    }
    Ok(uploaded)
}

/// Shows uploaded files as one message with a text. As which, the answer does not tell: [`ids`] does.
pub(super) async fn complete(
    api: &Api,
    place: Place<'_>,
    files: &[Uploaded],
    comment: Option<&Text>,
) -> Result<(), ChannelError> {
    let named: Vec<_> = files.iter().map(|file| json!({"id": file.id, "title": file.title})).collect();
    let mut call =
        place.address(Call::new("files.completeUploadExternal"), "channel_id").with("files", named);
    if let Some(comment) = comment {
        call = call.with("initial_comment", comment.body.as_str());
    }
    api.act(&call).await
}

/// What files that are shown are known by, with commas between: their ids, by which they are deleted, and behind them the time of their
/// message, by which Slack knows it when people react to it. They are there already, so without that time they were sent, too.
pub(super) async fn ids(api: &Api, channel: &str, files: &[Uploaded]) -> String {
    let time = shown_as(api, channel, files).await.unwrap_or_else(|error| {
        warn!(channel.id = %api.deps.channel_id, "files that were sent can only be deleted: {error}");
        None
    });
    files.iter().map(|file| file.id.as_str()).chain(time.as_deref()).collect::<Vec<_>>().join(",")
}

/// The time of the message that shows files; none, if Slack has not made it after some two seconds.
async fn shown_as(api: &Api, channel: &str, files: &[Uploaded]) -> Result<Option<String>, ChannelError> {
    let Some(first) = files.first() else { return Ok(None) };
    let ask = Call::form("files.info").with("file", first.id.as_str());
    let mut failed = 0;
    loop {
        match api.call::<Info>(&ask).await.map(|info| info.file.shown_in(channel)) {
            Ok(Some(time)) => return Ok(Some(time)),
            Ok(None) | Err(ChannelError::Retryable(_)) => failed += 1,
            Err(error) => return Err(error),
        }
        let Some(wait) = SHARING.wait(failed, &*api.deps.random) else {
            warn!(
                channel.id = %api.deps.channel_id,
                "files that were sent can only be deleted: Slack does not tell as which message it shows them"
            );
            return Ok(None);
        };
        sleep(wait).await;
    }
}

/// The address is a secret of its own; no token goes there.
async fn hand_over(api: &Api, url: &str, name: &str, bytes: Bytes) -> Result<(), ChannelError> {
    let url = api
        .deps
        .http
        .check(url)
        .map_err(|why| ChannelError::Config(format!("where Slack wants the file {why}")))?;
    let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let upload = Upload::default();
    let part = Part::stream_with_length(upload.body(bytes), length).file_name(name.to_owned());
    let request = api.deps.http.calls().post(url).timeout(transfer::limit(length));
    let request = request.multipart(Form::new().part("filename", part));
    let stalled =
        || ChannelError::Retryable(format!("Slack took nothing of the file for {} s", STALL.as_secs()));
    let (status, wait, _) = upload.watch(api.answered(request, true)).await.ok_or_else(stalled)??;
    match by_status(status, wait) {
        Some(error) => Err(error),
        None if status.is_success() => Ok(()),
        None => {
            Err(ChannelError::Permanent(format!("Slack answered {} to the file itself", status.as_u16())))
        }
    }
}

/// Opens a file by its id (<https://docs.slack.dev/reference/methods/files.info>).
pub(super) async fn open(api: &Api, id: &str) -> Result<MediaStream, ChannelError> {
    let file = api.call::<Info>(&Call::form("files.info").with("file", id)).await?.file;
    let address = file.url_private_download.or(file.url_private);
    let gone = || ChannelError::Permanent("Slack does not hand this file out (any more)".to_owned());
    let url = api.deps.http.check(&address.ok_or_else(gone)?).map_err(|_| gone())?;
    if !api.is_ours(&url) {
        return Err(ChannelError::Permanent("the file is kept by another service, not by Slack".to_owned()));
    }
    let request = api.authorized(api.deps.http.calls().get(url).timeout(LONGEST));
    let late = || ChannelError::Retryable("Slack did not answer in time".to_owned());
    let response = timeout(STALL, request.send()).await.map_err(|_| late())?;
    let response = response.map_err(|error| repeatable(&error.without_url()))?;
    let header = response.headers().get(CONTENT_TYPE);
    let content_type = header.and_then(|value| value.to_str().ok()).map(str::to_owned);
    if let Some(error) = by_status(response.status(), None) {
        return Err(error);
    }
    let is_page =
        |kind: Option<&str>| kind.is_some_and(|kind| essence(kind).eq_ignore_ascii_case("text/html"));
    // Who may not have it is shown where to sign in, at times with status 200.
    if response.status() != StatusCode::OK
        || is_page(content_type.as_deref()) && !is_page(file.mimetype.as_deref())
    {
        let text = format!("Slack answered {} in place of the file", response.status().as_u16());
        return Err(ChannelError::Permanent(format!("{text}: the app needs the scope files:read")));
    }
    Ok(MediaStream { content_type: file.mimetype.or(content_type), bytes: download(response) })
}
