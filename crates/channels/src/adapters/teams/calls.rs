//! Parts as calls of the Bot Connector. Pure, so that every one can be checked against the platform's own description.

use http::Method;
use serde_json::{Map, Value, json};

use super::card;
use crate::kit::plan::{Content, Text};
use crate::{ChannelError, Part};

/// The key under which a pressed button sends what it is.
pub(super) const PRESSED: &str = "pressed";

/// One call.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Call {
    pub(super) method: Method,
    /// Below the connector's address.
    pub(super) path: Vec<String>,
    /// The activity.
    pub(super) body: Option<Value>,
    /// Whether making it twice is the same as making it once.
    pub(super) repeatable: bool,
}

/// The call that sends a part.
pub(super) fn of_part(part: &Part<'_>) -> Result<Call, ChannelError> {
    let rows = &part.piece.buttons;
    let to = |method, id: Option<&str>| call(method, part.recipient, part.thread_id, id);
    match &part.piece.content {
        Content::Text(text) => {
            let body = activity(Some(text), card::attachment(None, rows)?);
            Ok(to(Method::POST, None).with(body))
        }
        Content::Media { media, caption } => {
            let body = activity(caption.as_ref(), card::attachment(Some(media), rows)?);
            Ok(to(Method::POST, None).with(body))
        }
        Content::Edit { message_id, text: Some(text) } => {
            let mut body = activity(Some(text), card::attachment(None, rows)?);
            body.insert("id".to_owned(), json!(message_id));
            Ok(to(Method::PUT, Some(message_id)).with(body))
        }
        // An update puts a new message in the place of all of the old one.
        Content::Edit { text: None, .. } => Err(ChannelError::Permanent(
            "Teams can't change buttons alone: send the text again with them".to_owned(),
        )),
        Content::Delete { message_id } => Ok(to(Method::DELETE, Some(message_id))),
        // The plan makes none of these, by what the adapter declares.
        Content::Album { .. } | Content::Location(_) | Content::Poll(_) | Content::React { .. } => {
            Err(ChannelError::Unsupported("Teams has no such messages of bots"))
        }
    }
}

/// Shows that an answer is being written.
pub(super) fn typing(recipient: &str, thread_id: Option<&str>) -> Call {
    let body = Map::from_iter([("type".to_owned(), json!("typing"))]);
    Call { repeatable: true, ..call(Method::POST, recipient, thread_id, None).with(body) }
}

/// A call for one conversation: in a channel, a thread is addressed by the message that it begins with
/// (<https://learn.microsoft.com/en-us/microsoftteams/platform/bots/how-to/conversations/channel-and-group-conversations>).
fn call(method: Method, recipient: &str, thread_id: Option<&str>, activity: Option<&str>) -> Call {
    let conversation = match thread_id {
        Some(thread) => format!("{recipient};messageid={thread}"),
        None => recipient.to_owned(),
    };
    let mut path = vec!["v3".to_owned(), "conversations".to_owned(), conversation, "activities".to_owned()];
    path.extend(activity.map(str::to_owned));
    let repeatable = method != Method::POST;
    Call { method, path, body: None, repeatable }
}

impl Call {
    fn with(self, body: Map<String, Value>) -> Self {
        Self { body: Some(Value::Object(body)), ..self }
    }
}

fn activity(text: Option<&Text>, card: Option<Value>) -> Map<String, Value> {
    let mut activity = Map::from_iter([("type".to_owned(), json!("message"))]);
    if let Some(text) = text {
        let format = if text.formatted { "markdown" } else { "plain" };
        activity.insert("text".to_owned(), json!(text.body));
        activity.insert("textFormat".to_owned(), json!(format));
    }
    if let Some(card) = card {
        activity.insert("attachments".to_owned(), json!([card]));
    }
    activity
}
