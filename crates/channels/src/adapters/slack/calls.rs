//! Parts of messages as calls (<https://docs.slack.dev/reference/methods>). Pure, so that every call can be checked against the
//! platform's own description.

use claw_types::{Button, ButtonAction};
use serde_json::{Value, json};

use super::api::Call;
use super::emoji;
use crate::kit::plan::Text;
use crate::{ChannelError, Part};

/// Where something goes: a conversation, and a thread in it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) channel: &'a str,
    /// The message that began the thread.
    pub(super) thread: Option<&'a str>,
}

impl<'a> Place<'a> {
    /// Of a part. What answers a message goes into its thread: Slack has no other way to point to one.
    pub(super) fn of(part: &'a Part<'_>, channel: &'a str) -> Result<Self, ChannelError> {
        let thread = match (part.thread_id, part.piece.reply_to.as_deref()) {
            (Some(thread), _) => Some(stamp("thread_id", thread)?),
            (None, Some(answered)) => Some(stamp("reply_to", answered)?),
            (None, None) => None,
        };
        Ok(Self { channel, thread })
    }

    /// The call, with where its message goes.
    pub(super) fn address(self, call: Call, key: &str) -> Call {
        let call = call.with(key, self.channel);
        match self.thread {
            Some(thread) => call.with("thread_ts", thread),
            None => call,
        }
    }
}

/// A text, with the buttons below it.
pub(super) fn post(place: Place<'_>, text: Option<&Text>, buttons: &[Vec<Button>]) -> Call {
    let call = place.address(Call::new("chat.postMessage"), "channel");
    with_text(call, text, buttons)
}

/// Another text for a message, with the buttons that it has from now on.
pub(super) fn update(
    channel: &str,
    id: &str,
    text: &Text,
    buttons: &[Vec<Button>],
) -> Result<Call, ChannelError> {
    let call = Call::repeatable("chat.update").with("channel", channel).with("ts", stamp("message_id", id)?);
    let call = with_text(call, Some(text), buttons);
    // Without a word on them, the old ones stay.
    Ok(if buttons.is_empty() { call.with("blocks", json!([])) } else { call })
}

/// Takes back a message, or a file with the messages that show it.
pub(super) fn delete(channel: &str, id: &str) -> Result<Call, ChannelError> {
    if is_file(id) {
        return Ok(Call::form("files.delete").with("file", id));
    }
    let call = Call::repeatable("chat.delete").with("channel", channel);
    Ok(call.with("ts", stamp("message_id", id)?))
}

/// Puts a reaction on a message.
pub(super) fn react(channel: &str, id: &str, emoji: &str) -> Result<Call, ChannelError> {
    let name = emoji::name(emoji).ok_or_else(|| {
        ChannelError::Permanent(format!(
            "Slack has no reaction {emoji:?}; a workspace's own is written :name:"
        ))
    })?;
    reaction("reactions.add", channel, id, &name)
}

/// Takes one off.
pub(super) fn unreact(channel: &str, id: &str, name: &str) -> Result<Call, ChannelError> {
    reaction("reactions.remove", channel, id, name)
}

/// Asks which ones there are.
pub(super) fn reactions(channel: &str, id: &str) -> Result<Call, ChannelError> {
    let call = Call::form("reactions.get").with("channel", channel).with("full", true);
    Ok(call.with("timestamp", stamp("message_id", id)?))
}

/// Shows that an answer is being written; it goes away when the answer comes, or after two minutes
/// (<https://docs.slack.dev/reference/methods/assistant.threads.setStatus>).
pub(super) fn typing(channel: &str, thread: &str) -> Result<Call, ChannelError> {
    let call = Call::repeatable("assistant.threads.setStatus").with("channel_id", channel);
    Ok(call.with("thread_ts", stamp("thread_id", thread)?).with("status", "is typing..."))
}

/// Whether an id is a file's: these begin with F, and messages are known by the time at which they were sent.
pub(super) fn is_file(id: &str) -> bool {
    id.starts_with('F')
}

fn reaction(method: &'static str, channel: &str, id: &str, name: &str) -> Result<Call, ChannelError> {
    let call = Call::repeatable(method).with("channel", channel).with("name", name);
    Ok(call.with("timestamp", stamp("message_id", id)?))
}

/// A message is known within its conversation by its time: seconds, a point and six digits. Of what was sent as files, the last id is
/// meant: of the message that shows them, or of the one below it with the buttons.
fn stamp<'a>(key: &str, id: &'a str) -> Result<&'a str, ChannelError> {
    let id = id.rsplit(',').next().unwrap_or(id);
    if is_file(id) {
        let files = "Slack had not told yet as which message it shows it, so it can only be deleted";
        return Err(ChannelError::Permanent(format!("{key} {id:?} is a file: {files}")));
    }
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if id.split_once('.').is_some_and(|(seconds, rest)| digits(seconds) && digits(rest)) {
        return Ok(id);
    }
    Err(ChannelError::Permanent(format!(
        "{key} {id:?} is no time of a message like 1355517523.000005: take it from platform_message_id or reply_to"
    )))
}

/// With buttons, the text has to be a block, too; `text` is what notifications say then.
fn with_text(call: Call, text: Option<&Text>, buttons: &[Vec<Button>]) -> Call {
    let body = text.map_or("", |text| text.body.as_str());
    if buttons.is_empty() {
        return call.with("text", body);
    }
    let section = text.map(|_| json!({"type": "section", "text": {"type": "mrkdwn", "text": body}}));
    let rows = buttons.iter().enumerate().map(|(row, buttons)| actions(row, buttons));
    let blocks: Vec<Value> = section.into_iter().chain(rows).collect();
    let labels =
        || buttons.iter().flatten().map(|button| button.text.as_str()).collect::<Vec<_>>().join(" · ");
    let shown = if text.is_some() { body.to_owned() } else { labels() };
    call.with("text", shown).with("blocks", blocks)
}

/// A row of buttons (<https://docs.slack.dev/reference/block-kit/blocks/actions-block>: 25 at most, of which we allow 8), each with 75
/// characters on it and 2,000 behind it (<https://docs.slack.dev/reference/block-kit/block-elements/button-element>), which is more than
/// a message of ours may have.
fn actions(row: usize, buttons: &[Button]) -> Value {
    let element = |(column, button): (usize, &Button)| {
        let mut element = json!({
            "type": "button", "action_id": format!("{row}-{column}"),
            "text": {"type": "plain_text", "text": button.text, "emoji": true},
        });
        match &button.action {
            ButtonAction::Url(url) => element["url"] = json!(url),
            ButtonAction::Data(data) => element["value"] = json!(data),
        }
        element
    };
    json!({"type": "actions", "elements": buttons.iter().enumerate().map(element).collect::<Vec<_>>()})
}
