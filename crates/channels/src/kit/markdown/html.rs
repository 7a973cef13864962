//! Markdown as the HTML of a document, for platforms that show headings, lists and tables as what they are.
//!
//! The tags are those that a Matrix client shows (<https://spec.matrix.org/latest/client-server-api/#mroommessage-msgtypes>), which are
//! a part of what any reader of HTML knows. HTML in the source is text like any other, and only addresses that lead to another
//! page or a mailbox can be pressed. Nothing is cut here: whoever cuts does it before, in Markdown.
//!
//! Must hold: what comes out is balanced and has no tag or attribute that is not written here; no word of the source is lost.

use std::fmt::Write as _;

use pulldown_cmark::{Event, Tag, TagEnd, TextMergeStream};

use super::{NESTING, Used, as_paragraph, escape, is_line_break, language, nesting, parser};

/// Addresses that may be pressed.
const SCHEMES: &[&str] = &["https://", "http://", "mailto:"];

/// `source` in HTML; `None` where there is nothing to format, or where it would have more than `at_most` bytes.
pub(crate) fn document(source: &str, at_most: usize) -> Option<String> {
    let source = source.trim();
    if nesting(source) > NESTING {
        return None;
    }
    let mut parser = parser(source);
    let (mut page, mut used) = (Page::default(), Used::default());
    for event in TextMergeStream::new(parser.by_ref()) {
        used.note(&event);
        page.event(event);
        if page.html.len() > at_most {
            return None;
        }
    }
    for span in used.unused(&parser) {
        for event in as_paragraph(&source[span]) {
            page.event(event);
        }
    }
    let is_plain = !page.formatted && page.seen.trim() == source;
    (!is_plain && page.html.len() <= at_most).then(|| page.finished())
}

#[derive(Default)]
struct Page {
    html: String,
    /// The words as they were read, to tell whether anything was more than words.
    seen: String,
    formatted: bool,
    /// Blocks at the top.
    blocks: usize,
    /// Blocks that are open.
    depth: usize,
    /// The links that are open: where each leads, and whether it is one that can be pressed.
    links: Vec<(String, bool)>,
    /// Whether the row of a table that is being written is its head.
    head: bool,
}

impl Page {
    fn event(&mut self, event: Event<'_>) {
        self.formatted |= !matches!(
            event,
            Event::Text(_)
                | Event::Html(_)
                | Event::InlineHtml(_)
                | Event::SoftBreak
                | Event::Start(Tag::Paragraph | Tag::HtmlBlock)
                | Event::End(TagEnd::Paragraph | TagEnd::HtmlBlock)
        );
        match event {
            Event::Start(tag) => self.start(tag),
            Event::End(tag) => self.end(tag),
            Event::Code(code) => {
                self.html.push_str("<code>");
                self.text(&code);
                self.html.push_str("</code>");
            }
            Event::InlineHtml(html) if is_line_break(&html) => {
                self.formatted = true;
                self.html.push_str("<br>");
            }
            Event::Text(text)
            | Event::Html(text)
            | Event::InlineHtml(text)
            | Event::InlineMath(text)
            | Event::DisplayMath(text)
            | Event::FootnoteReference(text) => self.text(&text),
            Event::SoftBreak | Event::HardBreak => {
                self.seen.push('\n');
                self.html.push_str("<br>");
            }
            Event::Rule => self.html.push_str("<hr>"),
            Event::TaskListMarker(done) => self.html.push_str(if done { "☑ " } else { "☐ " }),
        }
    }

    fn text(&mut self, text: &str) {
        self.seen.push_str(text);
        escape(text, &mut self.html);
    }

