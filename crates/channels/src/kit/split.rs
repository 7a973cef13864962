//! A long text into pieces that a platform takes: one that is sent as it was written, be that plain or Markdown. What is
//! brought into a platform's own formatting is cut by [`super::markdown`] instead.
//!
//! It is cut at the last paragraph, line, sentence or word that fits, counted as the platform counts; in Markdown, a code
//! fence that a cut opens is closed and opened again in the next part, so every part renders by itself. What a person
//! sees as one character is never torn, unless it alone is longer than a part. Nothing but the white space at a cut is lost,
//! and to a plain text nothing is added.

use claw_types::Format;
use unicode_segmentation::UnicodeSegmentation as _;

use super::fence::{self, Fence};
use crate::TextUnit;

/// Cuts `text` into pieces of at most `limit` units.
pub fn split(text: &str, format: Format, limit: usize, unit: TextUnit) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut rest = text.trim_end().to_owned();
    while unit.count(&rest) > limit {
        let (at, fence) = match format {
            Format::Markdown => cut_with_fences(&rest, limit, unit),
            Format::Plain => (cut(&rest, limit, unit), None),
        };
        let (head, tail) = (rest[..at].trim_end(), past_space(&rest[at..]));
        let (head, tail) = match fence {
            Some(fence) => (format!("{head}\n{}", fence.closing()), format!("{}\n{tail}", fence.line)),
            None => (head.to_owned(), tail.to_owned()),
        };
        pieces.push(head);
        rest = tail;
    }
    pieces.push(rest);
    pieces.retain(|piece| !piece.trim().is_empty());
    pieces
}

/// Where to cut a Markdown, with room to close the fence that is open there.
fn cut_with_fences(text: &str, limit: usize, unit: TextUnit) -> (usize, Option<Fence<'_>>) {
    let mut reserve = unit.count("\n```").min(limit / 2);
    loop {
        let at = cut(text, limit - reserve, unit);
        // Reopening must leave the text shorter than before, or this would never end: a cut takes away at least half of what
        // fits, which is more than a line of this length.
        let open = fence::open(text[..at].trim_end()).filter(|fence| unit.count(fence.line) < limit / 4);
        let needed = open.map_or(0, |fence| unit.count(&fence.closing()) + 1);
        if needed <= reserve {
            return (at, open);
        }
        // The shorter piece may end before that fence, or within a longer one.
        reserve = needed;
    }
}

/// The byte at which to cut so that at most `limit` units stay before it; always above 0.
fn cut(text: &str, limit: usize, unit: TextUnit) -> usize {
    // The best places so far: between paragraphs, lines, sentences, words.
    let mut places = [None; 4];
    let (mut used, mut end) = (0, 0);
    let mut before = "";
    for (at, cluster) in text.grapheme_indices(true) {
        let width = unit.count(cluster);
        if used + width > limit {
            break;
        }
        // A cut in the first half would make a needlessly short piece.
        if used > limit / 2 {
            match cluster {
                "\n" | "\r\n" if before == cluster => places[0] = Some(at - before.len()),
                "\n" | "\r\n" => places[1] = Some(at),
                " " if before == "." => places[2] = Some(at),
                " " => places[3] = Some(at),
                _ => {}
            }
        }
        (used, end, before) = (used + width, at + cluster.len(), cluster);
    }
    places.into_iter().flatten().next().unwrap_or_else(|| if end > 0 { end } else { torn(text, limit, unit) })
}

/// Where to cut what a person sees as one character.
fn torn(text: &str, limit: usize, unit: TextUnit) -> usize {
    let mut used = 0;
    let fits = text.char_indices().take_while(|(at, c)| {
        used += unit.width(*c);
        used <= limit || *at == 0
    });
    fits.last().map_or(text.len(), |(at, c)| at + c.len_utf8())
}

