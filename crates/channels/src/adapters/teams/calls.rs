//! Parts as calls of the Bot Connector. Pure, so that every one can be checked against the platform's own description.

use claw_types::{Format, Media};
use http::Method;
use serde_json::{Map, Value, json};

use super::{card, reactions};
use crate::kit::plan::{Content, Text, link};
use crate::{Caps, ChannelError, Part};

/// The key under which a pressed button sends what it is.
pub(super) const PRESSED: &str = "pressed";

/// The kind of entity that names a quoted message.
pub(super) const QUOTED: &str = "quotedReply";

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

/// The call that sends a part; of attachments, pictures only.
pub(super) fn of_part(part: &Part<'_>) -> Result<Call, ChannelError> {
    let rows = &part.piece.buttons;
    let to = |method, id: Option<&str>| call(method, part.recipient, part.thread_id, id);
    match &part.piece.content {
        Content::Text(text) => post(part, Some(text), card::attachment(&[], rows)?),
        Content::Media { media, caption } => {
            post(part, caption.as_ref(), card::attachment(std::slice::from_ref(media), rows)?)
        }
        Content::Album { media, caption } => post(part, caption.as_ref(), card::attachment(media, rows)?),
        Content::Edit { message_id, text: Some(text) } => {
            let mut body = activity(Some(text), card::attachment(&[], rows)?);
            body.insert("id".to_owned(), json!(message_id));
            Ok(to(Method::PUT, Some(message_id)).with(body))
        }
        // An update puts a new message in the place of all of the old one.
        Content::Edit { text: None, .. } => Err(ChannelError::Permanent(
            "Teams can't change buttons alone: send the text again with them".to_owned(),
        )),
        Content::Delete { message_id } => Ok(to(Method::DELETE, Some(message_id))),
        Content::React { message_id, emoji: Some(emoji) } => react(part, message_id, emoji),
        Content::React { emoji: None, .. } => Err(ChannelError::Permanent(
            "Teams takes a reaction away only by its name, and nobody keeps which one it was".to_owned(),
        )),
        // The plan makes none of these, by what the adapter declares.
        Content::Location(_) | Content::Poll(_) => {
            Err(ChannelError::Unsupported("Teams has no such messages of bots"))
        }
    }
}

/// A new message with an attachment and buttons, if any; what it answers is shown above it.
pub(super) fn post(
    part: &Part<'_>,
    text: Option<&Text>,
    attachment: Option<Value>,
) -> Result<Call, ChannelError> {
    let mut body = activity(text, attachment);
    // In a thread of a channel, the thread shows it.
    if let Some(answered) = part.piece.reply_to.as_deref().filter(|_| part.thread_id.is_none()) {
        quote(&mut body, answered)?;
    }
    Ok(call(Method::POST, part.recipient, part.thread_id, None).with(body))
}

/// A new message with an attachment as a link.
pub(super) fn linked(part: &Part<'_>, media: &Media) -> Result<Call, ChannelError> {
    let Caps { markdown, unit, max_text, .. } = super::CAPS;
    let link = link(media, Format::Markdown);
    let text = Text::fitting(&link, Format::Markdown, markdown, unit, max_text).ok_or_else(|| {
        ChannelError::Permanent("the attachment's address is too long for a link".to_owned())
    })?;
    post(part, Some(&text), card::attachment(&[], &part.piece.buttons)?)
}

/// Puts an attachment in the place of all of a message.
pub(super) fn replace(recipient: &str, message_id: &str, attachment: Value) -> Call {
    let mut body = activity(None, Some(attachment));
    body.insert("id".to_owned(), json!(message_id));
    call(Method::PUT, recipient, None, Some(message_id)).with(body)
}

/// A message that answers no part: a text, an attachment, or both.
pub(super) fn notice(recipient: &str, text: Option<&Text>, attachment: Option<Value>) -> Call {
    call(Method::POST, recipient, None, None).with(activity(text, attachment))
}

/// A message is quoted by a sign in the text and an entity that says what it stands for
/// (<https://microsoft.github.io/teams-sdk/blog/quoted-and-threaded-replies>, <https://github.com/microsoft/teams.py/pull/321>).
fn quote(body: &mut Map<String, Value>, message_id: &str) -> Result<(), ChannelError> {
    if message_id.contains(['"', '<', '>', '&']) {
        return Err(ChannelError::Permanent(format!(
            "reply_to {message_id:?} is no message of Teams': take it from platform_message_id"
        )));
    }
    let text = body.get("text").and_then(Value::as_str).unwrap_or_default();
    let text = format!("<quoted messageId=\"{message_id}\"/>{text}");
    body.insert("text".to_owned(), json!(text));
    let entity = json!({"type": QUOTED, "quotedReply": {"messageId": message_id}});
    body.insert("entities".to_owned(), json!([entity]));
    Ok(())
}

/// A reaction of the bot's, two in a second at most
/// (<https://learn.microsoft.com/en-us/microsoftteams/platform/agents-in-teams/agent-reactions>; the call is that of
/// <https://github.com/microsoft/teams.ts/blob/main/packages/api/src/clients/reaction/reaction.ts>).
fn react(part: &Part<'_>, message_id: &str, emoji: &str) -> Result<Call, ChannelError> {
    let unknown = || {
        format!(
            "Teams' name of the reaction {emoji} is not known; those that can be set are {}",
            reactions::known()
        )
    };
    let name = reactions::name(emoji).ok_or_else(|| ChannelError::Permanent(unknown()))?;
    let mut call = call(Method::PUT, part.recipient, part.thread_id, Some(message_id));
    call.path.extend(["reactions".to_owned(), name.to_owned()]);
    Ok(call)
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
