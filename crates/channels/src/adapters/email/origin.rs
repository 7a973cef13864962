//! Where a mail comes from: a person, a program, a list, a server that gives a mail of ours back; and who vouches for its sender.
//!
//! Programs that answer programs go on for ever. By the standard (<https://www.rfc-editor.org/rfc/rfc3834>) a mail that was
//! submitted automatically is not answered, so those that answer or return something of ours are not taken at all. Others of
//! programs and lists are marked as a program's: the channel's `ignore_bots` decides.
//!
//! The `From` of a mail is what its sender wrote there. Only the server that received it can know more, and says so in
//! `Authentication-Results` (<https://www.rfc-editor.org/rfc/rfc8601>). Whether that header is its own, only its name in it tells, so
//! the name is a field of the channel, and without the field nothing is checked.

use mail_parser::{HeaderForm, HeaderValue, Message, MimeHeaders as _};

use super::bounce;

/// Who sent a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// A person, as far as can be told.
    Person,
    /// A program or a list.
    Program,
    /// Something that only answers what it gets: an absence note, an acknowledgement.
    Answer,
    /// A server that tells that a mail did not arrive.
    Bounce,
}

pub(super) fn of(mail: &Message<'_>) -> Origin {
    let small = |name: &'static str| text(mail, name).to_ascii_lowercase();
    let submitted = small("Auto-Submitted");
    let submitted = submitted.split(';').next().unwrap_or_default().trim().to_owned();
    let is_returned = text(mail, "Return-Path").trim() == "<>" || bounce::is_from_a_server(mail);
    if is_report(mail) || is_returned && submitted != "auto-replied" {
        return Origin::Bounce;
    }
    // What servers of Microsoft's and others write in place of it.
    let answers = ["X-Autoreply", "X-Autorespond", "X-Auto-Response-From"]
        .iter()
        .any(|name| !text(mail, name).is_empty());
    let is_answer =
        submitted.starts_with("auto-replied") || small("Precedence").trim() == "auto_reply" || answers;
    if is_answer {
        return Origin::Answer;
    }
    let is_list = ["List-Id", "List-Unsubscribe", "List-Post", "Feedback-ID"]
        .iter()
        .any(|name| !text(mail, name).is_empty());
    let is_bulk = ["bulk", "list", "junk"].contains(&small("Precedence").trim());
    let is_program = !submitted.is_empty() && submitted != "no";
    if is_list || is_bulk || is_program { Origin::Program } else { Origin::Person }
}

/// A delivery status notification (<https://www.rfc-editor.org/rfc/rfc3462>).
fn is_report(mail: &Message<'_>) -> bool {
    mail.content_type().is_some_and(|kind| {
        kind.ctype().eq_ignore_ascii_case("multipart")
            && kind.subtype().is_some_and(|subtype| subtype.eq_ignore_ascii_case("report"))
    })
}

/// Whether the server of this name says that the domain in `From` vouches for the mail (`dmarc=pass`).
pub(super) fn is_vouched(mail: &Message<'_>, server: &str) -> bool {
    let results = mail.header_as("Authentication-Results", HeaderForm::Raw);
    results.iter().filter_map(HeaderValue::as_text).any(|results| {
        let results = results.to_ascii_lowercase();
        let (name, methods) = results.split_once(';').unwrap_or((&results, ""));
        let is_its_own = name.split_whitespace().next().is_some_and(|name| name.eq_ignore_ascii_case(server));
        is_its_own && methods.split(';').any(|method| method.split_whitespace().next() == Some("dmarc=pass"))
    })
}

fn text(mail: &Message<'_>, name: &'static str) -> String {
    let found = mail.header_as(name, HeaderForm::Raw);
    found.first().and_then(HeaderValue::as_text).unwrap_or_default().trim().to_owned()
}

#[cfg(test)]
mod tests {
    use mail_parser::MessageParser;

    use super::*;

    fn origin(headers: &str) -> Origin {
        let mail = format!("From: Ada <ada@example.com>\r\n{headers}\r\n\r\nHello\r\n");
        of(&MessageParser::default().parse(mail.as_bytes()).unwrap())
    }

    #[test]
    fn programs_are_told_from_people() {
        for (headers, expected) in [
            ("Subject: Hello", Origin::Person),
            ("Auto-Submitted: no", Origin::Person),
            ("Auto-Submitted: auto-generated", Origin::Program),
            ("Precedence: bulk", Origin::Program),
            ("List-Id: <rust.example.org>", Origin::Program),
            ("Auto-Submitted: auto-replied (vacation)", Origin::Answer),
            ("X-Autoreply: yes", Origin::Answer),
            ("Precedence: auto_reply", Origin::Answer),
            ("Return-Path: <>", Origin::Bounce),
            ("Return-Path: <>\r\nAuto-Submitted: auto-replied", Origin::Answer),
            ("Content-Type: multipart/report; report-type=delivery-status; boundary=b", Origin::Bounce),
        ] {
            assert_eq!(origin(headers), expected, "{headers}");
        }
    }

    #[test]
    fn only_the_own_servers_word_counts() {
        let vouched = |headers: &str| {
            let mail = format!("{headers}\r\nFrom: Ada <ada@example.com>\r\n\r\nHello\r\n");
            is_vouched(&MessageParser::default().parse(mail.as_bytes()).unwrap(), "mx.example.org")
        };
        assert!(vouched(
            "Authentication-Results: mx.example.org;\r\n\tspf=pass; dmarc=pass header.from=example.com"
        ));
        assert!(vouched("Authentication-Results: MX.example.org 1; dmarc=pass (p=none)"));
        for not in [
            "Authentication-Results: mx.example.org; dmarc=fail header.from=example.com",
            "Authentication-Results: elsewhere.example; dmarc=pass",
            "Authentication-Results: elsewhere.example; x=mx.example.org; dmarc=pass",
            "Authentication-Results: mx.example.org; spf=pass smtp.mailfrom=dmarc=pass",
            "Authentication-Results: mx.example.org; none",
            "Subject: dmarc=pass",
        ] {
            assert!(!vouched(not), "{not}");
        }
    }
}
