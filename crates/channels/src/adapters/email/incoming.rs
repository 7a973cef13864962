//! A mail as messages (<https://www.rfc-editor.org/rfc/rfc5322>, MIME by <https://www.rfc-editor.org/rfc/rfc2045>).
//!
//! A conversation is a thread of one person: the first mail of it, by the first of the `References`, and the person's address. The
//! address belongs to the session's key, because whoever knows a mail's id could else write themselves into somebody's conversation.
//! A mail to several people is a message of its sender; the answer goes to `Reply-To`, else `From`, and to nobody else.

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use claw_telemetry::metrics::Counter;
use claw_types::limits::is_emoji;
use claw_types::{Answered, Deed, Inbound, MediaKind, MediaRef, Reaction, Sender};
use mail_parser::{Address, HeaderValue, Message, MessageParser, MessagePart, MimeHeaders as _, PartType};
use serde_json::{Map, Value, json};
use tracing::{debug, warn};

use super::origin::{self, Origin};
use super::{bounce, html, newly};
use crate::kit::answer::excerpt;
use crate::kit::filename;

/// Attachments of a mail that become messages.
const MOST_ATTACHMENTS: usize = 20;
/// Characters of a mail's text that are handed on.
const MAX_TEXT: usize = 100_000;
/// Characters of a subject and of a name.
const MAX_SUBJECT: usize = 300;
/// The longest id of a mail that is taken: what a send may name (`claw_types::limits::PLATFORM_ID`).
const MAX_ID: usize = 500;

/// How a part says that it is a reaction (<https://www.rfc-editor.org/rfc/rfc9078>), by its `Content-Disposition`.
pub(super) const REACTION: &str = "reaction";
/// What Gmail's are (<https://developers.google.com/workspace/gmail/reactions/format>).
pub(super) const GMAIL_REACTION: &str = "text/vnd.google.email-reaction+json";
/// Emoji of one mail that are told.
const MOST_EMOJI: usize = 20;

/// Ids of a thread that are remembered and named in answers: the first and the last ones (RFC 5322, section 3.6.4, names all, and lines
/// have an end).
pub(super) const MOST_REFERENCES: usize = 20;

/// What decides about a mail beside what stands in it.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    /// The channel's own address.
    pub(super) own: String,
    /// Addresses, or domains with an @ in front; empty for all.
    pub(super) allowed: Vec<String>,
    /// The name of the server whose word on senders is needed.
    pub(super) vouching: Option<String>,
}

/// Where a mail lies: with the number of a part, what an attachment is opened by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) folder: &'a str,
    pub(super) validity: u32,
    pub(super) uid: u32,
}

/// The messages of a mail. None of one that nobody is to hear of.
pub(super) fn read(mail: &[u8], place: Place<'_>, rules: &Rules) -> Vec<Inbound> {
    let Some(mail) = MessageParser::default().parse(mail) else { return Vec::new() };
    let origin = origin::of(&mail);
    if origin == Origin::Bounce {
        return returned(&mail, place, rules);
    }
    let Some(from) =
        mail.from().and_then(Address::first).and_then(|from| Some((from.name(), address(from.address()?)?)))
    else {
        debug!(platform_id = place.uid, "a mail without a sender is left alone");
        return Vec::new();
    };
    let is_own = from.1 == rules.own;
    if origin == Origin::Answer && !is_own {
        return Vec::new();
    }
    if !is_own && let Err(reason) = admitted(&mail, &from.1, rules) {
        Counter::MessagesIgnored.add(&[reason]);
        debug!(platform_id = place.uid, reason, "a mail of somebody who may not write here is left alone");
        return Vec::new();
    }
    let program = origin != Origin::Person;
    let base = Inbound { is_own, sender_is_bot: program && !is_own, ..Inbound::default() };
    messages(&mail, from, place, &rules.own, &base)
}

/// What a mail that a server sent tells of one of ours.
fn returned(mail: &Message<'_>, place: Place<'_>, rules: &Rules) -> Vec<Inbound> {
    let receipt = bounce::receipt(mail, &rules.own, &own_id(mail, place));
    if receipt.is_none() {
        let names = mail.subject().map(|subject| excerpt(subject, MAX_SUBJECT)).unwrap_or_default();
        warn!(
            platform_id = place.uid,
            "a server's mail that tells nothing of a mail of this channel's: {names}"
        );
    }
    receipt.into_iter().collect()
}

