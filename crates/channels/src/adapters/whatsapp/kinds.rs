//! The messages that a webhook brings, by their type (<https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages>).

use claw_types::{Inbound, MediaKind, MediaRef};
use serde::Deserialize;
use serde_json::{Value, json};

use super::ids;

/// What only messages of one type have.
#[derive(Deserialize)]
pub(super) struct Kinds {
    #[serde(default)]
    r#type: String,
    text: Option<Text>,
    image: Option<Media>,
    video: Option<Media>,
    audio: Option<Media>,
    document: Option<Media>,
    sticker: Option<Media>,
    location: Option<Place>,
    contacts: Option<Vec<Contact>>,
    button: Option<Button>,
    interactive: Option<Interactive>,
    unsupported: Option<Unsupported>,
    pub(super) reaction: Option<Reacted>,
    pub(super) edit: Option<Edit>,
    pub(super) revoke: Option<Revoke>,
}

#[derive(Deserialize)]
struct Text {
    body: String,
}

#[derive(Deserialize)]
struct Media {
    id: String,
    mime_type: Option<String>,
    caption: Option<String>,
    filename: Option<String>,
    #[serde(default)]
    voice: bool,
}

#[derive(Deserialize)]
struct Place {
    latitude: f64,
    longitude: f64,
    name: Option<String>,
    address: Option<String>,
}

#[derive(Deserialize)]
struct Contact {
    name: Option<Name>,
    #[serde(default)]
    phones: Vec<Phone>,
    #[serde(default)]
    emails: Vec<Email>,
}

#[derive(Deserialize)]
struct Name {
    formatted_name: Option<String>,
}

#[derive(Deserialize)]
struct Phone {
    phone: Option<String>,
}

#[derive(Deserialize)]
struct Email {
    email: Option<String>,
}

/// A quick reply of a template.
#[derive(Deserialize)]
struct Button {
    payload: Option<String>,
    text: Option<String>,
}

#[derive(Deserialize)]
struct Interactive {
    button_reply: Option<Chosen>,
    list_reply: Option<Chosen>,
}

#[derive(Deserialize)]
struct Chosen {
    id: String,
    title: Option<String>,
}

/// What the API does not pass on
/// (<https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/unsupported/>).
#[derive(Deserialize)]
struct Unsupported {
    r#type: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Reacted {
    pub(super) message_id: String,
    /// None, or an empty one, when it was taken away: which it was is not told.
    pub(super) emoji: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct Edit {
    pub(super) original_message_id: String,
    pub(super) message: Value,
}

#[derive(Deserialize)]
pub(super) struct Revoke {
    pub(super) original_message_id: String,
}

impl Kinds {
    /// `None` for what no person wrote.
    pub(super) fn read(self, base: Inbound) -> Option<Inbound> {
        let is = self.r#type.as_str();
        if is == "system" {
            return None;
        }
        if let Some((data, title)) = self.pressed() {
            return Some(button(base, data, title));
        }
        if let Some(place) = self.location {
            return Some(location(base, place));
        }
        if let Some(contacts) = self.contacts {
            let text = contacts.into_iter().map(Contact::words).collect::<Vec<_>>().join("\n");
            return Some(Inbound { content_type: "contact".to_owned(), text: Some(text), ..base });
        }
        let attached = [
            (MediaKind::Image, "image", self.image),
            (MediaKind::Video, "video", self.video),
            (MediaKind::Audio, "audio", self.audio),
            (MediaKind::File, "file", self.document),
            (MediaKind::Image, "sticker", self.sticker),
        ];
        for (kind, content_type, media) in attached {
            if let Some(media) = media {
                return Some(attachment(base, kind, content_type, media));
            }
        }
        let text = self.text.map(|text| text.body);
        let content_type = if text.is_some() { "text" } else { "other" };
        let mut metadata = base.metadata;
        if let Some(kind) = self.unsupported.and_then(|unsupported| unsupported.r#type) {
            metadata.insert("unsupported".to_owned(), json!(kind));
        }
        Some(Inbound { content_type: content_type.to_owned(), text, metadata, ..base })
    }

    /// What stands behind a button or a row that was chosen, and what is on it.
    fn pressed(&self) -> Option<(String, Option<String>)> {
        if let Some(Button { payload, text }) = &self.button {
            return Some((payload.clone().or_else(|| text.clone())?, text.clone()));
        }
        let interactive = self.interactive.as_ref()?;
        let chosen = interactive.button_reply.as_ref().or(interactive.list_reply.as_ref())?;
        Some((ids::data(&chosen.id).to_owned(), chosen.title.clone()))
    }
}

/// A button that was pressed. The message below which it stands is the one that is answered.
fn button(base: Inbound, data: String, title: Option<String>) -> Inbound {
    let mut metadata = base.metadata;
    metadata.insert("callback_data".to_owned(), json!(data));
    if let Some(title) = title {
        metadata.insert("button_text".to_owned(), json!(title));
    }
    if let Some(answered) = &base.answers {
        metadata.insert("message_id".to_owned(), json!(answered.message_id));
    }
    Inbound {
        content_type: "button".to_owned(),
        text: Some(data),
        mentioned: Some(true),
        answers: None,
        metadata,
        ..base
    }
}

fn attachment(base: Inbound, kind: MediaKind, content_type: &str, media: Media) -> Inbound {
    let (kind, content_type) = if media.voice { (MediaKind::Voice, "voice") } else { (kind, content_type) };
    Inbound {
        content_type: content_type.to_owned(),
        text: media.caption,
        media: Some(MediaRef { kind, handle: media.id, filename: media.filename, mime: media.mime_type }),
        ..base
    }
}

/// Words for a place, so that a backend which reads only text is told something; the numbers go to `metadata`.
fn location(base: Inbound, place: Place) -> Inbound {
    let Place { latitude, longitude, name, address } = place;
    let mut metadata = base.metadata;
    metadata.insert("location".to_owned(), json!({"latitude": latitude, "longitude": longitude}));
    let named = [name, address].into_iter().flatten().filter(|text| !text.is_empty());
    let words: Vec<_> = named.chain([format!("{latitude}, {longitude}")]).collect();
    Inbound { content_type: "location".to_owned(), text: Some(words.join("\n")), metadata, ..base }
}

impl Contact {
    fn words(self) -> String {
        let name = self.name.and_then(|name| name.formatted_name);
        let phones = self.phones.into_iter().filter_map(|phone| phone.phone);
        let emails = self.emails.into_iter().filter_map(|email| email.email);
        name.into_iter().chain(phones).chain(emails).collect::<Vec<_>>().join(", ")
    }
}
