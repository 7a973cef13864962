//! `GET /media/{message_id}/{filename}?expires=&signature=`: an attachment that a platform keeps for us.
//!
//! The link is ours, signed and short-lived, because the platform's own may carry the bot's token. What comes from a
//! stranger is never shown by a browser in our name: it is a download, of a type that runs nothing.

use std::fmt::Write as _;

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::response::Response;
use claw_channels::MediaStream;
use claw_channels::kit::media_link;
use claw_types::{MediaRef, MessageId};
use serde::Deserialize;
use utoipa::IntoParams;
use uuid::Uuid;

use crate::app::Shared;
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
        (status = 403, description = "The link is not ours."),
        (status = 404, description = "The attachment is gone."),
        (status = 410, description = "The link has expired."),
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
    if !media_link::verify(&app.media_key, id, &filename, expires, &signature) {
        return Err(forged());
    }
    if app.clock.now().timestamp() > expires {
        return Err(Problem::of(Kind::Gone, "this link has expired"));
    }
    let gone = || Problem::not_found("this attachment does not exist any more");
    let (channel, media) = app.store.message_media(id).await?.ok_or_else(gone)?;
    let media: MediaRef = serde_json::from_str(&media)?;
    let known = app.channels.get(channel).await?.ok_or_else(gone)?;
    let stream = known.adapter()?.open_media(&media).await?;
    response(stream, &media, &filename)
}

async fn address(parts: &mut Parts) -> Result<(MessageId, String), Problem> {
    let params = path::params(parts, &()).await?;
    let id = Uuid::try_parse(path::segment(&params, "message_id")).map_err(|_| forged())?;
    Ok((MessageId(id), path::segment(&params, "filename").to_owned()))
}

fn forged() -> Problem {
    Problem::of(Kind::Forbidden, "this link is not complete or not signed by this gateway")
}

fn response(stream: MediaStream, media: &MediaRef, filename: &str) -> Result<Response, Problem> {
    // What the platform said of the message tells more than what its file server says of any file.
    let mime = media.mime.as_deref().or(stream.content_type.as_deref()).unwrap_or_default();
    let name = media.filename.as_deref().unwrap_or(filename);
    let mut response = Response::builder()
        .header(CONTENT_TYPE, safe_type(mime))
        .header(CONTENT_DISPOSITION, disposition(name))
        .header(CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox");
    if let Some(length) = stream.length {
        response = response.header(CONTENT_LENGTH, length);
    }
    response.body(Body::from_stream(stream.bytes)).map_err(|error| Problem::internal().caused_by(&error))
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