    fn start(&mut self, tag: Tag<'_>) {
        if is_block(tag.to_end()) {
            self.blocks += usize::from(self.depth == 0);
            self.depth += 1;
        }
        match tag {
            Tag::Paragraph | Tag::HtmlBlock => self.html.push_str("<p>"),
            Tag::Heading { level, .. } => self.open(format_args!("<h{}>", level as usize)),
            Tag::BlockQuote(_) => self.html.push_str("<blockquote>"),
            Tag::CodeBlock(kind) => match language(&kind).as_str() {
                "" => self.html.push_str("<pre><code>"),
                language => self.open(format_args!("<pre><code class=\"language-{language}\">")),
            },
            Tag::List(None) => self.html.push_str("<ul>"),
            Tag::List(Some(1)) => self.html.push_str("<ol>"),
            Tag::List(Some(first)) => self.open(format_args!("<ol start=\"{first}\">")),
            Tag::Item => self.html.push_str("<li>"),
            Tag::Table(_) => self.html.push_str("<table>"),
            Tag::TableHead => {
                self.head = true;
                self.html.push_str("<thead><tr>");
            }
            Tag::TableRow => self.html.push_str("<tr>"),
            Tag::TableCell => self.html.push_str(if self.head { "<th>" } else { "<td>" }),
            Tag::Emphasis => self.html.push_str("<em>"),
            Tag::Strong => self.html.push_str("<strong>"),
            Tag::Strikethrough => self.html.push_str("<del>"),
            Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. } => self.start_link(&dest_url),
            _ => {}
        }
    }

    fn end(&mut self, tag: TagEnd) {
        if is_block(tag) {
            self.depth = self.depth.saturating_sub(1);
        }
        match tag {
            TagEnd::Paragraph | TagEnd::HtmlBlock => {
                self.seen.push_str("\n\n");
                self.html.push_str("</p>");
            }
            TagEnd::Heading(level) => self.open(format_args!("</h{}>", level as usize)),
            TagEnd::BlockQuote(_) => self.html.push_str("</blockquote>"),
            TagEnd::CodeBlock => self.html.push_str("</code></pre>"),
            TagEnd::List(numbered) => self.html.push_str(if numbered { "</ol>" } else { "</ul>" }),
            TagEnd::Item => self.html.push_str("</li>"),
            TagEnd::Table => self.html.push_str("</tbody></table>"),
            TagEnd::TableHead => {
                self.head = false;
                self.html.push_str("</tr></thead><tbody>");
            }
            TagEnd::TableRow => self.html.push_str("</tr>"),
            TagEnd::TableCell => self.html.push_str(if self.head { "</th>" } else { "</td>" }),
            TagEnd::Emphasis => self.html.push_str("</em>"),
            TagEnd::Strong => self.html.push_str("</strong>"),
            TagEnd::Strikethrough => self.html.push_str("</del>"),
            TagEnd::Link | TagEnd::Image => self.end_link(),
            _ => {}
        }
    }

    /// A tag with something in it.
    fn open(&mut self, tag: std::fmt::Arguments<'_>) {
        // Writing into a text can't fail.
        let _ = self.html.write_fmt(tag);
    }

    /// A link, or a picture, which becomes one: nothing is loaded from a stranger's server. There are none within others.
    fn start_link(&mut self, href: &str) {
        let begins =
            |scheme: &&str| href.get(..scheme.len()).is_some_and(|it| it.eq_ignore_ascii_case(scheme));
        let pressable = self.links.is_empty() && SCHEMES.iter().any(begins);
        if pressable {
            self.html.push_str("<a href=\"");
            escape(href, &mut self.html);
            self.html.push_str("\">");
        }
        self.links.push((href.to_owned(), pressable));
    }

    fn end_link(&mut self) {
        let Some((href, pressable)) = self.links.pop() else { return };
        if pressable {
            if self.html.ends_with("\">") {
                // Words without which nobody could press it.
                escape(&href, &mut self.html);
            }
            self.html.push_str("</a>");
        } else if !href.is_empty() {
            escape(&format!(" ({href})"), &mut self.html);
        }
    }

    /// Without the tags around a paragraph that is all there is.
    fn finished(self) -> String {
        let only = self.html.strip_prefix("<p>").and_then(|rest| rest.strip_suffix("</p>"));
        match only.filter(|_| self.blocks == 1) {
            Some(inner) => inner.to_owned(),
            None => self.html,
        }
    }
}

fn is_block(tag: TagEnd) -> bool {
    !matches!(tag, TagEnd::Emphasis | TagEnd::Strong | TagEnd::Strikethrough | TagEnd::Link | TagEnd::Image)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn html(source: &str) -> String {
        document(source, 10_000).unwrap_or_else(|| panic!("{source:?} has nothing to format"))
    }

    #[test]
    fn what_a_reader_of_html_knows_is_what_it_is() {
        for (source, expected) in [
            ("**a** _b_ ~~c~~ `d<e`", "<strong>a</strong> <em>b</em> <del>c</del> <code>d&lt;e</code>"),
            ("# T\n\nx", "<h1>T</h1><p>x</p>"),
            ("3. a\n4. b", "<ol start=\"3\"><li>a</li><li>b</li></ol>"),
            ("- [x] a\n- [ ] b", "<ul><li>☑ a</li><li>☐ b</li></ul>"),
            ("> a\n> b", "<blockquote><p>a<br>b</p></blockquote>"),
            ("```rust\nlet a;\n```", "<pre><code class=\"language-rust\">let a;\n</code></pre>"),
            (
                "| a | b |\n| - | - |\n| 1 | 2 |",
                "<table><thead><tr><th>a</th><th>b</th></tr></thead><tbody><tr><td>1</td><td>2</td></tr></tbody></table>",
            ),
            ("[a](https://x.org/?a&b)", "<a href=\"https://x.org/?a&amp;b\">a</a>"),
            ("[a](javascript:x)", "a (javascript:x)"),
            ("![a](https://x.org/p.png)", "<a href=\"https://x.org/p.png\">a</a>"),
            ("[](https://x.org)", "<a href=\"https://x.org\">https://x.org</a>"),
            ("<b>a</b> *b*", "&lt;b&gt;a&lt;/b&gt; <em>b</em>"),
            ("a<br/>b", "a<br>b"),
            ("1\\. a", "1. a"),
        ] {
            assert_eq!(html(source), expected, "{source}");
        }
    }

    #[test]
    fn a_text_without_formatting_is_left_alone() {
        for source in ["hello", "two\nlines", "two\n\nparagraphs & more", "a <b> c", " a ", ""] {
            assert_eq!(document(source, 10_000), None, "{source:?}");
        }
        assert_eq!(document("**bold**", 5), None, "longer than allowed");
    }

    proptest! {
        #[test]
        fn tags_are_balanced_and_ours(source in "([a-z]{1,4}|[*_~`#>|!<&\"'\\\\-]|\\[|\\]|\\(|\\)|https://x |\n|[0-9]\\. ){0,60}") {
            if let Some(html) = document(&source, 1 << 20) {
                let mut open = Vec::new();
                for tag in html.split('<').skip(1).map(|rest| rest.split('>').next().unwrap()) {
                    match tag.strip_prefix('/') {
                        Some(name) => prop_assert_eq!(open.pop(), Some(name.to_owned()), "{}", html),
                        None if ["br", "hr"].contains(&tag) => {}
                        None => open.push(tag.split(' ').next().unwrap().to_owned()),
                    }
                }
                prop_assert!(open.is_empty(), "{}", html);
            }
        }
    }
}
