//! That secrets stay where they are: out of the log, out of what errors say, out of addresses.
//!
//! A secret is looked for as it was given and as it is used: by the texts of a key file and the lines of a key, beside a name as HTTP and SASL
//! have it, and by what the platform hands out for it.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD as BASE64;
use chrono::TimeDelta;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tracing::instrument::WithSubscriber as _;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::room::{Room, Taken};
use super::{Found, Outcome, Platform, record};
use crate::{Channel, ChannelError, Entry, FieldKind};

/// Characters of the shortest part of a secret that is looked for: a shorter one may stand anywhere.
const SHORTEST: usize = 16;
/// Longer than what a channel's owner renews in time waits at first.
const LATER: TimeDelta = TimeDelta::days(2);

/// Paths and queries that were called.
pub(super) type Addresses = Arc<Mutex<Vec<String>>>;

/// All that was logged, said and called in an exam.
#[derive(Clone, Default)]
pub(super) struct Notes {
    logged: Arc<Mutex<Vec<u8>>>,
    said: Arc<Mutex<Vec<String>>>,
    called: Addresses,
    called_otherwise: Addresses,
}

impl Notes {
    /// Runs something and keeps what it logs, at every level.
    pub(super) async fn listen<T>(&self, running: impl Future<Output = T>) -> T {
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(LevelFilter::TRACE)
            .with_ansi(false)
            .with_writer(self.clone())
            .finish();
        running.with_subscriber(subscriber).await
    }

    /// What is called by channels that are set up the one way, or the other ([`super::Examinee::other_road`]).
    pub(super) fn addresses(&self, is_other: bool) -> Addresses {
        Arc::clone(if is_other { &self.called_otherwise } else { &self.called })
    }

    /// Keeps what an error says to people and to programmers.
    pub(super) fn said(&self, error: &ChannelError) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        said.push(format!("{error} {error:?}"));
    }
}

