//! What a batch of messages became, and the context that was given with it.

use claw_runtime::Ids;
use claw_store::feedback::received_key;
use claw_store::{Channel, Feedback, FirstSeen, NewMessage, Result, Seen, Store, Stretch, chain};
use claw_telemetry::trace::{Kind, Mark, Span};
use claw_types::{ChannelId, Direction, MessageId, Work};
use tracing::warn;

/// What is to be committed, and what was.
#[derive(Debug)]
pub struct Made {
    /// The messages that passed, in order.
    pub messages: Vec<NewMessage>,
    /// What was committed already and waits for delivery: answers to strangers and owners, and what people wrote before
    /// they were let in.
    pub committed: Vec<Work>,
    /// Under which ids the messages are known that were dealt with here and go no further now.
    pub handled: Vec<MessageId>,
    /// What was done to messages, to be told once those are committed.
    pub(crate) feedback: Vec<Feedback>,
    /// What arrived of ours.
    pub(crate) receipts: Vec<Seen>,
    /// Messages that are accepted as edits of themselves.
    pub(crate) first_seen: Vec<FirstSeen>,
    /// Albums that are passed on where the bot must be addressed, each beside the key of a part of it.
    pub(crate) albums: Vec<(String, String)>,
    channel: ChannelId,
    given: Vec<(MessageId, Stretch)>,
}

impl Made {
    pub(crate) fn of(channel: ChannelId) -> Self {
        Self {
            messages: Vec::new(),
            committed: Vec::new(),
            handled: Vec::new(),
            feedback: Vec::new(),
            receipts: Vec::new(),
            first_seen: Vec::new(),
            albums: Vec::new(),
            channel,
            given: Vec::new(),
        }
    }

    pub(crate) fn give(&mut self, message: MessageId, context: Stretch) {
        self.given.push((message, context));
    }

    /// The spans that these messages' traces begin with, each of which lasts until it is dropped: when its message is committed and told.
    /// `began` is when they came. Without it, nothing is traced and nothing is made.
    pub fn received(&self, channel: &Channel, kind: Kind, began: Option<Mark>) -> Vec<Span> {
        if began.is_none() {
            return Vec::new();
        }
        let new = self.messages.iter().map(|message| message.id);
        let ids = new
            .chain(self.committed.iter().filter(|work| work.direction == Direction::In).map(|work| work.id));
        let spans = ids.map(|id| {
            let mut span = Span::first(id.0.as_u128(), "receive", kind, began);
            if span.is_recorded() {
                span.set("message.id", id.to_string());
                span.set("channel.type", channel.channel_type.clone());
            }
            span
        });
        spans.filter(Span::is_recorded).collect()
    }

    /// Takes the messages out, to be committed.
    pub fn take(&mut self) -> Vec<NewMessage> {
        std::mem::take(&mut self.messages)
    }

    /// The message of this key ([`claw_types::Inbound::dedup_key`]) that is to be committed.
    pub(crate) fn accepting(&self, key: &str) -> Option<MessageId> {
        let seen = self.first_seen.iter().find(|seen| seen.key == key);
        let key = received_key(seen.map_or(key, |seen| &seen.came_as));
        let with = |message: &&NewMessage| message.key.as_deref() == Some(key.as_str());
        self.messages.iter().find(with).map(|message| message.id)
    }

    /// Whether anything is told of messages that are there already.
    pub fn has_feedback(&self) -> bool {
        !self.feedback.is_empty() || !self.receipts.is_empty()
    }

    /// Tells what was done to messages, and what arrived of ours; call it when the messages are committed. Without any, no query.
    ///
    /// # Errors
    /// When it was not told: the platform must send all of it again, and what was committed is known then.
    pub async fn tell(&mut self, store: &Store, channel: &Channel, ids: &Ids) -> Result<()> {
        if self.first_seen.is_empty() && self.albums.is_empty() && !self.has_feedback() {
            return Ok(());
        }
        let (seen, feedback) = (std::mem::take(&mut self.first_seen), std::mem::take(&mut self.feedback));
        let (receipts, albums) = (std::mem::take(&mut self.receipts), std::mem::take(&mut self.albums));
        Box::pin(async move {
            store.first_seen(channel.id, &seen).await?;
            store.albums_note(channel.id, &albums).await?;
            store.feedback_tell(channel, &feedback, ids).await?;
            store.receipts_note(channel, &receipts).await
        })
        .await
    }

    /// Deletes the context that was given, once the messages are committed. `new` are those that were not stored before: what
    /// went with the others reaches nobody, and waits for the next message. What fails is given once more, later.
    pub async fn settle(self, store: &Store, new: &[MessageId]) {
        let reached = self.given.into_iter().filter(|(message, _)| new.contains(message));
        let given: Vec<Stretch> = reached.map(|(_, context)| context).collect();
        if given.is_empty() {
            return;
        }
        if let Err(error) = Box::pin(store.context_given(self.channel, &given)).await {
            warn!(channel.id = %self.channel, "a group's context stays: {}", chain(&error));
        }
    }
}
