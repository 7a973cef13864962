//! What visitors send: `POST /webchat/{channel}/files?client_id=&name=`, the file as the body, the visitor in a header.
//!
//! The file *is* the message, under the page's id of it as texts are: so no file waits to be sent, none can be named by somebody
//! else, and one that comes again counts once. Rejected: files in pieces through the socket, which would keep texts and answers
//! waiting behind them; an upload that a later frame names, which needs a claim ticket and a broom for what nobody claims.
//!
//! Must hold: what a file is, its first bytes tell; what the page says of it counts only where they tell nothing, and never makes
//! it a picture. Memory holds a piece of it, not all.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::BodyDataStream;
use axum::extract::{Path, Query, Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use axum::{Extension, Json, Router};
use bytes::{Bytes, BytesMut};
use chrono::{DateTime, Utc};
use claw_types::{ChannelId, Inbound, MediaKind, MediaRef};
use futures::{StreamExt as _, future, stream};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderName, StatusCode};
use serde::Deserialize;
use serde_json::json;
use tokio::time::timeout;

use super::door::{Entered, Refusal, enter, is_token};
use super::{Config, page, socket};
use crate::kit::filename;
use crate::{Hub, Stored, Upload, UploadError};

/// The kinds that the field knows.
pub const KINDS: &[&str] = &["image", "video", "audio", "file"];
/// What a file may have where the field says nothing.
const DEFAULT_MIB: u64 = 10;
/// The most that the field takes.
pub const MOST_MIB: u64 = 100;

/// In a header and not in the address, which proxies write to their logs.
const VISITOR: HeaderName = HeaderName::from_static("ii-claw-visitor");
/// Enough of a file to tell what it is.
const HEAD: usize = 1024;
/// How much of a file that is refused is read and thrown away.
const DRAIN: usize = 16 * 1024 * 1024;
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Files that one chat takes at the same time, so that no chat has all of the gateway.
const AT_ONCE: usize = 8;
const UNKNOWN: &str = "application/octet-stream";

/// Where files are sent.
pub fn routes() -> Router<Arc<dyn Hub>> {
    Router::new().route("/webchat/{channel_id}/files", post(handle)).layer(Extension(Slots::default()))
}

/// What a chat takes.
#[derive(Debug, PartialEq, Eq)]
pub struct Allowed {
    /// Bytes of one file; 0 when there are to be none.
    pub max_bytes: u64,
    /// Some of [`KINDS`].
    pub kinds: Vec<String>,
}

impl Allowed {
    /// As the channel's fields and the operator say.
    pub fn of(config: &Config, most: u64) -> Self {
        let mib = config.max_file_mib.unwrap_or(DEFAULT_MIB).min(MOST_MIB);
        let kinds = match &config.file_kinds {
            Some(kinds) if !kinds.is_empty() => kinds.clone(),
            _ => KINDS.iter().map(ToString::to_string).collect(),
        };
        Self { max_bytes: (mib << 20).min(most), kinds }
    }

    /// A sentence for visitors.
    pub fn sentence(&self) -> String {
        let mb = self.max_bytes >> 20;
        let names: Vec<&str> = self.kinds.iter().filter_map(|kind| plural(kind)).collect();
        match names.split_last() {
            Some((last, [])) => format!("You can send {last} of up to {mb} MB."),
            Some((last, rest)) => format!("You can send {} and {last} of up to {mb} MB.", rest.join(", ")),
            None => String::new(),
        }
    }

    fn takes(&self, kind: MediaKind) -> bool {
        self.kinds.iter().any(|taken| taken == kind.as_str())
    }
}

fn plural(kind: &str) -> Option<&'static str> {
    match kind {
        "image" => Some("pictures"),
        "video" => Some("videos"),
        "audio" => Some("sound files"),
        "file" => Some("other files"),
        _ => None,
    }
}

#[derive(Deserialize)]
struct Params {
    #[serde(default)]
    client_id: String,
    #[serde(default)]
    name: String,
}

