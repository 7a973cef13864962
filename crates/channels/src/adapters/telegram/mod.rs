//! Telegram bots, by long poll on the shared client (<https://core.telegram.org/bots/api#getupdates>).
//!
//! Types are teloxide's; the calls are our own, because a bot object for each channel would bring a client, an error
//! type and a retry policy of its own. An update is confirmed (by asking for the next offset) only after it was
//! committed; the offset is kept in the database, so another worker goes on where this one stopped.
//!
//! Must hold: the token never leaves this file (it is part of every URL, so errors and links are made without it),
//! and only the owner polls: Telegram ends the older of two polls with a 409.

mod api;
mod update;

use std::time::Duration;

use async_trait::async_trait;
use claw_runtime::Backoff;
use claw_types::{MediaKind, MediaRef};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use self::api::Api;
use crate::{
    Adapter, Caps, Channel, ChannelError, Deps, Field, FieldKind, MediaStream, Part, Receipt, Sink,
    SinkError, TextUnit,
};

/// Limits: <https://core.telegram.org/bots/api#sendmessage>: "1-4096 characters after entities parsing", in UTF-16
/// code units; captions 1024.
static CAPS: Caps = Caps {
    max_text: 4096,
    max_caption: 1024,
    unit: TextUnit::Utf16,
    media: &[MediaKind::Image, MediaKind::Video, MediaKind::Audio, MediaKind::Voice, MediaKind::File],
    threads: true,
};

/// The platform's own server.
const CLOUD: &str = "https://api.telegram.org";

/// The configuration.
#[derive(Deserialize)]
pub struct Config {
    bot_token_env: String,
    #[serde(default)]
    allowed_users: Vec<String>,
    poll_interval_secs: Option<u64>,
    api_url: Option<String>,
}

/// A bot.
pub struct Telegram {
    api: Api,
    allowed_users: Vec<String>,
    poll: Duration,
    deps: Deps,
}

impl Adapter for Telegram {
    const NAME: &'static str = "telegram";
    const FIELDS: &'static [Field] = &[
        Field {
            key: "bot_token_env",
            kind: FieldKind::Secret,
            required: true,
            help: "the token that @BotFather gave you, like 123456:ABC...",
        },
        Field {
            key: "allowed_users",
            kind: FieldKind::List,
            required: false,
            help: "who may write: user ids or @names; empty lets everyone",
        },
        Field {
            key: "poll_interval_secs",
            kind: FieldKind::Number,
            required: false,
            help: "seconds that one long poll is held open, 1 to 50; messages arrive at once all the same",
        },
        Field {
            key: "api_url",
            kind: FieldKind::Url,
            required: false,
            help: "your own Bot API server; default https://api.telegram.org",
        },
    ];
    type Config = Config;

    fn new(config: Config, deps: Deps) -> Result<Self, ChannelError> {
        let token = config.bot_token_env;
        if !is_token(&token) {
            return Err(ChannelError::Config(
                "bot_token_env is not a bot token: it looks like 123456789:AAE... (ask @BotFather)"
                    .to_owned(),
            ));
        }
        let base = config.api_url.as_deref().unwrap_or(CLOUD).trim_end_matches('/').to_owned();
        Ok(Self {
            api: Api::new(base, token, deps.http.clone()),
            allowed_users: config.allowed_users,
            poll: Duration::from_secs(config.poll_interval_secs.unwrap_or(30).clamp(1, 50)),
            deps,
        })
    }

    fn credential(config: &Config) -> Option<String> {
        // The number before the colon is the bot: a renewed token is still the same bot.
        config.bot_token_env.split_once(':').map(|(bot, _)| bot.to_owned())
    }
}

fn is_token(text: &str) -> bool {
    text.split_once(':').is_some_and(|(bot, secret)| {
        !bot.is_empty()
            && bot.bytes().all(|b| b.is_ascii_digit())
            && secret.len() >= 20
            && secret.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
    })
}

