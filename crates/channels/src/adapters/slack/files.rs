//! Files, both ways. One that is sent goes where Slack says (<https://docs.slack.dev/messaging/working-with-files#upload>), and is then
//! shown; until then nobody sees it, so all but the last call may be made again. One that was sent to us is behind the bot's token,
//! which goes to no other server than Slack's.

use bytes::Bytes;
use claw_types::Media;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use reqwest::multipart::{Form, Part};
use serde::Deserialize;
use serde_json::json;
use tokio::time::timeout;

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

/// Shows uploaded files as one message with a text; their ids, with commas between. The message's own id Slack does not tell.
pub(super) async fn complete(
    api: &Api,
    place: Place<'_>,
    files: &[Uploaded],
    comment: Option<&Text>,
) -> Result<String, ChannelError> {
    let named: Vec<_> = files.iter().map(|file| json!({"id": file.id, "title": file.title})).collect();
    let mut call =
        place.address(Call::new("files.completeUploadExternal"), "channel_id").with("files", named);
    if let Some(comment) = comment {
        call = call.with("initial_comment", comment.body.as_str());
    }
    api.act(&call).await?;
    Ok(files.iter().map(|file| file.id.as_str()).collect::<Vec<_>>().join(","))
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
