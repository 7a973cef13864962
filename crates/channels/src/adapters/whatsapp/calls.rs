//! Bodies of calls (<https://developers.facebook.com/documentation/business-messaging/whatsapp/reference/whatsapp-business-phone-number/message-api>).
//! Pure, so that every one can be checked against Meta's own description.
//!
//! A send has no field for a template, because no other platform has templates. So a text that is nothing but a JSON object whose only
//! key is `template` becomes one; ADR 12 says why.

use claw_types::{Button, ButtonAction, Location};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::files::Form;
use super::{CAPS, ids};
use crate::caps::{ButtonRoom, Most};
use crate::kit::label::{distinct, shortened};
use crate::kit::plan::{Content, Text};
use crate::{ChannelError, Part, TextUnit};

/// The longest text above reply buttons and above a link
/// (<https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/interactive-reply-buttons-messages>,
/// `BodyObject` of Meta's description). Above a list any text may stand
/// (<https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/interactive-list-messages>).
const MAX_BODY: usize = 1024;
/// Most reply buttons and most rows, and how long what is on them may be (the same pages). No two buttons of a message may have the same
/// title (<https://whatsapp.github.io/WhatsApp-Nodejs-SDK/api-reference/types/ButtonObject>). As what a title is counted no page says, so it
/// is counted like a text.
const MOST_BUTTONS: usize = 3;
const MOST_ROWS: usize = 10;
const LABEL: usize = 20;
const ROW: usize = 24;
const ROW_DESCRIPTION: usize = 72;
/// One address is a button if it is alone, and attachments stand above reply buttons only, with a text between them.
pub(super) static BUTTONS: ButtonRoom = ButtonRoom {
    text: Most { choices: MOST_ROWS, with_url: 1 },
    media: Most { choices: MOST_BUTTONS, with_url: 0 },
    place: Most::NONE,
    bare_media: false,
    url_text: MAX_BODY,
    unit: TextUnit::Utf16,
};
/// What a list is opened by; a sign, because in which language people speak nobody knows.
const OPEN_LIST: &str = "☰";

/// Who a message goes to, by the form of the id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum To {
    /// A number.
    Number,
    /// Somebody who hides it: a country's two letters, a full stop, and what only this business knows
    /// (<https://developers.facebook.com/documentation/business-messaging/whatsapp/business-scoped-user-ids/>).
    Hidden,
    /// A group that the business made (<https://developers.facebook.com/documentation/business-messaging/whatsapp/groups/groups-messaging/>).
    Group,
}

impl To {
    pub(super) fn of(recipient: &str) -> Self {
        let digits = recipient.trim_start_matches('+');
        let is_number = |c: char| c.is_ascii_digit() || matches!(c, ' ' | '-' | '(' | ')');
        let is_country =
            |country: &str| country.len() == 2 && country.bytes().all(|b| b.is_ascii_uppercase());
        if digits.chars().all(is_number) {
            Self::Number
        } else if recipient.split_once('.').is_some_and(|(country, _)| is_country(country)) {
            Self::Hidden
        } else {
            Self::Group
        }
    }
}

/// An attachment that WhatsApp has.
pub(super) struct Attached<'a> {
    pub(super) id: &'a str,
    pub(super) form: Form,
    pub(super) name: &'a str,
    /// Whether it is a voice note (<https://developers.facebook.com/docs/whatsapp/cloud-api/messages/audio-messages>).
    pub(super) voice: bool,
}

/// The body of the call for a part.
pub(super) fn of_part(part: &Part<'_>, attached: Option<&Attached<'_>>) -> Result<Value, ChannelError> {
    let buttons: Vec<&Button> = part.piece.buttons.iter().flatten().collect();
    let to = To::of(part.recipient);
    let (kind, content) = match (&part.piece.content, attached) {
        (Content::Text(text), _) => text_message(text, &buttons)?,
        (Content::Media { caption, .. }, Some(attached)) => media(attached, caption.as_ref(), &buttons)?,
        (Content::Location(place), _) if buttons.is_empty() => ("location", location(place)),
        (Content::React { message_id, emoji }, _) => {
            ("reaction", json!({"message_id": message_id, "emoji": emoji.as_deref().unwrap_or_default()}))
        }
        // The plan makes none of these, by what the adapter declares.
        _ => return Err(ChannelError::Unsupported("WhatsApp has no such messages")),
    };
    let mut body = addressed(part.recipient, to);
    body.insert("type".to_owned(), json!(kind));
    body.insert(kind.to_owned(), content);
    if let Some(answered) = &part.piece.reply_to {
        body.insert("context".to_owned(), json!({"message_id": answered}));
    }
    Ok(Value::Object(body))
}

fn addressed(recipient: &str, to: To) -> Map<String, Value> {
    let recipient_type = if to == To::Group { "group" } else { "individual" };
    let key = if to == To::Hidden { "recipient" } else { "to" };
    Map::from_iter([
        ("messaging_product".to_owned(), json!("whatsapp")),
        ("recipient_type".to_owned(), json!(recipient_type)),
        (key.to_owned(), json!(recipient)),
    ])
}

