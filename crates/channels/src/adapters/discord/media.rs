//! Attachments, both ways.
//!
//! What people attach lies at an address that Discord signs and that is good for about a day
//! (<https://docs.discord.com/developers/reference#signed-attachment-cdn-urls>): it carries no token of the bot's. When it has
//! expired, the message is asked for once more and has a new one. What we send is uploaded; a voice note in OPUS, as Discord's own
//! programs record it, is a voice message.

use std::time::Duration;

use claw_types::{Media, MediaKind, MediaRef};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use serde::Deserialize;

use super::api::Api;
use super::calls;
use super::event::{Attachment, Message, Snapshot, Sticker};
use crate::kit::fetch::Fetched;
use crate::kit::file::File;
use crate::kit::length::{self, Container};
use crate::kit::plan::{Content, Piece};
use crate::kit::transfer::download;
use crate::{ChannelError, MediaStream};

/// Of a message's files together; Discord takes 10 MiB of a file
/// (<https://docs.discord.com/developers/reference#uploading-files>), and megabytes are smaller.
pub(super) const MAX_BYTES: usize = 10_000_000;

/// As Discord's own programs call a voice message, and its type, which has to be one of sound.
const VOICE_MESSAGE: &str = "voice-message.ogg";
const OGG: &str = "audio/ogg";

/// Formats of stickers (<https://docs.discord.com/developers/resources/sticker#sticker-object-sticker-format-types>).
const PNG: u64 = 1;
const APNG: u64 = 2;
const GIF: u64 = 4;

/// What is uploaded with a part.
#[derive(Debug, Default)]
pub(super) struct Uploaded {
    pub(super) files: Vec<File>,
    /// How long it is, if it is a voice message.
    pub(super) spoken: Option<Duration>,
}

impl Uploaded {
    /// What was fetched of a part. Discord shows a file by the end of its name.
    pub(super) fn new(piece: &Piece, media: &[Media], fetched: &[Fetched]) -> Self {
        let mut files: Vec<File> =
            media.iter().zip(fetched).map(|(media, fetched)| File::new(media, fetched)).collect();
        let spoken = spoken(piece, &files);
        if let (Some(_), [file]) = (spoken, files.as_mut_slice()) {
            VOICE_MESSAGE.clone_into(&mut file.name);
            OGG.clone_into(&mut file.content_type);
        }
        Self { files, spoken }
    }
}

/// How long a voice message of it is; `None` where it goes as a file. Nothing else may be in a voice message, neither words nor buttons,
/// and only OPUS is played everywhere (<https://docs.discord.com/developers/resources/message#voice-messages>).
fn spoken(piece: &Piece, files: &[File]) -> Option<Duration> {
    let Content::Media { media, caption: None } = &piece.content else { return None };
    if media.kind != MediaKind::Voice || !piece.buttons.is_empty() {
        return None;
    }
    let measured = length::of(&files.first()?.bytes)?;
    (measured.container == Container::OggOpus).then_some(measured.length)
}

/// What is attached to a message, or to the one that it carries on, and the pictures of stickers: its kind in words, where it is,
/// how long it lasts.
pub(super) fn of(message: &Message) -> impl Iterator<Item = (String, MediaRef, Option<u32>)> + '_ {
    let forwarded = message.forwarded().flat_map(|one| &one.attachments);
    let attached = message.attachments.iter().chain(forwarded).map(|attachment| {
        let media = reference(&message.channel_id, &message.id, attachment);
        (media.kind.as_str().to_owned(), media, attachment.duration_secs.and_then(seconds))
    });
    attached.chain(message.stickers().filter_map(picture).map(|media| ("sticker".to_owned(), media, None)))
}

/// An attachment, by where it is and its address of now.
pub(super) fn reference(channel: &str, message: &str, attachment: &Attachment) -> MediaRef {
    MediaRef {
        kind: kind(attachment),
        handle: format!("{channel}/{message}/{} {}", attachment.id, attachment.url),
        filename: attachment.filename.clone(),
        mime: attachment.content_type.clone(),
    }
}

/// A sticker's picture (<https://docs.discord.com/developers/reference#image-formatting-cdn-endpoints>). Animations of the kind
/// Lottie, which hardly anything else can show, have none.
fn picture(sticker: &Sticker) -> Option<MediaRef> {
    let id = Some(&sticker.id).filter(|id| !id.is_empty() && id.bytes().all(|b| b.is_ascii_digit()))?;
    let (server, end) = match sticker.format_type {
        PNG | APNG => ("https://cdn.discordapp.com", "png"),
        GIF => ("https://media.discordapp.net", "gif"),
        _ => return None,
    };
    Some(MediaRef {
        kind: MediaKind::Image,
        handle: format!("sticker/{id} {server}/stickers/{id}.{end}"),
        filename: Some(format!("{}.{end}", sticker.name)),
        mime: Some(format!("image/{end}")),
    })
}

fn kind(attachment: &Attachment) -> MediaKind {
    let mime = attachment.content_type.as_deref().unwrap_or_default();
    match mime.split('/').next() {
        // Only what was spoken into Discord has a length.
        Some("audio") if attachment.duration_secs.is_some() => MediaKind::Voice,
        Some("audio") => MediaKind::Audio,
        Some("image") => MediaKind::Image,
        Some("video") => MediaKind::Video,
        _ => MediaKind::File,
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is within bounds")]
fn seconds(duration: f64) -> Option<u32> {
    (0.0..86_400.0).contains(&duration).then(|| duration.ceil() as u32)
}

/// Opens an attachment by its handle: where it is, and its address of then.
pub(super) async fn open(api: &Api, handle: &str) -> Result<MediaStream, ChannelError> {
    #[derive(Deserialize)]
    struct Found {
        #[serde(default)]
        attachments: Vec<Attachment>,
        #[serde(default)]
        message_snapshots: Vec<Snapshot>,
    }
    let unknown = || ChannelError::Permanent("this is no attachment of Discord's".to_owned());
    let (place, url) = handle.split_once(' ').ok_or_else(unknown)?;
    let mut response = api.fetch(url).await?;
    let is_gone =
        matches!(response.status(), StatusCode::FORBIDDEN | StatusCode::NOT_FOUND | StatusCode::GONE);
    // A sticker is in no message: its address does not change.
    if is_gone && let [channel, message, id] = place.split('/').collect::<Vec<_>>()[..] {
        let found: Found = api.ask(&calls::message(channel, message)).await?;
        let forwarded = found.message_snapshots.into_iter().flat_map(|snapshot| snapshot.message.attachments);
        let gone = || ChannelError::Permanent("the attachment is not there any more".to_owned());
        let again = found.attachments.into_iter().chain(forwarded).find(|attachment| attachment.id == id);
        response = api.fetch(&again.ok_or_else(gone)?.url).await?;
    }
    let status = response.status();
    if !status.is_success() {
        let text = format!("Discord answered {} for the attachment", status.as_u16());
        return Err(if status.is_client_error() {
            ChannelError::Permanent(text)
        } else {
            ChannelError::Retryable(text)
        });
    }
    let content_type = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let content_type = content_type.map(str::to_owned);
    Ok(MediaStream { content_type, bytes: download(response) })
}
