//! Where a text may be cut.

use pulldown_cmark::{Event, Tag, TagEnd};
use unicode_segmentation::UnicodeSegmentation as _;

use super::Room;
use super::place::{self, Place, Position};

/// How good a place is to end a part; the first is the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// Behind a block that stands in no other one.
    Block,
    /// Behind a line, an item, a row, a block within another one.
    Line,
    /// Behind a sentence.
    Sentence,
    /// Behind a word, and behind a heading, which should not stand alone.
    Word,
}

/// A place where a part may end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cut {
    /// The part's end.
    pub(super) end: Place,
    /// Where the next one begins: behind the white space that is left out.
    pub(super) next: Place,
    pub(super) rank: Rank,
    /// How much is seen of the part, by the room's unit and at least.
    pub(super) seen: usize,
}

/// The cuts that may fit behind `from`, in order, and whether all of the text was looked at.
pub(super) fn of<'e>(events: &'e [Event<'e>], from: &Position<'e>, room: Room<'_>) -> (Vec<Cut>, bool) {
    let (here, nameless) = (from.clone(), from.is_in_link());
    let mut finder = Finder { room, here, cuts: Vec::new(), seen: 0, words: false, nameless };
    while finder.here.place.event < events.len() {
        if finder.seen > room.limit {
            return (finder.cuts, false);
        }
        finder.look_at(&events[finder.here.place.event]);
    }
    // The end of everything is no cut.
    finder.cuts.retain(|cut| cut.next.event < events.len());
    (finder.cuts, true)
}

struct Finder<'e, 'r> {
    room: Room<'r>,
    here: Position<'e>,
    cuts: Vec<Cut>,
    seen: usize,
    /// Whether anything that is no white space was seen.
    words: bool,
    /// Whether a link is open of which nothing was seen: ended here, it would show its address instead of its words.
    nameless: bool,
}

impl<'e> Finder<'e, '_> {
    fn look_at(&mut self, event: &Event<'e>) {
        let place = self.here.place;
        let divisible = self.here.is_divisible(self.room);
        if let Some(text) = place::text(event) {
            if !divisible {
                self.see(&text[place.byte..]);
            } else if self.here.is_in_code_block() {
                self.code(text, place);
            } else {
                self.words(text, place);
            }
        }
        self.here.pass(event);
        let behind = self.here.place;
        match event {
            Event::SoftBreak | Event::HardBreak if divisible => {
                self.cut(Place::at(place.event), behind, Rank::Line);
                self.seen += 1;
            }
            Event::Rule => {
                self.see("———");
                self.cut(behind, behind, self.rank_of_block());
            }
            // Its marker is seen, even when nothing follows.
            Event::Start(Tag::Item) => self.see("• "),
            Event::InlineHtml(html) | Event::InlineMath(html) | Event::DisplayMath(html) => self.see(html),
            Event::Start(Tag::Link { .. } | Tag::Image { .. }) => self.nameless = true,
            Event::End(TagEnd::Link | TagEnd::Image) => {
                // Its address was written.
                self.words |= std::mem::take(&mut self.nameless);
            }
            Event::End(tag) => self.behind(*tag),
            _ => {}
        }
    }

    fn behind(&mut self, tag: TagEnd) {
        let rank = match tag {
            TagEnd::Paragraph
            | TagEnd::BlockQuote(_)
            | TagEnd::CodeBlock
            | TagEnd::HtmlBlock
            | TagEnd::List(_)
            | TagEnd::Table => self.rank_of_block(),
            TagEnd::Item | TagEnd::TableRow => Rank::Line,
            TagEnd::Heading(_) => Rank::Word,
            _ => return,
        };
        self.cut(self.here.place, self.here.place, rank);
    }

    fn rank_of_block(&self) -> Rank {
        if self.here.is_outermost() { Rank::Block } else { Rank::Line }
    }

    /// Between lines of code; between words only for a line that is longer than a part.
    fn code(&mut self, code: &str, from: Place) {
        let place = |at: usize| Place { event: from.event, byte: from.byte + at };
        for (at, cluster) in code[from.byte..].grapheme_indices(true) {
            let behind = at + cluster.len();
            match cluster {
                // The last one ends the block.
                "\n" | "\r\n" if from.byte + behind < code.len() => {
                    self.cut(place(at), place(behind), Rank::Line);
                }
                // Of code, no space is left out.
                " " => self.cut(place(behind), place(behind), Rank::Word),
                _ => {}
            }
            self.see(cluster);
            if self.seen > self.room.limit {
                return;
            }
        }
    }

    /// Between words, and between characters of scripts that are written without spaces.
    fn words(&mut self, text: &str, from: Place) {
        let place = |at: usize| Place { event: from.event, byte: from.byte + at };
        // Where the white space before this began, and what stood before that.
        let (mut space, mut before) = (None, "");
        for (at, cluster) in text[from.byte..].grapheme_indices(true) {
            if is_space(cluster) {
                space.get_or_insert(at);
            } else {
                if let Some(began) = space.take() {
                    self.cut(place(began), place(at), rank_behind(before));
                } else if !before.is_empty() && (is_wide(cluster) || is_wide(before)) && !is_closing(cluster)
                {
                    self.cut(place(at), place(at), rank_behind(before));
                }
                before = cluster;
            }
            self.see(cluster);
            if self.seen > self.room.limit {
                return;
            }
        }
        if let Some(began) = space {
            self.cut(place(began), Place::at(from.event + 1), rank_behind(before));
        }
    }

    fn see(&mut self, text: &str) {
        self.seen += self.room.unit.count(text);
        if !text.trim().is_empty() {
            (self.words, self.nameless) = (true, false);
        }
    }

    fn cut(&mut self, end: Place, next: Place, rank: Rank) {
        // Or a part would be empty.
        if self.words && !self.nameless {
            self.cuts.push(Cut { end, next, rank, seen: self.seen });
        }
    }
}

/// White space at which a line may be broken.
fn is_space(cluster: &str) -> bool {
    matches!(cluster, " " | "\t" | "\n" | "\r\n" | "\u{3000}")
}

fn rank_behind(cluster: &str) -> Rank {
    if matches!(cluster, "." | "!" | "?" | "。" | "！" | "？") { Rank::Sentence } else { Rank::Word }
}

/// Of a script whose words stand without spaces between them: Chinese, Japanese, and what is written with them.
fn is_wide(cluster: &str) -> bool {
    let wide = |c| matches!(c, '\u{2E80}'..='\u{A4CF}' | '\u{F900}'..='\u{FAFF}' | '\u{FF00}'..='\u{FFEF}' | '\u{20000}'..='\u{3FFFF}');
    cluster.starts_with(wide)
}

/// What must not begin a line there.
fn is_closing(cluster: &str) -> bool {
    cluster.starts_with(['。', '、', '，', '！', '？', '：', '；', '）', '」', '』', '】', '》'])
}
