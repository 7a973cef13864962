//! What this adapter brings to the exam: mail as servers hand it over, and servers that speak IMAP and SMTP as far as it does.
//!
//! The payloads are mails, line by line. What HTTP has a status for, SMTP has a reply for: 429 is a 450 whose words say that it is too
//! much, what a 5xx is there is a 4yz here (the server's trouble, later it may work), 401 is 535, and at IMAP a NO.

mod mailbox;
mod submission;

use claw_types::MediaKind;
use futures::FutureExt as _;
use mail_parser::{Message, MessageParser};
use serde_json::{Value, json};
use url::Url;

use super::{incoming, smtp};
use crate::exam::doors::Door;
use crate::exam::{Answer, Asked, Case, Examinee, Payload, Platform, Road, payloads};

#[cfg(test)]
pub(super) use self::mailbox::{Mails, speak};

const PASSWORD: &str = "exam-correct-horse-battery";
/// Where access tokens are handed out.
const TOKENS: &str = "/token";
const ACCESS_TOKEN: &str = "exam-access-token";
const NO_GROUPS: &str = "a mail is answered to its sender, however many it was sent to: there are no groups";

static DOORS: [Door; 2] = [
    Door { name: "imap", serve: |stream, stage| mailbox::serve(stream, stage).boxed() },
    Door { name: "smtp", serve: |stream, stage| submission::serve(stream, stage).boxed() },
];

pub(super) struct Exam;

impl Examinee for Exam {
    fn fields(&self, server: &str) -> Value {
        let url = Url::parse(server).ok();
        let own = url.as_ref().and_then(Url::port).unwrap_or(1);
        let port = |name: &str| {
            let mut doors = url.iter().flat_map(Url::query_pairs);
            doors
                .find(|(door, _)| door == name)
                .map_or_else(|| own.to_string(), |(_, port)| port.into_owned())
        };
        json!({"imap_host": "127.0.0.1", "imap_port": port("imap"), "smtp_host": "127.0.0.1", "smtp_port": port("smtp"),
            "username": "claw@example.org", "password_env": PASSWORD, "sign_in": "oauth2", "client_id": "claw-exam",
            "client_secret_env": "exam-client-secret", "refresh_token_env": "exam-refresh-token", "tenant_id": "exam-tenant",
            "token_url": format!("{}{TOKENS}", base(server)), "scope": "mail", "keep_sent": "true", "sent_folder": "Sent",
            "address": "claw@example.org", "from_name": "Claw",
            "folders": "INBOX", "allowed_senders": "ada@example.com, @example.net", "trusted_server": "mx.example.org",
            "encryption": "none"})
    }

    fn page(&self) -> &'static str {
        include_str!("../../../../../docs/channels/email.md")
    }

    fn road(&self) -> Road {
        // It is asked at a door, not by HTTP.
        Road::Poll { is_poll: |_| false, answer: |_| Answer::json(404, &Value::Null) }
    }

    fn payloads(&self) -> &'static [Payload] {
        payloads![
            "text",
            "reply",
            "other-person",
            "html",
            "attachments",
            "newsletter",
            "absence",
            "bounce",
            "returned",
            "returned-in-words",
            "delayed",
            "stranger",
            "forged",
            "reaction",
            "own",
        ]
    }

    fn addressed(&self) -> Case {
        Case::PlatformCant(NO_GROUPS)
    }

    fn unaddressed(&self) -> Case {
        Case::PlatformCant(NO_GROUPS)
    }

    fn chat(&self) -> (&'static str, Option<&'static str>) {
        ("ada@example.com", Some("first@mail.example.com"))
    }

    fn message_id(&self) -> &'static str {
        "first@mail.example.com"
    }

    fn texts(&self, body: &[u8]) -> Vec<String> {
        let mail = mail(body);
        let text = mail.as_ref().and_then(|mail| mail.body_text(0));
        text.into_iter().map(|text| text.trim().replace("\r\n", "\n")).collect()
    }

    fn answered(&self, body: &[u8]) -> Vec<String> {
        mail(body).map(|mail| incoming::ids(mail.in_reply_to())).unwrap_or_default()
    }

    fn doors(&self) -> &'static [Door] {
        &DOORS
    }

    fn platform(&self) -> Option<&'static dyn Platform> {
        Some(&Self)
    }
}

impl Platform for Exam {
    /// Nothing is asked by HTTP but for access tokens, and for attachments, which are the exam's own.
    fn answer(&self, asked: &Asked) -> Answer {
        if asked.path() == TOKENS {
            return Answer::json(200, &json!({"access_token": ACCESS_TOKEN, "expires_in": 3600}));
        }
        Answer::json(404, &Value::Null)
    }

    fn refusal(&self, status: u16) -> Answer {
        Answer::json(status, &Value::Null)
    }

    /// Servers do not say for how long.
    fn wait(&self) -> std::time::Duration {
        smtp::PAUSE
    }

    /// What every mail needs (RFC 5322, section 3.6), and what keeps programs from answering it.
    fn check(&self, asked: &Asked) -> Result<(), String> {
        if is_form(&asked.body) {
            return Ok(());
        }
        let mail = MessageParser::default().parse(&asked.body).ok_or("it is no mail")?;
        let needed = ["From", "To", "Date", "Message-ID", "Subject", "MIME-Version", "Auto-Submitted"];
        let missing = needed.into_iter().find(|name| mail.header_raw(*name).is_none());
        missing.map_or(Ok(()), |name| Err(format!("the mail has no {name}")))
    }

    /// There are standards, but none that a machine could compare a mail with.
    fn described_by(&self) -> Option<&'static str> {
        None
    }

    fn hands_out(&self) -> &'static [&'static str] {
        &[ACCESS_TOKEN]
    }

    fn knows_repeated_calls(&self) -> bool {
        false
    }

    fn media_url(&self, server: &str, kind: MediaKind) -> String {
        let server = base(server);
        format!("{server}{}{}", crate::exam::FILES, kind.as_str())
    }
}

/// The address of the exam's server, without its doors.
fn base(server: &str) -> &str {
    server.split("/?").next().unwrap_or_default()
}

/// A body that is a mail.
fn mail(body: &[u8]) -> Option<Message<'_>> {
    if is_form(body) { None } else { MessageParser::default().parse(body) }
}

/// What is sent for an access token; at a door that has no body, nothing.
fn is_form(body: &[u8]) -> bool {
    body.is_empty() || body.starts_with(b"grant_type=")
}

/// The mail of a payload: a list of its lines.
pub(super) fn lines(payload: &[u8]) -> Option<Vec<u8>> {
    let lines: Vec<String> = serde_json::from_slice(payload).ok()?;
    Some(format!("{}\r\n", lines.join("\r\n")).into_bytes())
}
