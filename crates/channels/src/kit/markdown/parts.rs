//! A long Markdown in parts, each of which renders by itself.
//!
//! It is cut as what the parser understood, not as characters: where a part ends, everything open is closed, and the next part
//! opens it again. So the numbers of a list go on, what is within items and quotes keeps its place there, a block of code keeps
//! its language, emphasis and links hold on both sides of a cut, and no entity, address or sign is ever cut in two. A table
//! is cut between its rows, and its head stands above each part of it.
//!
//! Whether a part fits is asked of the part as it will be sent. The largest one that does is looked for, and then ended where a
//! reader would end it: behind a block, a line, a sentence or a word, in this order, as long as at least half of it stays.
//!
//! Must hold: nothing of what is shown gets lost or changes its order; shown twice are only a table's head and the signs
//! of quotes; each part brings the text on by at least a character; work goes by the size of the source, whatever it is.

mod cuts;
mod place;

use pulldown_cmark::{Event, TextMergeStream};
use unicode_segmentation::UnicodeSegmentation as _;

use self::cuts::Cut;
use self::place::{Place, Position};
use super::{NESTING, Rendered, Used, Writer, as_paragraph, nesting, parser, verbatim};
use crate::caps::{Dialect, TextUnit};

/// What a platform takes as one part.
#[derive(Clone, Copy)]
pub(crate) struct Room<'f> {
    /// What it is written in.
    pub(crate) dialect: Dialect,
    /// How the limit is counted.
    pub(crate) unit: TextUnit,
    /// Longest text.
    pub(crate) limit: usize,
    /// Bytes with all markup; what has more is not even written to its end.
    pub(crate) at_most: usize,
    /// Whether a part is within the limit.
    pub(crate) fits: &'f dyn Fn(&Rendered) -> bool,
}

/// A part of a Markdown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    /// In the platform's dialect, and the same without formatting.
    Written(Rendered, String),
    /// What fits no part as it was meant: as text, which is for the caller to cut.
    Bare(String),
}

/// The parts of `source`; none is empty, unless all of it is.
pub(crate) fn parts(source: &str, room: Room<'_>) -> Vec<Part> {
    if nesting(source) > NESTING {
        return vec![Part::Bare(verbatim(source, Dialect::Plain).body)];
    }
    let events = read(source);
    let document = Document { events: &events, room };
    let mut parts = Vec::new();
    let mut from = Position::start();
    while from.place.event < events.len() {
        let (part, next) = document.part_at(&from);
        match &part {
            Part::Written(rendered, _) if rendered.shown.trim().is_empty() => {}
            Part::Bare(text) if text.trim().is_empty() => {}
            _ => parts.push(part),
        }
        from = document.behind_spent_link(document.moved(from, next));
    }
    parts
}

/// Everything that the parser told of a source.
fn read(source: &str) -> Vec<Event<'_>> {
    let mut parser = parser(source);
    let mut used = Used::default();
    let mut events: Vec<_> =
        TextMergeStream::new(parser.by_ref()).inspect(|event| used.note(event)).collect();
    for span in used.unused(&parser) {
        events.extend(as_paragraph(&source[span]));
    }
    events
}

struct Document<'e> {
    events: &'e [Event<'e>],
    room: Room<'e>,
}

impl<'e> Document<'e> {
    /// The part that begins at `from`, and where the one after it does.
    fn part_at(&self, from: &Position<'e>) -> (Part, Place) {
        let end = Place::at(self.events.len());
        let (cuts, all) = cuts::of(self.events, from, self.room);
        if all && let Some(part) = self.fitting(from, end) {
            return (part, end);
        }
        if let Some((part, next)) = self.largest(from, &cuts) {
            return (part, next);
        }
        let first = cuts.first();
        let word = first.map_or(end, |cut| cut.end);
        self.torn(from, word).unwrap_or_else(|| self.bare(from, first))
    }

    /// The largest part that fits, ended where a reader would end it.
    fn largest(&self, from: &Position<'e>, cuts: &[Cut]) -> Option<(Part, Place)> {
        let last = last_that(cuts.len(), |index| self.rendered(from, cuts[index].end).is_some())?;
        let enough = cuts[last].seen / 2;
        let candidates = cuts[..=last].iter().filter(|cut| cut.seen > enough);
        // Of the best places the last one.
        let best = candidates.rev().min_by_key(|cut| cut.rank)?;
        let at = |cut: &Cut| self.fitting(from, cut.end).map(|part| (part, cut.next));
        // Less text nearly always takes less room; where it does not, the one that is known to fit.
        at(best).or_else(|| at(&cuts[last]))
    }

    /// A part that ends within a word, because the word is longer than a part.
    fn torn(&self, from: &Position<'e>, end: Place) -> Option<(Part, Place)> {
        let places = self.characters(from, end);
        let last = last_that(places.len(), |index| self.rendered(from, places[index]).is_some())?;
        Some((self.fitting(from, places[last])?, places[last]))
    }

