//! What a batch of messages became, and the context that was given with it.

use claw_runtime::{Clock, Ids};
use claw_store::{Channel, NewMessage, Overheard, Result, Store, chain};
use claw_types::{ChannelId, Inbound};
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
        let mut made =
            Made { messages: Vec::with_capacity(messages.len()), channel: channel.id, given: Vec::new() };
        let mut overheard = Vec::new();
        for mut message in messages {
            match self.admit(&message) {
                Ok(()) => {
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

    /// Deletes the context that was given, once the messages are committed. What fails is given once more, later.
    pub async fn settle(self, store: &Store) {
        for Given { conversation, last } in self.given {
            if let Err(error) = store.context_given(self.channel, &conversation, last).await {
                warn!(channel = %self.channel, "a group's context stays: {}", chain(&error));
            }
        }
    }
}
