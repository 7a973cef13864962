//! Bodies of calls of the Send API (<https://developers.facebook.com/docs/messenger-platform/reference/send-api>). Pure.

use std::path::Path;

use claw_types::{Button, ButtonAction, Format, Media, MediaKind};
use serde_json::{Value, json};
use url::Url;

use super::super::Platform;
use super::offers::Offers;
use crate::caps::{Albums, ButtonRoom, Most};
use crate::kit::label::shortened;
use crate::kit::plan::{Content, link};
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

/// Pictures of one message. Instagram takes ten
/// (<https://developers.facebook.com/documentation/business-messaging/instagram-messaging/features/send-message>); Messenger, of which Meta
/// shows such a call and no number (<https://github.com/fbsamples/messenger-platform-samples>, "Multi Image Message"), is given no more.
pub static ALBUMS: Albums = Albums { max: 10, groups: &[&[MediaKind::Image]] };

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
    /// Whether of files it takes PDF only; others go as links.
    pub only_pdf: bool,
    /// Whether a heart is the only reaction that it takes.
    pub only_hearts: bool,
    /// The fields of a person that may be their name.
    pub profile: &'static str,
    /// How people are offered commands.
    pub offers: Offers,
}

/// How the attachments of a part are handed over.
pub enum Handed {
    /// By the ids that their uploads have got, in their order.
    Uploaded(Vec<String>),
    /// By their addresses.
    Linked,
}

/// The body of the call for a part.
///
/// # Errors
/// When there are no such messages, or the platform takes no such reaction.
pub fn of_part(part: &Part<'_>, handed: &Handed, kind: &Kind) -> Result<Value, ChannelError> {
    let buttons: Vec<&Button> = part.piece.buttons.iter().flatten().collect();
    let message = match &part.piece.content {
        Content::Text(text) => with_buttons(&text.body, &buttons),
        Content::Media { media, .. } if !kind.takes(media) => with_buttons(&kind.linked(media)?, &buttons),
        Content::Media { media, .. } => {
            with_choices(json!({"attachment": attachment(media, handed, 0)?}), &buttons)
        }
        Content::Album { media, .. } => {
            let one = |(index, media)| attachment(media, handed, index);
            let all: Vec<_> = media.iter().enumerate().map(one).collect::<Result<_, _>>()?;
            with_choices(json!({"attachments": all}), &buttons)
        }
        Content::React { message_id, emoji } => {
            let emoji = emoji.as_deref().map(|emoji| kind.reaction(emoji)).transpose()?;
            return Ok(reaction(part.recipient, message_id, emoji));
        }
        // The plan makes none of these, by what the adapters declare.
        Content::Location(_) | Content::Poll(_) | Content::Edit { .. } | Content::Delete { .. } => {
            return Err(ChannelError::Unsupported("there are no such messages"));
        }
    };
    let mut body = json!({
        "recipient": {"id": part.recipient}, "messaging_type": "RESPONSE", "message": message,
    });
    if let Some(answered) = &part.piece.reply_to {
        body["reply_to"] = json!({"mid": answered});
    }
    Ok(body)
}

impl Kind {
    /// Whether an attachment is one of the platform's own and no link. What a file is, its name tells: that is all that is known of what
    /// the platform fetches by itself.
    fn takes(&self, media: &Media) -> bool {
        !self.only_pdf || media.kind != MediaKind::File || is_pdf(media)
    }

    /// The text that stands for an attachment.
    fn linked(&self, media: &Media) -> Result<String, ChannelError> {
        let fits = |text: &String| self.caps.unit.count(text) <= self.caps.max_text;
        // Without its name, if that makes it too long.
        let texts = [link(media, Format::Plain), media.url.clone()];
        texts.into_iter().find(fits).ok_or_else(|| {
            ChannelError::Permanent("the attachment's address is too long for a link".to_owned())
        })
    }

    /// What the platform calls a reaction.
    fn reaction<'e>(&self, emoji: &'e str) -> Result<&'e str, ChannelError> {
        if !self.only_hearts {
            return Ok(emoji);
        }
        // With the sign that asks for colours or without.
        if matches!(emoji, "\u{2764}" | "\u{2764}\u{fe0f}") {
            return Ok("love");
        }
        let Platform { name, .. } = self.platform;
        Err(ChannelError::Permanent(format!(
            "{name} takes no reaction {emoji} of this account: the one that can be set is \u{2764}\u{fe0f}"
        )))
    }
}

fn is_pdf(media: &Media) -> bool {
    let ends = |name: &str| Path::new(name).extension().is_some_and(|end| end.eq_ignore_ascii_case("pdf"));
    match &media.filename {
        Some(name) => ends(name),
        None => Url::parse(&media.url).is_ok_and(|url| ends(url.path())),
    }
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

/// An attachment, of a part's the one in this place.
fn attachment(media: &Media, handed: &Handed, index: usize) -> Result<Value, ChannelError> {
    let missing = || ChannelError::Retryable("the attachment was not uploaded".to_owned());
    let payload = match handed {
        Handed::Uploaded(ids) => json!({"attachment_id": ids.get(index).ok_or_else(missing)?}),
        Handed::Linked => json!({"url": media.url}),
    };
    Ok(json!({"type": type_of(media.kind), "payload": payload}))
}

/// Buttons of which one opens an address stand in a template, others are quick replies.
fn with_buttons(text: &str, buttons: &[&Button]) -> Value {
    if buttons.iter().any(|button| matches!(button.action, ButtonAction::Url(_))) {
        return template(text, buttons);
    }
    with_choices(json!({"text": text}), buttons)
}

/// A message with quick replies below it, if any.
fn with_choices(mut message: Value, buttons: &[&Button]) -> Value {
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
