//! What Twilio posts: people's messages (<https://www.twilio.com/docs/messaging/guides/webhook-request>) and what became of ours
//! (<https://www.twilio.com/docs/messaging/guides/track-outbound-message-status>).
//!
//! STOP, and with Advanced Opt-Out START and HELP, are between Twilio and the person: Twilio has answered already, and a text of ours
//! to somebody who stopped would be refused. No agent is told of them; they are counted as ignored (`opt_out`), because END or CANCEL may have
//! been meant as an answer.

use claw_telemetry::metrics::Counter;
use claw_types::{Deed, Inbound, MediaKind, MediaRef, Named, Receipts, Sender};
use serde_json::{Map, Value, json};
use tracing::debug;
use url::form_urlencoded;

use super::errors;

/// Attachments of a message that are looked for; Twilio takes ten.
const MOST_MEDIA: usize = 10;
/// As a whole message, these stop what is sent from the number (<https://www.twilio.com/docs/proxy/opt-out-keywords>). Without
/// Advanced Opt-Out, Twilio does not say that it took a message for that.
const STOP_WORDS: [&str; 6] = ["STOP", "STOPALL", "UNSUBSCRIBE", "CANCEL", "END", "QUIT"];

/// The fields of a form.
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    /// Any bytes are some form.
    pub(super) fn of(body: &[u8]) -> Self {
        let mut fields: Vec<_> = form_urlencoded::parse(body).into_owned().collect();
        // As they are signed: by name, and what stands there twice once.
        fields.sort();
        fields.dedup();
        Self(fields)
    }

    /// Names and values as they are signed.
    pub(super) fn signed(&self) -> String {
        self.0.iter().flat_map(|(name, value)| [name.as_str(), value]).collect()
    }

    /// A field that says something.
    fn get(&self, name: &str) -> Option<&str> {
        let first = self.0.partition_point(|(known, _)| known.as_str() < name);
        let (known, value) = self.0.get(first)?;
        (known == name && !value.is_empty()).then_some(value)
    }
}

/// Reads a form that is known to be Twilio's; `own` is the channel's number, where it has one.
pub(super) fn read(form: &Form, own: Option<&str>) -> Result<Vec<Inbound>, String> {
    let id = form.get("MessageSid").or_else(|| form.get("SmsSid"));
    let id = id.ok_or("the form is not that of a message: it has no MessageSid")?;
    match form.get("MessageStatus") {
        Some(status) if status != "received" => Ok(became(form, id, status).into_iter().collect()),
        _ => message(form, id, own),
    }
}

/// What became of a message of ours.
fn became(form: &Form, id: &str, status: &str) -> Option<Inbound> {
    let failed =
        matches!(status, "failed" | "undelivered").then(|| errors::undelivered(form.get("ErrorCode")));
    // `read` is told of messages that go to apps.
    if failed.is_none() && !matches!(status, "delivered" | "read") {
        return None;
    }
    let chat = form.get("To")?.to_owned();
    Some(Inbound {
        deed: Deed::Received(Receipts {
            messages: vec![Named::Platform(id.to_owned())],
            read: status == "read",
            failed,
        }),
        dedup_key: Some(format!("{id}:{status}")),
        content_type: "text".to_owned(),
        metadata: session(&chat),
        recipient: chat,
        ..Inbound::default()
    })
}

fn message(form: &Form, id: &str, own: Option<&str>) -> Result<Vec<Inbound>, String> {
    let from = form.get("From").ok_or("the message has no From")?;
    let text = form.get("Body");
    if is_between_them_and_twilio(form, text) {
        Counter::MessagesIgnored.add(&["opt_out"]);
        debug!(
            platform_id = id,
            "a word by which people stop or start what is sent to them is left to Twilio"
        );
        return Ok(Vec::new());
    }
    let base = Inbound {
        sender: Some(Sender {
            platform_id: from.to_owned(),
            display_name: form.get("ProfileName").unwrap_or(from).to_owned(),
            internal_user: None,
        }),
        platform_message_id: Some(id.to_owned()),
        mentioned: Some(true),
        is_own: own == Some(from),
        recipient: from.to_owned(),
        metadata: session(from),
        ..Inbound::default()
    };
    let mut messages: Vec<_> = attachments(form)
        .enumerate()
        .map(|(index, (content_type, media))| Inbound {
            content_type: content_type.to_owned(),
            media: Some(media),
            dedup_key: Some(if index == 0 { id.to_owned() } else { format!("{id}:{index}") }),
            ..base.clone()
        })
        .collect();
    let text = text.map(str::to_owned);
    match messages.first_mut() {
        Some(first) => first.text = text,
        None => messages.push(Inbound {
            content_type: "text".to_owned(),
            text,
            dedup_key: Some(id.to_owned()),
            ..base
        }),
    }
    Ok(messages)
}

/// `OptOutType` says so where Advanced Opt-Out is on
/// (<https://support.twilio.com/hc/en-us/articles/31560110671259>).
fn is_between_them_and_twilio(form: &Form, text: Option<&str>) -> bool {
    let is_word = |text: &str| STOP_WORDS.iter().any(|word| text.trim().eq_ignore_ascii_case(word));
    form.get("OptOutType").is_some() || text.is_some_and(is_word)
}

fn session(chat: &str) -> Map<String, Value> {
    Map::from_iter([("chat_id".to_owned(), json!(chat))])
}

fn attachments(form: &Form) -> impl Iterator<Item = (&'static str, MediaRef)> {
    let count = form.get("NumMedia").and_then(|count| count.parse().ok()).unwrap_or(0_usize);
    (0..count.min(MOST_MEDIA)).filter_map(|index| {
        let handle = handle(form.get(&format!("MediaUrl{index}"))?)?;
        let mime = form.get(&format!("MediaContentType{index}")).map(str::to_owned);
        let kind = match mime.as_deref().and_then(|mime| mime.split('/').next()) {
            Some("image") => MediaKind::Image,
            Some("video") => MediaKind::Video,
            Some("audio") => MediaKind::Audio,
            _ => MediaKind::File,
        };
        Some((kind.as_str(), MediaRef { kind, handle, filename: None, mime }))
    })
}

/// The ids of message and attachment in the attachment's address: it is asked for at the channel's own server, whatever address
/// stands there.
fn handle(url: &str) -> Option<String> {
    let (_, ids) = url.split_once("/Messages/")?;
    let (message, media) = ids.split_once("/Media/")?;
    let plain = |id: &str| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (plain(message) && plain(media)).then(|| format!("{message}/{media}"))
}
