//! Attachments as WhatsApp takes them (<https://developers.facebook.com/documentation/business-messaging/whatsapp/business-phone-numbers/media/>,
//! "Supported media types"): what it can't show as what it is sent as goes as a document, which may be anything.

use claw_types::MediaKind;

use crate::kit::file::File;

const MEGABYTE: usize = 1 << 20;
/// A document may have 100 MB, but a worker holds attachments in memory until WhatsApp has them.
pub(super) const MAX_BYTES: usize = 50_000_000;
const MAX_IMAGE: usize = 5 * MEGABYTE;
const MAX_VIDEO: usize = 16 * MEGABYTE;
const MAX_AUDIO: usize = 16 * MEGABYTE;

const IMAGES: &[&str] = &["image/jpeg", "image/png"];
const VIDEOS: &[&str] = &["video/mp4", "video/3gpp", "video/3gp"];
/// OGG with OPUS only, which the first bytes tell.
const SOUNDS: &[&str] = &["audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/m4a", "audio/opus"];

/// As what something is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Image,
    Video,
    Audio,
    Document,
}

impl Form {
    pub(super) fn of(kind: MediaKind, file: &File) -> Self {
        let length = file.bytes.len();
        let is = |types: &[&str]| types.contains(&file.content_type.as_str());
        match kind {
            MediaKind::Image if is(IMAGES) && length <= MAX_IMAGE => Self::Image,
            MediaKind::Video if is(VIDEOS) && length <= MAX_VIDEO => Self::Video,
            MediaKind::Audio | MediaKind::Voice if is(SOUNDS) && length <= MAX_AUDIO => Self::Audio,
            _ => Self::Document,
        }
    }

    /// The type of the message, and the key of what it has.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Document => "document",
        }
    }
}

/// Whether it is shown as a voice note: only OGG with OPUS can be
/// (<https://developers.facebook.com/docs/whatsapp/cloud-api/messages/audio-messages>).
pub(super) fn is_voice(kind: MediaKind, file: &File) -> bool {
    kind == MediaKind::Voice && file.content_type == "audio/opus" && Form::of(kind, file) == Form::Audio
}

/// The type by which it is uploaded: WhatsApp knows sound in OGG by the name of its container.
pub(super) fn uploaded_as(content_type: &str) -> &str {
    match content_type {
        "audio/opus" => "audio/ogg",
        "audio/m4a" => "audio/mp4",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn what_can_not_be_shown_is_a_document() {
        use MediaKind::{Audio, File as AnyFile, Image, Video, Voice};
        let of = |kind, content_type: &str, length: usize| {
            let (name, content_type) = ("x".to_owned(), content_type.to_owned());
            Form::of(kind, &File { name, content_type, bytes: Bytes::from(vec![0; length]) })
        };
        for (kind, content_type, form) in [
            (Image, "image/jpeg", Form::Image),
            (Image, "image/webp", Form::Document),
            (Image, "image/gif", Form::Document),
            (Video, "video/mp4", Form::Video),
            (Video, "video/webm", Form::Document),
            (Audio, "audio/mpeg", Form::Audio),
            (Voice, "audio/opus", Form::Audio),
            (Voice, "audio/ogg", Form::Document),
            (AnyFile, "image/png", Form::Document),
        ] {
            assert_eq!(of(kind, content_type, 1), form, "{kind:?} {content_type}");
        }
        assert_eq!(of(Image, "image/png", MAX_IMAGE), Form::Image);
        assert_eq!(of(Image, "image/png", MAX_IMAGE + 1), Form::Document);
        assert_eq!(of(Video, "video/mp4", MAX_VIDEO + 1), Form::Document);
        assert_eq!(of(Audio, "audio/mpeg", MAX_AUDIO + 1), Form::Document);
        let shown = |kind, content_type: &str| {
            let (name, content_type) = ("x".to_owned(), content_type.to_owned());
            is_voice(kind, &File { name, content_type, bytes: Bytes::from_static(b"x") })
        };
        assert!(shown(Voice, "audio/opus") && !shown(Audio, "audio/opus") && !shown(Voice, "audio/mpeg"));
        assert_eq!((uploaded_as("audio/opus"), uploaded_as("image/png")), ("audio/ogg", "image/png"));
    }
}
