use proptest::prelude::*;

use super::*;

mod dialects;

fn whole(source: &str, dialect: Dialect) -> Rendered {
    render(source, dialect, usize::MAX).unwrap()
}

fn html(source: &str) -> String {
    whole(source, Dialect::Html).body
}

fn plain(source: &str) -> String {
    whole(source, Dialect::Plain).body
}

/// Whether every tag is one that the platform knows and is closed in order.
pub(super) fn check_balance(html: &str) -> Result<(), String> {
    let mut open: Vec<&str> = Vec::new();
    let mut rest = html;
    while let Some(at) = rest.find(['<', '>']) {
        if rest[at..].starts_with('>') {
            return Err(format!("a lone > in {html}"));
        }
        let end = rest[at..].find('>').ok_or_else(|| format!("an open tag in {html}"))? + at;
        let tag = &rest[at + 1..end];
        if let Some(name) = tag.strip_prefix('/') {
            if open.pop() != Some(name) {
                return Err(format!("</{name}> out of order in {html}"));
            }
        } else {
            let name = tag.split(' ').next().unwrap_or_default();
            if !["b", "i", "s", "a", "code", "pre", "blockquote"].contains(&name) {
                return Err(format!("<{name}> in {html}"));
            }
            if open.contains(&name) {
                return Err(format!("<{name}> within itself in {html}"));
            }
            open.push(name);
        }
        rest = &rest[end + 1..];
    }
    if open.is_empty() { Ok(()) } else { Err(format!("{open:?} left open in {html}")) }
}

#[test]
fn emphasis_code_and_links() {
    assert_eq!(
        html("**bold** _italic_ ~~gone~~ `a < b` [site](https://x.org/?a=1&b=\"2\")"),
        "<b>bold</b> <i>italic</i> <s>gone</s> <code>a &lt; b</code> \
         <a href=\"https://x.org/?a=1&amp;b=&quot;2&quot;\">site</a>"
    );
    assert_eq!(
        plain("**bold** `code` [site](https://x.org) <https://y.org>"),
        "bold code site (https://x.org) https://y.org"
    );
}

#[test]
fn blocks_are_flattened() {
    let source = "# Title\n\nOne\ntwo\n\n- a\n  - b\n- c\n\n3. x\n4. y\n\n---\nend";
    let lines = "Title\n\nOne\ntwo\n\n• a\n  • b\n• c\n\n3. x\n4. y\n\n———\n\nend";
    assert_eq!(plain(source), lines);
    assert_eq!(html(source), lines.replace("Title", "<b>Title</b>"));
    assert_eq!(plain("- [x] done\n- [ ] open"), "• ☑ done\n• ☐ open");
    assert_eq!(plain("1. a\n\n   more\n\n   - in\n2. b"), "1. a\n\n   more\n\n   • in\n2. b");
}

#[test]
fn code_blocks_keep_their_text() {
    let source = "see:\n```rust\nlet x = a && b;\n\n  y\n```\ndone";
    assert_eq!(
        html(source),
        "see:\n\n<pre><code class=\"language-rust\">let x = a &amp;&amp; b;\n\n  y</code></pre>\n\ndone"
    );
    assert_eq!(plain(source), "see:\n\nlet x = a && b;\n\n  y\n\ndone");
    assert_eq!(html("```a\"onclick=x\nb\n```"), "<pre>b</pre>");
}

#[test]
fn tables_are_aligned() {
    let source = "| name | n |\n|---|---|\n| **ada** | 1 |\n| bo | 22 |";
    assert_eq!(html(source), "<pre>name | n\n-----+---\nada  | 1\nbo   | 22</pre>");
}

#[test]
fn quotes_and_pictures() {
    assert_eq!(html("> a\n> b\n>> c"), "<blockquote>a\nb\n\n&gt; c</blockquote>");
    assert_eq!(plain("> a\n> b"), "> a\n> b");
    assert_eq!(html("![cat](https://x/c.png)"), "<a href=\"https://x/c.png\">cat</a>");
    assert_eq!(
        html("[![cat](https://x/c.png)](https://x)"),
        "<a href=\"https://x\">cat (https://x/c.png)</a>"
    );
}

#[test]
fn html_is_text_and_a_strange_scheme_is_no_link() {
    assert_eq!(html("<script>alert(1)</script>"), "&lt;script&gt;alert(1)&lt;/script&gt;");
    assert_eq!(html("a <b onclick=x>b</b><br/>c"), "a &lt;b onclick=x&gt;b&lt;/b&gt;\nc");
    assert_eq!(html("[x](javascript:alert)"), "x (javascript:alert)");
}

#[test]
fn definitions_that_nobody_follows_are_shown() {
    assert_eq!(plain("[a][r]\n\n[r]: https://x.org"), "a (https://x.org)");
    assert_eq!(plain("[r]: https://x.org"), "[r]: https://x.org");
    assert_eq!(plain("text\n\n[r]: https://x.org"), "text\n\n[r]: https://x.org");
}

