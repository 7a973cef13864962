//! Parts as bodies of calls. Pure, so that every one can be checked against the platform's own description.

use std::time::Duration;

use claw_secrets::signature::sha256;
use claw_types::{Button, ButtonAction, Format, Location, Media, MessageId};
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use super::CAPS;
use super::media::{Form, MAX_FETCHED};
use crate::caps::{ButtonRoom, Most};
use crate::kit::label::shortened;
use crate::kit::plan::{Content, link, part_id};
use crate::{ChannelError, Part, TextUnit};

/// How long the loading animation is shown: a multiple of 5, from 5 to 60
/// (<https://developers.line.biz/en/reference/messaging-api/#display-a-loading-indicator>).
pub(super) const LOADING_SECONDS: u32 = 20;
/// Most quick reply buttons of a message (<https://developers.line.biz/en/docs/messaging-api/using-quick-reply/>).
const MOST_BUTTONS: usize = 13;
const MOST: Most = Most { choices: MOST_BUTTONS, with_url: MOST_BUTTONS };
/// Any message takes them, with an address or without; one that is too long for a card has quick replies.
pub(super) static BUTTONS: ButtonRoom = ButtonRoom {
    text: MOST,
    media: MOST,
    place: MOST,
    bare_media: true,
    url_text: usize::MAX,
    unit: TextUnit::Utf16,
};
/// What is on a button has 20 characters as people count them
/// (<https://developers.line.biz/en/reference/messaging-api/#action-objects>,
/// <https://developers.line.biz/en/docs/messaging-api/text-character-count/>).
const LABEL: usize = 20;
const LABEL_UNIT: TextUnit = TextUnit::Graphemes;
/// A place's name and address have 100 characters each (<https://developers.line.biz/en/reference/messaging-api/#location-message>),
/// counted like texts.
const PLACE: usize = 100;

/// The longest address behind a button (<https://developers.line.biz/en/reference/messaging-api/#uri-action>).
const MAX_LINK: usize = 1000;

/// The longest text of a message with buttons of its own: a notification shows all of it
/// (<https://developers.line.biz/en/reference/messaging-api/#flex-message>, `altText`).
const CARD: usize = 1500;

/// The message of a part, of which is known as what it goes; `quote` is the token of what it answers.
pub(super) fn message(part: &Part<'_>, form: &Form, quote: Option<&str>) -> Result<Value, ChannelError> {
    let buttons: Vec<&Button> = part.piece.buttons.iter().flatten().collect();
    if buttons
        .iter()
        .any(|button| matches!(&button.action, ButtonAction::Url(url) if url.chars().count() > MAX_LINK))
    {
        return Err(ChannelError::Permanent(format!(
            "LINE takes addresses of at most {MAX_LINK} characters behind a button"
        )));
    }
    if let Content::Text(text) = &part.piece.content
        && quote.is_none()
        && is_card(&text.body, &buttons)
    {
        return Ok(card(&text.body, &buttons));
    }
    let mut message = content(&part.piece.content, form)?;
    if let Some(quote) = quote.filter(|_| message["type"] == "text") {
        // Of what is sent here only texts can quote (<https://developers.line.biz/en/docs/messaging-api/sending-messages/#send-quote-messages>).
        message["quoteToken"] = json!(quote);
    }
    if !buttons.is_empty() {
        let items: Value =
            buttons.into_iter().map(|button| json!({"type": "action", "action": action(button)})).collect();
        message["quickReply"] = json!({"items": items});
    }
    Ok(message)
}

/// The body of a push.
pub(super) fn push(recipient: &str, message: &Value) -> Value {
    json!({"to": recipient, "messages": [message]})
}

/// The body of a reply.
pub(super) fn reply(token: &str, message: &Value) -> Value {
    json!({"replyToken": token, "messages": [message]})
}

/// The body of the call that marks a message as read (<https://developers.line.biz/en/reference/messaging-api/#mark-as-read>).
pub(super) fn read(token: &str) -> Value {
    json!({"markAsReadToken": token})
}

/// Quick replies go when the next message comes, and computers don't show them. That will do for a choice, not for an address.
fn is_card(text: &str, buttons: &[&Button]) -> bool {
    let is_link = |button: &&Button| matches!(button.action, ButtonAction::Url(_));
    buttons.iter().any(is_link) && CAPS.unit.count(text) <= CARD
}

