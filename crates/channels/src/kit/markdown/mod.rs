//! One Markdown in, the formatting of each platform out.
//!
//! Backends write Markdown (<https://commonmark.org>, with tables, strikethrough and task lists). A parser reads it, so that
//! what is formatting and what is text is decided once and by the standard; what is written keeps what the platform knows and
//! flattens the rest: headings become bold, lists get bullets and numbers, tables become aligned text, pictures become links. HTML in the source is text like any other.
//!
//! Must hold: any input, however hostile, gives balanced output, without panic and in time and memory that go by the size
//! of the source; no word of the source is lost.

mod dialect;
mod html;
mod inline;
mod out;
mod parts;
mod runs;
mod signs;
mod table;

use std::collections::HashSet;
use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, CowStr, Event, LinkType, Options, Parser, Tag, TagEnd, TextMergeStream};

pub(crate) use self::html::document;
use self::inline::Link;
use self::out::{Mark, Out};
pub(crate) use self::parts::{Part, Room, parts};
pub(crate) use self::runs::{Run, Style, runs};
use self::table::Table;
use crate::caps::Dialect;

/// Quotes and lists that one line may open before a text is taken as it is: the parser looks at each level for each line.
const NESTING: usize = 64;

/// A text in a platform's formatting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// As it is sent.
    pub body: String,
    /// What a person sees of it; platforms count this.
    pub shown: String,
}

/// Brings Markdown into `dialect`; `None` when it has more than `at_most` bytes there, which is found out on the way.
pub fn render(source: &str, dialect: Dialect, at_most: usize) -> Option<Rendered> {
    let fits = |rendered: Rendered| (rendered.body.len() <= at_most).then_some(rendered);
    if dialect == Dialect::Markdown {
        return fits(Rendered { body: source.to_owned(), shown: source.to_owned() });
    }
    if nesting(source) > NESTING {
        return fits(verbatim(source, dialect));
    }
    let mut parser = parser(source);
    let mut writer = Writer::new(dialect);
    let mut used = Used::default();
    for event in TextMergeStream::new(parser.by_ref()) {
        used.note(&event);
        writer.event(event);
        if writer.out.body.len() > at_most {
            return None;
        }
    }
    for span in used.unused(&parser) {
        for event in as_paragraph(&source[span]) {
            writer.event(event);
        }
    }
    let rendered = writer.rendered();
    if rendered.shown.trim().is_empty() {
        return fits(verbatim(source, dialect));
    }
    fits(rendered)
}

fn parser(source: &str) -> Parser<'_> {
    Parser::new_ext(
        source,
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS,
    )
}

/// The references that were followed. Definitions of others would be seen by nobody, so they are shown as they were written.
#[derive(Default)]
struct Used(HashSet<String>);

impl Used {
    fn note(&mut self, event: &Event<'_>) {
        if let Event::Start(Tag::Link { link_type, id, .. } | Tag::Image { link_type, id, .. }) = event
            && matches!(link_type, LinkType::Reference | LinkType::Collapsed | LinkType::Shortcut)
        {
            self.0.insert(id.to_string());
        }
    }

    /// Where the definitions are that nobody follows, in order. Once the parser is at its end.
    fn unused(&self, parser: &Parser<'_>) -> Vec<Range<usize>> {
        let unused = parser.reference_definitions().iter().filter(|(name, _)| !self.0.contains(*name));
        let mut unused: Vec<_> = unused.map(|(_, definition)| definition.span.clone()).collect();
        unused.sort_by_key(|span| span.start);
        unused
    }
}

/// A definition as a paragraph of its own.
fn as_paragraph(definition: &str) -> [Event<'_>; 3] {
    let text = Event::Text(CowStr::Borrowed(definition.trim_end()));
    [Event::Start(Tag::Paragraph), text, Event::End(TagEnd::Paragraph)]
}

/// How many quotes and lists one line opens at most, give or take what only looks like it.
fn nesting(source: &str) -> usize {
    let markers = |line: &str| {
        let (mut rest, mut found) = (line.trim_start(), 0);
        loop {
            let number = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            let bullet = rest.strip_prefix(['-', '*', '+']).or_else(|| {
                let numbered = number.len() < rest.len();
                number.strip_prefix(['.', ')']).filter(|_| numbered)
            });
            let item = bullet.filter(|behind| behind.starts_with([' ', '\t']));
            match rest.strip_prefix('>').or(item) {
                Some(behind) => (rest, found) = (behind.trim_start(), found + 1),
                None => return found,
            }
        }
    };
    source.split(['\n', '\r']).map(markers).max().unwrap_or(0)
}

/// `text` as it is, in `dialect`.
pub(crate) fn verbatim(text: &str, dialect: Dialect) -> Rendered {
    let mut body = String::new();
    match dialect {
        Dialect::Html => escape(text, &mut body),
        Dialect::Plain | Dialect::Markdown => body.push_str(text),
        Dialect::Slack | Dialect::Discord | Dialect::WhatsApp | Dialect::Teams | Dialect::GoogleChat => {
            let mut out = Out::new(dialect);
            out.text(text);
            body = out.body;
        }
    }
    Rendered { body, shown: text.to_owned() }
}

