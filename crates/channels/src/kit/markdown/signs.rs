//! Marks, links and code where they are signs between words; see [`super::dialect`] for those of each platform.

use super::dialect::{self, UNSEEN};
use super::escape;
use super::out::{Mark, Out};
use crate::caps::Dialect;

/// Levels of headings that Discord has.
const HEADINGS: usize = 3;

impl Out {
    /// Whether marks are signs between words.
    pub(super) fn has_signs(&self) -> bool {
        !matches!(self.dialect, Dialect::Plain | Dialect::Html | Dialect::Markdown)
    }

    /// Text as the platform takes it; [`Out::write`] notes what is shown.
    pub(super) fn signed_text(&mut self, text: &str) {
        let words = text.trim_start();
        if words.is_empty() || words.len() < text.len() {
            self.body.push_str(&text[..text.len() - words.len()]);
            self.ended = false;
        }
        if words.is_empty() {
            return;
        }
        self.begin_signs();
        if std::mem::take(&mut self.ended) {
            self.body.push(UNSEEN);
        }
        dialect::text(self.dialect, words, std::mem::take(&mut self.begins), &mut self.body);
    }

    /// Code within a line; as text where its own signs would end it.
    pub(super) fn signed_code(&mut self, code: &str) {
        self.settle();
        self.fresh = false;
        if code.trim() != code || code.is_empty() || code.contains(['`', '\n']) {
            return self.write(code);
        }
        self.begin_signs();
        self.part();
        self.body.push('`');
        dialect::code(self.dialect, code, &mut self.body);
        self.body.push('`');
        self.shown.push_str(code);
        (self.begins, self.ended) = (false, true);
    }

    /// A block of code, on lines of its own.
    pub(super) fn fenced(&mut self, language: &str, code: &str) {
        self.settle();
        self.end_signs();
        if !self.body.is_empty() && !self.body.ends_with('\n') {
            self.body.push('\n');
            self.shown.push('\n');
        }
        self.body.push_str("```");
        if self.dialect == Dialect::Discord {
            self.body.push_str(language);
        }
        self.body.push('\n');
        dialect::code(self.dialect, code, &mut self.body);
        self.body.push_str("\n```");
        self.shown.push_str(code);
        (self.begins, self.ended, self.fresh) = (false, false, false);
        self.gap(1);
    }

    /// A heading begins: bold, but for the three levels that Discord has.
    pub(super) fn open_heading(&mut self, level: usize) {
        if self.dialect == Dialect::Discord && level <= HEADINGS {
            self.settle();
            self.body.push_str(&"#".repeat(level));
            self.body.push(' ');
            self.begins = true;
        } else {
            self.open(Mark::Bold);
        }
    }

    pub(super) fn close_heading(&mut self, level: usize) {
        if self.dialect != Dialect::Discord || level > HEADINGS {
            self.close(Mark::Bold);
        }
    }

    /// A link begins; [`Out::close_link`] ends it.
    pub(super) fn open_link(&mut self, href: &str) {
        self.settle();
        if self.html() {
            self.raw("<a href=\"");
            escape(href, &mut self.body);
            self.raw("\">");
            return;
        }
        self.begin_signs();
        self.part();
        self.begins = false;
        self.link = Some(self.body.len());
        if dialect::has_angled_links(self.dialect) {
            self.body.push('<');
            dialect::target(self.dialect, href, &mut self.body);
            self.body.push('|');
        } else {
            self.body.push('[');
        }
    }

    /// Ends a link. Discord takes one whose words look like an address for a trick and does not show it as a link, and in one of
    /// Google Chat's the words can't hold the signs of a link: there, the address stands behind the words.
    pub(super) fn close_link(&mut self, href: &str) {
        if self.html() {
            return self.raw("</a>");
        }
        let Some(from) = self.link.take() else { return };
        if let Some(signs) = dialect::undone_link(self.dialect, &self.body[from..]) {
            self.body.replace_range(from..from + signs, "");
            if self.body[from..].trim() != href {
                self.text(&format!(" ({href})"));
            }
            return;
        }
        if dialect::has_angled_links(self.dialect) {
            self.body.push('>');
        } else {
            self.body.push_str("](");
            dialect::target(self.dialect, href, &mut self.body);
            self.body.push(')');
        }
        self.ended = true;
    }

    /// Writes the signs of the marks that are open and have none on this line. Within a link there are none.
    fn begin_signs(&mut self) {
        if self.link.is_some() {
            return;
        }
        for mark in self.wanted.clone() {
            if self.signs.iter().all(|(open, _)| *open != mark) {
                self.part();
                self.signs.push((mark, self.body.len()));
                self.body.push_str(dialect::sign(self.dialect, mark));
            }
        }
    }

    /// Parts a sign that begins from what stands before it.
    fn part(&mut self) {
        let word = self.body.chars().next_back().is_some_and(dialect::is_word);
        let sign = self
            .signs
            .last()
            .is_some_and(|(mark, at)| at + dialect::sign(self.dialect, *mark).len() == self.body.len());
        if std::mem::take(&mut self.ended) || word && !sign {
            self.body.push(UNSEEN);
        }
    }

    /// Ends all signs, because a line does.
    pub(super) fn end_signs(&mut self) {
        while let Some((mark, _)) = self.signs.last() {
            self.end_sign(*mark);
        }
        self.ended = false;
    }

    /// Ends the sign of a mark, or takes it back where its platform would not see a pair.
    pub(super) fn end_sign(&mut self, mark: Mark) {
        let Some((_, at)) = self.signs.pop_if(|(open, _)| *open == mark) else { return };
        let sign = dialect::sign(self.dialect, mark);
        let words = &self.body[at + sign.len()..];
        let unseen = |c: char| c.is_whitespace() || c == UNSEEN;
        let mixed = !dialect::has_escapes(self.dialect) && words.contains(sign);
        if words.is_empty() || words.starts_with(unseen) || words.ends_with(unseen) || mixed {
            self.body.replace_range(at..at + sign.len(), "");
        } else {
            self.body.push_str(sign);
            self.ended = true;
        }
    }
}
