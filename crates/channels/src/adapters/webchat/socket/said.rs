//! What a page says: its frames, and how many of them.

use std::collections::VecDeque;
use std::time::Duration;

use claw_types::limits;
use serde::Deserialize;
use tokio::time::Instant;

const MAX_TEXT: usize = 16_000;
/// So many messages in so long.
pub(super) const PACE: usize = 20;
const PACE_WINDOW: Duration = Duration::from_secs(10);

/// A message from the page.
#[derive(Debug, PartialEq)]
pub(super) struct Said {
    pub(super) client_id: String,
    /// What was written, or what is on the button that was pressed.
    pub(super) text: String,
    pub(super) pressed: Option<Pressed>,
}

/// The button that was pressed.
#[derive(Debug, PartialEq, Deserialize)]
pub(super) struct Pressed {
    /// What it sends back.
    pub(super) data: String,
    /// The message below which it stands.
    pub(super) message_id: String,
}

/// Why a frame of the page's was refused, and which message it was as far as that could be read.
#[derive(Debug, PartialEq)]
pub(super) struct Refused(pub(super) Option<String>, pub(super) &'static str);

pub(super) fn read(frame: &str) -> Result<Said, Refused> {
    #[derive(Deserialize)]
    struct ClientFrame {
        r#type: String,
        #[serde(default)]
        client_id: String,
        #[serde(default)]
        text: String,
        #[serde(default)]
        pressed: Option<Pressed>,
    }
    let Ok(ClientFrame { r#type, client_id, text, pressed }) = serde_json::from_str(frame) else {
        return Err(Refused(None, "the frame is no JSON object with type, client_id and text"));
    };
    if r#type != "message" {
        return Err(Refused(None, "the frame's type is unknown; \"message\" is the only one"));
    }
    if !is_token(&client_id, 1, 64) {
        return Err(Refused(None, "client_id must be 1 to 64 letters, digits, '-' or '_'"));
    }
    if text.trim().is_empty() {
        return Err(Refused(Some(client_id), "The message is empty."));
    }
    if text.chars().count() > MAX_TEXT {
        return Err(Refused(
            Some(client_id),
            "The message is longer than 16,000 characters. Please shorten it.",
        ));
    }
    if pressed.as_ref().is_some_and(|pressed| !pressed.is_plausible(&text)) {
        return Err(Refused(Some(client_id), "This is no button of this chat."));
    }
    Ok(Said { client_id, text, pressed })
}

impl Pressed {
    /// Whether a button can be like this. Which buttons there are is not looked up: a visitor who makes one up has only
    /// written the backend another message.
    fn is_plausible(&self, text: &str) -> bool {
        let id = |c: char| c.is_ascii_hexdigit() || matches!(c, '-' | ':');
        (1..=limits::BUTTON_DATA).contains(&self.data.len())
            && !self.data.contains(char::is_control)
            && text.chars().count() <= limits::BUTTON_TEXT
            && (1..=64).contains(&self.message_id.len())
            && self.message_id.chars().all(id)
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

/// Whether a text is so long, and of letters, digits, `-` and `_`.
pub(super) fn is_token(text: &str, min: usize, max: usize) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-');
    (min..=max).contains(&text.len()) && text.bytes().all(plain)
}
