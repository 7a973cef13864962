use proptest::prelude::*;

use super::super::tests::check_balance;
use super::*;

const ALL: [Dialect; 7] = [
    Dialect::Html,
    Dialect::Plain,
    Dialect::Slack,
    Dialect::Discord,
    Dialect::WhatsApp,
    Dialect::Teams,
    Dialect::GoogleChat,
];

fn counted(rendered: &Rendered, dialect: Dialect, unit: TextUnit) -> usize {
    unit.count(if dialect.counts_markup() { &rendered.body } else { &rendered.shown })
}

fn of(source: &str, dialect: Dialect, unit: TextUnit, limit: usize) -> Vec<Part> {
    let fits = |rendered: &Rendered| counted(rendered, dialect, unit) <= limit;
    parts(source, Room { dialect, unit, limit, at_most: 8 * limit.max(64), fits: &fits })
}

/// The bodies, all of which are as they were meant.
fn bodies(source: &str, dialect: Dialect, limit: usize) -> Vec<String> {
    let body = |part| match part {
        Part::Written(rendered, _) => {
            assert!(counted(&rendered, dialect, TextUnit::Chars) <= limit, "{rendered:?}");
            rendered.body
        }
        Part::Bare(text) => panic!("not as it was meant: {text:?}"),
    };
    of(source, dialect, TextUnit::Chars, limit).into_iter().map(body).collect()
}

#[test]
fn the_numbers_of_a_list_go_on() {
    let source = (1..=9).map(|n| format!("{n}. item number {n}\n")).collect::<Vec<_>>().concat();
    for dialect in ALL {
        let bodies = bodies(&source, dialect, 40);
        let lines: Vec<String> = bodies.iter().flat_map(|body| body.lines().map(str::to_owned)).collect();
        let expected: Vec<String> = (1..=9).map(|n| format!("{n}. item number {n}")).collect();
        assert_eq!((lines, bodies.len()), (expected, 5), "{dialect:?}");
    }
}

#[test]
fn what_is_within_an_item_keeps_its_place() {
    let source = "7. first words of it\n\n   and more words\n   - nested one\n   - nested two\n8. last";
    assert_eq!(
        bodies(source, Dialect::Plain, 24),
        ["7. first words of it", "   and more words", "   • nested one", "   • nested two\n8. last"]
    );
    let words = format!("10. {}\n11. end", "word ".repeat(9));
    assert_eq!(
        bodies(&words, Dialect::Html, 31),
        ["10. word word word word word", "    word word word word\n11. end"]
    );
}

#[test]
fn a_quote_is_one_in_each_part() {
    let source = format!("> {}\n\nbehind", "quoted words ".repeat(6).trim_end());
    let html = bodies(&source, Dialect::Html, 40);
    let quoted = "<blockquote>quoted words quoted words quoted words</blockquote>";
    assert_eq!(html, [quoted, quoted, "behind"]);
    for dialect in ALL.into_iter().filter(|dialect| *dialect != Dialect::Html) {
        let bodies = bodies(&source, dialect, 44);
        let line = format!("> {}", "quoted words ".repeat(3).trim_end());
        assert_eq!(bodies[..2], [line.as_str(), &line], "{dialect:?}");
    }
}

#[test]
fn code_keeps_its_language_and_its_lines() {
    let source = format!("see\n\n```rust\n{}```\n\nbehind", "    let x = f(x);\n\n".repeat(8));
    let html = bodies(&source, Dialect::Html, 64);
    assert!(html.len() > 2, "{html:?}");
    for body in &html[1..html.len() - 1] {
        assert!(body.starts_with("<pre><code class=\"language-rust\">    let"), "{body}");
        assert!(body.ends_with(";</code></pre>") || body.ends_with(";\n</code></pre>"), "{body}");
    }
    let discord = bodies(&source, Dialect::Discord, 72);
    assert!(
        discord[1..discord.len() - 1].iter().all(|body| body.starts_with("```rust\n    let")),
        "{discord:?}"
    );
    assert_eq!(html.concat().matches("let x = f(x);").count(), 8);
}

#[test]
fn a_table_is_cut_between_rows_and_has_its_head_in_each_part() {
    let rows = (1..=9).map(|n| format!("| row {n} | {} |\n", n * n)).collect::<Vec<_>>().concat();
    let source = format!("Before.\n\n| name | n |\n|---|---|\n{rows}\nAfter.");
    let parts = bodies(&source, Dialect::Html, 60);
    assert!(parts.len() > 2, "{parts:?}");
    for body in parts.iter().filter(|body| body.contains("row")) {
        assert!(body.contains("<pre>name  | n\n------+-"), "{body}");
    }
    let cells: Vec<_> =
        parts.iter().flat_map(|body| body.lines()).filter(|line| line.starts_with("row")).collect();
    assert_eq!(cells.len(), 9, "{parts:?}");
    assert!(cells.iter().all(|line| line.contains(" | ")), "{cells:?}");
    // A head that would fill each part is shown once.
    let wide = format!("| {} | n |\n|---|---|\n{rows}", "name ".repeat(9));
    let parts = bodies(&wide, Dialect::Plain, 170);
    assert_eq!(parts.concat().matches("name name").count(), 4, "{parts:?}");
    assert!(parts[1].starts_with("row "), "{parts:?}");
}

