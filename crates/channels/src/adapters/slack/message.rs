//! A message as events have it (<https://docs.slack.dev/reference/events/message>).
//!
//! A message is known by its conversation and its time: `message` and `app_mention` tell of the same one, and so does whatever Slack sends
//! again, over whichever socket and however late. Several files of one message are messages of their own behind the first.

use chrono::{DateTime, Utc};
use claw_types::{Answered, Inbound, MediaKind, MediaRef, Sender};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::text::{names, names_somebody, readable};

/// The bot, as the wrapping of an event has it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Own<'a> {
    /// Its id as somebody who writes; `None` where the event came for another member of the workspace.
    pub(super) user: Option<&'a str>,
    /// Its app's id.
    pub(super) app: Option<&'a str>,
}

impl Own<'_> {
    /// Whether this is the bot.
    pub(super) fn is(self, user: &str) -> bool {
        self.user == Some(user)
    }
}

/// A message; what only some have may be missing.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Message {
    channel: String,
    channel_type: Option<String>,
    ts: String,
    subtype: Option<String>,
    user: Option<String>,
    user_profile: Option<Profile>,
    username: Option<String>,
    bot_id: Option<String>,
    app_id: Option<String>,
    text: String,
    thread_ts: Option<String>,
    parent_user_id: Option<String>,
    edited: Option<Edited>,
    files: Vec<File>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Profile {
    display_name: String,
    real_name: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Edited {
    ts: String,
}

/// A file (<https://docs.slack.dev/reference/objects/file-object>).
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct File {
    id: String,
    name: Option<String>,
    mimetype: Option<String>,
    /// `external` where another service keeps it; `tombstone` when it is gone.
    mode: String,
    /// `slack_audio` for what somebody said into Slack.
    subtype: Option<String>,
    duration_ms: Option<u64>,
    permalink: Option<String>,
}

impl Message {
    /// As part of an event that names the conversation in its stead.
    pub(super) fn within(self, channel: String, channel_type: Option<String>) -> Self {
        Self { channel, channel_type, ..self }
    }

    /// As the message of that time, by which it is known.
    pub(super) fn of_time(self, ts: &str) -> Self {
        Self { ts: ts.to_owned(), ..self }
    }

    /// The time by which it is known.
    pub(super) fn time(&self) -> &str {
        &self.ts
    }

    /// What it is accepted under.
    pub(super) fn key(&self) -> String {
        format!("{}:{}", self.channel, self.ts)
    }

    /// When somebody edited it last.
    pub(super) fn edited_at(&self) -> Option<String> {
        self.edited.as_ref().map(|edited| edited.ts.clone())
    }

    /// Whether it is only the place of a message that is gone.
    pub(super) fn is_tombstone(&self) -> bool {
        self.subtype.as_deref() == Some("tombstone")
    }

    /// The message, and one more for each file behind the first. `is_mention`: it came because it names the bot.
    pub(super) fn inbound(mut self, own: Own<'_>, is_mention: bool) -> Vec<Inbound> {
        if self.channel.is_empty() || self.ts.is_empty() {
            return Vec::new();
        }
        let files = std::mem::take(&mut self.files);
        let key = self.key();
        let (kept, elsewhere): (Vec<_>, Vec<_>) = files.into_iter().partition(File::is_kept);
        let mut base = self.base(own);
        base.mentioned = if is_mention { Some(true) } else { base.mentioned };
        base.text = with_links(base.text, &elsewhere);
        if kept.is_empty() {
            return vec![Inbound { content_type: "text".to_owned(), dedup_key: Some(key), ..base }];
        }
        let mut messages = Vec::with_capacity(kept.len());
        for (place, file) in kept.into_iter().enumerate() {
            let own_key = if place == 0 { key.clone() } else { format!("{key}:{}", file.id) };
            let text = base.text.clone().filter(|_| place == 0);
            let media = file.reference();
            messages.push(Inbound {
                content_type: media.kind.as_str().to_owned(),
                media_duration_seconds: file.seconds(),
                media: Some(media),
                dedup_key: Some(own_key),
                text,
                ..base.clone()
            });
        }
        messages
    }

    /// Who wrote it where, when, in answer to what.
    pub(super) fn base(&self, own: Own<'_>) -> Inbound {
        let is_direct =
            self.channel_type.as_deref().map_or_else(|| is_direct(&self.channel), |kind| kind == "im");
        let is_own = self.user.as_deref().is_some_and(|user| own.is(user))
            || self.app_id.is_some() && self.app_id.as_deref() == own.app;
        // What begins a thread has its own time there, once somebody replied.
        let thread = self.thread_ts.clone().filter(|thread| *thread != self.ts);
        let mut metadata = session(&self.channel, thread.as_deref());
        if let Some(name) = &self.username {
            metadata.insert("username".to_owned(), json!(name));
        }
        let parent_is_own = self.parent_user_id.as_deref().map(|parent| own.is(parent));
        Inbound {
            answers: thread.clone().map(|message_id| Answered { message_id, is_own: parent_is_own }),
            platform_message_id: Some(self.ts.clone()),
            sender: self.sender(),
            text: Some(readable(&self.text)).filter(|text| !text.is_empty()),
            is_group: !is_direct,
            mentioned: if is_direct || parent_is_own == Some(true) { Some(true) } else { self.mentions(own) },
            sender_is_bot: self.bot_id.is_some() || self.subtype.as_deref() == Some("bot_message"),
            is_own,
            recipient: self.channel.clone(),
            thread_id: thread,
            timestamp: at(&self.ts),
            metadata,
            ..Inbound::default()
        }
    }

    /// Whether it names the bot; unknown where the bot's own id is, and it may be one of those that are named.
    fn mentions(&self, own: Own<'_>) -> Option<bool> {
        match own.user {
            Some(user) => Some(names(&self.text, user)),
            None => Some(false).filter(|_| !names_somebody(&self.text)),
        }
    }

    /// Slack tells names only at times; where not, the id stands there until it was asked ([`super::names`]).
    fn sender(&self) -> Option<Sender> {
        let id = self.user.clone().or_else(|| self.bot_id.clone())?;
        let profile = self.user_profile.as_ref();
        let told = profile
            .into_iter()
            .flat_map(|profile| [&profile.display_name, &profile.real_name])
            .chain(&self.username);
        let display_name = told.into_iter().find(|name| !name.is_empty()).unwrap_or(&id).clone();
        Some(Sender { platform_id: id, display_name, internal_user: None })
    }
}

impl File {
    /// Whether Slack has it.
    fn is_kept(&self) -> bool {
        !self.id.is_empty() && !matches!(self.mode.as_str(), "external" | "tombstone" | "hidden_by_limit")
    }

    fn reference(&self) -> MediaRef {
        let family = self.mimetype.as_deref().and_then(|kind| kind.split('/').next());
        let kind = match (self.subtype.as_deref(), family) {
            (Some("slack_audio"), _) => MediaKind::Voice,
            (_, Some("image")) => MediaKind::Image,
            (_, Some("video")) => MediaKind::Video,
            (_, Some("audio")) => MediaKind::Audio,
            _ => MediaKind::File,
        };
        MediaRef { kind, handle: self.id.clone(), filename: self.name.clone(), mime: self.mimetype.clone() }
    }

    fn seconds(&self) -> Option<u32> {
        self.duration_ms.and_then(|ms| u32::try_from(ms.div_ceil(1000)).ok())
    }
}

/// A file that another service keeps is a link.
fn with_links(text: Option<String>, elsewhere: &[File]) -> Option<String> {
    let elsewhere = elsewhere.iter().filter(|file| file.mode == "external");
    let links = elsewhere.filter_map(|file| file.permalink.clone());
    let all: Vec<_> = text.into_iter().chain(links).collect();
    (!all.is_empty()).then(|| all.join("\n"))
}

/// Session keys. The backend takes the first of `thread_id` and `chat_id`; a thread's time may be the same in two conversations,
/// so it goes with the conversation's id.
pub(super) fn session(channel: &str, thread: Option<&str>) -> Map<String, Value> {
    let mut metadata = Map::from_iter([("chat_id".to_owned(), json!(channel))]);
    if let Some(thread) = thread {
        metadata.insert("thread_id".to_owned(), json!(format!("{channel}:{thread}")));
        metadata.insert("thread_ts".to_owned(), json!(thread));
    }
    metadata
}

/// Ids of direct messages begin with D; those of channels and of several people's messages with C or G
/// (<https://docs.slack.dev/reference/objects/conversation-object>).
pub(super) fn is_direct(channel: &str) -> bool {
    channel.starts_with('D')
}

/// A time as Slack writes it: seconds since 1970, a point, and digits that make it unique.
pub(super) fn at(stamp: &str) -> Option<DateTime<Utc>> {
    let (seconds, rest) = stamp.split_once('.').unwrap_or((stamp, ""));
    let micros: u32 = if rest.len() == 6 { rest.parse().ok()? } else { 0 };
    DateTime::from_timestamp(seconds.parse().ok()?, micros.checked_mul(1000)?)
}
