//! Parts of messages as forms of calls (<https://www.twilio.com/docs/messaging/api/message-resource#create-a-message-resource>).
//! Pure, so that every one can be checked against Twilio's own description.

use std::fmt;

use crate::kit::plan::Content;
use crate::{ChannelError, Part};

/// A form: names and values, a name perhaps more than once.
pub(super) type Fields = Vec<(&'static str, String)>;

/// Who messages are from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// A number in international form, a short code, a name.
    Number(String),
    /// A Messaging Service, which chooses a number.
    Service(String),
}

impl Source {
    pub(super) fn new(text: &str) -> Result<Self, ChannelError> {
        let text = text.trim();
        if super::is_sid(text, "MG") {
            return Ok(Self::Service(text.to_owned()));
        }
        let number = text.strip_prefix('+').unwrap_or(text);
        // https://www.twilio.com/docs/glossary/what-e164: 15 digits at most; short codes have fewer.
        let is_number = (3..=15).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
        // Names: 11 characters at most (https://www.twilio.com/docs/glossary/what-alphanumeric-sender-id). They get no answers,
        // so they are nothing for a channel.
        if is_number {
            return Ok(Self::Number(text.to_owned()));
        }
        Err(ChannelError::Config(
            "from is neither a number like +15017122661, nor a short code, nor the id of a Messaging Service (MG and 32 digits or \
             letters from a to f)"
                .to_owned(),
        ))
    }

    /// The number, where it is one.
    pub(super) fn number(&self) -> Option<&str> {
        match self {
            Self::Number(number) => Some(number),
            Self::Service(_) => None,
        }
    }

    fn field(&self) -> (&'static str, String) {
        match self {
            Self::Number(number) => ("From", number.clone()),
            Self::Service(sid) => ("MessagingServiceSid", sid.clone()),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Number(text) | Self::Service(text)) = self;
        f.write_str(text)
    }
}

/// The form of the call that sends a part.
pub(super) fn message(
    part: &Part<'_>,
    from: &Source,
    callback: Option<&str>,
) -> Result<Fields, ChannelError> {
    let (text, media) = match &part.piece.content {
        Content::Text(text) => (Some(text), [].as_slice()),
        Content::Media { media, caption } => (caption.as_ref(), std::slice::from_ref(media)),
        Content::Album { media, caption } => (caption.as_ref(), media.as_slice()),
        // The plan makes none of these, by what the adapter declares.
        Content::Location(_)
        | Content::Poll(_)
        | Content::Edit { .. }
        | Content::Delete { .. }
        | Content::React { .. } => return Err(ChannelError::Unsupported("text messages have no such thing")),
    };
    let mut fields = vec![("To", part.recipient.to_owned()), from.field()];
    fields.extend(text.map(|text| ("Body", text.body.clone())));
    // Twilio fetches them by itself.
    fields.extend(media.iter().map(|media| ("MediaUrl", media.url.clone())));
    fields.extend(callback.map(|callback| ("StatusCallback", callback.to_owned())));
    Ok(fields)
}
