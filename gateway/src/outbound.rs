//! The body of a send, checked and made into a message.
//!
//! `message` is the text. `caption` is the text of the attachments when there is no message; when there are both, the
//! caption follows the message as a paragraph of its own, so that neither is lost. `filename` names the file, or the
//! first attachment when none is a file.

use claw_channels::kit::guard;
use claw_types::{Media, MediaKind, Outbound};

use crate::body::{self, Object};
use crate::error::Problem;

/// Longest text, in characters. Platforms take less; it is split for them.
const TEXT_LIMIT: usize = 100_000;
/// Longest id of a chat or a thread.
const ID_LIMIT: usize = 512;
/// Longest file name.
const NAME_LIMIT: usize = 255;
/// Longest URL.
const URL_LIMIT: usize = 8_192;

/// In the order in which they are sent.
const MEDIA: [(&str, MediaKind); 4] = [
    ("image_url", MediaKind::Image),
    ("video_url", MediaKind::Video),
    ("voice_url", MediaKind::Voice),
    ("file_url", MediaKind::File),
];

const KEYS: &[&str] = &[
    "recipient",
    "message",
    "image_url",
    "file_url",
    "filename",
    "voice_url",
    "video_url",
    "caption",
    "thread_id",
];

/// Reads the body. URLs are checked by their form only: the platform fetches them, not the gateway.
///
/// # Errors
/// 400 naming the key that is wrong or missing.
pub fn read(mut body: Object, allow_private: bool) -> Result<Outbound, Problem> {
    body.only(KEYS)?;
    let recipient = id(&mut body, "recipient")?
        .ok_or_else(|| Problem::bad_request("\"recipient\" is required: the platform's id of the chat"))?;
    let thread_id = id(&mut body, "thread_id")?;
    let (message, caption) = (text(&mut body, "message")?, text(&mut body, "caption")?);
    let media = media(&mut body, allow_private)?;
    if message.is_none() && media.is_empty() {
        return Err(Problem::bad_request(
            "there is nothing to send: set \"message\", \"image_url\", \"file_url\", \"voice_url\" or \"video_url\"",
        ));
    }
    Ok(Outbound { recipient, thread_id, text: joined(message, caption), media, ..Outbound::default() })
}

fn id(body: &mut Object, key: &str) -> Result<Option<String>, Problem> {
    let given = body.id(key)?.filter(|id| !id.trim().is_empty());
    if let Some(id) = &given {
        body::printable(key, id, ID_LIMIT)?;
    }
    Ok(given)
}

fn text(body: &mut Object, key: &str) -> Result<Option<String>, Problem> {
    let given = body.text(key)?.filter(|text| !text.trim().is_empty());
    match given.as_ref().map(|text| text.chars().count()) {
        Some(length) if length > TEXT_LIMIT => Err(Problem::bad_request(format!(
            "{key:?} has {length} characters; at most {TEXT_LIMIT} are allowed: send it in parts"
        ))),
        _ => Ok(given),
    }
}

fn media(body: &mut Object, allow_private: bool) -> Result<Vec<Media>, Problem> {
    let mut media = Vec::new();
    for (key, kind) in MEDIA {
        let Some(url) = body.text(key)?.filter(|url| !url.trim().is_empty()) else { continue };
        let url = url.trim();
        body::printable(key, url, URL_LIMIT)?;
        guard::check_form(url, allow_private).map_err(|error| Problem::of_url(key, &error))?;
        media.push(Media { kind, url: url.to_owned(), filename: None });
    }
    let filename = body.text("filename")?.filter(|name| !name.trim().is_empty());
    if let Some(name) = &filename {
        body::printable("filename", name, NAME_LIMIT)?;
    }
    let file = media.iter().position(|m| m.kind == MediaKind::File).unwrap_or(0);
    if let Some(named) = media.get_mut(file) {
        named.filename = filename;
    }
    Ok(media)
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

    fn sent(json: &str) -> Result<Outbound, Problem> {
        read(Object::parse(json.as_bytes()).unwrap(), false)
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
        assert!(read(Object::parse(json.as_bytes()).unwrap(), true).is_ok());
    }
}
