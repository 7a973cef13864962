//! Mail that came back: what it says of a mail of ours, as a receipt of it. It is never answered.
//!
//! A report (<https://www.rfc-editor.org/rfc/rfc3464>) says in fields of its own what became of the mail, and has the mail or its headers
//! behind them. Older servers say it in words and quote the mail below. Ours is known by its `Message-ID`, which this channel gave it and
//! nobody but its recipient and the servers between saw.
//!
//! Must hold: a report on a mail that is not ours, one on a delay, and one that names no mail, are no receipt of anything.

use claw_types::{Deed, Inbound, Named, Receipts};
use mail_parser::{Address, HeaderForm, HeaderValue, Message, MessageParser, MimeHeaders as _, PartType};
use serde_json::{Map, json};

use super::incoming::{clean_id, is_ours};
use crate::kit::answer::excerpt;

/// Characters of what a server said that are quoted.
const MAX_QUOTE: usize = 300;
/// Bytes of a mail in words in which the returned one is looked for.
const MAX_WORDS: usize = 256 * 1024;

/// What became of a mail (RFC 3464, section 2.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Failed,
    /// It is in the recipient's mailbox.
    Delivered,
    /// It is on its way still, or went where nothing more is told of it.
    Other,
}

/// What a report says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Report {
    action: Option<Action>,
    recipient: Option<String>,
    status: Option<String>,
    diagnostic: Option<String>,
    envelope: Option<String>,
}

/// The receipt in a mail that a server sent; `key` is what the mail itself is known by.
pub(super) fn receipt(mail: &Message<'_>, own: &str, key: &str) -> Option<Inbound> {
    let report = report(mail);
    let action = match &report {
        Some(report) => report.action?,
        None if is_passing(mail) => Action::Other,
        None => Action::Failed,
    };
    if action == Action::Other {
        return None;
    }
    let report = report.unwrap_or_default();
    let id = returned(mail, &report, own)?;
    let chat =
        report.recipient.clone().or_else(|| failed_recipient(mail)).or_else(|| addressed(mail, own))?;
    let failed = (action == Action::Failed).then(|| why(&report, &chat, mail));
    Some(Inbound {
        deed: Deed::Received(Receipts { messages: vec![Named::Platform(id)], read: false, failed }),
        dedup_key: Some(format!("report:{key}")),
        content_type: "text".to_owned(),
        metadata: Map::from_iter([("chat_id".to_owned(), json!(chat))]),
        recipient: chat,
        ..Inbound::default()
    })
}

/// The fields of a report: those on the mail, and those on its recipient, of which a mail of ours has one.
fn report(mail: &Message<'_>) -> Option<Report> {
    let part = mail.parts.iter().find(|part| {
        part.content_type().is_some_and(|kind| {
            let is_report = matches!(kind.subtype(), Some("delivery-status" | "global-delivery-status"));
            is_report && kind.ctype() == "message"
        })
    })?;
    let text = String::from_utf8_lossy(part.contents()).into_owned();
    let mut report = Report::default();
    for (name, value) in fields(&text) {
        // "rfc822; ada@example.org": a type, and what is of it.
        let typed = || value.split_once(';').map_or(value.as_str(), |(_, rest)| rest).trim().to_owned();
        match name.as_str() {
            "action" => report.action = report.action.or(Some(action(&value))),
            "final-recipient" => report.recipient = report.recipient.take().or_else(|| address(&typed())),
            "original-recipient" => report.recipient = address(&typed()).or(report.recipient.take()),
            "status" => report.status = report.status.take().or(Some(value)),
            "diagnostic-code" => report.diagnostic = report.diagnostic.take().or_else(|| Some(typed())),
            "original-envelope-id" => report.envelope = Some(value),
            _ => {}
        }
    }
    Some(report)
}

/// Names in small letters and values, of lines that may go on in the next ones.
fn fields(text: &str) -> Vec<(String, String)> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for line in text.lines() {
        match (line.starts_with([' ', '\t']), fields.last_mut(), line.split_once(':')) {
            (true, Some((_, value)), _) => {
                value.push(' ');
                value.push_str(line.trim());
            }
            (false, _, Some((name, value))) => {
                fields.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
            }
            _ => {}
        }
    }
    fields
}

fn action(value: &str) -> Action {
    match value.split([' ', '(']).next().unwrap_or_default().to_ascii_lowercase().as_str() {
        "failed" => Action::Failed,
        "delivered" => Action::Delivered,
        _ => Action::Other,
    }
}

fn address(text: &str) -> Option<String> {
    super::compose::recipient(text.trim_matches(['<', '>'])).ok().map(str::to_lowercase)
}