#[test]
fn emphasis_and_links_hold_on_both_sides() {
    let times = |words: &str| words.repeat(8).trim_end().to_owned();
    let source = format!("**{}** [{}](https://x.org)", times("bold words "), times("words to press "));
    let html = bodies(&source, Dialect::Html, 56);
    assert_eq!(html[0], format!("<b>{}</b>", "bold words ".repeat(5).trim_end()));
    let mixed = "<b>bold words bold words bold words</b> <a href=\"https://x.org\">words to press";
    assert!(html[1].starts_with(mixed), "{html:?}");
    assert!(html.len() > 2 && html[1..].iter().all(|body| body.ends_with("</a>")), "{html:?}");
    assert!(html[2..].iter().all(|body| body.starts_with("<a href=\"https://x.org\">")), "{html:?}");
    let slack = bodies(&source, Dialect::Slack, 56);
    assert!(slack[0].starts_with("*bold") && slack[0].ends_with("words*"), "{slack:?}");
    // Where the address stands behind the words, it stands there once.
    let plain = bodies(&source, Dialect::Plain, 200);
    assert_eq!((plain.len(), plain.concat().matches("https://x.org").count()), (2, 1), "{plain:?}");
}

/// A part without a word of a link would show the link's address.
#[test]
fn no_part_has_a_link_without_its_words() {
    let long = "some words that take room";
    let before = format!("{long} ![\nname of it](https://x.org)");
    assert_eq!(
        bodies(&before, Dialect::Slack, 48),
        [long, "<https://x.org| name of it>"],
        "the line break within it is no place to end"
    );
    let name = "x".repeat(30);
    let link = format!("<https://x.org|{name}>");
    let behind = format!("[{name}\n](https://x.org) {long}");
    assert_eq!(bodies(&behind, Dialect::Slack, 56), [link.clone(), format!(" {long}")]);
    // Where a word is longer than a part, too.
    let torn = format!("[{}](https://x.org){}", "x".repeat(60), "y".repeat(50));
    let html = format!("<a href=\"https://x.org\">{}</a>", "x".repeat(60));
    assert_eq!(bodies(&torn, Dialect::Html, 60), [html, "y".repeat(50)]);
}

#[test]
fn a_part_ends_where_a_reader_would_end_it() {
    let two = "one two three\n\nfour five six";
    assert_eq!(bodies(two, Dialect::Plain, 20), ["one two three", "four five six"]);
    let sentences = "One two three. Four five six seven eight.";
    assert_eq!(bodies(sentences, Dialect::Plain, 24), ["One two three.", "Four five six seven", "eight."]);
    let short = "aaaa\n\nbbbb bbbb bbbb bbbb bbbb bbbb";
    assert_eq!(bodies(short, Dialect::Plain, 26)[0], "aaaa\n\nbbbb bbbb bbbb bbbb", "at least half");
    let chinese = "今天天气很好。我们去公园散步吧。然后回家吃饭。";
    assert_eq!(
        bodies(chinese, Dialect::Plain, 10),
        ["今天天气很好。", "我们去公园散步吧。", "然后回家吃饭。"]
    );
}

#[test]
fn only_a_word_that_is_longer_than_a_part_is_cut() {
    let address = format!("https://example.org/{}", "y".repeat(30));
    let source = format!("words {address} words");
    assert_eq!(bodies(&source, Dialect::Html, 52), ["words", &address, "words"]);
    let long = bodies(&format!("a {} b", "x".repeat(100)), Dialect::Html, 40);
    assert_eq!(long, ["a".to_owned(), "x".repeat(40), "x".repeat(40), format!("{} b", "x".repeat(20))]);
    let family = "\u{1F468}\u{200D}\u{1F469}\u{200D}\u{1F467}";
    let families = of(&family.repeat(30), Dialect::Html, TextUnit::Graphemes, 9);
    assert_eq!(families.len(), 4, "{families:?}");
    let escaped = bodies(&"&<>".repeat(20), Dialect::Slack, 25);
    assert!(escaped.iter().all(|body| body.ends_with(';')), "{escaped:?}");
}

#[test]
fn what_can_not_be_divided_goes_as_text() {
    let row = format!("| {} | b |\n|-|-|\n| c | {} |\n\nend", "a".repeat(90), "d".repeat(90));
    let parts = of(&row, Dialect::Html, TextUnit::Chars, 60);
    let [Part::Bare(table), Part::Written(end, _)] = &parts[..] else { panic!("{parts:?}") };
    assert!(table.contains(&"a".repeat(90)) && table.contains(&"d".repeat(90)), "{table}");
    assert_eq!(end.body, "end");
}

