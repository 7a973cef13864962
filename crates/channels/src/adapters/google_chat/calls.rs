//! Parts as calls of the Chat API. Pure, so that every one can be checked against the platform's own description.

use claw_types::{Button, ButtonAction, Media};
use http::Method;
use serde_json::{Map, Value, json};
use url::Url;

use crate::kit::plan::{Content, Text, part_id};
use crate::{ChannelError, Part};

/// The parameter in which a pressed button sends what it is.
pub(super) const PRESSED: &str = "pressed";
/// A thread of the caller's own name, which the first message in it begins.
const KEY: &str = "key:";
/// The card of a message: it has one at most.
const CARD: &str = "card";

/// One call.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Call {
    pub(super) method: Method,
    /// The name of what it is of, below the API's address: `spaces/AAAA/messages`.
    pub(super) resource: String,
    pub(super) query: Vec<(&'static str, String)>,
    /// The message.
    pub(super) body: Option<Value>,
}

/// The call that sends a part. `function` is what a pressed button calls.
pub(super) fn of_part(part: &Part<'_>, function: &str) -> Result<Call, ChannelError> {
    let rows = &part.piece.buttons;
    match &part.piece.content {
        Content::Text(text) => create(part, Some(text), card(&[], rows, function)?),
        Content::Media { media, caption } => {
            create(part, caption.as_ref(), card(std::slice::from_ref(media), rows, function)?)
        }
        Content::Album { media, caption } => create(part, caption.as_ref(), card(media, rows, function)?),
        Content::Edit { message_id, text } => {
            let card = card(&[], rows, function)?;
            // Without a text it is the buttons alone that become others.
            let mask = if text.is_some() { "text,cardsV2" } else { "cardsV2" };
            let mut body = message(text.as_ref(), card.clone());
            if card.is_none() {
                body.insert("cardsV2".to_owned(), json!([]));
            }
            Ok(Call {
                method: Method::PATCH,
                resource: named(message_id)?,
                query: vec![("updateMask", mask.to_owned())],
                body: Some(Value::Object(body)),
            })
        }
        Content::Delete { message_id } => {
            Ok(Call { method: Method::DELETE, resource: named(message_id)?, query: Vec::new(), body: None })
        }
        // The plan makes none of these, by what the adapter declares.
        Content::Location(_) | Content::Poll(_) | Content::React { .. } => {
            Err(ChannelError::Unsupported("Google Chat has no such messages of apps"))
        }
    }
}

/// A new message, in its thread
/// (<https://developers.google.com/workspace/chat/create-messages#start-or-reply-thread>).
fn create(part: &Part<'_>, text: Option<&Text>, card: Option<Value>) -> Result<Call, ChannelError> {
    let space = part.recipient;
    if !is_resource(space, &["spaces"]) {
        return Err(ChannelError::Permanent(format!(
            "recipient {space:?} is no space: take it from reply_to, as spaces/AAAA"
        )));
    }
    let mut query = vec![("requestId", part_id(part.message_id, part.index))];
    let mut body = message(text, card);
    if let Some(thread) = part.thread_id {
        let thread = match thread.strip_prefix(KEY) {
            Some(key) => json!({"threadKey": key}),
            None => json!({"name": format!("{space}/threads/{thread}")}),
        };
        body.insert("thread".to_owned(), thread);
        // A thread that is gone must not keep the answer back.
        query.push(("messageReplyOption", "REPLY_MESSAGE_FALLBACK_TO_NEW_THREAD".to_owned()));
    }
    let body = Some(Value::Object(body));
    Ok(Call { method: Method::POST, resource: format!("{space}/messages"), query, body })
}

/// Asks for a message; an app may see those that it got (<https://developers.google.com/workspace/chat/api/reference/rest/v1/spaces.messages/get>).
pub(super) fn get(message: &str) -> Result<Call, ChannelError> {
    Ok(Call { method: Method::GET, resource: named(message)?, query: Vec::new(), body: None })
}

