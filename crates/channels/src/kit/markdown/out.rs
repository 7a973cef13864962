//! What is written: blocks at their distance, lines with their indentation, tags in pairs.
//!
//! Must hold: a tag is opened only where none of its kind is open, because platforms do not nest them; so whatever is nested
//! in the source, the output is balanced. And lines are indented for so many levels only, or a few thousand of them before
//! as many short lines would make hundreds of megabytes. Where marks are signs between words they begin and end within one
//! line, and a pair that its platform could not tell from the text in it is left out.

use super::{dialect, escape};
use crate::caps::Dialect;

/// Formatting of a stretch of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Bold,
    Italic,
    Strike,
}

impl Mark {
    fn tag(self) -> &'static str {
        match self {
            Self::Bold => "b",
            Self::Italic => "i",
            Self::Strike => "s",
        }
    }
}

/// Levels of lists and quotes for which lines are indented; what is deeper stands below these.
pub(super) const DEEPEST: usize = 8;

/// The output so far.
#[expect(clippy::struct_excessive_bools, reason = "each is a state of its own, of the line or of the block")]
pub(super) struct Out {
    pub(super) dialect: Dialect,
    pub(super) body: String,
    pub(super) shown: String,
    /// Line breaks owed before the next text.
    pub(super) gap: usize,
    /// What every line begins with, by the lists and quotes that are open.
    pub(super) prefixes: Vec<String>,
    /// Levels that are open beyond those.
    deeper: usize,
    /// Whether the next text begins a line, and so needs the prefixes.
    line_start: bool,
    /// Whether the line has nothing but what a level of lists and quotes begins with.
    pub(super) begins: bool,
    /// Whether a block begins right here: at the start, behind a list's marker, in a quote.
    pub(super) fresh: bool,
    /// How often each mark is open.
    pub(super) open: [usize; 3],
    pub(super) quotes: usize,
    /// The signs that this line has open, and where in the body each stands.
    pub(super) signs: Vec<(Mark, usize)>,
    /// The marks that the source has open, outermost first.
    pub(super) wanted: Vec<Mark>,
    /// Whether the last thing written was a sign that ends something, which no word may follow directly.
    pub(super) ended: bool,
    /// Where the words of the open link begin.
    pub(super) link: Option<usize>,
}