/// Or why not, as it is counted.
fn admitted(mail: &Message<'_>, from: &str, rules: &Rules) -> Result<(), &'static str> {
    let fits = |allowed: &String| {
        from.eq_ignore_ascii_case(allowed)
            || allowed.starts_with('@') && ends_with(from, &allowed.to_ascii_lowercase())
    };
    if !rules.allowed.is_empty() && !rules.allowed.iter().any(fits) {
        return Err("sender");
    }
    let is_vouched = rules.vouching.as_ref().is_none_or(|server| origin::is_vouched(mail, server));
    if is_vouched { Ok(()) } else { Err("not_vouched") }
}

fn ends_with(text: &str, end: &str) -> bool {
    text.len() > end.len() && text.to_ascii_lowercase().ends_with(end)
}

fn messages(
    mail: &Message<'_>,
    from: (Option<&str>, String),
    place: Place<'_>,
    own: &str,
    base: &Inbound,
) -> Vec<Inbound> {
    let (name, sender) = from;
    let own_id = own_id(mail, place);
    let reply_to = mail.reply_to().and_then(Address::first).and_then(|to| address(to.address()?));
    let recipient = reply_to.unwrap_or_else(|| sender.clone());
    let answered = ids(mail.in_reply_to()).pop();
    let root = ids(mail.references())
        .into_iter()
        .next()
        .or_else(|| answered.clone())
        .unwrap_or_else(|| own_id.clone());
    let (text, whole) = text(mail, answered.is_none());
    let base = Inbound {
        answers: answered
            .map(|message_id| Answered { is_own: is_ours(&message_id, own).then_some(true), message_id }),
        platform_message_id: Some(own_id.clone()),
        sender: Some(Sender {
            display_name: name.map_or_else(|| sender.clone(), |name| excerpt(name, MAX_SUBJECT)),
            platform_id: sender,
            internal_user: None,
        }),
        mentioned: Some(true),
        timestamp: mail.date().and_then(|date| DateTime::<Utc>::from_timestamp(date.to_timestamp(), 0)),
        metadata: metadata(mail, &recipient, &root, whole),
        thread_id: Some(root),
        recipient,
        ..base.clone()
    };
    let emoji = emoji(mail);
    if let (Some(Answered { message_id, .. }), false) = (&base.answers, emoji.is_empty()) {
        let reaction = Reaction { to: message_id.clone(), added: emoji, ..Reaction::default() };
        return vec![Inbound {
            deed: Deed::Reacted(reaction),
            answers: None,
            content_type: REACTION.to_owned(),
            dedup_key: Some(own_id),
            ..base
        }];
    }
    let mut all: Vec<_> = attachments(mail, place)
        .enumerate()
        .map(|(index, media)| Inbound {
            content_type: media.kind.as_str().to_owned(),
            media: Some(media),
            dedup_key: Some(if index == 0 { own_id.clone() } else { format!("{own_id}#{index}") }),
            ..base.clone()
        })
        .collect();
    match all.first_mut() {
        Some(first) => first.text = text,
        None => all.push(Inbound { content_type: "text".to_owned(), text, dedup_key: Some(own_id), ..base }),
    }
    all
}

fn metadata(mail: &Message<'_>, recipient: &str, root: &str, whole: Option<String>) -> Map<String, Value> {
    let mut metadata = Map::from_iter([
        ("chat_id".to_owned(), json!(recipient)),
        ("thread_id".to_owned(), json!(format!("{recipient}/{root}"))),
    ]);
    if let Some(subject) = mail.subject() {
        metadata.insert("subject".to_owned(), json!(excerpt(subject, MAX_SUBJECT)));
        // The base subject of RFC 5256, section 2.1: without "Re:" and "Fwd:".
        let thread = mail.thread_name().unwrap_or_default();
        metadata.insert("thread_name".to_owned(), json!(excerpt(thread, MAX_SUBJECT)));
    }
    let also: Vec<_> = [mail.to(), mail.cc()].into_iter().flatten().flat_map(everybody).collect();
    if also.len() > 1 {
        metadata.insert("recipients".to_owned(), json!(also));
    }
    if let Some(whole) = whole {
        metadata.insert("whole_text".to_owned(), json!(whole));
    }
    metadata
}

/// The emoji of a mail that is a reaction.
fn emoji(mail: &Message<'_>) -> Vec<String> {
    let of_part = |part: &MessagePart<'_>| {
        let how = part.content_disposition();
        let words = part.text_contents()?;
        let found: Vec<String> = if how.is_some_and(|how| how.ctype().eq_ignore_ascii_case(REACTION)) {
            words.split_whitespace().map(str::to_owned).take(MOST_EMOJI).collect()
        } else if mime(part) == GMAIL_REACTION && how.is_none_or(|how| !how.is_attachment()) {
            let read: Value = serde_json::from_str(words).ok()?;
            vec![read.get("emoji")?.as_str()?.to_owned()]
        } else {
            return None;
        };
        (!found.is_empty() && found.iter().all(|one| is_emoji(one))).then_some(found)
    };
    mail.parts.iter().find_map(of_part).unwrap_or_default()
}