/// A text with buttons that stay (<https://developers.line.biz/en/docs/messaging-api/flex-message-elements/>).
fn card(text: &str, buttons: &[&Button]) -> Value {
    let column = |contents: Value| json!({"type": "box", "layout": "vertical", "contents": contents});
    let buttons = buttons.iter().map(|button| json!({"type": "button", "action": action(button)})).collect();
    let text_box = column(json!([{"type": "text", "text": text, "wrap": true}]));
    let bubble = json!({"type": "bubble", "body": text_box, "footer": column(buttons)});
    json!({"type": "flex", "altText": text, "contents": bubble})
}

/// The body of the call that shows the loading animation.
pub(super) fn loading(recipient: &str) -> Value {
    json!({"chatId": recipient, "loadingSeconds": LOADING_SECONDS})
}

/// The part's key: the same for everybody who sends it.
pub(super) fn retry_key(message: MessageId, index: usize) -> Uuid {
    let hash = sha256(part_id(message, index).as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

fn content(content: &Content, form: &Form) -> Result<Value, ChannelError> {
    match content {
        Content::Text(text) => Ok(json!({"type": "text", "text": text.body})),
        Content::Media { media, .. } => match form {
            Form::Plain => picture(media),
            Form::Film(preview) => Ok(film(media, preview)),
            Form::Sound(length) => Ok(sound(media, *length)),
            Form::Link(_) => linked(media),
        },
        Content::Location(place) => Ok(location(place)),
        // The plan makes none of these, by what the adapter declares.
        Content::Album { .. }
        | Content::Poll(_)
        | Content::Edit { .. }
        | Content::Delete { .. }
        | Content::React { .. } => Err(ChannelError::Unsupported("LINE has no such messages")),
    }
}

/// LINE fetches it by itself, and only by https (<https://developers.line.biz/en/reference/messaging-api/#image-message>).
fn picture(media: &Media) -> Result<Value, ChannelError> {
    let is_https = Url::parse(&media.url).is_ok_and(|url| url.scheme() == "https");
    if !is_https {
        return Err(ChannelError::Permanent(
            "LINE fetches pictures by https only: give an address that begins with https://".to_owned(),
        ));
    }
    if media.url.chars().count() > MAX_FETCHED {
        return Err(ChannelError::Permanent(format!(
            "LINE fetches pictures from addresses of at most {MAX_FETCHED} characters"
        )));
    }
    Ok(json!({"type": "image", "originalContentUrl": media.url, "previewImageUrl": media.url}))
}

/// <https://developers.line.biz/en/reference/messaging-api/#video-message>
fn film(media: &Media, preview: &str) -> Value {
    json!({"type": "video", "originalContentUrl": media.url, "previewImageUrl": preview})
}

/// <https://developers.line.biz/en/reference/messaging-api/#audio-message>
fn sound(media: &Media, length: Duration) -> Value {
    // A day at most, and not nothing, which LINE might take for a mistake.
    let millis = u64::try_from(length.as_millis()).unwrap_or(u64::MAX).max(1);
    json!({"type": "audio", "originalContentUrl": media.url, "duration": millis})
}

/// Whatever LINE does not play can be opened by its address.
fn linked(media: &Media) -> Result<Value, ChannelError> {
    let text = link(media, Format::Plain);
    if CAPS.unit.count(&text) > CAPS.max_text {
        return Err(ChannelError::Permanent(format!(
            "the attachment would go as a link, but LINE has texts of at most {} {}: give a shorter address",
            CAPS.max_text,
            CAPS.unit.name()
        )));
    }
    Ok(json!({"type": "text", "text": text}))
}

/// Both texts are required.
fn location(place: &Location) -> Value {
    let Location { latitude, longitude, title, address } = place;
    let degrees = format!("{latitude}, {longitude}");
    let title = title.as_ref().or(address.as_ref()).unwrap_or(&degrees);
    let address = address.as_ref().unwrap_or(&degrees);
    json!({
        "type": "location", "title": shortened(title, PLACE, CAPS.unit),
        "address": shortened(address, PLACE, CAPS.unit), "latitude": latitude, "longitude": longitude,
    })
}

/// When it is pressed, all that is on the button stands in the chat, also what did not fit.
fn action(button: &Button) -> Value {
    let label = shortened(&button.text, LABEL, LABEL_UNIT);
    match &button.action {
        ButtonAction::Url(url) => json!({"type": "uri", "label": label, "uri": url}),
        ButtonAction::Data(data) => {
            json!({"type": "postback", "label": label, "data": data, "displayText": button.text})
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_has_one_key_and_no_other_part_has_it() {
        let message = MessageId(Uuid::from_u128(9));
        assert_eq!(retry_key(message, 1), retry_key(message, 1));
        assert_ne!(retry_key(message, 0), retry_key(message, 1));
        assert_ne!(retry_key(message, 0), retry_key(MessageId(Uuid::from_u128(10)), 0));
    }
}
