//! The dialects whose marks are signs between words.

use super::*;

const SIGNED: [Dialect; 3] = [Dialect::Slack, Dialect::Discord, Dialect::WhatsApp];

const ALL_SIGNED: [Dialect; 5] =
    [Dialect::Slack, Dialect::Discord, Dialect::WhatsApp, Dialect::Teams, Dialect::GoogleChat];

fn body(source: &str, dialect: Dialect) -> String {
    whole(source, dialect).body
}

/// `source` in all three, without what nobody sees.
fn seen(source: &str) -> [String; 3] {
    SIGNED.map(|dialect| body(source, dialect).replace(dialect::UNSEEN, ""))
}

/// What a person reads of a text that has no markup, only escapes.
fn unescaped(body: &str, dialect: Dialect) -> String {
    let body = body.replace(dialect::UNSEEN, "");
    match dialect {
        Dialect::Slack => body.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"),
        Dialect::Discord | Dialect::Teams => {
            let mut text = String::new();
            let mut rest = body.chars();
            while let Some(c) = rest.next() {
                text.push(if c == '\\' { rest.next().unwrap_or(c) } else { c });
            }
            text
        }
        _ => body,
    }
}

#[test]
fn emphasis_and_links_in_each() {
    assert_eq!(
        seen("**bold** _it_ ~~gone~~ `a<b` [a & b](https://x.org/?a=1&b=2)"),
        [
            "*bold* _it_ ~gone~ `a&lt;b` <https://x.org/?a=1&amp;b=2|a &amp; b>",
            "**bold** _it_ ~~gone~~ `a<b` [a & b](https://x.org/?a=1&b=2)",
            "*bold* _it_ ~gone~ `a<b` a & b (https://x.org/?a=1&b=2)",
        ]
    );
    assert_eq!(body("[https://a.org](https://b.org)", Dialect::Discord), "https://a.org (https://b.org)");
    assert_eq!(body("see https://x.org/_a_b.", Dialect::Discord), "see https://x.org/_a_b.");
    assert_eq!(body("[x](javascript:a)", Dialect::Slack), "x (javascript:a)");
}

#[test]
fn blocks_in_each() {
    let source = "# Title\n\n- a\n  - b\n\n3. x\n\n> q\n\n```rust\nx & y\n```\nend";
    assert_eq!(
        seen(source),
        [
            "*Title*\n\n• a\n  • b\n\n3. x\n\n> q\n\n```\nx &amp; y\n```\n\nend",
            "# Title\n\n- a\n  - b\n\n3. x\n\n> q\n\n```rust\nx & y\n```\n\nend",
            "*Title*\n\n- a\n  - b\n\n3. x\n\n> q\n\n```\nx & y\n```\n\nend",
        ]
    );
    assert_eq!(body("#### deep", Dialect::Discord), "**deep**");
    let table = "| n | m |\n|---|---|\n| *a* | b |";
    assert_eq!(seen(table), ["```\nn | m\n--+--\na | b\n```"; 3]);
    // Within a quote, a block would go on behind it.
    assert_eq!(seen("> ```\n> x\n> ```"), ["> x"; 3]);
}

#[test]
fn a_mark_is_parted_from_words_and_ends_with_its_line() {
    let unseen = dialect::UNSEEN;
    assert_eq!(body("a**b**c", Dialect::Slack), format!("a{unseen}*b*{unseen}c"));
    assert_eq!(body("**a\nb**", Dialect::WhatsApp), "*a*\n*b*");
    assert_eq!(body("**a *b* c**", Dialect::Discord), "**a _b_ c**");
    assert_eq!(seen("**a \\* b**")[0], "a * b", "a pair that could not be told from the text");
}

#[test]
fn what_looks_like_markup_is_text() {
    assert_eq!(body("snake_case_name", Dialect::Slack), "snake_case_name");
    assert_eq!(
        body("\\# a\n\n1\\. b\n\n\\*c\\* \\[d](e)", Dialect::Discord),
        "\\# a\n\n1\\. b\n\n\\*c\\* \\[d\\](e)"
    );
    let unseen = dialect::UNSEEN;
    assert_eq!(body("\\> a\n\n\\- b", Dialect::WhatsApp), format!("{unseen}> a\n\n{unseen}- b"));
    assert_eq!(body("<!channel> &", Dialect::Slack), "&lt;!channel&gt; &amp;");
    let code = body("````\n```\n````", Dialect::Slack);
    assert_eq!((code.matches("```").count(), code.replace(unseen, "")), (2, "```\n```\n```".to_owned()));
}

