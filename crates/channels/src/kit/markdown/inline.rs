//! What happens within a line: text, emphasis and links.

use super::out::Mark;
use super::{Writer, dialect};

/// A link that is open.
pub(super) struct Link {
    href: String,
    /// Whether it became one; else its address is written behind its text.
    pressable: bool,
    /// Where its text begins.
    from: usize,
}

impl Writer {
    /// Text, into the open table or the message.
    pub(super) fn put(&mut self, text: &str) {
        match &mut self.table {
            Some(table) => table.text(text),
            None => self.out.text(text),
        }
    }

    pub(super) fn put_code(&mut self, code: &str) {
        match &mut self.table {
            Some(table) => table.text(code),
            // A platform drops the link around code rather than the code in it.
            None if self.links.is_empty() => self.out.code(code),
            None => self.out.text(code),
        }
    }

    pub(super) fn line_break(&mut self) {
        match &mut self.table {
            Some(table) => table.text(" "),
            None => self.out.line_break(),
        }
    }

    pub(super) fn mark(&mut self, mark: Mark, open: bool) {
        match (&self.table, open) {
            (Some(_), _) => {}
            (None, true) => self.out.open(mark),
            (None, false) => self.out.close(mark),
        }
    }

    pub(super) fn start_link(&mut self, href: &str) {
        let pressable =
            dialect::is_pressable(self.out.dialect, href) && self.table.is_none() && self.links.is_empty();
        if pressable {
            self.out.open_link(href);
        }
        let from = self.length();
        self.links.push(Link { href: href.to_owned(), pressable, from });
    }

    pub(super) fn end_link(&mut self) {
        let Some(link) = self.links.pop() else { return };
        let label = match &self.table {
            Some(table) => &table.cell[link.from.min(table.cell.len())..],
            None => &self.out.shown[link.from..],
        };
        let bare = label.trim() == link.href || link.href.is_empty();
        let nameless = label.trim().is_empty();
        if nameless {
            self.put(&link.href);
        } else if !link.pressable && !bare {
            self.put(&format!(" ({})", link.href));
        }
        if link.pressable {
            self.out.close_link(&link.href);
        }
    }

    fn length(&self) -> usize {
        self.table.as_ref().map_or(self.out.shown.len(), |table| table.cell.len())
    }
}
