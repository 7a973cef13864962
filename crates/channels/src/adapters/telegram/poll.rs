//! Receiving: one long poll after the other, each committed before the next confirms it.

use std::time::Duration;

use claw_runtime::Backoff;
use futures::StreamExt as _;
use tracing::{debug, warn};

use super::api::RawUpdate;
use super::{Telegram, callback, calls, update};
use crate::{ChannelError, Sink, SinkError};

/// Buttons whose waiting sign is ended at the same time.
const ANSWERS: usize = 16;
/// Nobody waits longer for that: the person's message is safe, and other people's are waiting.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);

impl Telegram {
    pub(super) async fn poll_for_ever(&self, sink: &dyn Sink) -> Result<(), ChannelError> {
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
    pub(super) async fn poll_once(&self, sink: &dyn Sink, offset: i64) -> Result<i64, ChannelError> {
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
        self.answer_buttons(&updates).await;
        Ok(next)
    }

    /// Ends the waiting signs on the buttons that were pressed. After the commit, because the sign tells the person that it is
    /// not over yet; one that stays goes away by itself.
    async fn answer_buttons(&self, updates: &[RawUpdate]) {
        let ids: Vec<String> = updates.iter().filter_map(callback::id).collect();
        let answers = futures::stream::iter(ids).for_each_concurrent(ANSWERS, |id| async move {
            if let Err(error) = self.api.act(&calls::answer(&id)).await {
                debug!(channel = %self.deps.channel_id, "a button's waiting sign stays: {error}");
            }
        });
        drop(tokio::time::timeout(ANSWER_LIMIT, answers).await);
    }
}

/// What was not committed is not confirmed; the poll is repeated.
fn lost(error: SinkError) -> ChannelError {
    match error {
        SinkError::NotCommitted(why) => ChannelError::Retryable(why),
        SinkError::LostOwnership => ChannelError::Config(error.to_string()),
    }
}
