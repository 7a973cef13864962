//! What a person newly wrote in a mail: without what is quoted of the mail that it answers, and without the signature.
//!
//! There is no standard for how programs quote. What is looked for is what they write above a quote, in the languages that their
//! writers use most; a mail that has none of it stays whole. When answers stand between the lines of a quote, the quote stays, too:
//! nobody could tell else what they answer.

/// Lines that end a mail's own text, by how they begin: what Outlook writes above a quote, in its languages.
const RULES: [&str; 8] = [
    "-----original message-----",
    "-----ursprüngliche nachricht-----",
    "-----message d'origine-----",
    "-----mensaje original-----",
    "-----messaggio originale-----",
    "-----oorspronkelijk bericht-----",
    "-----mensagem original-----",
    "________________________________",
];
/// How a line ends that says who wrote what is quoted below, and how it begins.
const ATTRIBUTIONS: [(&str, &str); 9] = [
    ("on ", "wrote:"),
    ("am ", "schrieb:"),
    ("am ", ":"),
    ("le ", "a écrit :"),
    ("el ", "escribió:"),
    ("il ", "ha scritto:"),
    ("op ", "schreef:"),
    ("em ", "escreveu:"),
    ("den ", "skrev:"),
];
/// Such a line may be broken into so many.
const BROKEN_INTO: usize = 3;

/// The part of a mail's text that its writer wrote.
pub(super) fn written(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let signed = lines.iter().position(|line| *line == "--" || is_device(line)).unwrap_or(lines.len());
    let quote = (0..lines.len()).find_map(|at| Some((at, head(&lines[at..])?)));
    let body = match quote {
        // A signature above the quote ends the text before it.
        Some((at, _)) if signed < at => join(&lines[..signed]),
        Some((at, length)) => around(&lines[..at], &lines[at + length..]),
        None => without_quotes(&lines[..signed]),
    };
    if body.is_empty() { text.trim().to_owned() } else { body }
}

/// The number of lines in which a quote is announced, if one is here.
fn head(lines: &[&str]) -> Option<usize> {
    let first = lines.first()?.trim().to_lowercase();
    if RULES.iter().any(|rule| first.starts_with(rule)) {
        return Some(1);
    }
    if is_header_block(lines) {
        return Some(0);
    }
    let opens = ATTRIBUTIONS.iter().filter(|(start, _)| first.starts_with(start));
    let ends: Vec<_> = opens.map(|(_, end)| *end).collect();
    if ends.is_empty() {
        return None;
    }
    let mut whole = String::new();
    for (index, line) in lines.iter().take(BROKEN_INTO).enumerate() {
        whole.push_str(&line.trim().to_lowercase());
        whole.push(' ');
        // A date is in it, or it is a sentence of the writer's.
        let is_dated = whole.contains(|c: char| c.is_ascii_digit());
        let names = whole.contains('@') || whole.contains("schrieb") || !whole.trim_end().ends_with(" :");
        if is_dated && names && ends.iter().any(|end| ends_attribution(&whole, end)) {
            return Some(index + 1);
        }
    }
    None
}

fn ends_attribution(whole: &str, end: &str) -> bool {
    // "Am 3. Mai um 10:00 schrieb Ada:" has the verb before the name.
    let whole = whole.trim_end();
    if end == ":" { whole.ends_with(':') && whole.contains(" schrieb ") } else { whole.ends_with(end) }
}

/// What Outlook puts above a quote without any rule: `From:`, `Sent:`, `To:`, `Subject:`.
fn is_header_block(lines: &[&str]) -> bool {
    const FIRST: [&str; 6] = ["from:", "von:", "de:", "de :", "da:", "van:"];
    const OTHERS: [&str; 10] = [
        "sent:",
        "date:",
        "gesendet:",
        "datum:",
        "envoyé",
        "enviado",
        "inviato:",
        "verzonden:",
        "data:",
        "to:",
    ];
    let small = |at: usize| {
        lines.get(at).map(|line| line.trim().trim_matches('*').to_lowercase()).unwrap_or_default()
    };
    let begins = |line: &str, names: &[&str]| names.iter().any(|name| line.starts_with(name));
    begins(&small(0), &FIRST) && begins(&small(1), &OTHERS)
}

/// What some phones write below everything.
fn is_device(line: &str) -> bool {
    const DEVICES: [&str; 5] =
        ["sent from my ", "get outlook for ", "von meinem ", "envoyé de mon ", "enviado desde mi "];
    let line = line.to_lowercase();
    line.len() < 60 && DEVICES.iter().any(|device| line.starts_with(device))
}

