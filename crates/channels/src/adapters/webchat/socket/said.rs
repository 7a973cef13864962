//! What a page says: its frames, and how many of them.

use std::collections::VecDeque;
use std::time::Duration;

use claw_types::{MediaRef, MessageId, Named, Receipts, limits};
use serde::Deserialize;
use tokio::time::Instant;
use uuid::Uuid;

use super::super::door::is_token;

const MAX_TEXT: usize = 16_000;
/// Answers that one frame tells of: as many as a replay has.
const MAX_RECEIPTS: usize = 200;
/// So many frames in so long.
pub(super) const PACE: usize = 20;
const PACE_WINDOW: Duration = Duration::from_secs(10);

/// What the visitor did.
#[derive(Debug, PartialEq)]
pub(super) struct Said {
    /// The page's id of it.
    pub(super) client_id: String,
    pub(super) what: What,
}

#[derive(Debug, PartialEq)]
pub(super) enum What {
    /// A message, and which one it answers; with a button that was pressed, the text is what is on it.
    Message { text: String, pressed: Option<Pressed>, reply_to: Option<String> },
    /// A message that is a file. No frame says it: files come beside the socket.
    File(MediaRef),
    /// A message of the visitor's reads like this now. Named by the page's id of it, so it can only be the visitor's own.
    Edit { message: String, text: String },
    /// A message of the visitor's is to be gone.
    Delete { message: String },
    /// An answer has another reaction.
    React { message_id: String, added: Option<String>, removed: Option<String> },
    /// The page has answers, or the visitor saw them.
    Received(Receipts),
}

impl What {
    /// Whether the page tells it by itself.
    pub(super) fn is_receipt(&self) -> bool {
        matches!(self, Self::Received(_))
    }
}

/// The button that was pressed, or the answer that was chosen in a poll.
#[derive(Debug, PartialEq, Deserialize)]
pub(super) struct Pressed {
    /// What it sends back; an answer of a poll, itself.
    pub(super) data: String,
    /// The message below which it stands, or the poll.
    pub(super) message_id: String,
}

/// Why a frame of the page's was refused, and which message it was as far as that could be read.
#[derive(Debug, PartialEq)]
pub(super) struct Refused(pub(super) Option<String>, pub(super) &'static str);

#[derive(Deserialize)]
struct ClientFrame {
    r#type: String,
    #[serde(default)]
    client_id: String,
    #[serde(default)]
    text: String,
    pressed: Option<Pressed>,
    reply_to: Option<String>,
    #[serde(default)]
    message: String,
    #[serde(default)]
    message_id: String,
    added: Option<String>,
    removed: Option<String>,
    #[serde(default)]
    messages: Vec<String>,
    #[serde(default)]
    read: bool,
}

pub(super) fn read(frame: &str) -> Result<Said, Refused> {
    let Ok(frame) = serde_json::from_str::<ClientFrame>(frame) else {
        return Err(Refused(None, "the frame is no JSON object with type, client_id and text"));
    };
    if !is_token(&frame.client_id, 1, 64) {
        return Err(Refused(None, "client_id must be 1 to 64 letters, digits, '-' or '_'"));
    }
    let client_id = frame.client_id.clone();
    match frame.what() {
        Ok(what) => Ok(Said { client_id, what }),
        Err(Reason::Frame(why)) => Err(Refused(None, why)),
        Err(Reason::Person(why)) => Err(Refused(Some(client_id), why)),
    }
}

/// For whom the reason is: whoever wrote the page, or the person at it.
enum Reason {
    Frame(&'static str),
    Person(&'static str),
}

impl ClientFrame {
    fn what(self) -> Result<What, Reason> {
        let Self {
            r#type, text, pressed, reply_to, message, message_id, added, removed, messages, read, ..
        } = self;
        match r#type.as_str() {
            "message" => {
                fits(&text)?;
                if pressed.as_ref().is_some_and(|pressed| !pressed.is_plausible(&text)) {
                    return Err(Reason::Person("This is no button of this chat."));
                }
                if reply_to.as_ref().is_some_and(|id| !is_message_id(id)) {
                    return Err(Reason::Person("What you answer is no message of this chat."));
                }
                Ok(What::Message { text, pressed, reply_to })
            }
            "edit" | "delete" if !is_token(&message, 1, 64) => {
                Err(Reason::Frame("\"message\" must be the client_id of a message of this visitor's"))
            }
            "edit" => {
                fits(&text)?;
                Ok(What::Edit { message, text })
            }
            "delete" => Ok(What::Delete { message }),
            "react" => {
                let mut emoji = added.iter().chain(&removed);
                if !is_message_id(&message_id)
                    || emoji.clone().next().is_none()
                    || !emoji.all(|emoji| limits::is_emoji(emoji))
                {
                    let why = "a reaction has the message_id of an answer, and \"added\" or \"removed\", each one emoji";
                    return Err(Reason::Frame(why));
                }
                Ok(What::React { message_id, added, removed })
            }
            "received" => receipts(&messages, read),
            _ => Err(Reason::Frame(
                "the frame's type is unknown; \"message\", \"edit\", \"delete\", \"react\" and \"received\" are those that \
                 there are",
            )),
        }
    }
}

/// What a page tells of answers: by their ids, or those of their parts.
fn receipts(ids: &[String], read: bool) -> Result<What, Reason> {
    let message = |id: &String| {
        let id = id.split_once(':').map_or(id.as_str(), |(message, _)| message);
        Uuid::try_parse(id).ok().map(|id| Named::Ours(MessageId(id)))
    };
    let messages: Option<Vec<Named>> = ids.iter().map(message).collect();
    match messages {
        Some(messages) if (1..=MAX_RECEIPTS).contains(&messages.len()) => {
            Ok(What::Received(Receipts { messages, read, failed: None }))
        }
        _ => Err(Reason::Frame("\"messages\" must be the ids of 1 to 200 answers")),
    }
}

fn fits(text: &str) -> Result<(), Reason> {
    if text.trim().is_empty() {
        return Err(Reason::Person("The message is empty."));
    }
    if text.chars().count() > MAX_TEXT {
        return Err(Reason::Person("The message is longer than 16,000 characters. Please shorten it."));
    }
    Ok(())
}

/// Whether the id of an answer can be like this.
fn is_message_id(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.chars().all(|c| c.is_ascii_hexdigit() || matches!(c, '-' | ':'))
}

impl Pressed {
    /// Whether a button can be like this. Which buttons there are is not looked up: a visitor who makes one up has only
    /// written the backend another message.
    fn is_plausible(&self, text: &str) -> bool {
        let length = text.chars().count();
        let is_button = (1..=limits::BUTTON_DATA).contains(&self.data.len()) && length <= limits::BUTTON_TEXT;
        let is_choice = self.data == text && length <= limits::POLL_OPTION;
        (is_button || is_choice) && !self.data.contains(char::is_control) && is_message_id(&self.message_id)
    }
}

/// Lets so many messages pass in a window of time.
#[derive(Default)]
pub(super) struct Pace(VecDeque<Instant>);

impl Pace {
    pub(super) fn admits(&mut self, now: Instant) -> bool {
        while self.0.front().is_some_and(|at| now.duration_since(*at) >= PACE_WINDOW) {
            self.0.pop_front();
        }
        let admitted = self.0.len() < PACE;
        if admitted {
            self.0.push_back(now);
        }
        admitted
    }
}
