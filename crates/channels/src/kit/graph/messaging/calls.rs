//! Bodies of calls of the Send API (<https://developers.facebook.com/docs/messenger-platform/reference/send-api>). Pure.

use claw_types::{Button, ButtonAction, Media, MediaKind};
use serde_json::{Value, json};

use super::super::Platform;
use crate::kit::label::shortened;
use crate::kit::plan::Content;
use crate::{Caps, ChannelError, Part};

/// Where messages and actions go: the Page is known by its token.
pub const MESSAGES: [&str; 2] = ["me", "messages"];
/// Where attachments are uploaded
/// (<https://developers.facebook.com/documentation/business-messaging/messenger-platform/send-messages/saving-assets>).
pub const ATTACHMENTS: [&str; 2] = ["me", "message_attachments"];
/// An attachment has 25 MB (the same page); megabytes as the smaller ones, as it does not say which.
pub const MAX_BYTES: usize = 25_000_000;
/// Most quick replies below a message, and the length of what is on one
/// (<https://developers.facebook.com/documentation/business-messaging/messenger-platform/send-messages/quick-replies>).
const MOST_QUICK: usize = 13;
const LABEL: usize = 20;
/// Most buttons of a template, and the longest text above them
/// (<https://developers.facebook.com/documentation/business-messaging/messenger-platform/send-messages/template/button>).
const MOST_BUTTONS: usize = 3;
const TEMPLATE_TEXT: usize = 640;

/// In what the two platforms differ.
pub struct Kind {
    /// For errors.
    pub platform: Platform,
    /// What its webhooks call it.
    pub object: &'static str,
    /// What it carries.
    pub caps: &'static Caps,
    /// Whether attachments are uploaded; else the platform fetches them.
    pub uploads: bool,
    /// The fields of a person that may be their name.
    pub profile: &'static str,
}

/// How an attachment is handed over.
pub enum Handed {
    /// By the id that its upload has got.
    Uploaded(String),
    /// By its address.
    Linked,
}

/// The body of the call for a part.
///
/// # Errors
/// When the platform can't show it as it is meant, with what to change.
pub fn of_part(kind: &Kind, part: &Part<'_>, handed: &Handed) -> Result<Value, ChannelError> {
    let buttons: Vec<&Button> = part.piece.buttons.iter().flatten().collect();
    let message = match &part.piece.content {
        Content::Text(text) => with_buttons(kind, &text.body, &buttons)?,
        Content::Media { media, .. } => attachment(kind, media, handed, &buttons)?,
        Content::React { message_id, emoji } => {
            return Ok(reaction(part.recipient, message_id, emoji.as_deref()));
        }
        // The plan makes none of these, by what the adapters declare.
        Content::Album { .. }
        | Content::Location(_)
        | Content::Poll(_)
        | Content::Edit { .. }
        | Content::Delete { .. } => return Err(ChannelError::Unsupported("there are no such messages")),
    };
    let mut body = json!({
        "recipient": {"id": part.recipient}, "messaging_type": "RESPONSE", "message": message,
    });
    if let Some(answered) = &part.piece.reply_to {
        body["reply_to"] = json!({"mid": answered});
    }
    Ok(body)
}

/// A sign in the conversation
/// (<https://developers.facebook.com/documentation/business-messaging/messenger-platform/send-messages/sender-actions>).
pub fn action(recipient: &str, action: &str) -> Value {
    json!({"recipient": {"id": recipient}, "sender_action": action})
}

/// The same page: with no emoji, ours is taken away.
fn reaction(recipient: &str, message_id: &str, emoji: Option<&str>) -> Value {
    let mut body = action(recipient, if emoji.is_some() { "react" } else { "unreact" });
    body["payload"] = json!({"message_id": message_id});
    if let Some(emoji) = emoji {
        body["payload"]["reaction"] = json!(emoji);
    }
    body
}