    /// Behind each character, as a person sees them, from `from` to `end`, as many as may fit.
    fn characters(&self, from: &Position<'e>, end: Place) -> Vec<Place> {
        let (mut places, mut seen) = (Vec::new(), 0);
        let mut here = from.clone();
        while here.place < end && seen <= self.room.limit {
            let event = &self.events[here.place.event];
            if let Some(text) = place::text(event).filter(|_| here.is_divisible(self.room)) {
                let begin = here.place.byte;
                let stop = if end.event == here.place.event { end.byte } else { text.len() };
                for (at, cluster) in text[begin..stop].grapheme_indices(true) {
                    seen += self.room.unit.count(cluster);
                    if seen > self.room.limit {
                        break;
                    }
                    places.push(Place { event: here.place.event, byte: begin + at + cluster.len() });
                }
            }
            here.pass(event);
        }
        places
    }

    /// What can't be divided and fits no part, up to its end or the first cut: as text.
    fn bare(&self, from: &Position<'e>, first: Option<&Cut>) -> (Part, Place) {
        let whole = self.end_of_indivisible(from);
        let (end, next) = match first {
            // A cut within a table is for parts of a table.
            Some(cut) if cut.end < whole && self.moved(from.clone(), cut.end).is_divisible(self.room) => {
                (cut.end, cut.next)
            }
            _ => (whole, whole),
        };
        let everything = Room { dialect: Dialect::Plain, at_most: usize::MAX, ..self.room };
        let shown = self.write(from, end, everything).map(|rendered| rendered.shown).unwrap_or_default();
        (Part::Bare(shown), next)
    }

    /// Where the table or the link ends that is here or comes next; the end of everything, if none does.
    fn end_of_indivisible(&self, from: &Position<'e>) -> Place {
        let mut here = from.clone();
        let mut within = !here.is_divisible(self.room);
        while here.place.event < self.events.len() {
            here.pass(&self.events[here.place.event]);
            let was = std::mem::replace(&mut within, !here.is_divisible(self.room));
            if was && !within {
                break;
            }
        }
        here.place
    }

    fn fitting(&self, from: &Position<'e>, end: Place) -> Option<Part> {
        let rendered = self.rendered(from, end)?;
        let plain = self.write(from, end, Room { dialect: Dialect::Plain, ..self.room });
        // Addresses that were behind their words stand in the text now.
        let plain =
            plain.map(|plain| plain.body).filter(|plain| self.room.unit.count(plain) <= self.room.limit);
        let plain = plain.unwrap_or_else(|| rendered.shown.clone());
        Some(Part::Written(rendered, plain))
    }

    /// The part, if it fits.
    fn rendered(&self, from: &Position<'e>, end: Place) -> Option<Rendered> {
        self.write(from, end, self.room).filter(|rendered| (self.room.fits)(rendered))
    }

    fn write(&self, from: &Position<'e>, end: Place, room: Room<'_>) -> Option<Rendered> {
        let mut writer = Writer::new(room.dialect);
        from.reopen(&mut writer, self.events, self.room.limit);
        let mut here = from.clone();
        while here.place < end {
            let event = &self.events[here.place.event];
            writer.event(place::between(event, here.place, end));
            if writer.out.body.len() > room.at_most {
                return None;
            }
            here.pass(event);
        }
        here.close(&mut writer);
        let rendered = writer.rendered();
        (rendered.body.len() <= room.at_most).then_some(rendered)
    }

    /// Behind a link of which all words were shown: opened again, it would show its address.
    fn behind_spent_link(&self, from: Position<'e>) -> Position<'e> {
        let mut here = from.clone();
        while here.is_in_link() {
            let event = &self.events[here.place.event];
            let shows = match event {
                Event::SoftBreak | Event::HardBreak | Event::End(_) => false,
                event => place::text(event).is_none_or(|text| !text[here.place.byte..].trim().is_empty()),
            };
            if shows {
                return from;
            }
            here.pass(event);
        }
        here
    }

    fn moved(&self, mut from: Position<'e>, to: Place) -> Position<'e> {
        while from.place.event < to.event {
            from.pass(&self.events[from.place.event]);
        }
        from.place = to;
        from
    }
}

/// The last of `count` for which `holds`, when it holds for the first ones and then for none. From the end on, in growing
/// steps: nearly always it is close to that.
fn last_that(count: usize, holds: impl Fn(usize) -> bool) -> Option<usize> {
    let (mut beyond, mut step) = (count, 1);
    let mut good = loop {
        let tried = beyond.saturating_sub(step);
        if beyond == 0 {
            return None;
        }
        if holds(tried) {
            break tried;
        }
        (beyond, step) = (tried, step * 2);
    };
    while beyond - good > 1 {
        let middle = good + (beyond - good) / 2;
        if holds(middle) {
            good = middle;
        } else {
            beyond = middle;
        }
    }
    Some(good)
}

#[cfg(test)]
mod tests;