#[test]
fn what_teams_and_google_chat_read() {
    let both = |source: &str| {
        [Dialect::Teams, Dialect::GoogleChat]
            .map(|dialect| body(source, dialect).replace(dialect::UNSEEN, ""))
    };
    assert_eq!(
        both("**bold** _it_ ~~gone~~ `a<b` [a & b](https://x.org/?a=1&b=2)"),
        [
            "**bold** _it_ ~~gone~~ `a<b` [a \\& b](https://x.org/?a=1&b=2)",
            "*bold* _it_ ~gone~ `a<b` <https://x.org/?a=1&b=2|a & b>",
        ]
    );
    assert_eq!(
        both("# Title\n\n- a\n- b\n\n3. x\n\n> q\n\n```rust\nx & y\n```\nend"),
        [
            "**Title**\n\n- a\n- b\n\n3. x\n\n> q\n\n```\nx & y\n```\n\nend",
            "*Title*\n\n- a\n- b\n\n3. x\n\n> q\n\n```\nx & y\n```\n\nend",
        ]
    );
    assert_eq!(both("a\nb"), ["a  \nb", "a\nb"], "a line that ends stays one");
    assert_eq!(body("<b> & </b>", Dialect::Teams), "\\<b\\> \\& \\</b\\>");
    // A mention of everybody is never made of a text.
    assert_eq!(body("\\<users/all>", Dialect::GoogleChat), format!("<{}users/all>", dialect::UNSEEN));
    assert_eq!(both("[a | b](https://x.org)")[1], "a | b (https://x.org)", "words that would end the link");
}

#[test]
fn no_text_of_signs_comes_out_much_larger_than_it_is() {
    for source in hostile() {
        for dialect in ALL_SIGNED {
            let length = whole(&source, dialect).body.len();
            assert!(length <= 64 * source.len(), "{} become {length}", source.len());
        }
    }
}

#[test]
fn an_address_begins_no_code() {
    let rendered = whole("<https://x```>", Dialect::Slack);
    assert!(rendered.body.starts_with("<https://x%60%60%60|"), "{}", rendered.body);
    assert_eq!(rendered.body.matches("```").count(), 0, "{}", rendered.body);
}

proptest! {
    #[test]
    fn text_comes_back_as_it_was(text in "[a-z0-9]([*_~`<>&|#.()\\[\\]!+-]|\\\\|[a-z0-9é]| [a-z0-9>#*-]){0,60}") {
        for dialect in ALL_SIGNED {
            let rendered = whole(&literal(&text), dialect);
            prop_assert_eq!(&rendered.shown, &text);
            prop_assert_eq!(unescaped(&rendered.body, dialect), text.as_str());
            prop_assert_eq!(unescaped(&verbatim(&text, dialect).body, dialect), text.as_str());
        }
    }

    #[test]
    fn what_opens_is_closed(source in "([*_~`>#|\\[\\]()!<>&\"\\\\ \n:=.+-]|[a-z0-9é]|```|https://x|  ){0,120}") {
        for dialect in ALL_SIGNED {
            let rendered = whole(&source, dialect);
            prop_assert_eq!(rendered.shown.trim().is_empty(), source.trim().is_empty());
            prop_assert_eq!(rendered.body.matches("```").count() % 2, 0, "{}", rendered.body);
            if dialect == Dialect::Slack {
                // Every other one is an entity, but for those that quote a line.
                let angles: Vec<_> = rendered.body.matches(['<', '>']).collect();
                let quotes = rendered.body.matches("> ").count();
                let opened = angles.iter().filter(|angle| **angle == "<").count();
                prop_assert!(angles.len() - 2 * opened <= quotes, "{}", rendered.body);
            }
        }
    }

    #[test]
    fn no_word_is_lost_in_any(parts in proptest::collection::vec(
        ("(\\*\\*|_|~~|`|> |- |# |1\\. |\n|\n\n|\\| |\\[|<|!|```\n)?", "w[0-9]{1,3}", "(\\*\\*|_|~~|`| |\n|\n\n| \\||\\]\\(https://u\\)|>|\n```\n)?"), 0..30,
    )) {
        let source: String = parts.iter().flat_map(|(a, word, b)| [a.as_str(), word.as_str(), b.as_str(), " "]).collect();
        for dialect in ALL_SIGNED {
            let Rendered { body, shown } = whole(&source, dialect);
            for output in [body, shown] {
                let mut rest = output.as_str();
                for (_, word, _) in &parts {
                    let at = rest.find(word.as_str());
                    prop_assert!(at.is_some(), "{word} is lost of {source:?}: {output:?}");
                    rest = &rest[at.unwrap_or_default() + word.len()..];
                }
            }
        }
    }
}