/// Shows that an answer to this message is being written, and that the message was read
/// (<https://developers.facebook.com/documentation/business-messaging/whatsapp/typing-indicators>).
pub(super) fn answering(question: &str) -> Value {
    json!({
        "messaging_product": "whatsapp", "status": "read", "message_id": question,
        "typing_indicator": {"type": "text"},
    })
}

/// A template, if the text is one
/// (<https://developers.facebook.com/documentation/business-messaging/whatsapp/templates/overview>).
pub(super) fn template(text: &str) -> Option<Value> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Written {
        template: Map<String, Value>,
    }
    // Most texts are none, and are not parsed to find that out.
    let may_be = text.trim_start().starts_with('{');
    let written = may_be.then(|| serde_json::from_str::<Written>(text).ok()).flatten()?;
    Some(Value::Object(written.template))
}

type Message = (&'static str, Value);

fn text_message(text: &Text, buttons: &[&Button]) -> Result<Message, ChannelError> {
    if let Some(template) = template(&text.plain) {
        return if buttons.is_empty() { Ok(("template", template)) } else { Err(buttoned_template()) };
    }
    Ok(match buttons {
        [] => ("text", json!({"body": text.body})),
        [Button { text: label, action: ButtonAction::Url(url) }] => {
            ("interactive", link(&text.body, label, url))
        }
        _ => ("interactive", interactive(&text.body, buttons, None)),
    })
}

/// A button that opens an address
/// (<https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/interactive-cta-url-messages>).
fn link(text: &str, label: &str, url: &str) -> Value {
    let parameters = json!({"display_text": shortened(label, LABEL, CAPS.unit), "url": url});
    json!({"type": "cta_url", "body": {"text": text}, "action": {"name": "cta_url", "parameters": parameters}})
}

/// Up to three choices are buttons, more are rows of a list, which takes a longer text, but no picture above it.
fn interactive(text: &str, choices: &[&Button], header: Option<Value>) -> Value {
    if choices.len() > MOST_BUTTONS || CAPS.unit.count(text) > MAX_BODY {
        return json!({"type": "list", "body": {"text": text}, "action": list(choices)});
    }
    let mut message = json!({"type": "button", "body": {"text": text}, "action": reply_buttons(choices)});
    if let Some(header) = header {
        message["header"] = header;
    }
    message
}

fn titles(choices: &[&Button], limit: usize) -> Vec<String> {
    distinct(choices.iter().map(|choice| choice.text.as_str()), limit, CAPS.unit)
}

fn reply_buttons(choices: &[&Button]) -> Value {
    let button =
        |(id, title): (String, String)| json!({"type": "reply", "reply": {"id": id, "title": title}});
    json!({"buttons": ids(choices).into_iter().zip(titles(choices, LABEL)).map(button).collect::<Vec<_>>()})
}

fn list(choices: &[&Button]) -> Value {
    let row = |(button, (id, title)): (&&Button, (String, String))| {
        let mut row = json!({"id": id, "title": title});
        if title != button.text {
            row["description"] = json!(shortened(&button.text, ROW_DESCRIPTION, CAPS.unit));
        }
        row
    };
    let rows: Vec<_> =
        choices.iter().zip(ids(choices).into_iter().zip(titles(choices, ROW))).map(row).collect();
    json!({"button": OPEN_LIST, "sections": [{"rows": rows}]})
}

fn ids(choices: &[&Button]) -> Vec<String> {
    ids::distinct(&choices.iter().map(|choice| data(choice)).collect::<Vec<_>>())
}

fn data(button: &Button) -> &str {
    match &button.action {
        ButtonAction::Data(data) | ButtonAction::Url(data) => data,
    }
}

fn media(
    attached: &Attached<'_>,
    caption: Option<&Text>,
    buttons: &[&Button],
) -> Result<Message, ChannelError> {
    let Attached { id, form, name, voice } = *attached;
    let mut object = json!({ "id": id });
    if voice {
        object["voice"] = json!(true);
    }
    if form == Form::Document {
        object["filename"] = json!(name);
    }
    if buttons.is_empty() {
        if let Some(caption) = caption {
            object["caption"] = json!(caption.body);
        }
        return Ok((form.key(), object));
    }
    let Some(caption) = caption else {
        // The plan makes none of these, by the room that is declared.
        return Err(ChannelError::Unsupported(
            "WhatsApp shows no buttons below an attachment without a text",
        ));
    };
    let header = json!({"type": form.key(), form.key(): object});
    Ok(("interactive", interactive(&caption.body, buttons, Some(header))))
}

/// Both numbers as texts, as Meta's description has them.
fn location(place: &Location) -> Value {
    let Location { latitude, longitude, title, address } = place;
    let mut location = json!({"latitude": latitude.to_string(), "longitude": longitude.to_string()});
    if let Some(title) = title {
        location["name"] = json!(title);
    }
    if let Some(address) = address {
        location["address"] = json!(address);
    }
    location
}

fn buttoned_template() -> ChannelError {
    ChannelError::Permanent(
        "a template of WhatsApp's has the buttons that were approved with it: send it without others"
            .to_owned(),
    )
}
