//! What a message becomes on a platform: its parts in order, and what could not be carried as it was meant.
//!
//! Pure, and asked twice: by the API, which refuses what can't be done and answers what was degraded, and by the worker, which
//! sends the parts. Must hold: the same message gives the same parts, because a retry goes on behind those that were sent and a
//! chat page tells by its place what it has shown; nothing that was written is lost; every part fits.
//!
//! The order: attachments (the first with the text as its caption when that fits), what text is left, the place, the poll. The
//! reference to the answered message is on the first part that can have it, the buttons are on the last; where they can't stand below it, they
//! are lines of the text.

mod below;
mod fallback;
mod outcome;
mod text;

use claw_types::{Act, Button, Location, Media, MediaKind, MessageId, Outbound, Poll};
use serde::Serialize;
use utoipa::ToSchema;

pub use self::fallback::{location as location_text, media as link, poll as poll_text};
pub use self::outcome::{PartOutcome, PartState, in_place, outcomes};
pub use self::text::Text;
use crate::Caps;
use crate::caps::{ButtonCaps, Dialect};

/// What a message becomes.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// In the order in which they are sent.
    pub parts: Vec<Piece>,
    /// What the platform does not have, and what happens instead.
    pub degraded: Vec<Degraded>,
}

/// Something that the platform does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Degraded {
    /// The key of the message: `buttons`, `poll`, `media`, ...
    pub feature: &'static str,
    /// What happens instead.
    pub how: &'static str,
}

/// One part of a message.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    /// What it is.
    pub content: Content,
    /// The platform's id of the message that it answers.
    pub reply_to: Option<String>,
    /// Rows of buttons below it.
    pub buttons: Vec<Vec<Button>>,
}

/// What a part is.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// A text.
    Text(Text),
    /// An attachment.
    Media {
        /// Which.
        media: Media,
        /// The text that goes with it.
        caption: Option<Text>,
    },
    /// Several attachments as one message.
    Album {
        /// At least two.
        media: Vec<Media>,
        /// The text that goes with the first.
        caption: Option<Text>,
    },
    /// A place.
    Location(Location),
    /// A poll.
    Poll(Poll),
    /// Another text, or other buttons alone, for a message that was sent.
    Edit {
        /// The platform's id of it.
        message_id: String,
        /// The new text.
        text: Option<Text>,
    },
    /// A message that was sent is taken back.
    Delete {
        /// The platform's id of it.
        message_id: String,
    },
    /// A reaction to a message.
    React {
        /// The platform's id of it.
        message_id: String,
        /// The reaction; none takes ours away.
        emoji: Option<String>,
    },
}

impl Content {
    /// The message that something is done to; `None` for what is sent anew. Doing it twice is the same as doing it once.
    pub fn target(&self) -> Option<&str> {
        match self {
            Self::Edit { message_id, .. } | Self::Delete { message_id } | Self::React { message_id, .. } => {
                Some(message_id)
            }
            _ => None,
        }
    }
}

/// What a platform can't do at all; the sentence says so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unsupported(pub String);

impl Plan {
    /// The kinds of its parts, as [`outcomes`] takes them.
    pub fn kinds(&self) -> Vec<&'static str> {
        self.parts.iter().map(|piece| piece.content.kind()).collect()
    }
}

/// The parts of `message` on a platform with `caps`.
///
/// # Errors
/// When the platform does not have what is to be done with a sent message, or an edit does not fit one message.
pub fn plan(message: &Outbound, caps: &Caps) -> Result<Plan, Unsupported> {
    let mut planner = Planner { caps, message, degraded: Vec::new() };
    let parts = match &message.act {
        Act::Post => planner.post(),
        Act::Edit { message_id } => vec![planner.edit(message_id)?],
        Act::Delete { message_ids } => {
            supported(caps.delete, "take a sent message back")?;
            let one = |id: &String| Piece::of(Content::Delete { message_id: id.clone() });
            message_ids.iter().map(one).collect()
        }
        Act::React { message_id, emoji } => {
            supported(caps.reactions, "react to a message")?;
            vec![Piece::of(Content::React { message_id: message_id.clone(), emoji: emoji.clone() })]
        }
    };
    Ok(Plan { parts, degraded: planner.degraded })
}