/// Makes Markdown of which every character is text.
pub fn literal(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii_punctuation() {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// As text or as a quoted attribute of HTML.
pub(crate) fn escape(text: &str, into: &mut String) {
    for c in text.chars() {
        match c {
            '&' => into.push_str("&amp;"),
            '<' => into.push_str("&lt;"),
            '>' => into.push_str("&gt;"),
            '"' => into.push_str("&quot;"),
            '\'' => into.push_str("&#39;"),
            c => into.push(c),
        }
    }
}

/// Follows the parser through a text.
struct Writer {
    out: Out,
    /// The next number of each open list; none for bullets.
    lists: Vec<Option<u64>>,
    /// Those that are open.
    links: Vec<Link>,
    table: Option<Table>,
    /// The language and the text of an open code block.
    code: Option<(String, String)>,
}

impl Writer {
    fn new(dialect: Dialect) -> Self {
        Self { out: Out::new(dialect), lists: Vec::new(), links: Vec::new(), table: None, code: None }
    }

    fn event(&mut self, event: Event<'_>) {
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => match &mut self.code {
                Some((_, code)) => code.push_str(&text),
                None => self.put(&text),
            },
            Event::Code(code) => self.put_code(&code),
            Event::InlineHtml(html) if is_line_break(&html) => self.line_break(),
            Event::Html(html) | Event::InlineHtml(html) => self.put(&html),
            Event::SoftBreak | Event::HardBreak => self.line_break(),
            Event::Rule => {
                self.out.block();
                self.out.text("———");
                self.out.gap(2);
            }
            Event::TaskListMarker(done) => self.put(if done { "☑ " } else { "☐ " }),
            // Not switched on.
            Event::InlineMath(text) | Event::DisplayMath(text) | Event::FootnoteReference(text) => {
                self.put(&text);
            }
        }
    }

    fn start(&mut self, tag: Tag<'_>) {
        match tag {
            Tag::Paragraph | Tag::HtmlBlock => self.out.block(),
            Tag::Heading { level, .. } => {
                self.out.block();
                self.out.open_heading(level as usize);
            }
            Tag::BlockQuote(_) => {
                self.out.block();
                self.out.open_quote();
            }
            Tag::CodeBlock(kind) => {
                self.out.block();
                self.code = Some((language(&kind), String::new()));
            }
            Tag::List(first) => {
                self.out.block();
                self.lists.push(first);
            }
            Tag::Item => self.start_item(),
            Tag::Table(_) => {
                self.out.block();
                self.table = Some(Table::default());
            }
            Tag::Emphasis => self.mark(Mark::Italic, true),
            Tag::Strong => self.mark(Mark::Bold, true),
            Tag::Strikethrough => self.mark(Mark::Strike, true),
            Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. } => self.start_link(&dest_url),
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Paragraph | TagEnd::HtmlBlock => self.out.gap(2),
            TagEnd::Heading(level) => {
                self.out.close_heading(level as usize);
                self.out.gap(2);
            }
            TagEnd::BlockQuote(_) => {
                self.out.close_quote();
                self.out.gap(2);
            }
            TagEnd::CodeBlock => {
                if let Some((language, code)) = self.code.take() {
                    self.out.pre(&language, code.strip_suffix('\n').unwrap_or(&code));
                }
                self.out.gap(2);
            }
            TagEnd::List(_) => {
                self.lists.pop();
                self.out.gap(if self.lists.is_empty() { 2 } else { 1 });
            }
            TagEnd::Item => self.out.end_item(),
            TagEnd::TableCell => self.table.iter_mut().for_each(Table::end_cell),
            TagEnd::TableRow | TagEnd::TableHead => self.table.iter_mut().for_each(Table::end_row),
            TagEnd::Table => {
                if let Some(table) = self.table.take() {
                    self.out.pre("", &table.aligned());
                }
                self.out.gap(2);
            }
            TagEnd::Emphasis => self.mark(Mark::Italic, false),
            TagEnd::Strong => self.mark(Mark::Bold, false),
            TagEnd::Strikethrough => self.mark(Mark::Strike, false),
            TagEnd::Link | TagEnd::Image => self.end_link(),
            _ => {}
        }
    }

    /// What was written, once everything is closed.
    fn rendered(mut self) -> Rendered {
        self.out.end_signs();
        let Out { body, shown, .. } = self.out;
        Rendered { body, shown }
    }

    /// Goes on with a list whose next item has this number.
    fn continue_list(&mut self, next: Option<u64>) {
        self.out.block();
        self.lists.push(next);
    }

    /// Goes on with the item before that, below its words.
    fn continue_item(&mut self) {
        let marker = match self.lists.last() {
            Some(Some(next)) => format!("{}. ", next.saturating_sub(1)),
            _ => dialect::bullet(self.out.dialect).to_owned(),
        };
        self.out.start_item(&" ".repeat(marker.chars().count()));
    }

    /// Goes on with a table, whose head is written again or not.
    fn continue_table(&mut self, head: bool) {
        self.out.block();
        self.table = Some(Table::continued(head));
    }

    fn start_item(&mut self) {
        let marker = match self.lists.last_mut() {
            Some(Some(number)) => {
                let marker = format!("{number}. ");
                *number = number.saturating_add(1);
                marker
            }
            _ => dialect::bullet(self.out.dialect).to_owned(),
        };
        self.out.start_item(&marker);
    }
}

fn language(kind: &CodeBlockKind<'_>) -> String {
    let CodeBlockKind::Fenced(info) = kind else { return String::new() };
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+' | '#' | '.');
    let word = info.split_whitespace().next().unwrap_or_default();
    if word.len() <= 32 && word.chars().all(plain) { word.to_owned() } else { String::new() }
}

fn is_line_break(html: &str) -> bool {
    let name = html.trim_start_matches('<').trim_end_matches('>').trim_end_matches('/').trim();
    name.eq_ignore_ascii_case("br")
}

#[cfg(test)]
mod tests;