impl io::Write for Notes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.logged.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Notes {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// The secrets of an example, and what gives them away.
fn secrets(fields: &Value, entry: &Entry) -> Vec<String> {
    let given = |is_secret: bool| {
        let own = entry.own_fields.iter().filter(|field| (field.kind == FieldKind::Secret) == is_secret);
        let values = own.filter_map(|field| fields.get(field.key)?.as_str());
        values.filter(|value| !value.is_empty()).collect::<Vec<_>>()
    };
    let names = given(false);
    let handed_out = (entry.examinee)().platform().map(Platform::hands_out).unwrap_or_default();
    let mut found = Vec::new();
    for secret in given(true).into_iter().chain(handed_out.iter().copied()) {
        found.push(secret.to_owned());
        found.extend(parts(secret));
        found.extend(names.iter().flat_map(|name| together(name, secret)));
    }
    found
}

/// The parts that give a secret away: of one that is JSON its texts, of one that is a key its lines. An address, of the web or of mail, is no
/// secret.
fn parts(secret: &str) -> Vec<String> {
    let json: Value = serde_json::from_str(secret).unwrap_or_default();
    let texts = if json.is_object() { leaves(&json) } else { vec![secret] };
    let lines = texts.into_iter().flat_map(str::lines).map(str::trim);
    let is_address = |line: &str| line.starts_with("https://") || line.contains('@');
    let tells = |line: &&str| line.len() >= SHORTEST && !line.starts_with("-----") && !is_address(line);
    lines.filter(tells).map(str::to_owned).collect()
}

fn leaves(json: &Value) -> Vec<&str> {
    match json {
        Value::String(text) => vec![text.as_str()],
        Value::Array(items) => items.iter().flat_map(leaves).collect(),
        Value::Object(fields) => fields.values().flat_map(leaves).collect(),
        _ => Vec::new(),
    }
}

/// A name and a secret as they go together: by HTTP (RFC 7617), and by SASL's PLAIN (RFC 4616) and XOAUTH2
/// (<https://developers.google.com/workspace/gmail/imap/xoauth2-protocol>).
fn together(name: &str, secret: &str) -> [String; 3] {
    let plain = [
        format!("{name}:{secret}"),
        format!("\0{name}\0{secret}"),
        format!("user={name}\u{1}auth=Bearer {secret}\u{1}\u{1}"),
    ];
    plain.map(|text| BASE64.encode(text))
}

/// Whether no secret is in what was noted.
pub(super) fn kept(entry: &'static Entry, notes: &Notes) -> Outcome {
    let secrets = secrets(&(entry.examinee)().fields("http://127.0.0.1"), entry);
    if secrets.is_empty() {
        return Outcome::cant("it has no secrets");
    }
    let logged = notes.logged.lock().unwrap_or_else(PoisonError::into_inner);
    let logged = String::from_utf8_lossy(&logged);
    let said = notes.said.lock().unwrap_or_else(PoisonError::into_inner);
    if said.is_empty() {
        return Outcome::Failed("no error was noted: nothing was tried".to_owned());
    }
    for secret in &secrets {
        if let Some(line) = logged.lines().find(|line| line.contains(secret)) {
            return Outcome::Failed(format!("the log has a secret: {}", line.replace(secret, "[secret]")));
        }
        if let Some(error) = said.iter().find(|error| error.contains(secret)) {
            return Outcome::Failed(format!("an error has a secret: {}", error.replace(secret, "[secret]")));
        }
    }
    Outcome::Met
}

/// Whether no secret is in an address that is called, here or before in the exam, or in the handle of an attachment.
pub(super) async fn not_in_addresses(room: &Room<'_>) -> Found {
    let fields = room.fields(&room.server.url());
    let secrets = secrets(&fields, room.entry);
    if secrets.is_empty() {
        return Ok(Outcome::cant("it has no secrets"));
    }
    let has = |text: &str| secrets.iter().any(|secret| text.contains(secret));
    for payload in room.examinee.payloads() {
        if has(&record::of(&room.read(payload).await?).to_string()) {
            return Err(format!("payload {:?} is read as something with a secret in it", payload.name));
        }
    }
    let Ok(platform) = room.platform() else { return Ok(Outcome::Met) };
    let channel = room.channel()?;
    channel.probe().await.map_err(|error| room.said(&error))?;
    room.send_text(&*channel).await.map_err(|error| room.said(&error))?;
    look_after(room, &*channel).await;
    let called = room.addresses();
    let is_there = called.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|called| has(called));
    match (is_there, platform.secret_in_addresses(&fields)) {
        (true, Some(why)) => Ok(Outcome::cant(why)),
        (true, None) => Err("a secret is in an address that is called".to_owned()),
        (false, Some(why)) => Err(format!("no secret is in an address, so \"{why}\" is not so")),
        (false, None) => Ok(Outcome::Met),
    }
}

/// Has its owner look after a channel, once and once more when what is renewed in time is due.
async fn look_after(room: &Room<'_>, channel: &dyn Channel) {
    let stop = CancellationToken::new();
    // So that it looks and does not wait.
    stop.cancel();
    for _ in 0..2 {
        if let Err(error) = channel.listen(&Taken::default(), stop.clone()).await {
            drop(room.said(&error));
        }
        room.advance(LATER);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::exam::bearer::TOKEN;
    use crate::kit::jwt::vectors::RFC_7520;

    #[test]
    fn a_secret_is_looked_for_by_what_gives_it_away() {
        let key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkq\n-----END KEY-----\n";
        let file = json!({"a_kind": "account", "b_key": key, "c_uri": "https://oauth2.example.org/token",
            "d_email": "bot@project.example.org", "e_others": ["0123456789abcdef"]});
        assert_eq!(parts(&file.to_string()), ["MIIEvQIBADANBgkq", "0123456789abcdef"]);
        assert_eq!(parts("a-secret-of-20-chars"), ["a-secret-of-20-chars"]);
        // The example of RFC 7617, section 2.
        assert_eq!(together("Aladdin", "open sesame")[0], "QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    }

    #[test]
    fn a_line_of_a_key_and_a_token_that_was_handed_out_are_found() {
        let entry = crate::registry::find("google_chat").unwrap();
        let line = RFC_7520.pem.lines().nth(1).unwrap();
        for (said, is_kept) in [(line, false), (TOKEN, false), ("nothing of it", true)] {
            let notes = Notes::default();
            notes.said(&ChannelError::Permanent(format!("it is {said}")));
            assert_eq!(kept(entry, &notes) == Outcome::Met, is_kept, "{said}");
        }
    }
}
