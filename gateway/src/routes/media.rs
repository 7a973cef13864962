//! `GET /media/{message_id}/{filename}?expires=&signature=`: a person's attachment.
//!
//! It is fetched from its platform once, ahead ([`crate::media_ahead`]) or when it is first asked for, and served from our own
//! store afterwards, in whole or in part (RFC 9110, section 14). The link is ours, signed and short-lived, because the platform's own may carry the bot's token. What comes from a
//! stranger is never shown by a browser in our name: it is a download, of a type that runs nothing.

use std::fmt::Write as _;

use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH, IF_RANGE,
    RANGE,
};
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use claw_channels::ChannelError;
use claw_channels::kit::media_link;
use claw_media::range::{self, Answer};
use claw_media::{Incoming, MediaKey, Stored};
use claw_store::Store;
use claw_types::{MediaRef, MessageId};
use futures::{Stream, StreamExt as _, future, stream};
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use crate::app::{App, Shared};
use crate::error::{Kind, Problem};
use crate::path;
use crate::query::Query;

/// What a link says beside its path.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Link {
    /// Until when the link is good, in seconds since 1970.
    expires: i64,
    /// Ours, over the path and the end.
    signature: String,
}

/// Streams an attachment.
///
/// # Errors
/// 403 for a link that is not ours, 410 for one that is too old, 404 when the attachment is gone, 502 when the
/// platform does not hand it out.
#[utoipa::path(
    get, path = "/media/{message_id}/{filename}", tag = "platforms", operation_id = "media",
    params(
        ("message_id" = Uuid, Path, description = "The message that it came with."),
        ("filename" = String, Path, description = "A name for it."),
        Link,
    ),
    responses(
        (status = 200, description = "The attachment.", body = Vec<u8>, content_type = "*/*"),
        (status = 206, description = "The part of it that `Range` asked for.", body = Vec<u8>, content_type = "*/*"),
        (status = 304, description = "It is the one that `If-None-Match` named."),
        (status = 403, description = "The link is not ours."),
        (status = 404, description = "The attachment is gone."),
        (status = 410, description = "The link has expired."),
        (status = 413, description = "It is larger than this gateway fetches."),
        (status = 416, description = "It ends before the range that was asked for."),
        (status = 502, description = "The platform does not hand it out."),
    )
)]
pub async fn handle(
    State(app): State<Shared>,
    link: Result<Query<Link>, Problem>,
    request: axum::extract::Request,
) -> Result<Response, Problem> {
    let (mut parts, _) = request.into_parts();
    let (id, filename) = address(&mut parts).await?;
    let Query(Link { expires, signature }) = link.map_err(|_| forged())?;
    let is_ours = |key| media_link::verify(key, id, &filename, expires, &signature);
    if !app.media_keys.iter().any(is_ours) {
        return Err(forged());
    }
    if app.clock.now().timestamp() > expires {
        return Err(Problem::of(Kind::Gone, "this link has expired"));
    }
    // Replaced between finding and reading: found again once more.
    for _ in 0..2 {
        let (stored, media) = fetched(&app, id).await?;
        match respond(&app, id, &stored, &media, &filename, &parts.headers).await {
            Err(claw_media::Error::Changed) => {}
            other => return Ok(other?),
        }
    }
    Err(claw_media::Error::Changed.into())
}

/// The attachment in our store, fetched from its platform when it is not there yet.
///
/// # Errors
/// 404 when it is gone, 409 when the fields of its channel make no sense to this version, 413 when it is too large, 502 when the platform does not hand it out.
pub async fn fetched(app: &App, id: MessageId) -> Result<(Stored, MediaRef), Problem> {
    let gone = || Problem::not_found("this attachment does not exist any more");
    let (channel, media) = app.store.message_media(id).await?.ok_or_else(gone)?;
    let media: MediaRef = serde_json::from_str(&media)?;
    let key = MediaKey::new(id.0);
    if let Some(stored) = app.media.find(&key).await? {
        return Ok((stored, media));
    }
    let known = app.channels.get(channel).await?.ok_or_else(gone)?;
    known.adapter()?;
    let (wanted, still) = (media.clone(), still_kept(app.store.clone(), id));
    let fetch = async move || {
        let adapter = known.adapter.as_deref().map_err(Clone::clone)?;
        let stream = adapter.open_media(&wanted).await?;
        // What the platform said of the message tells more than what its file server says of any file.
        let content_type = wanted.mime.clone().or(stream.content_type);
        Ok::<_, ChannelError>(Incoming { content_type, bytes: stream.bytes.chain(still) })
    };
    Ok((app.media.fetch_once(key, app.media_limits, fetch).await?, media))
}

/// The end of an attachment's bytes: an error, so that nothing of it is kept, when its message was erased meanwhile.
fn still_kept(store: Store, id: MessageId) -> impl Stream<Item = Result<Bytes, ChannelError>> + Send {
    let look = async move {
        match store.message_media(id).await {
            Ok(Some(_)) => None,
            Ok(None) => Some(Err(ChannelError::Permanent("its message does not exist any more".to_owned()))),
            Err(error) => Some(Err(ChannelError::Retryable(claw_store::chain(&error)))),
        }
    };
    stream::once(look).filter_map(future::ready)
}

