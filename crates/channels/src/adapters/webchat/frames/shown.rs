//! What a message of the agent's shows and what visitors are offered, as the page takes it.

use std::borrow::Cow;

use claw_types::{Format, Location, Media, MediaKind, Poll};
use serde::Serialize;

use super::format_of;
use crate::kit::commands::Command;
use crate::kit::plan::{Content, Text, location_text, poll_text};

/// An attachment as the page takes it.
#[derive(Debug, Serialize)]
pub struct Attachment<'a> {
    kind: MediaKind,
    url: &'a str,
    filename: Option<&'a str>,
}

impl<'a> Attachment<'a> {
    /// Where a page finds it.
    pub fn of(Media { kind, url, filename }: &'a Media) -> Self {
        Self { kind: *kind, url, filename: filename.as_deref() }
    }
}

/// The message below which a button stands, or that is a poll.
#[derive(Debug, Serialize)]
pub struct Below<'a> {
    /// Its id.
    pub message_id: &'a str,
}

/// A command that visitors are offered.
#[derive(Debug, Serialize)]
pub struct Offered<'a> {
    name: &'a str,
    description: &'a str,
}

impl<'a> Offered<'a> {
    /// As the channel's field has it.
    pub fn of(Command { name, description }: &'a Command) -> Self {
        Self { name, description }
    }
}

/// What a message shows.
#[derive(Default)]
pub struct Shown<'a> {
    /// The text or the caption; of a poll and of a place what they are in words.
    pub text: Option<Cow<'a, str>>,
    /// Said only where it is not Markdown.
    pub format: Option<Format>,
    /// The attachment, or the first of several.
    pub media: Option<Attachment<'a>>,
    /// The others.
    pub album: Vec<Attachment<'a>>,
    /// A poll. That nobody sees who chose what (`anonymous`) has no meaning where one person is asked.
    pub poll: Option<&'a Poll>,
    /// A place.
    pub location: Option<&'a Location>,
}

impl<'a> Shown<'a> {
    /// `None` for what is no message.
    pub fn of(content: &'a Content) -> Option<Self> {
        let written = |text: Option<&'a Text>| Self {
            text: text.map(|text| Cow::Borrowed(text.body.as_str())),
            format: format_of(text),
            ..Self::default()
        };
        Some(match content {
            Content::Text(text) => written(Some(text)),
            Content::Media { media, caption } => {
                Self { media: Some(Attachment::of(media)), ..written(caption.as_ref()) }
            }
            Content::Album { media, caption } => {
                let mut all = media.iter().map(Attachment::of);
                Self { media: all.next(), album: all.collect(), ..written(caption.as_ref()) }
            }
            Content::Poll(poll) => {
                let text = poll_text(poll, Format::Markdown);
                Self { text: Some(text.into()), poll: Some(poll), ..Self::default() }
            }
            Content::Location(place) => {
                let text = location_text(place, Format::Markdown);
                Self { text: Some(text.into()), location: Some(place), ..Self::default() }
            }
            Content::Edit { .. } | Content::Delete { .. } | Content::React { .. } => return None,
        })
    }
}
