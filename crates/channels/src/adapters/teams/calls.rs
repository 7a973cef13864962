//! Parts as calls of the Bot Connector. Pure, so that every one can be checked against the platform's own description.
//!
//! Must hold: no activity has both a text and an attachment, and none has two attachments. Teams makes two messages of such a one and
//! answers no id, so that nobody could change or delete them
//! (<https://learn.microsoft.com/en-us/microsoftteams/platform/bots/how-to/conversations/conversation-messages#send-a-message>,
//! <https://github.com/microsoft/BotFramework-Services/issues/98>); and it refuses an update with both
//! (<https://github.com/OfficeDev/BotBuilder-MicrosoftTeams/issues/126>). So a text with buttons is in their card, and any other one is a
//! message of its own.

use claw_types::{Button, Format, Media};
use http::Method;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{card, reactions};
use crate::kit::plan::{Content, Text, link};
use crate::{Caps, ChannelError, Part};

/// The key under which a pressed button sends what it is.
pub(super) const PRESSED: &str = "pressed";

/// Most characters of what stands for a card where there is no room for it, as in a notification.
const SUMMARY: usize = 200;

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
    let shown = |caption: Option<&Text>, pictures: &[Media]| -> Result<Call, ChannelError> {
        Ok(attach(part, card::attachment(caption, pictures, rows)?))
    };
    if part.piece.content.target().is_some_and(is_ours) {
        return Err(ChannelError::Permanent(
            "Microsoft gave no id of this message when it was sent, so nothing can be done to it: send another one"
                .to_owned(),
        ));
    }
    match &part.piece.content {
        Content::Text(text) => write(part, text),
        Content::Media { media, caption } => shown(caption.as_ref(), std::slice::from_ref(media)),
        Content::Album { media, caption } => shown(caption.as_ref(), media),
        Content::Edit { message_id, text: Some(text) } => {
            let mut body = written(text, rows)?;
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

/// Whether an id is the one that a message of which Microsoft gave none has: its part's own
/// ([`crate::kit::plan::part_id`]). Those of Teams are numbers.
fn is_ours(id: &str) -> bool {
    let message = id.split_once(':').map_or(id, |(message, _)| message);
    Uuid::try_parse(message).is_ok()
}

/// A new message of a text, with its buttons; what it answers is shown above it.
fn write(part: &Part<'_>, text: &Text) -> Result<Call, ChannelError> {
    let mut body = written(text, &part.piece.buttons)?;
    // In a thread of a channel, the thread shows it. A card has no place for a quote, and the plan gives it none.
    if let Some(answered) = part.piece.reply_to.as_deref().filter(|_| part.thread_id.is_none())
        && let Some(text) = body.get("text").and_then(Value::as_str)
    {
        let text = quoting(text, answered)?;
        body.insert("text".to_owned(), json!(text));
        let entity = json!({"type": QUOTED, "quotedReply": {"messageId": answered}});
        body.insert("entities".to_owned(), json!([entity]));
    }
    Ok(call(Method::POST, part.recipient, part.thread_id, None).with(body))
}

/// A new message of an attachment.
pub(super) fn attach(part: &Part<'_>, attachment: Value) -> Call {
    call(Method::POST, part.recipient, part.thread_id, None).with(attached(attachment))
}

/// A new message with an attachment as a link.
pub(super) fn linked(part: &Part<'_>, media: &Media) -> Result<Call, ChannelError> {
    let Caps { markdown, unit, max_text, .. } = super::CAPS;
    let link = link(media, Format::Markdown);
    let text = Text::fitting(&link, Format::Markdown, markdown, unit, max_text).ok_or_else(|| {
        ChannelError::Permanent("the attachment's address is too long for a link".to_owned())
    })?;
    write(part, &text)
}

/// Puts an attachment in the place of all of a message.
pub(super) fn replace(recipient: &str, message_id: &str, attachment: Value) -> Call {
    let mut body = attached(attachment);
    body.insert("id".to_owned(), json!(message_id));
    call(Method::PUT, recipient, None, Some(message_id)).with(body)
}

/// An attachment that is of no part.
pub(super) fn show(recipient: &str, attachment: Value) -> Call {
    call(Method::POST, recipient, None, None).with(attached(attachment))
}

/// A text that is of no part.
pub(super) fn notice(recipient: &str, text: &Text) -> Call {
    call(Method::POST, recipient, None, None).with(bare(text))
}

/// A message is quoted by a sign in the text and an entity that says what it stands for
/// (<https://microsoft.github.io/teams-sdk/blog/quoted-and-threaded-replies>, <https://github.com/microsoft/teams.py/pull/321>).
fn quoting(text: &str, message_id: &str) -> Result<String, ChannelError> {
    if message_id.contains(['"', '<', '>', '&']) {
        return Err(ChannelError::Permanent(format!(
            "reply_to {message_id:?} is no message of Teams': take it from platform_message_id"
        )));
    }
    Ok(format!("<quoted messageId=\"{message_id}\"/>{text}"))
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

/// A text with its buttons: in their card, if there are any.
fn written(text: &Text, rows: &[Vec<Button>]) -> Result<Map<String, Value>, ChannelError> {
    if rows.iter().all(Vec::is_empty) {
        return Ok(bare(text));
    }
    let mut body = attached(card::attachment(Some(text), &[], rows)?);
    // Without it a notification says only that there is a card.
    let summary: String = text.plain.chars().take(SUMMARY).collect();
    body.insert("summary".to_owned(), json!(summary));
    Ok(body)
}

fn bare(text: &Text) -> Map<String, Value> {
    let format = if text.formatted { "markdown" } else { "plain" };
    let mut activity = message();
    activity.insert("text".to_owned(), json!(text.body));
    activity.insert("textFormat".to_owned(), json!(format));
    activity
}

fn attached(attachment: Value) -> Map<String, Value> {
    let mut activity = message();
    activity.insert("attachments".to_owned(), Value::Array(vec![attachment]));
    activity
}

fn message() -> Map<String, Value> {
    Map::from_iter([("type".to_owned(), json!("message"))])
}
