//! What a batch of messages became, and the context that was given with it.

use claw_runtime::{Clock, Ids};
use claw_store::feedback::received_key;
use claw_store::{Channel, Feedback, FirstSeen, NewMessage, Overheard, Result, Store, chain};
use claw_types::{ChannelId, Inbound, MessageId};
use serde_json::Value;
use tracing::warn;

use crate::{Intake, Reason};

/// What [`Intake::make`] works with.
#[derive(Clone, Copy)]
pub struct Desk<'a> {
    /// Where context is kept.
    pub store: &'a Store,
    /// New ids.
    pub ids: &'a Ids,
    /// The time.
    pub clock: &'a dyn Clock,
}

/// What is to be committed.
#[derive(Debug)]
pub struct Made {
    /// The messages that passed, in order.
    pub messages: Vec<NewMessage>,
    /// What was done to messages, to be told once those are committed.
    pub(crate) feedback: Vec<Feedback>,
    /// Messages that are accepted as edits of themselves.
    pub(crate) first_seen: Vec<FirstSeen>,
    channel: ChannelId,
    given: Vec<Given>,
}

/// Context up to here goes with the messages.
#[derive(Debug)]
struct Given {
    conversation: String,
    last: i64,
}

impl Intake {
    /// Makes rows of the messages that may pass. What was said in a group without addressing the bot is kept instead, in one
    /// statement, and goes with the next message there that does, as `metadata.context`.
    ///
    /// # Errors
    /// When that was not kept or can't be read: the platform must send all of them again.
    pub async fn make(&self, desk: Desk<'_>, channel: &Channel, messages: Vec<Inbound>) -> Result<Made> {
        let mut made = Made {
            messages: Vec::with_capacity(messages.len()),
            feedback: Vec::new(),
            first_seen: Vec::new(),
            channel: channel.id,
            given: Vec::new(),
        };
        let mut overheard = Vec::new();
        for message in messages {
            let Some(mut message) = self.done(desk, channel, message, &mut made).await? else { continue };
            match self.admit(&message) {
                Ok(()) => {
                    Self::replied(desk, channel, &mut message, &mut made).await?;
                    if message.is_group && message.mentioned == Some(true) && self.keeps_context() {
                        // What was said just before it may be in the same batch.
                        desk.store.context_keep(channel, &std::mem::take(&mut overheard)).await?;
                        made.add_context(desk.store, &mut message).await?;
                    }
                    let debounce_ms = self.debounce.wait_after(&message);
                    let message = NewMessage::inbound(channel, message, desk.ids, desk.clock)?;
                    made.messages.push(NewMessage { debounce_ms, ..message });
                }
                Err(Reason::NotAddressed) => overheard.extend(Overheard::of(&message, desk.clock.now())?),
                Err(_) => {}
            }
        }
        desk.store.context_keep(channel, &overheard).await?;
        Ok(made)
    }
}

impl Made {
    async fn add_context(&mut self, store: &Store, message: &mut Inbound) -> Result<()> {
        let conversation = message.conversation();
        let before = self.given.iter().find(|given| given.conversation == conversation);
        let behind = before.map_or(0, |given| given.last);
        if let Some(context) = store.context_of(self.channel, &conversation, behind).await? {
            message.metadata.insert("context".to_owned(), Value::Array(context.entries));
            self.given.retain(|given| given.conversation != conversation);
            self.given.push(Given { conversation, last: context.last });
        }
        Ok(())
    }

    /// Takes the messages out, to be committed.
    pub fn take(&mut self) -> Vec<NewMessage> {
        std::mem::take(&mut self.messages)
    }

    /// The message of this key ([`Inbound::dedup_key`]) that is to be committed.
    pub(crate) fn accepting(&self, key: &str) -> Option<MessageId> {
        let seen = self.first_seen.iter().find(|seen| seen.key == key);
        let key = received_key(seen.map_or(key, |seen| &seen.came_as));
        let with = |message: &&NewMessage| message.key.as_deref() == Some(key.as_str());
        self.messages.iter().find(with).map(|message| message.id)
    }

    /// Whether anything was done to a message that is worth telling.
    pub fn has_feedback(&self) -> bool {
        !self.feedback.is_empty()
    }

    /// Tells what was done to messages; call it when the messages are committed. Without any, no query.
    ///
    /// # Errors
    /// When it was not told: the platform must send all of it again, and what was committed is known then.
    pub async fn tell(&mut self, store: &Store, channel: &Channel, ids: &Ids) -> Result<()> {
        store.first_seen(channel.id, &std::mem::take(&mut self.first_seen)).await?;
        store.feedback_tell(channel, &std::mem::take(&mut self.feedback), ids).await
    }

    /// Deletes the context that was given, once the messages are committed. What fails is given once more, later.
    pub async fn settle(self, store: &Store) {
        for Given { conversation, last } in self.given {
            if let Err(error) = store.context_given(self.channel, &conversation, last).await {
                warn!(channel = %self.channel, "a group's context stays: {}", chain(&error));
            }
        }
    }
}
