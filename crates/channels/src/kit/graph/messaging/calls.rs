//! Bodies of calls of the Send API (<https://developers.facebook.com/docs/messenger-platform/reference/send-api>). Pure.

use claw_types::{Button, ButtonAction, Media, MediaKind};
use serde_json::{Value, json};

use super::super::Platform;
use crate::caps::{ButtonRoom, Most};
use crate::kit::label::shortened;
use crate::kit::plan::Content;
use crate::{Caps, ChannelError, Part, TextUnit};

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
/// As what that is counted no page says; no way of counting gives more.
const LABEL_UNIT: TextUnit = TextUnit::Utf16;
/// Most buttons of a template, and the longest text above them
/// (<https://developers.facebook.com/documentation/business-messaging/messenger-platform/send-messages/template/button>).
const MOST_BUTTONS: usize = 3;
const TEMPLATE_TEXT: usize = 640;

/// Addresses stand in templates only, which have no attachment.
pub static BUTTONS: ButtonRoom = ButtonRoom {
    text: Most { choices: MOST_QUICK, with_url: MOST_BUTTONS },
    media: Most { choices: MOST_QUICK, with_url: 0 },
    place: Most::NONE,
    bare_media: true,
    url_text: TEMPLATE_TEXT,
    unit: TextUnit::Chars,
};

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
/// When there are no such messages.
pub fn of_part(part: &Part<'_>, handed: &Handed) -> Result<Value, ChannelError> {
    let buttons: Vec<&Button> = part.piece.buttons.iter().flatten().collect();
    let message = match &part.piece.content {
        Content::Text(text) => with_buttons(&text.body, &buttons),
        Content::Media { media, .. } => attachment(media, handed, &buttons),
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

fn attachment(media: &Media, handed: &Handed, buttons: &[&Button]) -> Value {
    let payload = match handed {
        Handed::Uploaded(id) => json!({"attachment_id": id}),
        Handed::Linked => json!({"url": media.url}),
    };
    let mut message = json!({"attachment": {"type": type_of(media.kind), "payload": payload}});
    if !buttons.is_empty() {
        message["quick_replies"] = quick(buttons);
    }
    message
}

/// Buttons of which one opens an address stand in a template, others are quick replies.
fn with_buttons(text: &str, buttons: &[&Button]) -> Value {
    if buttons.iter().any(|button| matches!(button.action, ButtonAction::Url(_))) {
        return template(text, buttons);
    }
    let mut message = json!({"text": text});
    if !buttons.is_empty() {
        message["quick_replies"] = quick(buttons);
    }
    message
}

fn template(text: &str, buttons: &[&Button]) -> Value {
    let button = |button: &&Button| {
        let title = shortened(&button.text, LABEL, LABEL_UNIT);
        match &button.action {
            ButtonAction::Url(url) => json!({"type": "web_url", "url": url, "title": title}),
            ButtonAction::Data(data) => json!({"type": "postback", "title": title, "payload": data}),
        }
    };
    let buttons: Value = buttons.iter().map(button).collect();
    let payload = json!({"template_type": "button", "text": text, "buttons": buttons});
    json!({"attachment": {"type": "template", "payload": payload}})
}

fn quick(buttons: &[&Button]) -> Value {
    let reply = |button: &&Button| {
        // The plan leaves none with an address here, by the room that is declared.
        let (ButtonAction::Data(data) | ButtonAction::Url(data)) = &button.action;
        json!({"content_type": "text", "title": shortened(&button.text, LABEL, LABEL_UNIT), "payload": data})
    };
    buttons.iter().map(reply).collect()
}
