//! What people attach and share
//! (<https://developers.facebook.com/documentation/business-messaging/messenger-platform/webhooks/webhook-events/messages>).

use claw_types::{Inbound, MediaKind, MediaRef};
use serde::Deserialize;
use serde_json::{Value, json};

/// Meta's pages show both.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Attachments {
    Several(Vec<Attachment>),
    One(Attachment),
}

#[derive(Deserialize)]
pub(super) struct Attachment {
    r#type: String,
    title: Option<String>,
    #[serde(default)]
    payload: Option<Value>,
}

impl Attachments {
    /// Those that are to be told of: until September 2026 a sticker came as a picture, too.
    pub(super) fn shown(self) -> Vec<Attachment> {
        let mut all = match self {
            Self::Several(several) => several,
            Self::One(one) => vec![one],
        };
        if all.iter().any(|one| one.r#type == "sticker") {
            all.retain(|one| !one.is_old_sticker());
        }
        all
    }
}

impl Attachment {
    fn of_payload(&self, key: &str) -> Option<&Value> {
        self.payload.as_ref()?.get(key)
    }

    fn url(&self) -> Option<String> {
        self.of_payload("url")?.as_str().map(str::to_owned)
    }

    fn is_old_sticker(&self) -> bool {
        self.r#type == "image" && self.of_payload("sticker_id").is_some()
    }

    pub(super) fn read(self, base: Inbound) -> Inbound {
        let kind = match self.r#type.as_str() {
            "image" | "sticker" => MediaKind::Image,
            "video" => MediaKind::Video,
            "audio" => MediaKind::Audio,
            "file" => MediaKind::File,
            "location" => return self.place(base),
            _ => return self.shared(base),
        };
        let is_sticker = self.r#type == "sticker" || self.is_old_sticker();
        let content_type = if is_sticker { "sticker" } else { kind.as_str() };
        let media = self.url().map(|handle| MediaRef { kind, handle, filename: None, mime: None });
        Inbound { content_type: content_type.to_owned(), media, ..base }
    }

    /// Words for a place, so that a backend which reads only text is told something; the numbers go to `metadata`.
    fn place(self, base: Inbound) -> Inbound {
        let degrees = |key: &str| self.of_payload("coordinates")?.get(key)?.as_f64();
        let (latitude, longitude) = (degrees("lat"), degrees("long"));
        let mut metadata = base.metadata;
        let place = latitude.zip(longitude).map(|(latitude, longitude)| {
            metadata.insert("location".to_owned(), json!({"latitude": latitude, "longitude": longitude}));
            format!("{latitude}, {longitude}")
        });
        let words: Vec<_> = self.title.into_iter().chain(place).collect();
        let text = (!words.is_empty()).then(|| words.join("\n"));
        Inbound { content_type: "location".to_owned(), text, metadata, ..base }
    }

    /// What was shared: a post, a story, a link. Its address is one that anybody may open.
    fn shared(self, base: Inbound) -> Inbound {
        let title = self.title.clone().or_else(|| self.of_payload("title")?.as_str().map(str::to_owned));
        let words: Vec<_> = title.into_iter().chain(self.url()).collect();
        let text = (!words.is_empty()).then(|| words.join("\n"));
        // A link that somebody wrote comes as its own preview beside the text.
        let content_type = if self.r#type == "fallback" { "text" } else { "other" };
        let mut metadata = base.metadata;
        metadata.insert("shared".to_owned(), json!(self.r#type));
        Inbound { content_type: content_type.to_owned(), text, metadata, ..base }
    }
}