async fn respond(
    app: &Shared,
    id: MessageId,
    stored: &Stored,
    media: &MediaRef,
    filename: &str,
    asked: &HeaderMap,
) -> claw_media::Result<Response> {
    let etag = stored.etag();
    let text = |name: HeaderName| asked.get(name).and_then(|value| value.to_str().ok());
    // A part of another version is of no use to who holds the beginning of this one.
    let same = text(IF_RANGE).is_none_or(|tag| tag == etag);
    let part = range::select(text(RANGE).filter(|_| same), stored.size);
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    let mime = stored.content_type.as_deref().unwrap_or_default();
    headers.insert(CONTENT_TYPE, safe_type(mime));
    headers.insert(CONTENT_DISPOSITION, disposition(media.filename.as_deref().unwrap_or(filename)));
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, max-age=3600"));
    headers.extend(HeaderValue::from_str(&etag).map(|etag| (ETAG, etag)));
    if text(IF_NONE_MATCH).is_some_and(|tags| tags.split(',').any(|tag| tag.trim() == etag)) {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        return Ok(response);
    }
    let headers = response.headers_mut();
    headers
        .extend(part.content_range(stored.size).and_then(|text| Some((CONTENT_RANGE, text.parse().ok()?))));
    let (status, wanted) = match part {
        Answer::Unsatisfiable => {
            let problem = Problem::of(Kind::RangeNotSatisfiable, "the attachment ends before this range");
            let mut refused = problem.into_response();
            refused.headers_mut().extend(headers.remove(CONTENT_RANGE).map(|range| (CONTENT_RANGE, range)));
            return Ok(refused);
        }
        Answer::Whole => (StatusCode::OK, 0..stored.size),
        Answer::Part(wanted) => (StatusCode::PARTIAL_CONTENT, wanted),
    };
    headers.insert(CONTENT_LENGTH, HeaderValue::from(wanted.end - wanted.start));
    *response.status_mut() = status;
    *response.body_mut() =
        Body::from_stream(app.media.read(&MediaKey::new(id.0), stored, Some(wanted)).await?);
    Ok(response)
}

async fn address(parts: &mut Parts) -> Result<(MessageId, String), Problem> {
    let params = path::params(parts, &()).await?;
    let id = Uuid::try_parse(path::segment(&params, "message_id")).map_err(|_| forged())?;
    Ok((MessageId(id), path::segment(&params, "filename").to_owned()))
}

fn forged() -> Problem {
    Problem::of(Kind::Forbidden, "this link is not complete or not signed by this gateway")
}

/// The type as told, unless a browser might run something of it.
fn safe_type(mime: &str) -> HeaderValue {
    const PLAIN: [&str; 3] = ["plain", "csv", "markdown"];
    const ACTIVE: [&str; 6] = ["html", "xml", "xhtml", "javascript", "ecmascript", "x-javascript"];

    let essence = mime.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let safe = match essence.split_once('/') {
        Some(("image" | "audio" | "video", kind)) => !kind.contains("svg") && !kind.contains("xml"),
        Some(("text", kind)) => PLAIN.contains(&kind),
        Some(("application", kind)) => !kind.ends_with("+xml") && !ACTIVE.contains(&kind),
        _ => false,
    };
    let given = if safe { HeaderValue::from_str(mime).ok() } else { None };
    given.unwrap_or_else(|| HeaderValue::from_static("application/octet-stream"))
}

/// A download under this name (RFC 6266), however it is spelled.
fn disposition(name: &str) -> HeaderValue {
    let ascii = |c: char| if c.is_ascii_alphanumeric() || " .-_".contains(c) { c } else { '_' };
    let fallback: String = name.chars().map(ascii).take(150).collect();
    let mut value = format!("attachment; filename=\"{fallback}\"; filename*=UTF-8''");
    for c in name.chars().take(150) {
        encode(c, &mut value);
    }
    HeaderValue::from_str(&value).unwrap_or_else(|_| HeaderValue::from_static("attachment"))
}

fn encode(c: char, into: &mut String) {
    if c.is_ascii_alphanumeric() || "-._~".contains(c) {
        into.push(c);
        return;
    }
    for byte in c.encode_utf8(&mut [0; 4]).bytes() {
        // Writing to a String can't fail.
        let _ = write!(into, "%{byte:02X}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_active_keeps_its_type() {
        for kept in ["image/png", "audio/ogg; codecs=opus", "video/mp4", "application/pdf", "text/plain"] {
            assert_eq!(safe_type(kept), kept);
        }
        let office = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
        assert_eq!(safe_type(office), office);
        let active = ["text/html", "TEXT/HTML; charset=utf-8", "image/svg+xml", "application/xhtml+xml"];
        let odd = ["text/javascript", "application/xml", "multipart/mixed", "", "image/png\r\nX: y"];
        for refused in active.into_iter().chain(odd) {
            assert_eq!(safe_type(refused), "application/octet-stream", "{refused:?}");
        }
    }

    #[test]
    fn a_name_can_not_break_out_of_its_header() {
        assert_eq!(
            disposition("M\u{e4}rz \"x\"\r\n.pdf"),
            "attachment; filename=\"M_rz _x___.pdf\"; filename*=UTF-8''M%C3%A4rz%20%22x%22%0D%0A.pdf"
        );
    }
}
