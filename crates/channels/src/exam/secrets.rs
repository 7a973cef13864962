//! That secrets stay where they are: out of the log, out of what errors say, out of addresses.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use tracing::instrument::WithSubscriber as _;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

use super::room::Room;
use super::{Found, Outcome, record};
use crate::{ChannelError, Entry};

/// All that was logged and said in an exam.
#[derive(Clone, Default)]
pub(super) struct Notes {
    logged: Arc<Mutex<Vec<u8>>>,
    said: Arc<Mutex<Vec<String>>>,
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

/// The secrets of an example.
fn secrets(fields: &Value, entry: &Entry) -> Vec<String> {
    let secret = |field: &&crate::Field| field.kind == crate::FieldKind::Secret;
    let own = entry.own_fields.iter().filter(secret);
    own.filter_map(|field| fields.get(field.key)?.as_str()).map(str::to_owned).collect()
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

/// Whether no secret is in an address that is called or in the handle of an attachment.
pub(super) async fn not_in_addresses(room: &Room<'_>) -> Found {
    let secrets = secrets(&room.examinee.fields(&room.server.url()), room.entry);
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
    let mut asked = room.server.asked();
    asked.extend(room.send_text(&*channel).await.map_err(|error| room.said(&error))?.asked);
    match (asked.iter().any(|asked| has(&asked.target)), platform.secret_in_addresses()) {
        (true, Some(why)) => Ok(Outcome::cant(why)),
        (true, None) => Err("a secret is in an address that is called".to_owned()),
        (false, Some(why)) => Err(format!("no secret is in an address, so \"{why}\" is not so")),
        (false, None) => Ok(Outcome::Met),
    }
}