fn everybody(addresses: &Address<'_>) -> Vec<String> {
    addresses.iter().filter_map(|one| address(one.address()?)).take(50).collect()
}

/// What the person newly wrote, and the whole text where that is more. The first mail of a thread often asks in its subject.
fn text(mail: &Message<'_>, is_first: bool) -> (Option<String>, Option<String>) {
    let whole: String = body(mail).trim().chars().take(MAX_TEXT).collect();
    let whole = whole.replace("\r\n", "\n");
    let written = newly::written(&whole);
    let more = (written.len() < whole.len()).then(|| whole.clone());
    let subject =
        mail.subject().map(|subject| excerpt(subject.trim(), MAX_SUBJECT)).filter(|text| !text.is_empty());
    let text = match subject.filter(|_| is_first) {
        Some(subject) if written.is_empty() => subject,
        Some(subject) => format!("{subject}\n\n{written}"),
        None => written,
    };
    (Some(text).filter(|text| !text.is_empty()), more)
}

/// The text of a mail, or what its HTML says where it has no text.
fn body<'m>(mail: &'m Message<'m>) -> Cow<'m, str> {
    match mail.text_part(0).map(|part| &part.body) {
        Some(PartType::Text(text)) => Cow::Borrowed(text),
        Some(PartType::Html(html)) => {
            Cow::Owned(html::text(&html.chars().take(4 * MAX_TEXT).collect::<String>()))
        }
        _ => Cow::default(),
    }
}

fn attachments<'m>(mail: &'m Message<'_>, place: Place<'m>) -> impl Iterator<Item = MediaRef> + 'm {
    let Place { folder, validity, uid } = place;
    let parts = mail.attachments.iter().filter_map(|id| usize::try_from(*id).ok());
    parts.take(MOST_ATTACHMENTS).filter_map(move |number| {
        let part = mail.parts.get(number)?;
        let mime = mime(part);
        let kind = match mime.split('/').next() {
            Some("image") => MediaKind::Image,
            Some("video") => MediaKind::Video,
            Some("audio") => MediaKind::Audio,
            _ => MediaKind::File,
        };
        let handle = format!("{validity}.{uid}.{number}.{folder}");
        let filename = part.attachment_name().and_then(filename::clean);
        Some(MediaRef { kind, handle, filename, mime: Some(mime) })
    })
}

fn mime(part: &MessagePart<'_>) -> String {
    let told = part.content_type().and_then(|kind| Some(format!("{}/{}", kind.ctype(), kind.subtype()?)));
    let plain = |text: &String| text.bytes().all(|byte| byte.is_ascii_graphic()) && text.len() <= 100;
    told.filter(plain).unwrap_or_else(|| "application/octet-stream".to_owned()).to_ascii_lowercase()
}