impl Call {
    /// A new message that quotes another one, of the version that is there
    /// (<https://developers.google.com/workspace/chat/api/reference/rest/v1/spaces.messages#QuotedMessageMetadata>).
    pub(super) fn quoting(&self, message: &str, version: &str) -> Self {
        let mut call = self.clone();
        if let Some(Value::Object(body)) = &mut call.body {
            let quoted = json!({"name": message, "lastUpdateTime": version});
            body.insert("quotedMessageMetadata".to_owned(), quoted);
        }
        call
    }
}

/// A message's name, in which nothing leads elsewhere.
fn named(message: &str) -> Result<String, ChannelError> {
    if is_resource(message, &["spaces", "messages"]) {
        return Ok(message.to_owned());
    }
    Err(ChannelError::Permanent(format!(
        "message_id {message:?} is no message: take it from platform_message_id, as spaces/AAAA/messages/BBBB"
    )))
}

/// Whether a name is made of these kinds, each followed by an id.
fn is_resource(name: &str, kinds: &[&str]) -> bool {
    let segments: Vec<&str> = name.split('/').collect();
    let is_id = |id: &str| {
        !id.is_empty()
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
            && !matches!(id, "." | "..")
    };
    segments.len() == 2 * kinds.len()
        && segments.chunks(2).zip(kinds).all(|(pair, kind)| pair[0] == *kind && is_id(pair[1]))
}

fn message(text: Option<&Text>, card: Option<Value>) -> Map<String, Value> {
    let mut message = Map::new();
    if let Some(text) = text {
        message.insert("text".to_owned(), json!(text.body));
    }
    if let Some(card) = card {
        message.insert("cardsV2".to_owned(), json!([card]));
    }
    message
}

/// A card with pictures, one below the other, and buttons (<https://developers.google.com/workspace/chat/api/reference/rest/v1/cards>);
/// `None` where there are neither. Of its 100 widgets a picture is one, and a row of buttons.
fn card(pictures: &[Media], rows: &[Vec<Button>], function: &str) -> Result<Option<Value>, ChannelError> {
    let mut widgets = pictures.iter().map(image).collect::<Result<Vec<_>, _>>()?;
    for row in rows {
        let buttons: Vec<_> = row.iter().map(|one| button(one, function)).collect();
        widgets.push(json!({"buttonList": {"buttons": buttons}}));
    }
    if widgets.is_empty() {
        return Ok(None);
    }
    Ok(Some(json!({"cardId": CARD, "card": {"sections": [{"widgets": widgets}]}})))
}

/// Google fetches it by itself, and only by https.
fn image(media: &Media) -> Result<Value, ChannelError> {
    let is_https = Url::parse(&media.url).is_ok_and(|url| url.scheme() == "https");
    if !is_https {
        return Err(ChannelError::Permanent(
            "Google Chat fetches pictures by https only: give an address that begins with https://"
                .to_owned(),
        ));
    }
    // Pressed, it opens in its full size.
    let mut image = json!({"imageUrl": media.url, "onClick": {"openLink": {"url": media.url}}});
    if let Some(name) = &media.filename {
        image["altText"] = json!(name);
    }
    Ok(json!({"image": image}))
}

fn button(button: &Button, function: &str) -> Value {
    let on_click = match &button.action {
        ButtonAction::Url(url) => json!({"openLink": {"url": url}}),
        ButtonAction::Data(data) => {
            json!({"action": {"function": function, "parameters": [{"key": PRESSED, "value": data}]}})
        }
    };
    json!({"text": button.text, "onClick": on_click})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_it_says() {
        for message in ["spaces/AAA/messages/B-b_b.B", "spaces/AAA/messages/client-7"] {
            assert!(named(message).is_ok(), "{message}");
        }
        for other in [
            "",
            "spaces/AAA",
            "spaces//messages/B",
            "spaces/../messages/B",
            "spaces/A?x/messages/B",
            "users/A/messages/B",
        ] {
            assert!(matches!(named(other), Err(ChannelError::Permanent(_))), "{other}");
        }
    }
}
