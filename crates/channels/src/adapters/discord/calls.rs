//! Parts as REST calls (<https://docs.discord.com/developers/resources/message#create-message>). Pure, so that every call can be
//! checked against the platform's own description.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use claw_secrets::signature::sha256;
use claw_types::{Media, Poll};
use http::Method;
use serde_json::{Map, Value, json};

use super::components;
use super::media::Uploaded;
use crate::kit::file::File;
use crate::kit::plan::{Content, Text, part_id};
use crate::{ChannelError, Part};

/// Characters of a nonce, of which Discord takes 25.
const NONCE: usize = 24;
/// Characters of a poll's answer (<https://docs.discord.com/developers/resources/poll#poll-media-object>).
const MAX_ANSWER: usize = 55;
/// Answers of a poll; hours for which it is open, at which Discord begins, too.
const MAX_ANSWERS: usize = 10;
const POLL_HOURS: u64 = 24;
/// `IS_VOICE_MESSAGE` (<https://docs.discord.com/developers/resources/message#message-object-message-flags>).
const VOICE: u64 = 1 << 13;
/// Points of a voice message's picture: one for a tenth of a second, but not more than these.
const POINTS: usize = 256;
/// What each of them is: what is in OPUS is not looked into.
const LOUDNESS: u8 = 64;
/// Characters of a thread's or a post's name.
const MAX_NAME: usize = 100;

/// One call.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// The name that Discord's description has for it.
    pub(super) kind: &'static str,
    pub(super) method: Method,
    /// The parts of its path behind the version.
    pub(super) path: Vec<String>,
    /// The channel whose limits it counts for; empty for none.
    pub(super) chat: String,
    pub(super) body: Option<Value>,
    /// What is uploaded with it.
    pub(super) files: Vec<File>,
    /// Whether it may be made again when nobody knows whether it was made: it changes nothing, or the same, or has a nonce.
    pub(super) again: bool,
    /// An interaction has a token of its own, in its path.
    pub(super) has_token: bool,
}

impl Call {
    fn new(kind: &'static str, method: Method, path: &[&str], body: Option<Value>) -> Self {
        let chat = match path {
            ["channels", chat, ..] => (*chat).to_owned(),
            _ => String::new(),
        };
        let path = path.iter().map(|part| (*part).to_owned()).collect();
        Self { kind, method, path, chat, body, files: Vec::new(), again: true, has_token: true }
    }

    pub(super) fn get(kind: &'static str, path: &[&str]) -> Self {
        Self::new(kind, Method::GET, path, None)
    }

    pub(super) fn put(kind: &'static str, path: &[&str], body: Option<Value>) -> Self {
        Self::new(kind, Method::PUT, path, body)
    }

    pub(super) fn delete(kind: &'static str, path: &[&str]) -> Self {
        Self::new(kind, Method::DELETE, path, None)
    }

    pub(super) fn post(kind: &'static str, path: &[&str], body: Value) -> Self {
        Self::new(kind, Method::POST, path, Some(body))
    }

    pub(super) fn without_token(mut self) -> Self {
        self.has_token = false;
        self
    }
}

/// The call that sends a part into a channel or thread; `None` for a reaction, which may take several.
pub(super) fn of_part(
    part: &Part<'_>,
    target: &str,
    uploaded: &Uploaded,
) -> Result<Option<Call>, ChannelError> {
    let messages = ["channels", target, "messages"];
    let piece = part.piece;
    let mut body = Map::new();
    match &piece.content {
        Content::Text(text) => with_text(&mut body, Some(text)),
        Content::Media { caption, .. } | Content::Album { caption, .. } => {
            with_text(&mut body, caption.as_ref());
        }
        Content::Poll(asked) => drop(body.insert("poll".to_owned(), poll(asked)?)),
        Content::Location(_) => {
            return Err(ChannelError::Permanent("Discord has no messages that are places".to_owned()));
        }
        Content::Edit { message_id, text } => {
            with_text(&mut body, text.as_ref());
            // Without the key, buttons that are there would stay.
            body.insert("components".to_owned(), components::of(&piece.buttons)?);
            body.insert("allowed_mentions".to_owned(), no_pings());
            let path = [&messages[..], &[message_id]].concat();
            return Ok(Some(Call::new("update_message", Method::PATCH, &path, Some(Value::Object(body)))));
        }
        Content::Delete { message_id } => {
            let path = [&messages[..], &[message_id]].concat();
            return Ok(Some(Call::delete("delete_message", &path)));
        }
        Content::React { .. } => return Ok(None),
    }
    if !piece.buttons.is_empty() {
        body.insert("components".to_owned(), components::of(&piece.buttons)?);
    }
    if let Some(id) = &piece.reply_to {
        // What was deleted in the meantime must not keep the answer back.
        body.insert("message_reference".to_owned(), json!({"message_id": id, "fail_if_not_exists": false}));
    }
    body.insert("allowed_mentions".to_owned(), no_pings());
    body.insert("nonce".to_owned(), json!(nonce(part)));
    body.insert("enforce_nonce".to_owned(), json!(true));
    describe(&mut body, uploaded);
    let files = uploaded.files.clone();
    Ok(Some(Call { files, ..Call::post("create_message", &messages, Value::Object(body)) }))
}