/// The id of the mail of ours that came back.
fn returned(mail: &Message<'_>, report: &Report, own: &str) -> Option<String> {
    let parts = mail.parts.iter().filter_map(|part| match &part.body {
        PartType::Message(message) => message.message_id().map(str::to_owned),
        PartType::Text(text) => {
            let kind = part.content_type();
            let is_headers = kind.is_some_and(|kind| kind.subtype() == Some("rfc822-headers"));
            let headers =
                if is_headers { MessageParser::default().parse_headers(text.as_bytes()) } else { None };
            headers.and_then(|headers| headers.message_id().map(str::to_owned))
        }
        _ => None,
    });
    let mut named = parts.chain(report.envelope.clone()).filter_map(|id| clean_id(&id));
    named.find(|id| is_ours(id, own)).or_else(|| quoted(mail, own))
}

/// The same where the mail is quoted in words: the first line `Message-ID:` with an id of ours.
fn quoted(mail: &Message<'_>, own: &str) -> Option<String> {
    lines_of(mail, "Message-ID").iter().filter_map(|value| clean_id(value)).find(|id| is_ours(id, own))
}

/// Who it was sent to, by the mail that came back: the first line `To:` that does not name the channel itself.
fn addressed(mail: &Message<'_>, own: &str) -> Option<String> {
    let to = |value: &String| {
        let bare = value.rsplit_once('<').map_or(value.as_str(), |(_, rest)| rest);
        address(bare.trim())
    };
    lines_of(mail, "To").iter().filter_map(to).find(|to| to != own)
}

/// What stands behind a header's name, on the mail itself and in what it quotes.
fn lines_of(mail: &Message<'_>, header: &str) -> Vec<String> {
    let raw = mail.raw_message();
    let text = String::from_utf8_lossy(raw.get(..MAX_WORDS).unwrap_or(raw));
    let values = text.lines().filter_map(|line| {
        let (name, value) = line.trim_start_matches(['>', ' ', '\t']).split_once(':')?;
        name.eq_ignore_ascii_case(header).then(|| value.trim().to_owned())
    });
    values.collect()
}

/// Whether a mail in words tells of a delay only: "Warning: message 1 delayed 24 hours".
fn is_passing(mail: &Message<'_>) -> bool {
    let subject = mail.subject().unwrap_or_default().to_ascii_lowercase();
    ["warning", "delay"].iter().any(|word| subject.contains(word))
}

/// What Gmail and Exim say beside the report.
fn failed_recipient(mail: &Message<'_>) -> Option<String> {
    let found = mail.header_as("X-Failed-Recipients", HeaderForm::Raw);
    let first = found.first().and_then(HeaderValue::as_text)?.split(',').next()?;
    address(first.trim())
}

/// For who sent it, in a sentence.
fn why(report: &Report, to: &str, mail: &Message<'_>) -> String {
    let meaning =
        report.status.as_deref().and_then(meaning).map(|words| format!(": {words}")).unwrap_or_default();
    let said = match (&report.diagnostic, &report.status) {
        (Some(said), _) => said.clone(),
        (None, Some(status)) => status.clone(),
        (None, None) => mail.subject().unwrap_or_default().to_owned(),
    };
    format!("the mail to {to} came back{meaning} ({})", excerpt(said.trim(), MAX_QUOTE))
}

/// Common ones of the enhanced status codes (<https://www.iana.org/assignments/smtp-enhanced-status-codes>, RFC 3463), without their class.
fn meaning(status: &str) -> Option<&'static str> {
    let (_, detail) = status.split_whitespace().next()?.split_once('.')?;
    Some(match detail {
        "1.1" | "1.6" => "there is no such mailbox",
        "1.2" | "4.4" => "there is no mail server for the address",
        "1.10" => "the domain takes no mail",
        "2.1" => "the mailbox is switched off",
        "2.2" => "the mailbox is full",
        "2.3" | "3.4" => "the mail is too large",
        "4.1" | "4.2" => "the mail server did not answer",
        "4.7" => "it could not be delivered in time",
        _ if detail.starts_with("7.") => "the mail server refuses it",
        _ => return None,
    })
}

