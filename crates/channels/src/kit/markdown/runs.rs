//! A text in Teams' dialect read back as stretches of one formatting each, for where a platform takes those and reads no signs.
//!
//! It reads what [`super::render`] writes, so it needs to know no more of Markdown than that: marks begin and end within one line, a
//! backslash makes text of a sign, addresses stand as they are, a block of code has lines of its own. A plan keeps of a text only what was
//! written, so this can't be made of the source.
//!
//! Must hold: whatever is given, no word of it is lost.

use super::dialect;

/// What a block of code stands between.
const FENCE: &str = "```";

/// A stretch of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) text: String,
    pub(crate) style: Style,
}

/// How a stretch is written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a mark of its own")]
pub(crate) struct Style {
    pub(crate) bold: bool,
    pub(crate) italic: bool,
    pub(crate) strike: bool,
    /// In letters of one width.
    pub(crate) code: bool,
    /// The address that it leads to.
    pub(crate) link: Option<String>,
}

/// The stretches of `body`, in order; none is empty, and no two neighbours are alike.
pub(crate) fn runs(body: &str) -> Vec<Run> {
    let mut reader = Reader::default();
    let (mut is_fenced, mut is_first) = (false, true);
    for line in body.split('\n') {
        if line == FENCE {
            is_fenced = !is_fenced;
            continue;
        }
        reader.style = Style { code: is_fenced, ..Style::default() };
        if !std::mem::take(&mut is_first) {
            reader.push("\n");
        }
        if is_fenced {
            reader.push(line);
        } else {
            // Two spaces keep a line from being joined with the next one.
            reader.line(line.strip_suffix("  ").unwrap_or(line));
        }
    }
    reader.done
}

#[derive(Default)]
struct Reader {
    done: Vec<Run>,
    /// Of what comes next.
    style: Style,
}

impl Reader {
    fn push(&mut self, text: &str) {
        match self.done.last_mut() {
            _ if text.is_empty() => {}
            Some(last) if last.style == self.style => last.text.push_str(text),
            _ => self.done.push(Run { text: text.to_owned(), style: self.style.clone() }),
        }
    }

    /// Text that leads somewhere.
    fn push_link(&mut self, text: &str, address: &str) {
        self.style.link = Some(address.to_owned());
        self.push(text);
        self.style.link = None;
    }

    /// A line that is no code.
    fn line(&mut self, line: &str) {
        let mut rest = line;
        while let Some(c) = rest.chars().next() {
            // As the writer tells an address.
            let before = line[..line.len() - rest.len()].chars().next_back();
            let address =
                if before.is_some_and(dialect::is_word) { 0 } else { dialect::address_length(rest) };
            rest = match c {
                _ if address > 0 => {
                    self.push_link(&rest[..address], &rest[..address]);
                    &rest[address..]
                }
                '\\' => self.escaped(&rest[1..]),
                '`' => self.code(&rest[1..]),
                '[' => self.link(&rest[1..]),
                '*' if rest.starts_with("**") => {
                    self.style.bold = !self.style.bold;
                    &rest[2..]
                }
                '~' if rest.starts_with("~~") => {
                    self.style.strike = !self.style.strike;
                    &rest[2..]
                }
                '_' => {
                    self.style.italic = !self.style.italic;
                    &rest[1..]
                }
                c => {
                    self.push(&rest[..c.len_utf8()]);
                    &rest[c.len_utf8()..]
                }
            };
        }
    }

    /// The sign behind a backslash is text; gives what is behind it, like those below.
    fn escaped<'t>(&mut self, behind: &'t str) -> &'t str {
        let sign = behind.chars().next().map_or(0, char::len_utf8);
        self.push(if sign == 0 { "\\" } else { &behind[..sign] });
        &behind[sign..]
    }

    /// Code within the line, behind its first sign.
    fn code<'t>(&mut self, behind: &'t str) -> &'t str {
        let Some((code, rest)) = behind.split_once('`') else {
            self.push("`");
            return behind;
        };
        self.style.code = true;
        self.push(code);
        self.style.code = false;
        rest
    }

    /// A link, behind its first sign.
    fn link<'t>(&mut self, behind: &'t str) -> &'t str {
        let link = words(behind).and_then(|(words, rest)| {
            let (address, rest) = rest.strip_prefix('(')?.split_once(')')?;
            Some((words, address, rest))
        });
        let Some((words, address, rest)) = link else {
            self.push("[");
            return behind;
        };
        self.push_link(&words, address);
        rest
    }
}

/// The words of a link, in which there are no marks and no code, and what is behind them.
fn words(text: &str) -> Option<(String, &str)> {
    let mut words = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            ']' => return Some((words, &text[at + 1..])),
            '\\' => words.extend(chars.next().map(|(_, sign)| sign)),
            c => words.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caps::Dialect;
    use crate::kit::markdown::render;

    /// Of Markdown, by way of the dialect: the text of each stretch and what it is.
    fn read(source: &str) -> Vec<(String, String)> {
        let runs = runs(&render(source, Dialect::Teams, usize::MAX).unwrap().body);
        let told = |Run { text, style: Style { bold, italic, strike, code, link } }| {
            let marks = [(bold, "b"), (italic, "i"), (strike, "s"), (code, "c")];
            let marks: String = marks.iter().filter(|(has, _)| *has).map(|(_, mark)| *mark).collect();
            (text.replace(dialect::UNSEEN, ""), marks + &link.unwrap_or_default())
        };
        runs.into_iter().map(told).collect()
    }

    fn run(text: &str, style: &str) -> (String, String) {
        (text.to_owned(), style.to_owned())
    }

    #[test]
    fn marks_code_and_links_are_told_apart() {
        assert_eq!(
            read("**bold _both_** ~~gone~~ `a_b` [the `site`_s](https://x.org/?a_b=1)"),
            [
                run("bold ", "b"),
                run("both", "bi"),
                run(" ", ""),
                run("gone", "s"),
                run(" ", ""),
                run("a_b", "c"),
                run(" ", ""),
                run("the site_s", "https://x.org/?a_b=1"),
            ]
        );
        let address = "https://x.org/a_b_c";
        assert_eq!(
            read("see https://x.org/a_b_c. Done"),
            [run("see ", ""), run(address, address), run(". Done", "")]
        );
    }

    #[test]
    fn what_is_text_stays_text() {
        let text = "5 * 3 < 20 & snake_case [x] **no";
        assert_eq!(read(text), [run(text, "")]);
        assert_eq!(read("a\nb"), [run("a\nb", "")], "the spaces that keep two lines apart are no text");
        assert_eq!(
            read("a\n```\nx * y  \n`z`\n```\nb"),
            [run("a\n", ""), run("\nx * y  \n`z`", "c"), run("\n\nb", "")]
        );
    }

    /// What no writer wrote is read all the same.
    #[test]
    fn no_word_is_lost() {
        for body in ["a [b", "a [b](c", "a `b", "a **b", "a \\", "```\na", "[a]b", "~~_**a"] {
            let text: String = runs(body).into_iter().map(|run| run.text).collect();
            for word in body.chars().filter(char::is_ascii_alphabetic) {
                assert!(text.contains(word), "{body}: {text}");
            }
        }
    }
}
