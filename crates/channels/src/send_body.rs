//! The body of a send, checked and made into a message: what the API takes, and what a backend may answer with.
//!
//! `message` is the text. `caption` is the text of the attachments when there is no message; when there are both, the
//! caption follows the message as a paragraph of its own, so that neither is lost. `filename` names the file, or the
//! first attachment when none is a file.

use claw_types::limits::printable;
use claw_types::outbound::{Button, Format, Location, Poll};
use claw_types::{Ident, Invalid, Media, MediaKind, Outbound, ReplyTo};
use serde::Deserialize;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::kit::guard;

/// Longest text, in characters. Platforms take less; it is split for them.
pub const TEXT_LIMIT: usize = 100_000;
/// Longest id of a chat or a thread.
const ID_LIMIT: usize = 512;
/// Longest file name.
const NAME_LIMIT: usize = 255;
/// Longest URL.
const URL_LIMIT: usize = 8_192;

/// A message to a person. There must be a `message`, an attachment, a poll or a location.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SendBody {
    /// The platform's id of the chat, as `reply_to.recipient` of the webhook had it.
    recipient: Option<Ident>,
    /// The text.
    #[schema(max_length = 100_000)]
    message: Option<String>,
    /// How the text is written; Markdown if not given.
    format: Option<Format>,
    /// The address of a picture.
    image_url: Option<String>,
    /// The address of a file.
    file_url: Option<String>,
    /// Names the file, or the first attachment when there is no file.
    #[schema(max_length = 255)]
    filename: Option<String>,
    /// The address of a voice note.
    voice_url: Option<String>,
    /// The address of a film.
    video_url: Option<String>,
    /// More attachments, sent after those above; at most 10 in all.
    media: Option<Vec<Media>>,
    /// The text of the attachments when there is no `message`; with both, it follows the message as a paragraph.
    #[schema(max_length = 100_000)]
    caption: Option<String>,
    /// The thread or topic, as `reply_to.thread_id` of the webhook had it.
    thread_id: Option<Ident>,
    /// The platform's id of the message that this one answers.
    reply_to: Option<Ident>,
    /// Rows of buttons below the message, at most 8 of at most 8.
    buttons: Option<Vec<Vec<Button>>>,
    /// A question with answers to choose from.
    poll: Option<Poll>,
    /// A place.
    location: Option<Location>,
    /// Seconds within which it is worth sending, counted from when it is accepted; a day if not given.
    #[schema(minimum = 1, maximum = 604_800)]
    ttl_seconds: Option<u32>,
    /// The run of a job that this message is the answer of, as `metadata.run_id` of the webhook had it: it is over once the
    /// message is accepted. A run that is not there or over already is no error. Without meaning in an answer to a webhook.
    run_id: Option<String>,
}

impl SendBody {
    /// The run that the message is the answer of.
    pub fn run(&self) -> Option<Uuid> {
        self.run_id.as_deref()?.trim().parse().ok()
    }
}

/// Checks the body of an answer to a message whose [`ReplyTo`] this is: it goes there, so it need not say where to.
///
/// # Errors
/// As [`read`], and for one that names another chat: an answer is no way to write to somebody else.
pub fn answer(body: SendBody, to: &ReplyTo, allow_private: bool) -> Result<Outbound, Invalid> {
    let elsewhere = |key: &str, given: Option<String>, ours: Option<&str>| match given {
        Some(given) if ours != Some(&given) => Err(Invalid::new(format!(
            "{key:?} may be left out: an answer goes to the chat that the message came from; to write elsewhere, send"
        ))),
        _ => Ok(()),
    };
    elsewhere("recipient", id("recipient", body.recipient.as_ref())?, Some(&to.recipient))?;
    elsewhere("thread_id", id("thread_id", body.thread_id.as_ref())?, to.thread_id.as_deref())?;
    let (recipient, thread_id) = (Some(Ident(to.recipient.clone())), to.thread_id.clone().map(Ident));
    read(SendBody { recipient, thread_id, ..body }, allow_private)
}

/// The body of an answer that is a text and nothing else, written in Markdown.
impl From<String> for SendBody {
    fn from(text: String) -> Self {
        Self { message: Some(text), ..Self::default() }
    }
}

/// Checks the body. URLs are checked by their form only: what they lead to is looked at when it is fetched.
///
/// # Errors
/// A sentence that names the key that is wrong or missing.
pub fn read(body: SendBody, allow_private: bool) -> Result<Outbound, Invalid> {
    let recipient = recipient(body.recipient.as_ref())?;
    let thread_id = id("thread_id", body.thread_id.as_ref())?;
    let reply_to = id("reply_to", body.reply_to.as_ref())?;
    let (message, caption) =
        (text("message", body.message.as_deref())?, text("caption", body.caption.as_deref())?);
    let media = media(&body, allow_private)?;
    // A caption belongs to an attachment: alone it is more likely a forgotten attachment than a message.
    if message.is_none() && media.is_empty() && body.poll.is_none() && body.location.is_none() {
        return Err(Invalid::new(
            "there is nothing to send: set \"message\", \"image_url\", \"file_url\", \"voice_url\", \"video_url\", \
             \"media\", \"poll\" or \"location\"",
        ));
    }
    let message = Outbound {
        recipient,
        thread_id,
        text: joined(message, caption),
        format: body.format.unwrap_or_default(),
        media,
        reply_to,
        buttons: body.buttons.unwrap_or_default(),
        poll: body.poll,
        location: body.location,
        ttl_seconds: body.ttl_seconds,
        ..Outbound::default()
    };
    checked(message)
}

/// The bounds that hold for every platform.
///
/// # Errors
/// A sentence that names the key.
pub fn checked(message: Outbound) -> Result<Outbound, Invalid> {
    message.validate()?;
    Ok(message)
}

