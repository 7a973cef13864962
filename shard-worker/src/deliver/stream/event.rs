//! What the events of a stream say, folded into one answer.
//!
//! Understood are our own shapes, and those of the services that most backends pass on as they come: `OpenAI`'s chat completions
//! and responses, Anthropic's messages. `docs/webhook.md` tells backends. What is not understood is passed over, for services
//! add new events at any time.
//!
//! Pure: bytes go in, the answer so far comes out. Must hold: how the bytes are cut into chunks makes no difference; what is
//! kept has a bound, whatever comes; an error before any answer is none, and a service's stream that ends without the service's
//! mark of the end is not whole.

mod service;

use std::num::NonZeroUsize;

use bytes::Bytes;
use claw_channels::send_body::TEXT_LIMIT;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use sse_core::{PayloadTooLargeError, SseDecoder, SseEvent};

use crate::deliver::answer::Keys;

/// An event longer than this ends the answer.
const MAX_EVENT: usize = 256 * 1024;

/// The answer, as far as it came.
#[derive(Debug, Default)]
pub(crate) struct Folded {
    text: String,
    /// How many characters it has.
    chars: usize,
    immediate: Option<Box<RawValue>>,
    replies: Vec<Box<RawValue>>,
    trouble: Vec<String>,
    /// Whether an event meant something to us, and whether one did not.
    understood: bool,
    passed_over: bool,
    mark: Mark,
    end: Option<End>,
}

/// A service's mark of the end of its stream.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Mark {
    /// No event was one of a service's so far.
    #[default]
    NotNeeded,
    Missing,
    Seen,
}

/// How the answer ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// What there is of it is the answer.
    Answer,
    /// The backend failed before it had written any of it, and why.
    Failed(String),
    /// The body ended before the service said that this was all.
    Cut,
}

/// Reads bytes into an answer.
#[derive(Debug)]
pub(crate) struct Reader(SseDecoder);

/// What one event says.
#[derive(Debug)]
enum Said {
    Nothing,
    /// The next piece of the text.
    Piece(String),
    /// As the body of an answer that is no stream.
    Body(Keys),
    /// That was all.
    End,
    /// That was all, and not all that should have come.
    Trouble(String),
    /// The same, because the backend failed.
    Failed(String),
}

impl Reader {
    /// At the beginning of a stream.
    pub(crate) fn new() -> Self {
        Self(SseDecoder::with_limit(NonZeroUsize::MIN.saturating_add(MAX_EVENT - 1)))
    }

    /// Folds the events that end in this chunk; those behind the end of the answer are none of it.
    pub(crate) fn read(&mut self, chunk: Bytes, into: &mut Folded) {
        self.fold(chunk, into, |_| true);
    }

    /// The body ended; an event that lacks only the empty line behind it counts.
    pub(crate) fn end(&mut self, into: &mut Folded) {
        let is_whole =
            |data: &str| !looks_like_json(data) || serde_json::from_str::<IgnoredAny>(data).is_ok();
        self.fold(Bytes::from_static(b"\n\n"), into, is_whole);
        let is_cut = into.mark == Mark::Missing;
        into.end.get_or_insert(if is_cut { End::Cut } else { End::Answer });
    }

    fn fold(&mut self, mut chunk: Bytes, into: &mut Folded, counts: impl Fn(&str) -> bool) {
        while into.end.is_none() {
            match self.0.next(&mut chunk) {
                None => return,
                Some(Ok(SseEvent::Message(event))) if counts(&event.data) => {
                    into.hear(&event.event, &event.data);
                }
                // Cut off, or for a reader that would connect again.
                Some(Ok(_)) => {}
                Some(Err(PayloadTooLargeError)) => {
                    into.take(Said::Trouble(format!("an event of it has more than {} KiB", MAX_EVENT >> 10)));
                }
            }
        }
    }
}

impl Folded {
    fn hear(&mut self, name: &str, data: &str) {
        let object = looks_like_json(data).then(|| serde_json::from_str::<Map<String, Value>>(data));
        if let Some(Ok(object)) = &object {
            self.mark = self.mark.max(service::mark(object));
        }
        self.take(said(name, data, object));
    }