#[async_trait]
impl Channel for Telegram {
    fn caps(&self) -> &'static Caps {
        &CAPS
    }

    async fn send(&self, part: &Part<'_>) -> Result<Receipt, ChannelError> {
        let mut call = Map::from_iter([("chat_id".to_owned(), json!(part.recipient))]);
        if let Some(thread) = part.thread_id {
            let thread: i64 = thread.parse().map_err(|_| {
                ChannelError::Permanent(format!(
                    "thread_id {thread:?} is not a number: take it from reply_to"
                ))
            })?;
            call.insert("message_thread_id".to_owned(), json!(thread));
        }
        let (method, text_key) = match part.media {
            None => ("sendMessage", "text"),
            Some(media) => {
                let (method, key) = media_method(media.kind);
                call.insert(key.to_owned(), json!(media.url));
                (method, "caption")
            }
        };
        if let Some(text) = part.text {
            call.insert(text_key.to_owned(), json!(text));
        }
        let sent = self.api.send(method, &Value::Object(call)).await?;
        Ok(Receipt { platform_message_id: sent.message_id.to_string() })
    }

    async fn listen(&self, sink: &dyn Sink, stop: CancellationToken) -> Result<(), ChannelError> {
        // A long poll that is cut off confirms nothing: its updates come again.
        tokio::select! {
            result = self.poll_for_ever(sink) => result,
            () = stop.cancelled() => Ok(()),
        }
    }

    async fn open_media(&self, media: &MediaRef) -> Result<MediaStream, ChannelError> {
        self.api.open(&media.handle).await
    }
}

fn media_method(kind: MediaKind) -> (&'static str, &'static str) {
    match kind {
        MediaKind::Image => ("sendPhoto", "photo"),
        MediaKind::Video => ("sendVideo", "video"),
        MediaKind::Audio => ("sendAudio", "audio"),
        MediaKind::Voice => ("sendVoice", "voice"),
        MediaKind::File => ("sendDocument", "document"),
    }
}

impl Telegram {
    async fn poll_for_ever(&self, sink: &dyn Sink) -> Result<(), ChannelError> {
        let stored = sink.cursor().await.map_err(lost)?;
        let mut offset: i64 = stored.and_then(|text| text.parse().ok()).unwrap_or(0);
        let mut failed = 0;
        loop {
            match self.poll_once(sink, offset).await {
                Ok(next) => {
                    if failed > 0 {
                        sink.trouble(None).await;
                    }
                    (failed, offset) = (0, next);
                }
                Err(error @ (ChannelError::BadCredentials(_) | ChannelError::Config(_))) => {
                    return Err(error);
                }
                Err(error) => {
                    failed += 1;
                    sink.trouble(Some(&error.to_string())).await;
                    tokio::time::sleep(self.pause(&error, failed)).await;
                }
            }
        }
    }

    fn pause(&self, error: &ChannelError, failed: u32) -> Duration {
        match error {
            ChannelError::RateLimited(wait) => *wait,
            _ => Backoff::RECONNECT.wait(failed, &*self.deps.random).unwrap_or(Duration::from_secs(5)),
        }
    }

    /// One long poll, committed; answers the offset that confirms it.
    async fn poll_once(&self, sink: &dyn Sink, offset: i64) -> Result<i64, ChannelError> {
        let updates = self.api.updates(offset, self.poll).await?;
        let Some(next) = updates.iter().map(|update| update.update_id + 1).max() else { return Ok(offset) };
        let messages: Vec<_> = updates
            .iter()
            .filter_map(|update| {
                let understood = update::inbound(update);
                if understood.is_none() {
                    warn!(channel = %self.deps.channel_id, update = update.update_id, "an update without a chat");
                }
                understood
            })
            .filter(|message| update::may_write(message, &self.allowed_users))
            .collect();
        if !messages.is_empty() {
            sink.accept(messages).await.map_err(lost)?;
        }
        sink.save_cursor(next.to_string()).await.map_err(lost)?;
        Ok(next)
    }
}

/// What was not committed is not confirmed; the poll is repeated.
fn lost(error: SinkError) -> ChannelError {
    match error {
        SinkError::NotCommitted(why) => ChannelError::Retryable(why),
        SinkError::LostOwnership => ChannelError::Config(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_recognised() {
        assert!(is_token("123456:AAEabcdefghijklmnopqrstuvwxyz_-01234"));
        for wrong in [
            "",
            "123456",
            "abc:AAEabcdefghijklmnopqrstuvwxyz_-01234",
            "1:short",
            "1:AAE abcdefghijklmnopqrst",
        ] {
            assert!(!is_token(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_renewed_token_is_the_same_bot() {
        let config =
            |token: &str| -> Config { serde_json::from_value(json!({"bot_token_env": token})).unwrap() };
        assert_eq!(Telegram::credential(&config("1:a")), Telegram::credential(&config("1:b")));
        assert_ne!(Telegram::credential(&config("1:a")), Telegram::credential(&config("2:a")));
    }
}
