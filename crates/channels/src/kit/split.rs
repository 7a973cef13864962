//! A long text into pieces that a platform takes.
//!
//! It is cut at the last paragraph, line, sentence or word that fits, counted as the platform counts; in Markdown, a code
//! fence that a cut opens is closed and opened again in the next part, so every part renders by itself. A character
//! is never torn. Nothing but the white space at a cut is lost, and to a plain text nothing is added.

use claw_types::Format;

use crate::TextUnit;

pub(super) const FENCE: &str = "```";

/// Cuts `text` into pieces of at most `limit` units.
pub fn split(text: &str, format: Format, limit: usize, unit: TextUnit) -> Vec<String> {
    let fences = format == Format::Markdown;
    // Room to close a fence at the end of a piece.
    let reserve = if fences { unit.count("\n```").min(limit / 2) } else { 0 };
    let mut pieces = Vec::new();
    let mut rest = text.trim_end().to_owned();
    while unit.count(&rest) > limit {
        let at = cut(&rest, limit - reserve, unit);
        let (head, tail) = (rest[..at].trim_end(), rest[at..].trim_start_matches(['\n', ' ']));
        let (head, tail) = match open_fence(head).filter(|_| fences) {
            // Reopening must leave the text shorter than before, or this would never end.
            Some(line) if unit.count(line) < limit / 4 => {
                (format!("{head}\n{FENCE}"), format!("{line}\n{tail}"))
            }
            _ => (head.to_owned(), tail.to_owned()),
        };
        pieces.push(head);
        rest = tail;
    }
    pieces.push(rest);
    pieces.retain(|piece| !piece.trim().is_empty());
    pieces
}

/// The byte at which to cut so that at most `limit` units stay before it; always above 0.
fn cut(text: &str, limit: usize, unit: TextUnit) -> usize {
    let mut used = 0;
    let mut end = 0;
    for (at, c) in text.char_indices() {
        used += unit.width(c);
        if used > limit && at > 0 {
            break;
        }
        end = at + c.len_utf8();
    }
    let window = &text[..end];
    // A cut in the first half would make a needlessly short piece.
    let late = |at: &usize| *at > end / 2;
    window
        .rfind("\n\n")
        .filter(late)
        .or_else(|| window.rfind('\n').filter(late))
        .or_else(|| window.rfind(". ").map(|at| at + 1).filter(late))
        .or_else(|| window.rfind(' ').filter(late))
        .unwrap_or(end)
}

/// The line that opened a code fence which `text` leaves open.
pub(super) fn open_fence(text: &str) -> Option<&str> {
    text.lines().filter(|line| line.trim_start().starts_with(FENCE)).fold(None, |open, line| match open {
        Some(_) => None,
        None => Some(line),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cuts_prefer_paragraphs_and_words() {
        assert_eq!(
            split("one two three\n\nfour five six", Format::Markdown, 20, TextUnit::Chars),
            ["one two three", "four five six"]
        );
        assert_eq!(
            split("aaaa bbbb cccc dddd eeee", Format::Markdown, 18, TextUnit::Chars),
            ["aaaa bbbb", "cccc dddd eeee"]
        );
    }

    #[test]
    fn a_fence_is_closed_and_reopened() {
        let text = format!("```rust\n{}\n```", "let x = 1;\n".repeat(20));
        let pieces = split(&text, Format::Markdown, 80, TextUnit::Chars);
        assert!(pieces.len() > 2);
        for piece in &pieces {
            assert!(piece.starts_with("```rust\n"), "{piece}");
            assert_eq!(piece.matches(FENCE).count() % 2, 0, "{piece}");
        }
    }

    #[test]
    fn a_fence_in_a_plain_text_is_text() {
        let text = format!("```\n{}\n```", "let x = 1;\n".repeat(20).trim_end());
        let pieces = split(&text, Format::Plain, 80, TextUnit::Chars);
        assert!(pieces.len() > 2);
        assert_eq!(pieces.join("\n"), text);
    }

    proptest! {
        #[test]
        fn pieces_fit_and_lose_nothing_but_white_space(
            text in "[a-z \n\u{1F600}é.]{0,400}", limit in 8_usize..60,
        ) {
            let kinds = [TextUnit::Utf16, TextUnit::Bytes, TextUnit::Chars];
            for (unit, format) in kinds.into_iter().flat_map(|u| [(u, Format::Plain), (u, Format::Markdown)]) {
                let pieces = split(&text, format, limit, unit);
                prop_assert!(pieces.iter().all(|piece| unit.count(piece) <= limit));
                let squeeze = |s: &str| s.chars().filter(|c| !c.is_whitespace()).collect::<String>();
                prop_assert_eq!(squeeze(&pieces.concat()), squeeze(&text));
            }
        }

        #[test]
        fn fences_never_hang_or_overflow(text in "(```[a-z]{0,9}\n|[a-z]{1,30} |\n){0,40}", limit in 16_usize..60) {
            let pieces = split(&text, Format::Markdown, limit, TextUnit::Chars);
            prop_assert!(pieces.iter().all(|piece| piece.chars().count() <= limit));
        }
    }
}