    fn take(&mut self, said: Said) {
        self.understood |= !matches!(said, Said::Nothing);
        match said {
            Said::Nothing => self.passed_over = true,
            Said::Piece(piece) => self.push(&piece),
            Said::Body(keys) => {
                self.immediate = self.immediate.take().or(keys.immediate_reply);
                self.replies = keys.reply.into_iter().chain(keys.replies.into_iter().flatten()).collect();
                self.end = (!self.replies.is_empty()).then_some(End::Answer);
            }
            Said::End => self.end = Some(End::Answer),
            Said::Failed(why) if self.length() == 0 => self.end = Some(End::Failed(why)),
            Said::Trouble(why) | Said::Failed(why) => {
                self.trouble.push(why);
                self.end = Some(End::Answer);
            }
        }
    }

    fn push(&mut self, piece: &str) {
        // NUL can't be stored, and nobody sees it.
        for c in piece.chars().filter(|c| *c != '\0') {
            if self.chars == TEXT_LIMIT {
                return self.take(Said::Trouble(format!(
                    "it has more than {TEXT_LIMIT} characters, which is where it was cut"
                )));
            }
            self.text.push(c);
            self.chars += 1;
        }
    }

    /// What was written so far.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// How many characters that is; 0 while there is nothing to be seen.
    pub(crate) fn length(&self) -> usize {
        if self.text.trim_start().is_empty() { 0 } else { self.chars }
    }

    /// What is to be shown at once.
    pub(crate) fn immediate(&self) -> Option<&RawValue> {
        self.immediate.as_deref()
    }

    /// How it ended, once nothing more will come.
    pub(crate) fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// Nobody reads on, and this is why: what there is of a text is the answer. `false` when there is none.
    pub(crate) fn cut(&mut self, why: String) -> bool {
        let begun = self.length() > 0;
        if begun {
            self.take(Said::Trouble(why));
        }
        begun
    }

    /// The messages, and what is wrong with the answer. An answer that came whole takes the place of its pieces.
    ///
    /// # Errors
    /// When the text can't be written as JSON.
    pub(crate) fn finish(self) -> serde_json::Result<(Vec<Box<RawValue>>, Vec<String>)> {
        let (mut replies, mut trouble) = (self.replies, self.trouble);
        if self.passed_over && !self.understood {
            trouble.push("no event of it is one that is understood".to_owned());
        }
        if replies.is_empty() && !self.text.trim().is_empty() {
            replies.push(serde_json::value::to_raw_value(&self.text)?);
        }
        Ok((replies, trouble))
    }
}

fn said(name: &str, data: &str, object: Option<serde_json::Result<Map<String, Value>>>) -> Said {
    // OpenAI's chat completions end with it.
    if data.trim() == "[DONE]" {
        return Said::End;
    }
    match (object, name) {
        (Some(Ok(object)), _) => said_in_json(name, &object, data),
        (_, "message" | "delta") => Said::Piece(data.to_owned()),
        (_, "done") => Said::End,
        (_, "error") => Said::Failed(told(&Value::from(data))),
        _ => Said::Nothing,
    }
}

fn looks_like_json(data: &str) -> bool {
    data.trim_start().starts_with('{')
}

fn said_in_json(name: &str, object: &Map<String, Value>, data: &str) -> Said {
    if ["immediate_reply", "reply", "replies"].iter().any(|key| object.contains_key(*key)) {
        let keys = serde_json::from_str(data);
        return keys.map_or_else(|error| Said::Trouble(error.to_string()), Said::Body);
    }
    if let Some(kind) = object.get("type").and_then(Value::as_str) {
        return service::said_by_type(kind, object);
    }
    if let Some(error) = object.get("error").filter(|error| !error.is_null()) {
        return Said::Failed(told(error));
    }
    match (object.get("choices").and_then(Value::as_array), name) {
        (Some(choices), _) => service::said_by_choice(choices),
        (None, "error") => Said::Failed(told(&Value::Object(object.clone()))),
        (None, "done") => Said::End,
        (None, _) => piece(object.get("delta").or_else(|| object.get("text"))),
    }
}

fn piece(text: Option<&Value>) -> Said {
    text.and_then(Value::as_str).map_or(Said::Nothing, |text| Said::Piece(text.to_owned()))
}

/// What an error says of itself.
fn told(error: &Value) -> String {
    #[derive(Deserialize)]
    struct Error {
        message: String,
    }
    let why = match error {
        Value::Null => "without a reason".to_owned(),
        Value::String(text) => text.clone(),
        other => Error::deserialize(other).map_or_else(|_| other.to_string(), |error| error.message),
    };
    format!("the backend broke it off: {why}")
}

#[cfg(test)]
mod tests;
