//! Fenced code blocks, by the rules of the standard (<https://spec.commonmark.org/0.31.2/#fenced-code-blocks>).
//!
//! Only as much of them as a text that is cut or added to needs: which one is open at its end. Blocks within quotes and
//! lists are not looked into.

/// A fence that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fence<'t> {
    /// The line that opened it.
    pub line: &'t str,
    marker: char,
    length: usize,
}

impl Fence<'_> {
    /// The line that closes it.
    pub fn closing(&self) -> String {
        self.marker.to_string().repeat(self.length)
    }

    fn is_closed_by(&self, line: &str) -> bool {
        marked(line).is_some_and(|(marker, length, rest)| {
            marker == self.marker && length >= self.length && rest.trim_matches([' ', '\t']).is_empty()
        })
    }
}

/// The fence that `text` leaves open.
pub fn open(text: &str) -> Option<Fence<'_>> {
    text.split(['\n', '\r']).fold(None, |open, line| match open {
        Some(fence) if Fence::is_closed_by(&fence, line) => None,
        Some(fence) => Some(fence),
        None => opened(line),
    })
}

fn opened(line: &str) -> Option<Fence<'_>> {
    let (marker, length, info) = marked(line)?;
    // With a backtick behind them, backticks are code within a line.
    (marker == '~' || !info.contains('`')).then_some(Fence { line, marker, length })
}

/// The marker that a line begins with, how often it stands there, and what follows.
fn marked(line: &str) -> Option<(char, usize, &str)> {
    let text = line.trim_start_matches(' ');
    let marker = text.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let rest = text.trim_start_matches(marker);
    let length = text.len() - rest.len();
    (length >= 3 && line.len() - text.len() <= 3).then_some((marker, length, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pulldown_cmark::{Event, Parser, Tag};

    use super::*;

    #[test]
    fn the_rules_of_the_standard() {
        let line = |text| open(text).map(|fence| fence.line);
        for (text, left_open) in [
            ("```", Some("```")),
            ("a\n  ~~~ rust\nb", Some("  ~~~ rust")),
            ("```x```", None),
            ("~~~ a`b", Some("~~~ a`b")),
            ("``` a`b", None),
            ("``", None),
            ("    ```", None),
            ("```\n~~~\n````\na", None),
            ("````\n```\n~~~~~", Some("````")),
            ("```\n``` a", Some("```")),
            ("```\n    ```", Some("```")),
            ("```\n```` \t\r\nb", None),
            ("```\n```\n~~~", Some("~~~")),
        ] {
            assert_eq!(line(text), left_open, "{text:?}");
        }
        assert_eq!(open("a\n  ~~~~x").unwrap().closing(), "~~~~");
    }

    /// Whether a word behind the text is code, by the parser that will read it.
    fn is_code_behind(text: &str) -> bool {
        let probe = format!("{text}\nprobe");
        let mut fenced = false;
        for event in Parser::new(&probe) {
            match event {
                Event::Start(Tag::CodeBlock(_)) => fenced = true,
                Event::Text(text) if text.contains("probe") => return fenced,
                Event::End(pulldown_cmark::TagEnd::CodeBlock) => fenced = false,
                _ => {}
            }
        }
        false
    }

    proptest! {
        #[test]
        fn the_parser_agrees(lines in proptest::collection::vec(" {0,3}(`{2,5}|~{2,5}|a)( ?[a-z`~]{0,2})? {0,2}", 0..9)) {
            // Without tabs: behind a closing fence, the parser takes spaces only.
            let text = lines.join("\n");
            prop_assert_eq!(open(&text).is_some(), is_code_behind(&text), "{:?}", text);
            if let Some(fence) = open(&text) {
                let closed = format!("{text}\n{}", fence.closing());
                prop_assert_eq!(open(&closed), None);
            }
        }
    }
}