/// Much text that comes out as much more, in as many parts as could be made of it.
#[test]
fn hostile_texts_end() {
    let lines =
        |first: &str, times: usize, line: &str| format!("{}{}", first.repeat(times), line.repeat(2_000));
    for source in [
        lines("- ", 60, "- x\n"),
        lines("> ", 60, "> x\n\n"),
        lines("999999999. ", 60, "x\n"),
        lines("", 0, "- \n"),
        format!("|{}|\n|-|-|\n{}", "h|".repeat(2), "|x|y|\n".repeat(2_000)),
        format!("{0}\n{1}\n{2}", "|a".repeat(1_000), "|-".repeat(1_000), "|b\n".repeat(1_000)),
        format!("[{}](https://x.org/{})", "word ".repeat(3_000), "y".repeat(1_000)),
        format!("[r]: https://x.org/{}\n\n{}", "y".repeat(3_000), "[r] ".repeat(1_000)),
        "**_~~".repeat(10_000),
        "x".repeat(60_000),
        "\u{301}".repeat(30_000),
        "\"&<'".repeat(10_000),
    ] {
        for dialect in ALL {
            let parts = of(&source, dialect, TextUnit::Utf16, 1_000);
            let size: usize = parts
                .iter()
                .map(|part| match part {
                    Part::Written(rendered, _) => rendered.body.len(),
                    Part::Bare(text) => text.len(),
                })
                .sum();
            let start: String = source.chars().take(20).collect();
            // What is open is written again in each part, which is much less than the rest of it.
            let whole = super::super::render(&source, dialect, usize::MAX).unwrap().body.len();
            assert!(size <= 8 * (whole + source.len()), "{dialect:?} {start:?}: {size}, whole {whole}");
        }
    }
}

fn squeezed(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace() && *c != '>').collect()
}

/// Anything that Markdown has, in any order and never well closed; without tables, whose heads are repeated.
fn markdown() -> &'static str {
    "(\\*\\*|_|~~|`|```rust\n|\n```\n|\n\n|\n|> |- |  - |\n[0-9]{1,2}\\. |# |<b>|&amp;|\\[a b\\]\\(https://x\\.org/\\?a&b\\)|https://x\\.org/[a-z]{3,30}|[a-zé\u{4F60}\u{1F600}.]{1,9} |\u{1F468}\u{200D}\u{1F467}|\\\\|!\\[|\\]|\\(|\\)){0,90}"
}

proptest! {
    #[test]
    fn parts_fit_and_lose_nothing(source in markdown(), limit in 48_usize..160) {
        let units = [TextUnit::Utf16, TextUnit::Graphemes, TextUnit::Chars, TextUnit::Utf16, TextUnit::Bytes, TextUnit::Utf16, TextUnit::Chars];
        for (dialect, unit) in ALL.into_iter().zip(units) {
            let parts = of(&source, dialect, unit, limit);
            let mut shown = String::new();
            for part in &parts {
                match part {
                    Part::Written(rendered, plain) => {
                        prop_assert!(counted(rendered, dialect, unit) <= limit, "{rendered:?}");
                        prop_assert!(!rendered.shown.trim().is_empty());
                        prop_assert!(unit.count(plain) <= limit || *plain == rendered.shown);
                        if dialect == Dialect::Html {
                            prop_assert_eq!(check_balance(&rendered.body), Ok(()));
                        } else if dialect != Dialect::Plain {
                            prop_assert_eq!(rendered.body.matches("```").count() % 2, 0, "{:?}: {}", dialect, rendered.body);
                        }
                        shown.push_str(&rendered.shown);
                    }
                    Part::Bare(text) => shown.push_str(text),
                }
            }
            let whole = super::super::render(&source, dialect, usize::MAX).unwrap().shown;
            // What was pressed is followed by its address where it became text; nothing else is added.
            let meant = !parts.is_empty() && parts.iter().all(|part| matches!(part, Part::Written(..)));
            if meant {
                prop_assert_eq!(squeezed(&shown), squeezed(&whole), "{:?}: {:?}", dialect, parts);
            }
        }
    }

    #[test]
    fn any_text_at_all_is_cut(source in "\\PC{0,400}", limit in 16_usize..60) {
        for dialect in ALL {
            for part in of(&source, dialect, TextUnit::Graphemes, limit) {
                if let Part::Written(rendered, _) = part {
                    prop_assert!(counted(&rendered, dialect, TextUnit::Graphemes) <= limit);
                    if dialect == Dialect::Html {
                        prop_assert_eq!(check_balance(&rendered.body), Ok(()));
                    }
                }
            }
        }
    }

    #[test]
    fn every_row_of_a_table_is_whole(rows in proptest::collection::vec("[a-z]{1,12}", 1..40), limit in 60_usize..200) {
        let body = rows.iter().enumerate().map(|(n, cell)| format!("| r{n}x | {cell} |\n")).collect::<Vec<_>>().concat();
        let source = format!("| head | two |\n|---|---|\n{body}");
        let mut seen = Vec::new();
        for part in bodies(&source, Dialect::Plain, limit) {
            let lines: Vec<&str> = part.lines().collect();
            prop_assert!(lines[0].starts_with("head"), "{}", part);
            seen.extend(lines[2..].iter().map(|line| squeezed(line)));
        }
        let expected: Vec<_> = rows.iter().enumerate().map(|(n, cell)| format!("r{n}x|{cell}")).collect();
        prop_assert_eq!(seen, expected);
    }
}