/// The chat that every act needs.
///
/// # Errors
/// When it is missing or can't be one.
pub fn recipient(given: Option<&Ident>) -> Result<String, Invalid> {
    id("recipient", given)?
        .ok_or_else(|| Invalid::new("\"recipient\" is required: the platform's id of the chat"))
}

/// An id of the platform's; an empty one is as good as none.
///
/// # Errors
/// When it can't be one.
pub fn id(key: &str, given: Option<&Ident>) -> Result<Option<String>, Invalid> {
    let given = given.map(|Ident(id)| id.clone()).filter(|id| !id.trim().is_empty());
    if let Some(id) = &given {
        printable(key, id, ID_LIMIT)?;
    }
    Ok(given)
}

/// A text; an empty one is as good as none.
///
/// # Errors
/// When it is too long.
pub fn text(key: &str, given: Option<&str>) -> Result<Option<String>, Invalid> {
    let given = given.filter(|text| !text.trim().is_empty());
    match given.map(|text| text.chars().count()) {
        Some(length) if length > TEXT_LIMIT => Err(Invalid::new(format!(
            "{key:?} has {length} characters; at most {TEXT_LIMIT} are allowed: send it in parts"
        ))),
        _ => Ok(given.map(str::to_owned)),
    }
}

fn media(body: &SendBody, allow_private: bool) -> Result<Vec<Media>, Invalid> {
    // In the order in which they are sent.
    let named = [
        ("image_url", MediaKind::Image, &body.image_url),
        ("video_url", MediaKind::Video, &body.video_url),
        ("voice_url", MediaKind::Voice, &body.voice_url),
        ("file_url", MediaKind::File, &body.file_url),
    ];
    let mut media = Vec::new();
    for (key, kind, url) in named {
        let Some(url) = url.as_deref().filter(|url| !url.trim().is_empty()) else { continue };
        media.push(Media { kind, url: address(key, url, allow_private)?, filename: None });
    }
    for (n, more) in body.media.iter().flatten().enumerate() {
        let url = address(&format!("media[{n}].url"), &more.url, allow_private)?;
        let filename = name(&format!("media[{n}].filename"), more.filename.as_deref())?;
        media.push(Media { kind: more.kind, url, filename });
    }
    let filename = name("filename", body.filename.as_deref())?;
    let file = media.iter().position(|m| m.kind == MediaKind::File).unwrap_or(0);
    if let (Some(named), Some(_)) = (media.get_mut(file), &filename) {
        named.filename = filename;
    }
    Ok(media)
}

fn address(key: &str, url: &str, allow_private: bool) -> Result<String, Invalid> {
    let url = url.trim();
    printable(key, url, URL_LIMIT)?;
    guard::check_form(url, allow_private)
        .map_err(|error| Invalid::new(format!("the field {key:?} {error}")))?;
    Ok(url.to_owned())
}

fn name(key: &str, given: Option<&str>) -> Result<Option<String>, Invalid> {
    let given = given.filter(|name| !name.trim().is_empty());
    if let Some(name) = given {
        printable(key, name, NAME_LIMIT)?;
    }
    Ok(given.map(str::to_owned))
}

fn joined(message: Option<String>, caption: Option<String>) -> Option<String> {
    match (message, caption) {
        (Some(message), Some(caption)) if message != caption => Some(format!("{message}\n\n{caption}")),
        (message, caption) => message.or(caption),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(json: &str) -> Result<Outbound, Invalid> {
        read(serde_json::from_str(json).map_err(|error| Invalid::new(error.to_string()))?, false)
    }

    #[test]
    fn ids_may_be_numbers_and_options_null() {
        let message = sent(r#"{"recipient":-100123,"message":"hi","thread_id":7,"image_url":null}"#).unwrap();
        assert_eq!((message.recipient.as_str(), message.thread_id.as_deref()), ("-100123", Some("7")));
        assert!(message.media.is_empty());
    }

    #[test]
    fn neither_message_nor_caption_is_lost() {
        let texts = [
            (r#""message":"m""#, "m"),
            (r#""caption":"c""#, "c"),
            (r#""message":"m","caption":"c""#, "m\n\nc"),
            (r#""message":"m","caption":"m""#, "m"),
        ];
        for (keys, text) in texts {
            let json = format!(r#"{{"recipient":"1","image_url":"https://example.org/a.png",{keys}}}"#);
            assert_eq!(sent(&json).unwrap().text.as_deref(), Some(text), "{keys}");
        }
    }

    #[test]
    fn a_time_to_live_has_bounds() {
        let with = |ttl: &str| sent(&format!(r#"{{"recipient":"1","message":"m","ttl_seconds":{ttl}}}"#));
        assert_eq!(with("1").unwrap().ttl_seconds, Some(1));
        assert_eq!(with("604800").unwrap().ttl_seconds, Some(604_800));
        assert_eq!(with("null").unwrap().ttl_seconds, None);
        for wrong in ["0", "604801", "-1", "1.5"] {
            assert!(with(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_name_goes_to_the_file() {
        let json = r#"{"recipient":"1","filename":"a.pdf","image_url":"https://e.org/1","file_url":"https://e.org/2"}"#;
        let media = sent(json).unwrap().media;
        let named: Vec<_> = media.iter().map(|m| (m.kind, m.filename.as_deref())).collect();
        assert_eq!(named, [(MediaKind::Image, None), (MediaKind::File, Some("a.pdf"))]);
    }

    #[test]
    fn a_private_address_is_refused_where_the_operator_did_not_allow_it() {
        let json = r#"{"recipient":"1","image_url":"http://169.254.169.254/"}"#;
        assert!(sent(json).is_err());
        assert!(read(serde_json::from_str(json).unwrap(), true).is_ok());
    }
}