/// Whether a mail is from a server by the name that it writes as: those that are older than reports do not always mark them otherwise
/// (RFC 5321, section 4.5.5, and <https://cr.yp.to/proto/qsbmf.txt>).
pub(super) fn is_from_a_server(mail: &Message<'_>) -> bool {
    mail.from().and_then(Address::first).is_some_and(|from| {
        let address = from.address().unwrap_or_default();
        let local = address.rsplit_once('@').map_or(address, |(local, _)| local);
        local.eq_ignore_ascii_case("mailer-daemon")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "claw@example.org";
    const OURS: &str = "0190.1.claw@example.org";

    fn read(mail: &str) -> Option<Inbound> {
        let mail = mail.replace('\n', "\r\n");
        receipt(&MessageParser::default().parse(mail.as_bytes()).unwrap(), OWN, "k")
    }

    fn reported(status: &str, behind: &str) -> Option<Inbound> {
        read(&format!(
            "From: MAILER-DAEMON@mx.example.org\nSubject: Undelivered\n\
             Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n\
             --b\nContent-Type: text/plain\n\nSorry.\n--b\nContent-Type: message/delivery-status\n\n{status}\n--b\n{behind}\n--b--\n"
        ))
    }

    fn failed(read: Option<Inbound>) -> (Vec<Named>, Option<String>) {
        let Deed::Received(receipts) = read.unwrap().deed else { panic!("a receipt") };
        (receipts.messages, receipts.failed)
    }

    fn headers(id: &str) -> String {
        format!(
            "Content-Type: text/rfc822-headers\n\nFrom: {OWN}\nReferences: <0180.0.claw@example.org>\nMessage-ID: <{id}>\n"
        )
    }

    const STATUS: &str = "Reporting-MTA: dns; mx.example.org\n\nFinal-Recipient: rfc822; Nobody@example.com\nAction: failed\n\
                          Status: 5.1.1\nDiagnostic-Code: smtp; 550 5.1.1 <nobody@example.com>:\n    User unknown";

    #[test]
    fn a_report_is_a_receipt_of_the_mail_that_it_returns() {
        let read = reported(STATUS, &headers(OURS));
        assert_eq!(read.as_ref().unwrap().recipient, "nobody@example.com");
        let expected = "the mail to nobody@example.com came back: there is no such mailbox (550 5.1.1 <nobody@example.com>: User unknown)";
        assert_eq!(failed(read), (vec![Named::Platform(OURS.to_owned())], Some(expected.to_owned())));
        let whole = format!("Content-Type: message/rfc822\n\nFrom: {OWN}\nMessage-ID: <{OURS}>\n\nHello\n");
        assert_eq!(failed(reported(STATUS, &whole)).0, [Named::Platform(OURS.to_owned())]);
        let by_envelope = format!("Original-Envelope-Id: {OURS}\n{STATUS}");
        let nothing = "Content-Type: text/plain\n\nnothing\n";
        assert_eq!(failed(reported(&by_envelope, nothing)).0, [Named::Platform(OURS.to_owned())]);
    }

    #[test]
    fn what_is_on_its_way_or_somebody_elses_is_no_receipt() {
        for action in ["delayed", "relayed", "expanded"] {
            assert_eq!(reported(&STATUS.replace("failed", action), &headers(OURS)), None, "{action}");
        }
        assert_eq!(reported(STATUS, &headers("0190.1.claw@example.com")), None, "another channel's");
        assert_eq!(reported("Reporting-MTA: dns; x", &headers(OURS)), None, "it says nothing of the mail");
        assert_eq!(failed(reported(&STATUS.replace("failed", "delivered"), &headers(OURS))).1, None);
    }

    #[test]
    fn a_mail_in_words_is_understood_by_the_mail_below_them() {
        let words = |subject: &str, id: &str| {
            read(&format!(
                "From: MAILER-DAEMON@mx.example.org\nSubject: {subject}\nX-Failed-Recipients: nobody@example.com\n\n\
                 Hi. This is the qmail-send program.\n\n--- Below this line is a copy of the message.\n\n\
                 From: {OWN}\nIn-Reply-To: <0180.0.claw@example.org>\nMessage-ID: <{id}>\n\nHello\n"
            ))
        };
        let (messages, why) = failed(words("failure notice", OURS));
        assert_eq!(messages, [Named::Platform(OURS.to_owned())]);
        assert_eq!(why.unwrap(), "the mail to nobody@example.com came back (failure notice)");
        assert_eq!(words("Warning: message delayed 24 hours", OURS), None);
        assert_eq!(words("failure notice", "x@example.com"), None);
    }

    #[test]
    fn codes_are_told_in_words() {
        assert_eq!(meaning("5.2.2"), Some("the mailbox is full"));
        assert_eq!(meaning("5.7.26 (refused)"), Some("the mail server refuses it"));
        assert_eq!((meaning("5.0.0"), meaning("x"), meaning("")), (None, None, None));
    }
}
