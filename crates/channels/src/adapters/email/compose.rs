//! A part of a message as a mail: its text plain and as HTML, attachments behind it, and the headers by which it stands in its thread.
//!
//! Its `Message-ID` is made of the part's id. Who sends it again gives it the same, so a reader that has it already can tell, and so
//! can we, when it comes to us.

use chrono::{DateTime, Utc};
use claw_types::{Media, MessageId};
use mail_builder::MessageBuilder;
use mail_builder::headers::address::Address;
use mail_builder::headers::content_type::ContentType;
use mail_builder::headers::raw::Raw;
use mail_builder::mime::MimePart;
use serde_json::json;

use super::incoming::{GMAIL_REACTION, REACTION, Thread, clean_id};
use crate::ChannelError;
use crate::kit::answer::excerpt;
use crate::kit::fetch::{Fetched, essence};
use crate::kit::file;
use crate::kit::plan::{Text, part_id};

/// Characters of a subject that is made of a text.
const MAX_SUBJECT: usize = 70;

/// What a mail is made of.
pub(super) struct Draft<'a> {
    pub(super) from: (&'a str, &'a str),
    pub(super) to: &'a str,
    pub(super) id: String,
    pub(super) at: DateTime<Utc>,
    pub(super) text: Option<&'a Text>,
    pub(super) files: Vec<(&'a Media, &'a Fetched)>,
    pub(super) thread: Option<Thread>,
}

/// The id of a part's mail, without angle brackets.
pub(super) fn message_id(message: MessageId, index: usize, own: &str) -> String {
    let domain = own.rsplit('@').next().unwrap_or_default();
    format!("{}.claw@{domain}", part_id(message, index).replace(':', "."))
}

/// The whole mail.
pub(super) fn mail(draft: &Draft<'_>) -> Result<Vec<u8>, ChannelError> {
    let mut builder = headed(draft);
    if let Some(text) = draft.text {
        builder = builder.text_body(text.plain.as_str());
        if text.formatted {
            builder = builder.html_body(html(&text.body));
        }
    } else {
        builder = builder.text_body("");
    }
    for (media, fetched) in &draft.files {
        let bytes: &[u8] = &fetched.bytes;
        builder = builder.attachment(content_type(fetched), file::name(media, fetched), bytes);
    }
    written(builder)
}

/// A mail that is a reaction to the one that it answers: by the standard (<https://www.rfc-editor.org/rfc/rfc9078>), as Gmail reads it
/// (<https://developers.google.com/workspace/gmail/reactions/format>), and an emoji alone for every other program.
pub(super) fn reaction(draft: &Draft<'_>, emoji: &str) -> Result<Vec<u8>, ChannelError> {
    let shown = MimePart::new("text/plain", format!("{emoji}\r\n"))
        .header("Content-Disposition", ContentType::new(REACTION));
    let named = MimePart::new(GMAIL_REACTION, json!({"version": 1, "emoji": emoji}).to_string());
    // Some programs show the first of them, others the last.
    let last = MimePart::new("text/html", html(emoji));
    written(headed(draft).body(MimePart::new("multipart/alternative", vec![shown, named, last])))
}

/// What may be a reaction, and stand in HTML as it is.
///
/// # Errors
/// A sentence that says what is wrong.
pub(super) fn emoji(text: &str) -> Result<&str, ChannelError> {
    // Those of keys are a digit or a sign, and what makes an emoji of it.
    let is_of_emoji = |c: char| !c.is_ascii() || matches!(c, '0'..='9' | '#' | '*');
    if !text.is_ascii() && text.chars().all(is_of_emoji) {
        return Ok(text);
    }
    let said = excerpt(text, 64);
    Err(ChannelError::Permanent(format!("{said:?} is no emoji: a reaction by mail is one and nothing else")))
}