async fn handle(
    State(hub): State<Arc<dyn Hub>>,
    Extension(slots): Extension<Slots>,
    Path(channel): Path<String>,
    Query(params): Query<Params>,
    request: Request,
) -> Response {
    match take(&*hub, &slots, &channel, params, request).await {
        Ok(stored) => {
            let (id, duplicate) = stored.map_or((None, false), |stored| (Some(stored.id), stored.duplicate));
            // The page may hear an answer by its socket before it hears this, and must know which of them came first.
            let seq = stored.and_then(Stored::place);
            Json(json!({"id": id, "seq": seq, "duplicate": duplicate})).into_response()
        }
        Err((status, why)) => (status, Json(json!({"error": why}))).into_response(),
    }
}

async fn take(
    hub: &dyn Hub,
    slots: &Slots,
    channel: &str,
    params: Params,
    request: Request,
) -> Result<Option<Stored>, Refusal> {
    let (parts, body) = request.into_parts();
    let header =
        |name: &HeaderName| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let from = (&parts.uri, &parts.headers);
    let Entered { id, hosted, conversation } = enter(hub, channel, header(&VISITOR), from).await?;
    if !is_token(&params.client_id, 1, 64) {
        let reason = "client_id must be 1 to 64 letters, digits, '-' or '_'";
        return Err((StatusCode::BAD_REQUEST, reason.to_owned()));
    }
    let allowed = Allowed::of(&Config::of(&hosted), hub.max_upload());
    if allowed.max_bytes == 0 {
        return Err((StatusCode::FORBIDDEN, "This chat takes no files.".to_owned()));
    }
    let too_large =
        || (StatusCode::PAYLOAD_TOO_LARGE, format!("This file is too large. {}", allowed.sentence()));
    if header(&CONTENT_LENGTH).parse::<u64>().is_ok_and(|length| length > allowed.max_bytes) {
        drain(body.into_data_stream()).await;
        return Err(too_large());
    }
    let Some(_slot) = slots.take(id) else {
        let reason = "Too many files are being sent to this chat just now. It is tried again.";
        return Err((StatusCode::SERVICE_UNAVAILABLE, reason.to_owned()));
    };
    let mut bytes = body.into_data_stream();
    let head = head(&mut bytes).await?;
    let media = describe(&head, &params.name, header(&CONTENT_TYPE));
    if !allowed.takes(media.kind) {
        drain(bytes).await;
        let reason = format!("This chat does not take files of this type. {}", allowed.sentence());
        return Err((StatusCode::UNSUPPORTED_MEDIA_TYPE, reason));
    }
    let message = socket::of_file(params.client_id, media, &conversation, hub.now());
    let bytes = stream::once(future::ready(Ok(head))).chain(bytes).boxed();
    let upload = Upload { max_bytes: allowed.max_bytes, bytes };
    hub.accept_upload(id, message, upload).await.map_err(|error| match error {
        UploadError::TooLarge => too_large(),
        UploadError::Broken => broken(),
        UploadError::Hub(error) => (page::status(&error), error.to_string()),
    })
}

/// A file of a visitor's, as the gateway is told it. For the exam.
pub fn understood(
    conversation: &str,
    client_id: &str,
    (name, declared, file): (&str, &str, &[u8]),
    now: DateTime<Utc>,
) -> Inbound {
    socket::of_file(client_id.to_owned(), describe(file, name, declared), conversation, now)
}

/// The first bytes of a file.
async fn head(bytes: &mut BodyDataStream) -> Result<Bytes, Refusal> {
    let read = async {
        let mut head = BytesMut::new();
        while head.len() < HEAD
            && let Some(chunk) = bytes.next().await
        {
            head.extend_from_slice(&chunk.map_err(|_| broken())?);
        }
        Ok::<_, Refusal>(head.freeze())
    };
    let head = timeout(HEAD_TIMEOUT, read).await.map_err(|_| broken())??;
    if head.is_empty() {
        return Err((StatusCode::BAD_REQUEST, "This file is empty.".to_owned()));
    }
    Ok(head)
}

/// The page tries it again.
fn broken() -> Refusal {
    (StatusCode::REQUEST_TIMEOUT, UploadError::Broken.to_string())
}

/// Reads on for a while: a page that is writing does not see an answer, and closing on it would be a broken connection to it.
async fn drain(mut bytes: BodyDataStream) {
    let read = async {
        let mut seen = 0;
        while seen < DRAIN
            && let Some(Ok(chunk)) = bytes.next().await
        {
            seen += chunk.len();
        }
    };
    // Whoever is slower than that is closed on.
    drop(timeout(HEAD_TIMEOUT, read).await);
}