/// What was written above a quote and what was written below it or in it.
fn around(above: &[&str], below: &[&str]) -> String {
    let above = without_quotes(above);
    let signed = below.iter().position(|line| *line == "--" || is_device(line)).unwrap_or(below.len());
    let below = &below[..signed];
    let is_quoted = |line: &&str| line.starts_with('>');
    if !below.iter().any(is_quoted) {
        // A program that does not mark what it quotes: all of it is the quote.
        return above;
    }
    // Runs of own lines behind quoted ones.
    let answers =
        below.split(is_quoted).skip(1).filter(|run| run.iter().any(|line| !line.is_empty())).count();
    match answers {
        0 => above,
        1 if above.is_empty() => {
            let last = below.iter().rposition(is_quoted).map_or(0, |at| at + 1);
            let own = join(&below[last..]);
            if own.is_empty() { join(below) } else { own }
        }
        _ if above.is_empty() => join(below),
        _ => format!("{above}\n\n{}", join(below)),
    }
}

/// Without quoted lines at the end, which nothing announces.
fn without_quotes(lines: &[&str]) -> String {
    let is_own = |line: &&str| !line.is_empty() && !line.starts_with('>');
    let own = lines.iter().rposition(is_own).map_or(0, |at| at + 1);
    join(&lines[..own])
}

fn join(lines: &[&str]) -> String {
    lines.join("\n").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_before_is_cut_off() {
        for whole in [
            "Yes, please.\n\nOn Tue, 14 Nov 2023 at 22:13, Claw <claw@example.org> wrote:\n> Shall I?\n> Really?",
            "Yes, please.\r\n\r\nOn Tue, 14 Nov 2023 at 22:13, A very long name\r\n<claw@example.org> wrote:\r\n\r\n> Shall I?\r\n",
            "Yes, please.\n\nOn Tue, 14 Nov 2023 Claw wrote:\nShall I?\nOf HTML there is no sign left.",
            "Yes, please.\n\nAm 14.11.2023 um 22:13 schrieb Claw:\n> Soll ich?",
            "Yes, please.\n\nAm Di., 14. Nov. 2023 um 22:13 Uhr schrieb Claw <\nclaw@example.org>:\n\n> Soll ich?",
            "Yes, please.\n\nLe mar. 14 nov. 2023 à 22:13, Claw <claw@example.org> a écrit :\n> ...",
            "Yes, please.\n\nEl mar, 14 nov 2023 a las 22:13, Claw (<claw@example.org>) escribió:\n> ...",
            "Yes, please.\n\n-----Original Message-----\nFrom: Claw\nShall I?",
            "Yes, please.\n\n________________________________\nFrom: Claw <claw@example.org>\nSent: Tuesday\nShall I?",
            "Yes, please.\n\nFrom: Claw <claw@example.org>\nSent: Tuesday\nTo: Ada\nSubject: x\n\nShall I?",
            "Yes, please.\n-- \nAda Lovelace\nCountess",
            "Yes, please.\n\n--\nAda\n\nOn Tue, 14 Nov 2023 Claw wrote:\n> Shall I?",
            "Yes, please.\n\nSent from my iPhone\n\n> On 14 Nov 2023, at 22:13, Claw wrote:\n>\n> Shall I?",
            "Yes, please.\n\n> Shall I?\n> Really?",
            "On Tue, 14 Nov 2023 Claw wrote:\n> Shall I?\n> Really?\n\nYes, please.\n-- \nAda",
        ] {
            assert_eq!(written(whole), "Yes, please.", "{whole}");
        }
    }

    #[test]
    fn answers_between_the_lines_keep_what_they_answer() {
        let whole = "On Tue, 14 Nov 2023 Claw wrote:\n> Tea?\nYes.\n> Sugar?\nNo.\n";
        assert_eq!(written(whole), "> Tea?\nYes.\n> Sugar?\nNo.");
        let above = format!("See below.\n\n{whole}");
        assert_eq!(written(&above), "See below.\n\n> Tea?\nYes.\n> Sugar?\nNo.");
    }

    #[test]
    fn what_only_looks_like_a_quote_stays() {
        for whole in [
            "On Monday we meet at 10, as Claw wrote: in the hall.",
            "Am I right?\nYes:\nso it is.",
            "From: here\nto eternity",
            "Fwd\n\n---------- Forwarded message ---------\nText of it",
            "a -- b",
        ] {
            assert_eq!(written(whole), whole);
        }
    }

    #[test]
    fn a_mail_that_would_be_empty_stays_whole() {
        assert_eq!(written("> only a quote"), "> only a quote");
        assert_eq!(written("-- \nAda"), "-- \nAda");
        assert_eq!(written("  \n"), "");
    }
}