impl Out {
    pub(super) fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            body: String::new(),
            shown: String::new(),
            gap: 0,
            prefixes: Vec::new(),
            deeper: 0,
            line_start: true,
            begins: true,
            fresh: true,
            open: [0; 3],
            quotes: 0,
            signs: Vec::new(),
            wanted: Vec::new(),
            ended: false,
            link: None,
        }
    }

    pub(super) fn html(&self) -> bool {
        self.dialect == Dialect::Html
    }

    /// A block begins: not on a line that has text.
    pub(super) fn block(&mut self) {
        if !self.fresh {
            self.gap(1);
        }
    }

    /// At least so many line breaks before what comes next.
    pub(super) fn gap(&mut self, lines: usize) {
        self.gap = self.gap.max(lines);
    }

    /// Text, with line breaks of its own.
    pub(super) fn text(&mut self, text: &str) {
        for (i, line) in text.split('\n').enumerate() {
            if i > 0 {
                self.line_break();
            }
            if !line.is_empty() {
                self.settle();
                self.write(line);
                self.fresh = false;
            }
        }
    }

    pub(super) fn line_break(&mut self) {
        if self.has_signs() && self.link.is_some() {
            // A link is of one line.
            self.raw(" ");
            self.shown.push(' ');
            return;
        }
        self.end_signs();
        self.settle();
        self.raw(dialect::line_break(self.dialect));
        self.shown.push('\n');
        self.line_start = true;
    }

    pub(super) fn code(&mut self, code: &str) {
        if self.has_signs() {
            return self.signed_code(code);
        }
        self.settle();
        self.tag("<code>");
        self.write(code);
        self.tag("</code>");
        self.fresh = false;
    }

    /// A block of code, or what else needs letters of one width.
    pub(super) fn pre(&mut self, language: &str, code: &str) {
        if code.trim().is_empty() {
            return;
        }
        // A block does not end with the line of a quote, and would take what is behind the quote into it.
        if self.has_signs() && self.quotes == 0 {
            return self.fenced(language, code);
        }
        if !self.html() {
            return self.text(code);
        }
        self.settle();
        if language.is_empty() {
            self.raw("<pre>");
        } else {
            self.raw(&format!("<pre><code class=\"language-{language}\">"));
        }
        self.write(code);
        self.raw(if language.is_empty() { "</pre>" } else { "</code></pre>" });
        self.fresh = false;
    }

    pub(super) fn open(&mut self, mark: Mark) {
        if self.has_signs() {
            // Its sign is written with its first word.
            return self.wanted.push(mark);
        }
        if self.open[mark as usize] == 0 {
            self.settle();
            self.tag(&format!("<{}>", mark.tag()));
        }
        self.open[mark as usize] += 1;
    }

    pub(super) fn close(&mut self, mark: Mark) {
        if self.has_signs() {
            self.wanted.pop();
            if !self.wanted.contains(&mark) {
                self.end_sign(mark);
            }
            return;
        }
        self.open[mark as usize] -= 1;
        if self.open[mark as usize] == 0 {
            self.tag(&format!("</{}>", mark.tag()));
        }
    }

    /// The outermost quote is the platform's where it has some; any other is marked line by line.
    pub(super) fn open_quote(&mut self) {
        if self.html() && self.quotes == 0 {
            self.settle();
            self.raw("<blockquote>");
        } else {
            self.settle();
            self.end_signs();
            self.indent("> ", "> ".to_owned());
        }
        self.quotes += 1;
        self.fresh = true;
    }

    pub(super) fn close_quote(&mut self) {
        self.quotes -= 1;
        if self.html() && self.quotes == 0 {
            self.raw("</blockquote>");
        } else {
            self.outdent();
        }
        self.fresh = false;
    }

    pub(super) fn start_item(&mut self, marker: &str) {
        self.block();
        self.settle();
        self.indent(marker, " ".repeat(marker.chars().count()));
        self.fresh = true;
    }

    pub(super) fn end_item(&mut self) {
        self.outdent();
        self.fresh = false;
        self.gap(1);
    }

    /// A level begins with `marker`; its other lines begin with `prefix`.
    fn indent(&mut self, marker: &str, prefix: String) {
        self.markup(marker);
        if self.prefixes.len() < DEEPEST {
            self.prefixes.push(prefix);
        } else {
            self.deeper += 1;
        }
    }

    fn outdent(&mut self) {
        if self.deeper > 0 {
            self.deeper -= 1;
        } else {
            self.prefixes.pop();
        }
    }

    /// Pays the line breaks that are owed, and begins the line.
    pub(super) fn settle(&mut self) {
        if self.gap > 0 && !self.shown.is_empty() {
            self.end_signs();
            let breaks = "\n".repeat(self.gap);
            self.raw(&breaks);
            self.shown.push_str(&breaks);
            self.line_start = true;
        }
        self.gap = 0;
        if std::mem::take(&mut self.line_start) {
            let prefix = self.prefixes.concat();
            self.markup(&prefix);
        }
    }

    /// What stands before the text of a line.
    fn markup(&mut self, text: &str) {
        if self.has_signs() {
            self.body.push_str(text);
            self.shown.push_str(text);
            self.begins = true;
        } else {
            self.write(text);
        }
    }

    pub(super) fn write(&mut self, text: &str) {
        if self.has_signs() {
            self.signed_text(text);
        } else if self.html() {
            escape(text, &mut self.body);
        } else {
            self.body.push_str(text);
        }
        self.shown.push_str(text);
    }

    fn tag(&mut self, tag: &str) {
        if self.html() {
            self.raw(tag);
        }
    }

    pub(super) fn raw(&mut self, text: &str) {
        self.body.push_str(text);
    }
}