/// A mail that has nothing in it yet.
fn headed<'d>(draft: &'d Draft<'_>) -> MessageBuilder<'d> {
    let (name, address) = draft.from;
    let submitted = if draft.thread.is_some() { "auto-replied" } else { "auto-generated" };
    let mut builder = MessageBuilder::new()
        .from(Address::new_address((!name.is_empty()).then_some(name), address))
        .to(draft.to)
        .date(draft.at.timestamp())
        .message_id(draft.id.as_str())
        .subject(subject(draft))
        // So that no program answers it (https://www.rfc-editor.org/rfc/rfc3834#section-5), and Exchange's neither
        // (https://learn.microsoft.com/en-us/openspecs/exchange_server_protocols/ms-oxcmail).
        .header("Auto-Submitted", Raw::new(submitted))
        .header("X-Auto-Response-Suppress", Raw::new("OOF, AutoReply"));
    if let Some(thread) = &draft.thread {
        builder = builder.in_reply_to(thread.last.as_str()).references(references(thread));
    }
    builder
}

fn written(builder: MessageBuilder<'_>) -> Result<Vec<u8>, ChannelError> {
    builder
        .write_to_vec()
        .map_err(|error| ChannelError::Permanent(format!("the mail can't be put together: {error}")))
}

/// Line breaks are those of the text. What is formatted is a person's or an agent's text in a few harmless tags.
fn html(body: &str) -> String {
    format!("<!DOCTYPE html><html><body><div style=\"white-space: pre-wrap\">{body}</div></body></html>")
}

/// The thread's subject; else the first words of the text.
fn subject(draft: &Draft<'_>) -> String {
    if let Some(thread) = draft.thread.as_ref().filter(|thread| !thread.subject.is_empty()) {
        let is_answer = thread.subject.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("re:"));
        return if is_answer { thread.subject.clone() } else { format!("Re: {}", thread.subject) };
    }
    let first = draft.text.and_then(|text| text.plain.lines().find(|line| !line.trim().is_empty()));
    let named = || draft.files.first().map(|(media, fetched)| file::name(media, fetched));
    let words = first.map(|line| excerpt(line.trim(), MAX_SUBJECT)).or_else(named).unwrap_or_default();
    if draft.thread.is_some() { format!("Re: {words}") } else { words }
}

fn references(thread: &Thread) -> Vec<&str> {
    thread.references.iter().chain([&thread.last]).map(String::as_str).collect()
}

/// A thread of which only the root is known.
pub(super) fn bare_thread(root: &str) -> Option<Thread> {
    Some(Thread { last: clean_id(root)?, references: Vec::new(), subject: String::new() })
}

fn content_type(fetched: &Fetched) -> String {
    let told = essence(&fetched.content_type).to_ascii_lowercase();
    let is_plain = told.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/+-._".contains(&byte));
    let known =
        is_plain && told.split_once('/').is_some_and(|(kind, _)| !matches!(kind, "multipart" | "message"));
    if known { told } else { "application/octet-stream".to_owned() }
}

/// Who a mail can be sent to.
///
/// # Errors
/// A sentence that says what is wrong.
pub(super) fn recipient(text: &str) -> Result<&str, ChannelError> {
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"<>()[],;:\\\"".contains(&byte);
    let is_address =
        text.rsplit_once('@').is_some_and(|(local, domain)| !local.is_empty() && domain.len() > 1);
    // RFC 5321, section 4.5.3.1.3.
    if is_address && text.len() <= 254 && text.bytes().all(plain) {
        return Ok(text);
    }
    let said = excerpt(text, 100);
    Err(ChannelError::Permanent(format!(
        "{said:?} is no address that mail can be sent to: it looks like ada@example.org, in letters of ASCII"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reaction_is_an_emoji() {
        for right in ["👍", "❤️", "1️⃣", "#️⃣", "👩‍👩‍👧"] {
            assert_eq!(emoji(right), Ok(right));
        }
        for wrong in ["+1", "1", "like", ":👍:", "<b>👍", "👍<b>"] {
            assert!(matches!(emoji(wrong), Err(ChannelError::Permanent(_))), "{wrong}");
        }
    }

    #[test]
    fn who_is_no_recipient_gets_into_no_command() {
        assert!(recipient("ada+x@example.org").is_ok());
        for wrong in
            ["", "ada", "@example.org", "a b@c.d", "a@b>\r\nRCPT TO:<x@y", "ä@example.org", "a@b,c@d", "a@"]
        {
            assert!(matches!(recipient(wrong), Err(ChannelError::Permanent(_))), "{wrong:?}");
        }
    }
}