fn past_space(text: &str) -> &str {
    let space = text.graphemes(true).take_while(|cluster| matches!(*cluster, " " | "\n" | "\r\n"));
    &text[space.map(str::len).sum()..]
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
            assert_eq!(piece.matches("```").count() % 2, 0, "{piece}");
        }
    }

    #[test]
    fn a_fence_in_a_plain_text_is_text() {
        let text = format!("```\n{}\n```", "let x = 1;\n".repeat(20).trim_end());
        let pieces = split(&text, Format::Plain, 80, TextUnit::Chars);
        assert!(pieces.len() > 2);
        assert_eq!(pieces.join("\n"), text);
    }

    #[test]
    fn fences_of_every_kind_are_closed_and_reopened() {
        for (open, close) in [("~~~ rust", "~~~"), ("````md", "````"), ("  ```", "```")] {
            // Where three backticks close nothing, they are part of the code.
            let line = if close == "```" { "let x = 1;\n" } else { "let x = `1`;\n```\n" };
            let text = format!("{open}\n{}{close}", line.repeat(20));
            let pieces = split(&text, Format::Markdown, 80, TextUnit::Chars);
            assert!(pieces.len() > 2);
            for piece in &pieces {
                assert!(
                    piece.starts_with(&format!("{open}\n")) && piece.ends_with(&format!("\n{close}")),
                    "{piece}"
                );
                assert!(piece.chars().count() <= 80, "{piece}");
            }
        }
        let inline = format!("```x``` {}", "word ".repeat(40));
        let pieces = split(&inline, Format::Markdown, 80, TextUnit::Chars);
        assert_eq!(pieces.join(" "), inline.trim_end(), "nothing is open, nothing is closed");
    }

    #[test]
    fn a_fence_with_a_wide_name_does_not_go_on_for_ever() {
        let text = format!("```{}\n{}", "\u{1F600}".repeat(20), "x".repeat(500));
        let pieces = split(&text, Format::Markdown, 100, TextUnit::Chars);
        assert_eq!(pieces.concat().matches('x').count(), 500);
    }

    #[test]
    fn a_character_is_torn_only_if_it_fits_nowhere() {
        let family = "\u{1F468}\u{200D}\u{1F469}\u{200D}\u{1F467}";
        assert_eq!(split(&family.repeat(3), Format::Plain, 7, TextUnit::Chars), [family; 3]);
        let torn = split(family, Format::Plain, 3, TextUnit::Chars);
        assert_eq!((torn.len(), torn.concat().as_str()), (2, family));
        assert_eq!(split("\u{1F468}", Format::Plain, 1, TextUnit::Utf16), ["\u{1F468}"], "or for ever");
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
        fn fences_never_hang_or_overflow(text in "( {0,4}(`{3,5}|~{3,5})[a-z`\u{1F600}]{0,9}\n|[a-z]{1,30} |\n){0,40}", limit in 16_usize..60) {
            for unit in [TextUnit::Utf16, TextUnit::Bytes, TextUnit::Chars] {
                let pieces = split(&text, Format::Markdown, limit, unit);
                prop_assert!(pieces.iter().all(|piece| unit.count(piece) <= limit), "{:?}", pieces);
            }
        }

        #[test]
        fn no_part_leaves_a_fence_open_that_the_text_closes(
            blocks in proptest::collection::vec(("(```|~~~|````)", "[a-z]{0,4}", "([a-z]{1,9}[ \n]){1,30}"), 0..6),
            limit in 60_usize..120,
        ) {
            let block = |(fence, name, code): &(String, String, String)| format!("{fence}{name}\n{code}\n{fence}\nafter\n");
            let text: String = blocks.iter().map(block).collect();
            for piece in split(&text, Format::Markdown, limit, TextUnit::Chars) {
                prop_assert_eq!(fence::open(&piece), None, "{}", piece);
            }
        }

        #[test]
        fn what_is_one_character_to_a_person_stays_whole(
            clusters in proptest::collection::vec(0_usize..7, 0..60), limit in 25_usize..60,
        ) {
            const CLUSTERS: [&str; 7] =
                ["\u{1F468}\u{200D}\u{1F469}\u{200D}\u{1F467}", "\u{1F1E9}\u{1F1EA}", "e\u{301}", "a", " ", "\n", "."];
            let text: String = clusters.iter().map(|i| CLUSTERS[*i]).collect();
            let seen = |text: &str| -> Vec<String> {
                let all = text.graphemes(true).filter(|cluster| !cluster.trim().is_empty());
                all.map(str::to_owned).collect()
            };
            for unit in [TextUnit::Utf16, TextUnit::Bytes, TextUnit::Chars] {
                let pieces = split(&text, Format::Plain, limit, unit);
                prop_assert!(pieces.iter().all(|piece| unit.count(piece) <= limit));
                prop_assert_eq!(pieces.iter().flat_map(|piece| seen(piece)).collect::<Vec<_>>(), seen(&text));
            }
        }
    }
}