/// What a handle leads to: validity, uid, the part's number, the folder.
pub(super) fn place_of(handle: &str) -> Option<(Place<'_>, usize)> {
    let mut fields = handle.splitn(4, '.');
    let mut number = || fields.next()?.parse::<u32>().ok();
    let (validity, uid, part) = (number()?, number()?, number()?);
    Some((Place { folder: fields.next()?, validity, uid }, usize::try_from(part).ok()?))
}

/// The bytes of a part, and what they are.
pub(super) fn part(mail: &[u8], number: usize) -> Option<(String, Vec<u8>)> {
    let mail = MessageParser::default().parse(mail)?;
    let part = mail.parts.get(number)?;
    Some((mime(part), part.contents().to_vec()))
}

/// What an answer needs to know of the mail that it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Thread {
    /// The last mail's id.
    pub(super) last: String,
    /// The ids before it.
    pub(super) references: Vec<String>,
    pub(super) subject: String,
}

/// Of the beginning of a mail.
pub(super) fn thread(mail: &[u8]) -> Option<Thread> {
    let mail = MessageParser::default().parse(mail)?;
    let last = id(&mail)?;
    let mut references = ids(mail.references());
    if references.is_empty() {
        references = ids(mail.in_reply_to());
    }
    if references.len() > MOST_REFERENCES {
        // The first says which thread it is, the last ones where in it.
        references.drain(1..=references.len() - MOST_REFERENCES);
    }
    Some(Thread {
        last,
        references,
        subject: excerpt(mail.subject().unwrap_or_default().trim(), MAX_SUBJECT),
    })
}

/// Whether a mail's id is one that this channel gave, by [`super::compose::message_id`].
pub(super) fn is_ours(id: &str, own: &str) -> bool {
    let domain = own.rsplit('@').next().unwrap_or_default();
    id.strip_suffix(domain).is_some_and(|rest| rest.ends_with(".claw@"))
}

/// What a mail is known by: without an id, it has that of its place.
fn own_id(mail: &Message<'_>, Place { folder, validity, uid }: Place<'_>) -> String {
    id(mail).unwrap_or_else(|| format!("{validity}.{uid}@{}", folder.to_lowercase().replace(' ', "-")))
}

fn id(mail: &Message<'_>) -> Option<String> {
    mail.message_id().and_then(clean_id)
}

pub(super) fn ids(value: &HeaderValue<'_>) -> Vec<String> {
    let texts: Vec<&str> = match value {
        HeaderValue::Text(text) => vec![text.as_ref()],
        HeaderValue::TextList(texts) => texts.iter().map(AsRef::as_ref).collect(),
        _ => Vec::new(),
    };
    texts.into_iter().filter_map(clean_id).collect()
}

/// An id that can stand between angle brackets again, and in a command of IMAP.
pub(super) fn clean_id(id: &str) -> Option<String> {
    let id = id.trim().trim_start_matches('<').trim_end_matches('>');
    let plain =
        |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'<' | b'>' | b'"' | b'\\' | b'(' | b')');
    (!id.is_empty() && id.len() <= MAX_ID && id.bytes().all(plain)).then(|| id.to_owned())
}

/// An address as it is compared: in small letters, which no server that is in use tells from large ones.
fn address(text: &str) -> Option<String> {
    let text = text.trim().to_lowercase();
    let (local, domain) = text.rsplit_once('@')?;
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && !"<>(),;:\\\"[]".contains(c);
    (!local.is_empty() && !domain.is_empty() && text.len() <= 320 && text.chars().all(plain)).then_some(text)
}

#[cfg(test)]
mod tests {
    use claw_telemetry::metrics;

    use super::*;

    #[test]
    fn a_handle_leads_back_to_its_part() {
        let (place, part) = place_of("7.42.3.Work.Claw & co").unwrap();
        assert_eq!((place.validity, place.uid, part, place.folder), (7, 42, 3, "Work.Claw & co"));
        for wrong in ["", "7.42.3", "7.x.3.INBOX", "99999999999.1.1.INBOX"] {
            assert!(place_of(wrong).is_none(), "{wrong}");
        }
    }

