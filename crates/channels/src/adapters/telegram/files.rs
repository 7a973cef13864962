//! Attachments as Telegram takes them (<https://core.telegram.org/bots/api#sending-files>): the worker fetches and uploads
//! them, because by an address Telegram takes less, leaves out the name and would be told addresses of ours.
//!
//! An attachment that Telegram can't show as what it is sent as goes as a document, which may be anything:
//! - a photo is JPEG, PNG or WebP (the Bot API names no types; a GIF as a document still moves) of at most 10 MB;
//! - a video is MPEG4;
//! - audio is MP3 or M4A;
//! - a voice note is OGG with OPUS, MP3 or M4A.
//!
//! What it is, its first bytes tell; where they don't, its server. An album in which one must be a document becomes an
//! album of documents, because these can't be mixed with others. All attachments of a part have 50 MB together.

use bytes::Bytes;
use claw_types::{Media, MediaKind};

use crate::kit::fetch::Fetched;
use crate::kit::file;

/// Of a request; megabytes as the smaller ones, as the Bot API does not say which.
pub(super) const MAX_BYTES: usize = 50_000_000;
const MAX_PHOTO: usize = 10_000_000;

const PHOTOS: &[&str] = &["image/jpeg", "image/jpg", "image/png", "image/webp"];
const VIDEOS: &[&str] = &["video/mp4", "video/x-m4v", "application/mp4"];
/// An M4A is an MP4, and its first bytes often tell no more.
const SOUNDS: &[&str] =
    &["audio/mpeg", "audio/mp3", "audio/m4a", "audio/x-m4a", "audio/mp4", "video/mp4", "application/mp4"];
const OPUS: &str = "audio/opus";

/// As what something is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Photo,
    Video,
    Audio,
    Voice,
    Document,
}

/// An attachment as it is handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct File {
    pub(super) form: Form,
    pub(super) name: String,
    pub(super) content_type: String,
    pub(super) bytes: Bytes,
}

impl Form {
    pub(super) fn method(self) -> &'static str {
        match self {
            Self::Photo => "sendPhoto",
            Self::Video => "sendVideo",
            Self::Audio => "sendAudio",
            Self::Voice => "sendVoice",
            Self::Document => "sendDocument",
        }
    }

    /// The parameter of that method, which is the type in an album, too.
    pub(super) fn key(self) -> &'static str {
        match self {
            Self::Photo => "photo",
            Self::Video => "video",
            Self::Audio => "audio",
            Self::Voice => "voice",
            Self::Document => "document",
        }
    }
}

/// What was fetched of a part, ready to be sent together.
pub(super) fn of(media: &[Media], fetched: &[Fetched]) -> Vec<File> {
    let mut files: Vec<_> = media.iter().zip(fetched).map(|(media, fetched)| file(media, fetched)).collect();
    let document = |file: &File| file.form == Form::Document;
    if files.iter().any(document) {
        as_documents(&mut files);
    }
    files
}

/// Makes documents of all of them.
pub(super) fn as_documents(files: &mut [File]) {
    for file in files {
        file.form = Form::Document;
    }
}

fn file(media: &Media, fetched: &Fetched) -> File {
    let file::File { name, content_type, bytes } = file::File::new(media, fetched);
    let form = form(media.kind, &content_type, bytes.len());
    // Telegram takes a semicolon for the end of the name, even between quotes.
    File { form, name: name.replace(';', "_"), content_type, bytes }
}

fn form(kind: MediaKind, content_type: &str, length: usize) -> Form {
    let is = |types: &[&str]| types.contains(&content_type);
    match kind {
        MediaKind::Image if is(PHOTOS) && length <= MAX_PHOTO => Form::Photo,
        MediaKind::Video if is(VIDEOS) => Form::Video,
        MediaKind::Audio if is(SOUNDS) => Form::Audio,
        MediaKind::Voice if is(SOUNDS) || content_type == OPUS => Form::Voice,
        _ => Form::Document,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(kind: MediaKind, content_type: &str, bytes: &[u8], filename: Option<&str>) -> File {
        let media = Media { kind, url: "https://x.org/y".to_owned(), filename: filename.map(str::to_owned) };
        let bytes = Bytes::copy_from_slice(bytes);
        let fetched =
            Fetched { content_type: content_type.to_owned(), filename: Some("there.x".to_owned()), bytes };
        of(&[media], &[fetched]).remove(0)
    }

    #[test]
    fn what_telegram_would_not_show_is_a_document() {
        use MediaKind::{Audio, File, Image, Video, Voice};
        let gif: &[u8] = b"GIF89a...";
        let mut opus = b"OggS".to_vec();
        opus.resize(28, 0);
        opus.extend_from_slice(b"OpusHead");
        for (kind, told, bytes, form) in [
            (Image, "IMAGE/JPEG; q=1", b"?".as_slice(), Form::Photo),
            (Image, "image/webp", b"?", Form::Photo),
            (Image, "image/svg+xml", b"<svg", Form::Document),
            (Image, "image/png", gif, Form::Document),
            (Video, "video/mp4", b"?", Form::Video),
            (Video, "video/webm", b"?", Form::Document),
            (Audio, "audio/mpeg", b"?", Form::Audio),
            (Audio, "audio/mpeg", &opus, Form::Document),
            (Audio, "audio/ogg", b"OggS", Form::Document),
            (Voice, "application/ogg", &opus, Form::Voice),
            (Voice, "audio/ogg", b"OggS, vorbis", Form::Document),
            (Voice, "audio/mp4", b"?", Form::Voice),
            (Voice, "audio/webm", b"?", Form::Document),
            (File, "image/png", b"?", Form::Document),
        ] {
            assert_eq!(sent(kind, told, bytes, None).form, form, "{kind:?} {told}");
        }
    }

    #[test]
    fn a_photo_has_ten_megabytes() {
        assert_eq!(form(MediaKind::Image, "image/png", MAX_PHOTO), Form::Photo);
        assert_eq!(form(MediaKind::Image, "image/png", MAX_PHOTO + 1), Form::Document);
        assert_eq!(form(MediaKind::Video, "video/mp4", MAX_PHOTO + 1), Form::Video);
    }

    #[test]
    fn the_callers_name_goes_before_the_hosts() {
        let name =
            |filename: Option<&str>, bytes: &[u8]| sent(MediaKind::File, "image/png", bytes, filename).name;
        assert_eq!(name(None, b"?"), "there.x");
        assert_eq!(name(Some("../Bericht \"März\"; 1.pdf"), b"?"), "Bericht _März__ 1.pdf");
        assert_eq!(name(Some("a\r\nb"), b"GIF89a"), "ab.gif");
        assert_eq!(name(Some("/"), b"?"), "there.x");
    }

    #[test]
    fn an_album_with_a_document_is_one_of_documents() {
        let media = |kind| Media { kind, url: "https://x.org/y".to_owned(), filename: None };
        let fetched = |content_type: &str| Fetched {
            content_type: content_type.to_owned(),
            filename: None,
            bytes: Bytes::from_static(b"?"),
        };
        let both = [media(MediaKind::Image), media(MediaKind::Video)];
        let forms = |types: [&str; 2]| {
            of(&both, &types.map(fetched)).into_iter().map(|file| file.form).collect::<Vec<_>>()
        };
        assert_eq!(forms(["image/png", "video/mp4"]), [Form::Photo, Form::Video]);
        assert_eq!(forms(["image/png", "video/webm"]), [Form::Document; 2]);
    }
}
