//! A place in what the parser told, and what is open there.

use pulldown_cmark::{CowStr, Event, Tag, TagEnd};

use super::super::{Writer, dialect};
use super::Room;

/// Within an event that is text, the byte; 0 in any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) event: usize,
    pub(super) byte: usize,
}

impl Place {
    /// Before an event.
    pub(super) fn at(event: usize) -> Self {
        Self { event, byte: 0 }
    }
}

/// A place, and what is open there, outermost first.
#[derive(Debug, Clone)]
pub(super) struct Position<'e> {
    pub(super) place: Place,
    open: Vec<Open<'e>>,
}

#[derive(Debug, Clone)]
enum Open<'e> {
    /// A list, with the number of its next item; none for bullets.
    List(Option<u64>),
    /// An item, of which something stands before.
    Item,
    /// A table, with the events of its head.
    Table { from: usize, to: usize },
    /// Anything else.
    Other(Tag<'e>),
}

/// The text in an event that may be cut.
pub(super) fn text<'t>(event: &'t Event<'_>) -> Option<&'t str> {
    match event {
        Event::Text(text) | Event::Code(text) | Event::Html(text) => Some(text),
        _ => None,
    }
}

/// As much of the event at `from` as stands before `end`.
pub(super) fn between<'e>(event: &'e Event<'e>, from: Place, end: Place) -> Event<'e> {
    let Some(text) = text(event) else { return event.clone() };
    let stop = if end.event == from.event { end.byte } else { text.len() };
    let piece = CowStr::Borrowed(&text[from.byte..stop]);
    match event {
        Event::Code(_) => Event::Code(piece),
        Event::Html(_) => Event::Html(piece),
        _ => Event::Text(piece),
    }
}

impl<'e> Position<'e> {
    /// Before everything.
    pub(super) fn start() -> Self {
        Self { place: Place::at(0), open: Vec::new() }
    }

    /// Goes on behind the event that is here.
    pub(super) fn pass(&mut self, event: &Event<'e>) {
        let here = self.place.event;
        self.place = Place::at(here + 1);
        match event {
            Event::Start(Tag::List(first)) => self.open.push(Open::List(*first)),
            Event::Start(Tag::Item) => {
                if let Some(Open::List(Some(number))) = self.open.last_mut() {
                    *number = number.saturating_add(1);
                }
                self.open.push(Open::Item);
            }
            Event::Start(Tag::Table(_)) => self.open.push(Open::Table { from: here + 1, to: here + 1 }),
            Event::Start(tag) => self.open.push(Open::Other(tag.clone())),
            Event::End(tag) => {
                self.open.pop();
                if let (TagEnd::TableHead, Some(Open::Table { to, .. })) = (tag, self.open.last_mut()) {
                    *to = here + 1;
                }
            }
            _ => {}
        }
    }

    /// Whether nothing is open.
    pub(super) fn is_outermost(&self) -> bool {
        self.open.is_empty()
    }

    pub(super) fn is_in_code_block(&self) -> bool {
        matches!(self.open.last(), Some(Open::Other(Tag::CodeBlock(_))))
    }

    /// Whether words of a link or of a picture may come next.
    pub(super) fn is_in_link(&self) -> bool {
        self.open.iter().any(|open| matches!(open, Open::Other(Tag::Link { .. } | Tag::Image { .. })))
    }

    /// Whether a part may end here, within text. Not in a row of a table. In a link only where its words are pressed in each part:
    /// not where its address may stand behind them instead, and would do so again; nor where it would take most of each part.
    pub(super) fn is_divisible(&self, room: Room<'_>) -> bool {
        let mut links = 0;
        self.open.iter().all(|open| match open {
            Open::Table { .. } => false,
            Open::Other(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                links += 1;
                links == 1
                    && !dialect::has_doubtful_links(room.dialect)
                    && dialect::is_pressable(room.dialect, dest_url)
                    && dest_url.len() <= room.limit / 4
            }
            _ => true,
        })
    }

    /// Opens in a new part what is open here.
    pub(super) fn reopen(&self, writer: &mut Writer, events: &[Event<'e>], limit: usize) {
        for open in &self.open {
            match open {
                Open::List(next) => writer.continue_list(*next),
                Open::Item => writer.continue_item(),
                Open::Table { from, to } => {
                    let head = &events[*from..*to];
                    let length: usize = head.iter().filter_map(text).map(str::len).sum();
                    // A head that fills most of each part is shown once.
                    let again = length <= limit / 4;
                    writer.continue_table(again);
                    for event in head.iter().filter(|_| again) {
                        writer.event(event.clone());
                    }
                }
                Open::Other(tag) => writer.start(tag.clone()),
            }
        }
    }

    /// Closes what is open here.
    pub(super) fn close(&self, writer: &mut Writer) {
        for open in self.open.iter().rev() {
            writer.end(match open {
                Open::List(next) => TagEnd::List(next.is_some()),
                Open::Item => TagEnd::Item,
                Open::Table { .. } => TagEnd::Table,
                Open::Other(tag) => tag.to_end(),
            });
        }
    }
}