/// What a file is.
fn describe(head: &[u8], name: &str, declared: &str) -> MediaRef {
    let mime = infer::get(head).map_or_else(|| unproven(declared), |found| found.mime_type());
    let kind = match mime.split('/').next() {
        Some("image") => MediaKind::Image,
        Some("video") => MediaKind::Video,
        Some("audio") => MediaKind::Audio,
        _ => MediaKind::File,
    };
    // Nothing has to be found again by it: the bytes lie under the message's id.
    let handle = "upload".to_owned();
    MediaRef { kind, handle, filename: filename::clean(name), mime: Some(mime.to_owned()) }
}

/// The type that the page says of what has no mark of its own, such as texts.
fn unproven(declared: &str) -> &str {
    let essence = declared.split(';').next().unwrap_or_default().trim();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/.+-_".contains(c);
    let is_known = essence.starts_with("text/") || essence.starts_with("application/");
    if is_known && essence.len() <= 100 && essence.chars().all(plain) { essence } else { UNKNOWN }
}

/// How many files each chat is being sent.
#[derive(Clone, Default)]
struct Slots(Arc<Mutex<HashMap<ChannelId, usize>>>);

/// One of them, until it is dropped.
struct Slot(Slots, ChannelId);

impl Slots {
    fn take(&self, id: ChannelId) -> Option<Slot> {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(id).or_default();
        if *count >= AT_ONCE {
            return None;
        }
        *count += 1;
        Some(Slot(self.clone(), id))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.1) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR";

    #[test]
    fn what_a_file_is_its_first_bytes_tell() {
        let kind_and_type = |head: &[u8], declared: &str| {
            let media = describe(head, "a", declared);
            (media.kind, media.mime.unwrap())
        };
        let file = |mime: &str| (MediaKind::File, mime.to_owned());
        assert_eq!(kind_and_type(PNG, "text/plain"), (MediaKind::Image, "image/png".to_owned()));
        assert_eq!(kind_and_type(b"%PDF-1.7", "image/png"), file("application/pdf"));
        assert_eq!(kind_and_type(b"hello", "text/plain; charset=utf-8"), file("text/plain"));
        for forged in ["image/png", "image/svg+xml", "audio/ogg", "text/pl\"ain", "", "text"] {
            assert_eq!(kind_and_type(b"hello", forged), file(UNKNOWN), "{forged}");
        }
    }

    #[test]
    fn names_are_cleaned() {
        assert_eq!(describe(PNG, "../../etc/a\u{202e}b.png", "").filename.as_deref(), Some("ab.png"));
        assert_eq!(describe(PNG, "", "").filename, None);
    }

    #[test]
    fn what_a_chat_takes_is_told_in_a_sentence() {
        let allowed = |config: &Config, most| Allowed::of(config, most);
        let usual = allowed(&Config::default(), u64::MAX);
        assert_eq!(
            usual.sentence(),
            "You can send pictures, videos, sound files and other files of up to 10 MB."
        );
        assert_eq!(
            allowed(&Config::default(), 3 << 20).max_bytes,
            3 << 20,
            "the operator's is the last word"
        );
        let pictures =
            Config { max_file_mib: Some(2), file_kinds: Some(vec!["image".to_owned()]), ..Config::default() };
        let pictures = allowed(&pictures, u64::MAX);
        assert_eq!(pictures.sentence(), "You can send pictures of up to 2 MB.");
        assert!(pictures.takes(MediaKind::Image) && !pictures.takes(MediaKind::File));
        assert_eq!(allowed(&Config { max_file_mib: Some(0), ..Config::default() }, u64::MAX).max_bytes, 0);
    }

    #[test]
    fn one_chat_does_not_take_the_turn_of_others() {
        let (slots, chat) = (Slots::default(), |n| ChannelId(uuid::Uuid::from_u128(n)));
        let taken: Vec<Slot> = (0..AT_ONCE).filter_map(|_| slots.take(chat(1))).collect();
        assert_eq!(taken.len(), AT_ONCE);
        assert!(slots.take(chat(1)).is_none() && slots.take(chat(2)).is_some());
        drop(taken);
        assert!(slots.0.lock().unwrap().is_empty());
        assert!(slots.take(chat(1)).is_some());
    }
}