/// Says what the files are. A snowflake is a text, that of a file which is not there yet, too (`MessageAttachmentRequest` of Discord's
/// description).
fn describe(body: &mut Map<String, Value>, uploaded: &Uploaded) {
    let Uploaded { files, spoken } = uploaded;
    if files.is_empty() {
        return;
    }
    let one = |(id, file): (usize, &File)| match spoken {
        Some(length) => {
            json!({"id": id.to_string(), "filename": file.name, "duration_secs": length.as_secs_f64(),
            "waveform": waveform(*length)})
        }
        None => json!({"id": id.to_string(), "filename": file.name}),
    };
    body.insert("attachments".to_owned(), files.iter().enumerate().map(one).collect());
    if spoken.is_some() {
        body.insert("flags".to_owned(), json!(VOICE));
    }
}

/// The picture of a voice message, without which Discord takes none: a byte for each point.
fn waveform(length: Duration) -> String {
    let points = usize::try_from(length.as_millis() / 100).unwrap_or(POINTS).clamp(1, POINTS);
    BASE64.encode(vec![LOUDNESS; points])
}

fn with_text(body: &mut Map<String, Value>, text: Option<&Text>) {
    if let Some(text) = text {
        body.insert("content".to_owned(), json!(text.body));
    }
}

/// A person may be told that they were answered; nobody else is pinged by what an agent writes
/// (<https://docs.discord.com/developers/resources/message#allowed-mentions-object>).
fn no_pings() -> Value {
    json!({"parse": [], "replied_user": true})
}

/// The same for the same part, whoever sends it and however often. An id of ours is longer than a nonce may be.
fn nonce(part: &Part<'_>) -> String {
    let mut nonce = hex::encode(sha256(part_id(part.message_id, part.index).as_bytes()));
    nonce.truncate(NONCE);
    nonce
}

fn poll(poll: &Poll) -> Result<Value, ChannelError> {
    if poll.options.len() > MAX_ANSWERS {
        return Err(ChannelError::Permanent(format!("Discord has polls of at most {MAX_ANSWERS} answers")));
    }
    if let Some(long) = poll.options.iter().find(|option| option.chars().count() > MAX_ANSWER) {
        return Err(ChannelError::Permanent(format!(
            "Discord has answers of at most {MAX_ANSWER} characters in a poll; this one is longer: {long:?}"
        )));
    }
    let answer = |option: &String| json!({"poll_media": {"text": option}});
    let answers: Value = poll.options.iter().map(answer).collect();
    Ok(json!({"question": {"text": poll.question}, "answers": answers, "duration": POLL_HOURS,
        "allow_multiselect": poll.multiple}))
}

/// Shows that an answer is being written, for ten seconds or until it comes.
pub(super) fn typing(target: &str) -> Call {
    Call::new("trigger_typing_indicator", Method::POST, &["channels", target, "typing"], None)
}

pub(super) fn message(target: &str, id: &str) -> Call {
    Call::get("get_message", &["channels", target, "messages", id])
}

/// A reaction of ours on a message, or away from it.
pub(super) fn reaction(target: &str, message: &str, emoji: &str, add: bool) -> Call {
    let path = ["channels", target, "messages", message, "reactions", emoji, "@me"];
    if add {
        Call::put("add_my_message_reaction", &path, None)
    } else {
        Call::delete("delete_my_message_reaction", &path)
    }
}

/// The call that begins a post in the forum that a part is for, named by what it says; `None` for what is done to a message. It may not be
/// made again: Discord takes no nonce here.
pub(super) fn post(part: &Part<'_>, uploaded: &Uploaded) -> Result<Option<Call>, ChannelError> {
    let content = &part.piece.content;
    if content.target().is_some() {
        return Ok(None);
    }
    // Nor may it be a voice message: of flags it may only have those about embeds and notifications.
    let uploaded = Uploaded { files: uploaded.files.clone(), spoken: None };
    let Some(Call { body: Some(Value::Object(mut message)), files, .. }) =
        of_part(part, part.recipient, &uploaded)?
    else {
        return Ok(None);
    };
    // A post's first message has none of these (`BaseCreateMessageCreateRequest` of Discord's description).
    for key in ["nonce", "enforce_nonce", "message_reference"] {
        message.remove(key);
    }
    let path = ["channels", part.recipient, "threads"];
    let body = json!({"name": named(title(content), "Post"), "message": message});
    Ok(Some(Call { files, again: false, ..Call::post("create_thread", &path, body) }))
}

/// What a post is named by.
fn title(content: &Content) -> &str {
    match content {
        Content::Text(text) => &text.plain,
        Content::Poll(poll) => &poll.question,
        Content::Media { media, caption } => captioned(caption.as_ref(), Some(media)),
        Content::Album { media, caption } => captioned(caption.as_ref(), media.first()),
        _ => "",
    }
}

fn captioned<'a>(caption: Option<&'a Text>, media: Option<&'a Media>) -> &'a str {
    let name = || media.and_then(|media| media.filename.as_deref());
    caption.map(|text| text.plain.as_str()).or_else(name).unwrap_or_default()
}

/// A thread that begins at a message, named by what it says.
pub(super) fn thread(chat: &str, message: &str, said: &str) -> Call {
    let name = named(said, "Thread");
    let path = ["channels", chat, "messages", message, "threads"];
    Call::post("create_thread_from_message", &path, json!({"name": name}))
}

/// The first line in which something is written, as long as a name may be.
fn named(said: &str, otherwise: &str) -> String {
    let line = said.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or(otherwise);
    line.chars().take(MAX_NAME).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_of_a_voice_message_has_a_point_for_each_tenth_of_a_second_but_not_too_many() {
        for (millis, points) in [(1, 1), (99, 1), (100, 1), (1000, 10), (25_600, 256), (86_400_000, 256)] {
            let picture = BASE64.decode(waveform(Duration::from_millis(millis))).unwrap();
            assert_eq!(picture.len(), points, "{millis} ms");
        }
    }
}
