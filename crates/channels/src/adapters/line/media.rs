//! What LINE has to be told of an attachment beside its address: of a sound its length, of a film a picture that stands for it.
//!
//! LINE fetches attachments by itself, takes any address, and tells nobody when it can't play what is there. So what it would not play, and
//! what can't be told of, goes as a link, as files do.
//!
//! Must hold: nothing that LINE does not fetch or play is sent as if it did.

use std::time::Duration;

use chrono::{DateTime, Utc};
use claw_types::{Media, MediaKind};
use url::Url;

use super::preview;
use crate::kit::fetch::essence;
use crate::kit::length::{self, Container};
use crate::kit::plan::Content;
use crate::kit::upload::{Head, Uploads, is_too_large};
use crate::{ChannelError, Deps, Part};

/// The longest address from which LINE fetches (<https://developers.line.biz/en/reference/messaging-api/#image-message>).
pub(super) const MAX_FETCHED: usize = 2000;
/// Bytes of a film or a sound (<https://developers.line.biz/en/reference/messaging-api/#video-message>).
const MAX_BYTES: u64 = 200_000_000;
/// Of a sound, less: its length is to be read where it may stand at the end, and a worker holds all of it in memory meanwhile.
const MAX_MEASURED: usize = 50_000_000;

/// As what a part goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Form {
    /// As what it is; nothing has to be told of it.
    Plain,
    /// As a film, with the address of the picture that stands for it.
    Film(String),
    /// As a sound of this length.
    Sound(Duration),
    /// As a link, because of this.
    Link(&'static str),
}

/// Looks at attachments.
pub(super) struct Looks {
    uploads: Uploads,
    preview: Option<String>,
    /// Who takes calls without TLS, as no server of LINE's does, fetches without it, too.
    plain: bool,
}

impl Looks {
    /// For a channel whose calls go to this server.
    pub(super) fn new(deps: &Deps, server: &Url) -> Self {
        let preview = preview::address(deps.public_url.as_ref());
        Self { uploads: Uploads::new(deps), preview, plain: server.scheme() == "http" }
    }

    /// As what a part goes.
    ///
    /// # Errors
    /// As [`Uploads::fetch`], of films and sounds.
    pub(super) async fn form(&self, part: &Part<'_>) -> Result<Form, ChannelError> {
        let Content::Media { media, .. } = &part.piece.content else { return Ok(Form::Plain) };
        match media.kind {
            // Nothing has to be known of it, so it is not looked at; an address that LINE does not take is refused.
            MediaKind::Image => Ok(Form::Plain),
            MediaKind::File => Ok(Form::Link("LINE has no files")),
            _ if !self.is_fetched(&media.url) => {
                Ok(Form::Link("LINE fetches by https only, from addresses of at most 2,000 characters"))
            }
            MediaKind::Video => self.film(media, part.accepted_at).await,
            MediaKind::Audio | MediaKind::Voice => self.sound(media, part.accepted_at).await,
        }
    }

    fn is_fetched(&self, url: &str) -> bool {
        let has_scheme = Url::parse(url).is_ok_and(|url| self.plain || url.scheme() == "https");
        has_scheme && url.chars().count() <= MAX_FETCHED
    }

    async fn film(&self, media: &Media, accepted_at: DateTime<Utc>) -> Result<Form, ChannelError> {
        let Some(preview) = &self.preview else {
            return Ok(Form::Link(
                "II_CLAW_PUBLIC_URL begins with no https://, so LINE can't fetch a picture that stands for the film",
            ));
        };
        let head = self.uploads.head(media, accepted_at).await?;
        Ok(if !is_mp4(&head) {
            Form::Link("LINE plays films in MP4 only")
        } else if head.length.is_some_and(|length| length > MAX_BYTES) {
            Form::Link("LINE plays films of at most 200 MB")
        } else {
            Form::Film(preview.clone())
        })
    }

    async fn sound(&self, media: &Media, accepted_at: DateTime<Utc>) -> Result<Form, ChannelError> {
        let held = match self.uploads.fetch(std::slice::from_ref(media), accepted_at, MAX_MEASURED).await {
            Ok(held) => held,
            Err(error) if is_too_large(&error) => {
                return Ok(Form::Link("the sound has more than the 50 MB in which its length is looked for"));
            }
            Err(error) => return Err(error),
        };
        let measured = held.files.first().and_then(|file| length::of(&file.bytes));
        Ok(match measured {
            Some(found) if matches!(found.container, Container::Mp4 | Container::Mp3) => {
                Form::Sound(found.length)
            }
            Some(_) => Form::Link("LINE plays sound in M4A and MP3 only"),
            None => Form::Link("the sound does not tell its length"),
        })
    }
}

/// By its first bytes or, where they don't tell, by its server.
fn is_mp4(head: &Head) -> bool {
    let told = head.content_type.as_deref().map(essence).unwrap_or_default();
    let found = infer::get(&head.bytes).map_or(told, |found| found.mime_type());
    ["video/mp4", "video/x-m4v", "application/mp4"].iter().any(|known| found.eq_ignore_ascii_case(known))
}