/// The message of an upload.
pub fn upload(media: &Media) -> Value {
    json!({"attachment": {"type": type_of(media.kind), "payload": {"is_reusable": true}}})
}

fn type_of(kind: MediaKind) -> &'static str {
    match kind {
        MediaKind::Image => "image",
        MediaKind::Video => "video",
        MediaKind::Audio | MediaKind::Voice => "audio",
        MediaKind::File => "file",
    }
}

fn attachment(
    kind: &Kind,
    media: &Media,
    handed: &Handed,
    buttons: &[&Button],
) -> Result<Value, ChannelError> {
    let payload = match handed {
        Handed::Uploaded(id) => json!({"attachment_id": id}),
        Handed::Linked => json!({"url": media.url}),
    };
    let mut message = json!({"attachment": {"type": type_of(media.kind), "payload": payload}});
    if buttons.iter().any(|button| matches!(button.action, ButtonAction::Url(_))) {
        return Err(ChannelError::Permanent(format!(
            "{} shows buttons with an address below a text only: send a message along",
            kind.platform.name
        )));
    }
    if !buttons.is_empty() {
        message["quick_replies"] = quick(kind, buttons)?;
    }
    Ok(message)
}

/// Up to three buttons, of which one opens an address, stand in a template below a text that is not too long. Otherwise those with
/// data are quick replies, and addresses are written below the text.
fn with_buttons(kind: &Kind, text: &str, buttons: &[&Button]) -> Result<Value, ChannelError> {
    let is_link = |button: &&&Button| matches!(button.action, ButtonAction::Url(_));
    let links: Vec<_> = buttons.iter().filter(is_link).collect();
    if !links.is_empty() && buttons.len() <= MOST_BUTTONS && text.chars().count() <= TEMPLATE_TEXT {
        return Ok(template(text, buttons));
    }
    let written: String = links.iter().map(|button| line(button)).collect();
    let text = if written.is_empty() { text.to_owned() } else { format!("{text}\n{written}") };
    if kind.caps.unit.count(&text) > kind.caps.max_text {
        return Err(ChannelError::Permanent(format!(
            "with the addresses of its buttons the text has more than {} {}: send them in a message of their own",
            kind.caps.max_text,
            kind.caps.unit.name()
        )));
    }
    let mut message = json!({"text": text});
    let data: Vec<_> = buttons.iter().filter(|button| !is_link(button)).copied().collect();
    if !data.is_empty() {
        message["quick_replies"] = quick(kind, &data)?;
    }
    Ok(message)
}

fn line(button: &Button) -> String {
    match &button.action {
        ButtonAction::Url(url) => format!("\n{}: {url}", button.text.trim()),
        ButtonAction::Data(_) => String::new(),
    }
}

fn template(text: &str, buttons: &[&Button]) -> Value {
    let button = |button: &&Button| {
        let title = shortened(&button.text, LABEL);
        match &button.action {
            ButtonAction::Url(url) => json!({"type": "web_url", "url": url, "title": title}),
            ButtonAction::Data(data) => json!({"type": "postback", "title": title, "payload": data}),
        }
    };
    let buttons: Value = buttons.iter().map(button).collect();
    let payload = json!({"template_type": "button", "text": text, "buttons": buttons});
    json!({"attachment": {"type": "template", "payload": payload}})
}

fn quick(kind: &Kind, buttons: &[&Button]) -> Result<Value, ChannelError> {
    if buttons.len() > MOST_QUICK {
        return Err(ChannelError::Permanent(format!(
            "{} shows at most {MOST_QUICK} buttons below a message, and this one has {}: send fewer",
            kind.platform.name,
            buttons.len()
        )));
    }
    let reply = |button: &&Button| {
        let ButtonAction::Data(data) = &button.action else { return Value::Null };
        json!({"content_type": "text", "title": shortened(&button.text, LABEL), "payload": data})
    };
    Ok(buttons.iter().map(reply).collect())
}
