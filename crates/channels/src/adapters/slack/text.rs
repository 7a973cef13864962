//! A person's text as Slack writes it (<https://docs.slack.dev/messaging/formatting-message-text>), as people read it: three characters
//! come as entities, and what stands between angle brackets is a link, a person, a channel or a call to many.

/// What people read. A person who is named by an id only stays one: `<@U123>`; so does what is not known.
pub(super) fn readable(text: &str) -> String {
    let mut read = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        unescape(&rest[..start], &mut read);
        let inside = &rest[start + 1..];
        let Some(end) = inside.find('>') else {
            rest = &rest[start..];
            break;
        };
        let reference = &inside[..end];
        if let Some(words) = referred(reference) {
            unescape(&words, &mut read);
        } else {
            read.push('<');
            unescape(reference, &mut read);
            read.push('>');
        }
        rest = &inside[end + 1..];
    }
    unescape(rest, &mut read);
    read
}

/// Whether a text names this person: `<@U123>`, or `<@U123|ada>` in older texts.
pub(super) fn names(text: &str, user: &str) -> bool {
    let is = |rest: &str| rest.strip_prefix(user).is_some_and(|rest| rest.starts_with(['>', '|']));
    text.split("<@").skip(1).any(is)
}

/// Whether it names anybody.
pub(super) fn names_somebody(text: &str) -> bool {
    text.contains("<@")
}

fn referred(reference: &str) -> Option<String> {
    let (what, label) =
        reference.split_once('|').map_or((reference, None), |(what, label)| (what, Some(label)));
    let label = label.filter(|label| !label.is_empty());
    let named = |sign: &str| label.map(|label| format!("{sign}{}", label.trim_start_matches(['@', '#'])));
    match what.chars().next()? {
        '@' => named("@"),
        '#' => named("#"),
        // `<!here>`, and with words of its own a group of people (`<!subteam^S1|@support>`) or a date.
        '!' if what.starts_with("!date^") => label.map(str::to_owned),
        '!' => named("@").or_else(|| Some(format!("@{}", &what[1..])).filter(|_| !what.contains('^'))),
        _ => {
            let address = what.strip_prefix("mailto:").or(what.strip_prefix("tel:")).unwrap_or(what);
            let words = label.filter(|label| *label != address && *label != what);
            // A name that was written without its scheme is shown as it was written.
            let is_its_name = |label: &str| {
                what.split_once("://").is_some_and(|(_, rest)| rest.trim_end_matches('/') == label)
            };
            Some(match words {
                Some(label) if is_its_name(label) => label.to_owned(),
                Some(label) => format!("{label} ({address})"),
                None => address.to_owned(),
            })
        }
    }
}

fn unescape(text: &str, read: &mut String) {
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        read.push_str(&rest[..at]);
        rest = &rest[at..];
        let entity = [("&amp;", '&'), ("&lt;", '<'), ("&gt;", '>')]
            .into_iter()
            .find(|(name, _)| rest.starts_with(name));
        let (taken, c) = entity.map_or((1, '&'), |(name, c)| (name.len(), c));
        read.push(c);
        rest = &rest[taken..];
    }
    read.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_what_people_read() {
        for (sent, read) in [
            ("a &lt;b&gt; &amp;amp; &c", "a <b> &amp; &c"),
            ("see <https://example.org/a?b=1&amp;c=2>", "see https://example.org/a?b=1&c=2"),
            ("<https://example.org|the site>", "the site (https://example.org)"),
            ("<http://example.org|example.org>", "example.org"),
            ("<mailto:ada@example.org|ada@example.org>", "ada@example.org"),
            ("<@U061F7AUR> and <@U2|grace>", "<@U061F7AUR> and @grace"),
            ("<#C024BE91L|general> <#C1>", "#general <#C1>"),
            ("<!here> <!subteam^S1|@support> <!subteam^S1>", "@here @support <!subteam^S1>"),
            ("<!date^1392734382^{date}|Feb 18>", "Feb 18"),
            ("1 < 2 and <", "1 < 2 and <"),
            ("<>", "<>"),
            ("", ""),
        ] {
            assert_eq!(readable(sent), read, "{sent}");
        }
    }

    #[test]
    fn a_name_is_not_the_beginning_of_another() {
        assert!(names("hi <@U1>", "U1") && names("<@U2> <@U1|bot>", "U1"));
        assert!(!names("hi <@U12>", "U1") && !names("U1 @U1", "U1"));
    }
}