    #[test]
    fn what_is_no_id_gets_into_no_header_and_no_command() {
        assert_eq!(clean_id("<a.b@c>").as_deref(), Some("a.b@c"));
        for wrong in ["", "<>", "a b@c", "a\"b@c", "a\r\nBcc: x@y", "ä@c"] {
            assert_eq!(clean_id(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn a_long_thread_is_its_first_and_its_last_mails() {
        let of = |count: usize| {
            let ids: Vec<_> = (0..count).map(|number| format!("<{number}@x>")).collect();
            let mail = format!("Message-ID: <last@x>\r\nReferences: {}\r\n\r\nHello\r\n", ids.join("\r\n "));
            thread(mail.as_bytes()).unwrap().references
        };
        assert_eq!(of(2), ["0@x", "1@x"]);
        let kept = of(100);
        assert_eq!(
            (kept.len(), kept[0].as_str(), kept[1].as_str(), kept[19].as_str()),
            (20, "0@x", "81@x", "99@x")
        );
    }

    /// Other tests of this process may count, too.
    fn counted(reason: &str) -> u64 {
        let line = format!("claw_messages_ignored_total{{reason=\"{reason}\"}} ");
        let text = metrics::scrape();
        text.lines().find_map(|one| one.strip_prefix(&line)).map_or(0_u64, |count| count.parse().unwrap())
    }

    #[test]
    fn who_may_not_write_is_counted() {
        metrics::begin();
        let rules = Rules {
            own: "claw@example.org".to_owned(),
            allowed: vec!["@example.com".to_owned()],
            vouching: Some("mx.example.org".to_owned()),
        };
        let place = Place { folder: "INBOX", validity: 7, uid: 1 };
        let count = |from: &str, reason: &str| {
            let before = counted(reason);
            let mail = format!("From: {from}\r\nMessage-ID: <a@x>\r\n\r\nHello\r\n");
            assert!(read(mail.as_bytes(), place, &rules).is_empty(), "{from}");
            counted(reason) > before
        };
        assert!(count("mallory@example.net", "sender"));
        assert!(count("ada@example.com", "not_vouched"));
    }

    #[test]
    fn a_reaction_is_one_in_either_form_and_only_to_a_mail() {
        let rules = Rules { own: "claw@example.org".to_owned(), allowed: Vec::new(), vouching: None };
        let place = Place { folder: "INBOX", validity: 7, uid: 1 };
        let of = |headers: &str, body: &str| {
            let mail = format!(
                "From: ada@example.com\r\nMessage-ID: <a@x>\r\nMIME-Version: 1.0\r\n{headers}\r\n\r\n{body}\r\n"
            );
            read(mail.as_bytes(), place, &rules).remove(0)
        };
        let to = "In-Reply-To: <ours@x>\r\n";
        let plain = "Content-Type: text/plain; charset=utf-8\r\nContent-Disposition: Reaction";
        let gmail = format!("Content-Type: {GMAIL_REACTION}; charset=utf-8");
        let reacted = |emoji: &[&str]| {
            let added = emoji.iter().map(|&emoji| emoji.to_owned()).collect();
            Deed::Reacted(Reaction { to: "ours@x".to_owned(), added, ..Reaction::default() })
        };
        let standard = of(&format!("{to}{plain}"), "👍 🎉");
        assert_eq!((standard.deed, standard.text, standard.media), (reacted(&["👍", "🎉"]), None, None));
        let googles = of(&format!("{to}{gmail}"), r#"{"emoji": "🙃", "version": 1}"#);
        assert_eq!(googles.deed, reacted(&["🙃"]));
        // To nothing, without an emoji, or broken, it is a mail like any other.
        for other in [
            of(plain, "👍"),
            of(&format!("{to}{plain}"), ""),
            of(&format!("{to}{gmail}"), "{"),
            of(&format!("{to}{gmail}"), r#"{"emoji": "a b"}"#),
        ] {
            assert_eq!(other.deed, Deed::Wrote);
        }
    }

    #[test]
    fn ids_of_ours_are_known() {
        assert!(is_ours("0190.1.claw@example.org", "bot@example.org"));
        assert!(!is_ours("0190.1.claw@example.com", "bot@example.org"));
        assert!(!is_ours("x@example.org", "bot@example.org"));
    }
}