/// The id of a message's part: of the first one the message's own.
pub fn part_id(message: MessageId, index: usize) -> String {
    match index {
        0 => message.to_string(),
        _ => format!("{message}:{index}"),
    }
}

fn supported(has: bool, what: &str) -> Result<(), Unsupported> {
    if has { Ok(()) } else { Err(Unsupported(format!("channels of this type can't {what}"))) }
}

impl Piece {
    fn of(content: Content) -> Self {
        Self { content, reply_to: None, buttons: Vec::new() }
    }
}

struct Planner<'a> {
    caps: &'a Caps,
    message: &'a Outbound,
    degraded: Vec<Degraded>,
}

impl Planner<'_> {
    fn degrade(&mut self, feature: &'static str, how: &'static str) {
        self.degraded.push(Degraded { feature, how });
    }

    /// With as many of the buttons as the platform has and can show below the last part: all, those that send something back, or none.
    fn post(&mut self) -> Vec<Piece> {
        let all = self.caps.buttons;
        for buttons in [all, ButtonCaps { url: false, ..all }] {
            let parts = self.posted(buttons);
            if parts.last().is_none_or(|last| last.fits(all.room)) {
                return parts;
            }
            self.degraded.clear();
        }
        self.posted(ButtonCaps::NONE)
    }

    fn posted(&mut self, buttons: ButtonCaps) -> Vec<Piece> {
        let (caps, message) = (self.caps, self.message);
        let (native, foreign): (Vec<_>, Vec<_>) =
            message.media.iter().partition(|media| caps.media.contains(&media.kind));
        let mut source = message.written().map(str::to_owned);
        let buttons = self.write_out(&mut source, &foreign, buttons);
        let mut contents = self.attachments(&native, &mut source, !buttons.is_empty());
        if let Some(source) = source {
            let texts = text::split(&source, message.format, caps);
            contents.extend(texts.into_iter().map(Content::Text));
        }
        contents.extend(message.location.clone().filter(|_| caps.location).map(Content::Location));
        contents.extend(message.poll.clone().filter(|_| caps.polls).map(Content::Poll));
        self.note_what_is_left_out();
        let mut parts: Vec<_> = contents.into_iter().map(Piece::of).collect();
        if let Some(last) = parts.last_mut() {
            last.buttons = buttons;
        }
        self.refer(&mut parts);
        parts
    }

    /// Has the first part that can do so point to the message that is answered.
    fn refer(&mut self, parts: &mut [Piece]) {
        let (caps, message) = (self.caps, self.message);
        let Some(answered) = message.reply_to.as_ref().filter(|_| caps.reply_to) else { return };
        let is_bare_text =
            |piece: &Piece| matches!(piece.content, Content::Text(_)) && piece.buttons.is_empty();
        match parts.iter_mut().find(|piece| !caps.only_texts_reply || is_bare_text(piece)) {
            Some(piece) => piece.reply_to = Some(answered.clone()),
            None => self.degrade("reply_to", "sent without the reference"),
        }
    }

    /// Puts what the platform does not have into the text; the buttons that stay buttons.
    fn write_out(
        &mut self,
        source: &mut Option<String>,
        foreign: &[&Media],
        buttons: ButtonCaps,
    ) -> Vec<Vec<Button>> {
        let (caps, message) = (self.caps, self.message);
        let format = message.format;
        if !foreign.is_empty() {
            self.degrade("media", "sent as links");
            let links: Vec<_> = foreign.iter().map(|media| fallback::media(media, format)).collect();
            fallback::append(source, format, &links.join("\n"));
        }
        if let Some(place) = message.location.as_ref().filter(|_| !caps.location) {
            self.degrade("location", "sent as a text with a link to a map");
            fallback::append(source, format, &fallback::location(place, format));
        }
        if let Some(poll) = message.poll.as_ref().filter(|_| !caps.polls) {
            self.degrade("poll", "sent as a text with numbered answers");
            fallback::append(source, format, &fallback::poll(poll, format));
        }
        let (kept, lines) = fallback::buttons(&message.buttons, buttons, format);
        if !lines.is_empty() {
            self.degrade("buttons", "sent as numbered lines, those with an address as links");
            fallback::append(source, format, &lines.join("\n"));
        }
        kept
    }

    /// The attachments, one by one or together; takes the text as a caption where that fits.
    fn attachments(&mut self, native: &[&Media], source: &mut Option<String>, buttons: bool) -> Vec<Content> {
        let (caps, message) = (self.caps, self.message);
        let after = message.location.is_some() && caps.location || message.poll.is_some() && caps.polls;
        let mut runs = runs(native, caps);
        // Buttons can't stand below an album: they get the text or, without one, the attachments stand alone.
        let last_bears_buttons = buttons && !after;
        if last_bears_buttons && source.is_none() {
            runs = runs.into_iter().flatten().map(|one| vec![one]).collect();
        }
        let may_caption = !last_bears_buttons || runs.last().is_none_or(|run| run.len() == 1);
        if native.len() > 1 && runs.iter().all(|run| run.len() == 1) {
            self.degrade("media", "sent one by one");
        }
        let mut contents = Vec::new();
        for run in runs {
            let has_caption = !caps.uncaptioned.contains(&run[0].kind);
            let caption = if may_caption && has_caption {
                source.as_deref().and_then(|text| {
                    Text::fitting(text, message.format, caps.markdown, caps.unit, caps.max_caption)
                })
            } else {
                None
            };
            if caption.is_some() {
                *source = None;
            }
            contents.push(match run.as_slice() {
                [one] => Content::Media { media: (*one).clone(), caption },
                _ => Content::Album { media: run.into_iter().cloned().collect(), caption },
            });
        }
        contents
    }

    fn note_what_is_left_out(&mut self) {
        let (caps, message) = (self.caps, self.message);
        if message.reply_to.is_some() && !caps.reply_to {
            self.degrade("reply_to", "sent without the reference");
        }
        if message.thread_id.is_some() && !caps.threads {
            self.degrade("thread_id", "sent to the chat: it has no threads");
        }
        if caps.markdown == Dialect::Plain
            && message.written().is_some_and(|text| text::is_formatted(text, message.format))
        {
            self.degrade("format", "sent without formatting");
        }
    }

    fn edit(&mut self, message_id: &str) -> Result<Piece, Unsupported> {
        supported(self.caps.edit, "change a sent message")?;
        let mut source = self.message.written().map(str::to_owned);
        let before = source.is_some();
        let buttons = self.write_out(&mut source, &[], self.caps.buttons);
        if !before && source.is_some() {
            return Err(Unsupported(
                "channels of this type have no such buttons, so they can't be changed".to_owned(),
            ));
        }
        let (format, caps) = (self.message.format, self.caps);
        let text = source.map(|source| {
            let fitting = Text::fitting(&source, format, caps.markdown, caps.unit, caps.max_text);
            fitting.ok_or_else(|| {
                Unsupported(format!(
                    "the text is longer than one message may be, {} {}: an edit can't be cut into parts",
                    caps.max_text,
                    caps.unit.name()
                ))
            })
        });
        self.note_what_is_left_out();
        let content = Content::Edit { message_id: message_id.to_owned(), text: text.transpose()? };
        Ok(Piece { content, reply_to: None, buttons })
    }
}

/// Neighbours that the platform shows as one message.
fn runs<'m>(native: &[&'m Media], caps: &Caps) -> Vec<Vec<&'m Media>> {
    let mut runs: Vec<Vec<&Media>> = Vec::new();
    for media in native {
        let together = |run: &Vec<&Media>| {
            caps.albums.is_some_and(|albums| {
                let same = |group: &&[MediaKind]| group.contains(&run[0].kind) && group.contains(&media.kind);
                run.len() < albums.max && albums.groups.iter().any(same)
            })
        };
        match runs.last_mut() {
            Some(run) if together(run) => run.push(media),
            _ => runs.push(vec![media]),
        }
    }
    runs
}

#[cfg(test)]
mod tests;