#[test]
fn literal_text_comes_back_as_it_was() {
    let text = "1. *a* [b](c) `d` <e> # & _f_ \\ | ~~g~~";
    assert_eq!(plain(&literal(text)), text);
}

/// Texts of nearly the largest size that a send may have, made to come out as much more.
fn hostile() -> Vec<String> {
    let lines =
        |first: &str, times: usize, line: &str| format!("{}{}", first.repeat(times), line.repeat(30_000));
    vec![
        lines(">", 16_384, "x\n"),
        lines("> ", 8_192, ">\nx\n"),
        lines("- ", 8_192, "x\n"),
        lines("999999999. ", 2_000, "x\n"),
        lines("- > ", 4_000, "\n"),
        lines(">", NESTING, "x\n"),
        lines("999999999. ", NESTING, "x\n"),
        format!("{}```\n{}", "> ".repeat(500), "> x\n".repeat(20_000)),
        // One wide cell before many narrow ones; many columns before many rows.
        format!("| {} | b |\n|-|-|\n{}", "w".repeat(40_000), "|x|y|\n".repeat(10_000)),
        format!("{0}\n{1}\n{2}", "|a".repeat(10_000), "|-".repeat(10_000), "|\n".repeat(20_000)),
        format!("[r]: https://x.org/{}\n\n{}", "y".repeat(30_000), "[r] ".repeat(10_000)),
        format!("{}{}", "[".repeat(40_000), "](x)".repeat(10_000)),
        "**_~~".repeat(20_000),
        "![".repeat(30_000) + &"](https://x)".repeat(3_000),
        "\"&<'".repeat(25_000),
    ]
}

#[test]
fn no_text_comes_out_much_larger_than_it_is() {
    for source in hostile() {
        let start: String = source.chars().take(30).collect();
        for dialect in [Dialect::Html, Dialect::Plain] {
            let rendered = whole(&source, dialect);
            assert!(
                rendered.body.len() <= 64 * source.len(),
                "{start:?}: {} become {}",
                source.len(),
                rendered.body.len()
            );
            let limit = rendered.body.len();
            assert_eq!(render(&source, dialect, limit), Some(rendered), "{start:?}");
            assert_eq!(render(&source, dialect, limit - 1), None, "{start:?}");
        }
    }
}

#[test]
fn what_is_nested_too_deep_is_still_there() {
    assert_eq!(plain(&format!("{}x\ny", ">".repeat(NESTING))).matches("> ").count(), NESTING + out::DEEPEST);
    let deep = format!("{}x", "- ".repeat(NESTING));
    assert_eq!(plain(&deep), format!("{}x", "• ".repeat(NESTING)));
    for too_deep in ["> - + 12) * 1. ".repeat(11) + "**x**", ">".repeat(NESTING + 1) + "**x**"] {
        assert_eq!(plain(&too_deep), too_deep, "as it is");
    }
}

proptest! {
    #[test]
    fn hostile_input_gives_balanced_output(source in "([*_~`>#|\\[\\]()!<>&\"\\\\ \n:=.+-]|[a-z0-9é]|```|https://x|  ){0,120}") {
        for dialect in [Dialect::Html, Dialect::Plain] {
            let rendered = whole(&source, dialect);
            prop_assert_eq!(rendered.shown.trim().is_empty(), source.trim().is_empty());
            if dialect == Dialect::Html {
                prop_assert_eq!(check_balance(&rendered.body), Ok(()));
            } else {
                prop_assert_eq!(&rendered.body, &rendered.shown);
            }
        }
    }

    #[test]
    fn any_text_at_all_does_no_harm(source in ".{0,200}") {
        prop_assert_eq!(check_balance(&html(&source)), Ok(()));
    }

    #[test]
    fn words_are_not_lost(parts in proptest::collection::vec(
        ("(\\*\\*|_|~~|`|> |- |# |1\\. |\n|\n\n|\\| |\\[|<|!)?", "w[0-9]{1,3}", "(\\*\\*|_|~~|`| |\n|\n\n| \\||\\]\\(u\\)|>)?"), 0..30,
    )) {
        let source: String = parts.iter().flat_map(|(a, word, b)| [a.as_str(), word.as_str(), b.as_str(), " "]).collect();
        for dialect in [Dialect::Html, Dialect::Plain] {
            let shown = whole(&source, dialect).shown;
            let mut rest = shown.as_str();
            for (_, word, _) in &parts {
                let at = rest.find(word.as_str());
                prop_assert!(at.is_some(), "{word} is lost of {source:?}: {shown:?}");
                rest = &rest[at.unwrap_or_default() + word.len()..];
            }
        }
    }
}
