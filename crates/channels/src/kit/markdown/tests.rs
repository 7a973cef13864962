use proptest::prelude::*;

use super::*;

fn html(source: &str) -> String {
    render(source, Dialect::Html).body
}

fn plain(source: &str) -> String {
    render(source, Dialect::Plain).body
}

/// Whether every tag is one that the platform knows and is closed in order.
fn check_balance(html: &str) -> Result<(), String> {
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

proptest! {
    #[test]
    fn hostile_input_gives_balanced_output(source in "([*_~`>#|\\[\\]()!<>&\"\\\\ \n:=.+-]|[a-z0-9é]|```|https://x|  ){0,120}") {
        for dialect in [Dialect::Html, Dialect::Plain] {
            let rendered = render(&source, dialect);
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
            let shown = render(&source, dialect).shown;
            let mut rest = shown.as_str();
            for (_, word, _) in &parts {
                let at = rest.find(word.as_str());
                prop_assert!(at.is_some(), "{word} is lost of {source:?}: {shown:?}");
                rest = &rest[at.unwrap_or_default() + word.len()..];
            }
        }
    }
}
