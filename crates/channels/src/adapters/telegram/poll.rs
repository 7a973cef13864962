//! Receiving: one long poll after the other, each committed before the next confirms it.

use std::time::Duration;

use claw_runtime::Backoff;
use claw_types::Inbound;
use futures::StreamExt as _;
use tracing::{debug, warn};

use super::api::{HAS_WEBHOOK, RawUpdate};
use super::own::Own;
use super::{Telegram, callback, calls, update};
use crate::{ChannelError, Sink};

/// Buttons whose waiting sign is ended at the same time.
const ANSWERS: usize = 16;
/// Nobody waits longer for that: the person's message is safe, and other people's are waiting.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);

impl Telegram {
    pub(super) async fn poll_for_ever(&self, sink: &dyn Sink) -> Result<(), ChannelError> {
        let stored = sink.cursor().await?;
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
                    let error = if has_webhook(&error) {
                        match self.end_hook().await {
                            Ok(()) => continue,
                            Err(error) => error,
                        }
                    } else {
                        error
                    };
                    failed += 1;
                    sink.trouble(Some(&error.to_string())).await;
                    tokio::time::sleep(self.pause(&error, failed)).await;
                }
            }
        }
    }

    pub(super) fn pause(&self, error: &ChannelError, failed: u32) -> Duration {
        match error {
            ChannelError::RateLimited(wait) => *wait,
            _ => Backoff::RECONNECT.wait(failed, &*self.deps.random).unwrap_or(Duration::from_secs(5)),
        }
    }

    /// One long poll, committed; answers the offset that confirms it.
    pub(super) async fn poll_once(&self, sink: &dyn Sink, offset: i64) -> Result<i64, ChannelError> {
        let updates = self.api.updates(offset, self.poll).await?;
        let Some(next) = updates.iter().map(|update| update.update_id + 1).max() else { return Ok(offset) };
        let messages = self.understand(&updates).await;
        if !messages.is_empty() {
            sink.accept(messages).await?;
        }
        sink.save_cursor(next.to_string()).await?;
        self.answer_buttons(&updates).await;
        Ok(next)
    }

    /// The messages in updates. The bot's name is asked for when it matters and is not known yet.
    async fn understand(&self, updates: &[RawUpdate]) -> Vec<Inbound> {
        let understood = |name| {
            let own = Own { id: self.id, name };
            updates.iter().filter_map(move |update| {
                let mut understood = update::inbound(update, own);
                if let Some(message) = &mut understood {
                    self.topics.complete(update, message);
                } else {
                    debug!(channel.id = %self.deps.channel_id, platform_id = update.update_id, "an update without anything to take");
                }
                understood
            })
        };
        let name = self.name.get().map(String::as_str);
        let messages: Vec<_> = understood(name).collect();
        if name.is_some() || !messages.iter().any(|message| message.mentioned.is_none()) {
            return messages;
        }
        match self.known_name().await {
            Ok(name) => understood(Some(name)).collect(),
            Err(error) => {
                // Better too much than too little: what names some bot is taken for addressed.
                warn!(channel.id = %self.deps.channel_id, "the bot's name is not known: {error}");
                messages
            }
        }
    }

    /// The bot's name, asked for once.
    pub(super) async fn known_name(&self) -> Result<&str, ChannelError> {
        self.name.get_or_try_init(|| self.own_name()).await.map(String::as_str)
    }

    async fn own_name(&self) -> Result<String, ChannelError> {
        Ok(self.api.me().await?.username.unwrap_or_default())
    }

    /// Ends the waiting signs on the buttons that were pressed. After the commit, because the sign tells the person that it is
    /// not over yet; one that stays goes away by itself.
    async fn answer_buttons(&self, updates: &[RawUpdate]) {
        let ids: Vec<String> = updates.iter().filter_map(callback::id).collect();
        let answers = futures::stream::iter(ids).for_each_concurrent(ANSWERS, |id| async move {
            if let Err(error) = self.api.act(&calls::answer(&id)).await {
                debug!(channel.id = %self.deps.channel_id, "a button's waiting sign stays: {error}");
            }
        });
        drop(tokio::time::timeout(ANSWER_LIMIT, answers).await);
    }
}

/// Whether a poll ended because updates are posted somewhere.
fn has_webhook(error: &ChannelError) -> bool {
    matches!(error, ChannelError::Retryable(why) if why.contains(HAS_WEBHOOK))
}
