//! The text of a mail that is HTML alone: blocks on lines of their own, and nothing of a quote that the writer's program marked as one.
//!
//! mail-parser takes out tags and reads entities; of blocks it knows paragraphs only, so line breaks are put in before.

use mail_parser::decoders::html::html_to_text;

/// Behind these a line ends.
const BLOCKS: [&str; 16] = [
    "</div>",
    "</li>",
    "</tr>",
    "</h1>",
    "</h2>",
    "</h3>",
    "</h4>",
    "</h5>",
    "</h6>",
    "</ul>",
    "</ol>",
    "</table>",
    "</pre>",
    "</blockquote>",
    "</dd>",
    "</dt>",
];
/// With these, programs begin what they quote: Gmail, Outlook, Apple Mail and Thunderbird, Yahoo, Proton.
const QUOTES: [&str; 6] = [
    "<div class=\"gmail_quote",
    "<div id=\"appendonsend\"",
    "<div id=\"divrplyfwdmsg\"",
    "<blockquote type=\"cite\"",
    "<div class=\"yahoo_quoted",
    "<div class=\"protonmail_quote",
];

/// What a person would see of it.
pub(super) fn text(html: &str) -> String {
    // As long as before, byte by byte: only letters of ASCII change.
    let small = html.to_ascii_lowercase();
    let end = QUOTES.iter().filter_map(|quote| small.find(quote)).min().unwrap_or(html.len());
    let whole = html_to_text(&broken(&html[..end], &small[..end]));
    // A mail that is all quote, such as one that is forwarded.
    let text = if whole.trim().is_empty() { html_to_text(&broken(html, &small)) } else { whole };
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let mut out = String::new();
    for (index, line) in lines.iter().enumerate() {
        // Blocks within blocks end together.
        if line.is_empty() && index > 0 && lines[index - 1].is_empty() {
            continue;
        }
        out.push_str(line);
        out.push('\n');
    }
    out.trim().to_owned()
}

/// With a line break behind each block.
fn broken(html: &str, small: &str) -> String {
    let mut out = String::with_capacity(html.len() + html.len() / 8);
    let mut done = 0;
    for (at, _) in small.match_indices("</") {
        let Some(block) = BLOCKS.iter().find(|block| small[at..].starts_with(**block)) else { continue };
        out.push_str(&html[done..at + block.len()]);
        out.push_str("<br>");
        done = at + block.len();
    }
    out.push_str(&html[done..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_stand_on_lines_of_their_own() {
        let html = "<html><head><style>p {}</style></head><body><div>One &amp; <b>two</b></div><DIV>Three</DIV>\
            <ul><li>four</li><li>five</li></ul><p>Ünicode</p></body></html>";
        assert_eq!(text(html), "One & two\nThree\nfour\nfive\n\nÜnicode");
    }

    #[test]
    fn what_a_program_marked_as_a_quote_is_left_out() {
        let html = "<div>Yes.</div><div class=\"gmail_quote\">On Tue, Claw wrote:<blockquote>Shall I?</blockquote></div>";
        assert_eq!(text(html), "Yes.");
        assert_eq!(text("<blockquote type=\"cite\">all of it</blockquote>"), "all of it");
        assert_eq!(text(""), "");
    }
}
