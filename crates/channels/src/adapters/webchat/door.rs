//! Who comes in: from which site, into which chat, as which visitor. The same for the socket and for files.
//!
//! Must hold: the visitor's name for itself lets read and write its conversation, so it goes no further than this file: all else
//! knows the conversation by a hash of it.

use claw_secrets::signature::sha256;
use claw_types::ChannelId;
use http::header::{HOST, ORIGIN};
use http::{HeaderMap, HeaderValue, StatusCode, Uri};

use super::{Config, origin, page};
use crate::{Hosted, Hub};

/// Somebody who may come in.
pub struct Entered {
    /// The chat.
    pub id: ChannelId,
    /// What it is.
    pub hosted: Hosted,
    /// The visitor's conversation.
    pub conversation: String,
}

/// Why somebody may not.
pub type Refusal = (StatusCode, String);

/// Lets in who names itself `visitor`.
pub async fn enter(
    hub: &dyn Hub,
    channel: &str,
    visitor: &str,
    (uri, headers): (&Uri, &HeaderMap),
) -> Result<Entered, Refusal> {
    let found = page::find(hub, channel).await;
    let (id, hosted) = found.map_err(|error| (page::status(&error), error.to_string()))?;
    let header = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    // HTTP/2 carries the host in the URI.
    let host = header(HOST).or_else(|| uri.authority().map(http::uri::Authority::as_str));
    if !origin::admits(header(ORIGIN), host, &Config::of(&hosted).origins()) {
        let reason = "this site may not open the chat; add it to the channel's allowed_origins";
        return Err((StatusCode::FORBIDDEN, reason.to_owned()));
    }
    if !is_token(visitor, 16, 128) {
        let reason = "visitor must be 16 to 128 letters, digits, '-' or '_', and hard to guess";
        return Err((StatusCode::BAD_REQUEST, reason.to_owned()));
    }
    let conversation = conversation_id(id, visitor);
    Ok(Entered { id, hosted, conversation })
}

/// The conversation of a visitor: 128 bits that tell nothing about the visitor's own name for itself.
pub fn conversation_id(channel: ChannelId, visitor: &str) -> String {
    let hash = sha256(&[channel.0.as_bytes(), visitor.as_bytes()].concat());
    hex::encode(&hash[..16])
}

/// Whether a text is so long, and of letters, digits, `-` and `_`.
pub fn is_token(text: &str, min: usize, max: usize) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    (min..=max).contains(&text.len()) && text.bytes().all(plain)
}
