//! What people do to messages that are there already: edits, deletions, reactions, and replies to an answer.
//!
//! Each is an event of the message that it was done to, and so can't be missed by who collects feedback. The backend is told of
//! it only where the channel's field `events` asks for it: to an agent that answers whatever it is sent (the unchanged II-Agent
//! does), a corrected letter would be a question asked twice and a thumb a question without words.
//!
//! Must hold:
//! - Who may not write may not do this either: the same policy decides, but for the mention, which the message had. Where a platform
//!   does not tell who deleted a message, no list of people is asked: what was taken back must not be handed over.
//! - What is done to a message that was not passed on, or is not an answer of ours, is ignored and counted. One exception: an
//!   edit that is the first version to address the bot is the message, for to the bot nobody had written before.
//! - The message itself is never changed: what is done to it comes behind it in the same conversation, as a message of its own. So
//!   one that still waits is neither lost nor overtaken, and a webhook that is repeated has the bytes that it had.
//! - A message costs no query, unless it is a reply that may be one to us.

use claw_store::{Channel, Feedback, FirstSeen, NewMessage, Overheard, Result};
use claw_telemetry::metrics::Counter;
use claw_types::bodies::{self, event};
use claw_types::{Deed, Inbound, MessageId, Reaction};
use serde_json::{Map, Value, json};
use tracing::debug;

use crate::{Desk, Intake, Made, Reason};

/// What the backend is told of, as the channel's field `events` says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Told {
    edits: bool,
    deletions: bool,
    reactions: bool,
}

impl Told {
    /// Of a channel with these fields.
    pub(crate) fn of(config: &Map<String, Value>) -> Self {
        let listed = config.get("events").and_then(Value::as_array);
        let has = |name: &str| listed.is_some_and(|listed| listed.iter().any(|item| item == name));
        Self { edits: has("edits"), deletions: has("deletions"), reactions: has("reactions") }
    }
}

/// What was done, and whose conversation it is in.
struct Done<'a> {
    desk: Desk<'a>,
    channel: &'a Channel,
    message: Inbound,
}

impl Intake {
    /// Takes care of what somebody did who may; what turns out to be a message comes back.
    ///
    /// # Errors
    /// When the database fails: the platform must send all of them again.
    pub(crate) async fn done(
        &self,
        desk: Desk<'_>,
        channel: &Channel,
        mut message: Inbound,
        made: &mut Made,
    ) -> Result<Option<Inbound>> {
        let deed = std::mem::take(&mut message.deed);
        let done = Done { desk, channel, message };
        match deed {
            // What arrived of ours does not come here: it is not done to a message, only told of one.
            Deed::Wrote | Deed::Received(_) => Ok(Some(done.message)),
            Deed::Edited(key) => self.edited(done, key, made).await,
            Deed::Deleted(key) => self.deleted(done, &key, made).await.map(|()| None),
            Deed::Reacted(reaction) => self.reacted(done, reaction, made).await.map(|()| None),
        }
    }

    /// Whether somebody may do this. The mention is asked of messages; what is done to one that was passed on concerns who got it.
    pub(crate) fn admit_deed(&self, message: &mut Inbound) -> std::result::Result<(), Reason> {
        let mentioned = message.mentioned.replace(true);
        let admitted = self.admit(message);
        message.mentioned = mentioned;
        admitted
    }

    async fn edited(&self, mut done: Done<'_>, key: String, made: &mut Made) -> Result<Option<Inbound>> {
        let Some(original) = done.find(&key, made).await? else {
            if done.message.is_group && done.message.mentioned == Some(true) && self.keeps_context() {
                match &done.message.dedup_key {
                    Some(edit) => made.first_seen.push(FirstSeen { key, came_as: edit.clone() }),
                    // Nobody could tell that it is the same edit again, but the next one finds it.
                    None => done.message.dedup_key = Some(key),
                }
                return Ok(Some(done.message));
            }
            let now = Overheard::of(&done.message, done.desk.clock.now())?;
            done.change_context(&key, now.as_ref()).await?;
            return Ok(None);
        };
        let mut feedback = done.feedback("message.edited", original);
        if self.told.edits {
            done.mark(event::EDITED, event::EDITED_ID, original);
            feedback.came_as = Some(done.pass_on(made)?);
        }
        made.feedback.push(feedback);
        Ok(None)
    }

    async fn deleted(&self, mut done: Done<'_>, key: &str, made: &mut Made) -> Result<()> {
        let Some(original) = done.find(key, made).await? else {
            return done.change_context(key, None).await;
        };
        let mut feedback = done.feedback("message.deleted", original);
        if self.told.deletions {
            "deleted".clone_into(&mut done.message.content_type);
            done.mark(event::DELETED, event::DELETED_ID, original);
            feedback.came_as = Some(done.pass_on(made)?);
        }
        made.feedback.push(feedback);
        Ok(())
    }

    async fn reacted(&self, mut done: Done<'_>, reaction: Reaction, made: &mut Made) -> Result<()> {
        let sent = done.desk.store.message_sent_as(done.channel.id, &done.message.recipient, &reaction.to);
        let Some(answer) = sent.await? else {
            unknown("a reaction to what is no answer, or an old one");
            return Ok(());
        };
        let mut feedback = done.feedback("message.reaction", answer);
        feedback.data["platform_message_id"] = json!(reaction.to);
        let Reaction { to, added, removed, counts } = reaction;
        let what = if counts.is_empty() {
            json!({"added": added, "removed": removed})
        } else {
            json!({ "counts": counts })
        };
        feedback.data["reaction"] = what.clone();
        if self.told.reactions {
            done.find_thread(answer).await?;
            let message = &mut done.message;
            "reaction".clone_into(&mut message.content_type);
            message.text = (!added.is_empty()).then(|| added.join(" "));
            message.metadata.insert("reaction".to_owned(), what);
            message.metadata.insert("reply_to_message".to_owned(), json!(to));
            done.mark(event::REACTION, event::ANSWER_ID, answer);
            feedback.came_as = Some(done.pass_on(made)?);
        }
        made.feedback.push(feedback);
        Ok(())
    }

    /// Notes to which message an admitted one replies and, if that is an answer of ours, tells of it.
    ///
    /// # Errors
    /// When the database fails.
    pub(crate) async fn replied(
        desk: Desk<'_>,
        channel: &Channel,
        message: &mut Inbound,
        made: &mut Made,
    ) -> Result<()> {
        let Some(answered) = message.answers.take() else { return Ok(()) };
        message.metadata.insert("reply_to_message".to_owned(), json!(answered.message_id));
        if answered.is_own == Some(false) {
            return Ok(());
        }
        let sent = desk.store.message_sent_as(channel.id, &message.recipient, &answered.message_id);
        let Some(answer) = Box::pin(sent).await? else { return Ok(()) };
        message.metadata.insert(event::ANSWER_ID.to_owned(), json!(answer));
        let mut feedback = feedback("message.reply", answer, message);
        feedback.data["platform_message_id"] = json!(answered.message_id);
        feedback.key = message.dedup_key.clone().or_else(|| message.platform_message_id.clone());
        feedback.came_as.clone_from(&feedback.key);
        made.feedback.push(feedback);
        Ok(())
    }
}

impl Done<'_> {
    /// The person's message that this is about: accepted before, or just before in the same batch.
    async fn find(&self, key: &str, made: &Made) -> Result<Option<MessageId>> {
        let known = self.desk.store.message_received_as(self.channel.id, key).await?;
        Ok(known.or_else(|| made.accepting(key)))
    }

    /// What was not passed on may be kept as context: it must not be given in words that were taken back.
    async fn change_context(&self, key: &str, now: Option<&Overheard>) -> Result<()> {
        if !self.desk.store.context_change(self.channel.id, key, now).await? {
            unknown("a change of a message that was not passed on, or long ago");
        }
        Ok(())
    }

    /// A platform need not tell in which thread the message is that was reacted to, but the answer was sent there.
    async fn find_thread(&mut self, answer: MessageId) -> Result<()> {
        if self.message.thread_id.is_some() {
            return Ok(());
        }
        let (user, channel) = (&self.channel.user_id, self.channel.id);
        let sent = self.desk.store.message_on_platform(user, channel, answer).await?;
        if let Some(thread) = sent.and_then(|sent| sent.thread_id) {
            let session = bodies::conversation(&self.message.recipient, Some(&thread));
            self.message.metadata.insert("thread_id".to_owned(), json!(session));
            self.message.thread_id = Some(thread);
        }
        Ok(())
    }

    fn feedback(&self, kind: &'static str, message: MessageId) -> Feedback {
        feedback(kind, message, &self.message)
    }

    /// Says to the backend what this is, so that it is not taken for a new message.
    fn mark(&mut self, event: &str, key: &str, about: MessageId) {
        self.message.metadata.insert("event".to_owned(), json!(event));
        self.message.metadata.insert(key.to_owned(), json!(about));
    }

    /// Makes a message for the backend of it; answers the key of that.
    fn pass_on(self, made: &mut Made) -> Result<String> {
        let Self { desk, channel, mut message } = self;
        // Not the platform's id of the message, which is that of another one.
        let key = message.dedup_key.take().unwrap_or_else(|| format!("deed:{}", desk.ids.next()));
        message.dedup_key = Some(key.clone());
        made.messages.push(NewMessage::inbound(channel, message, desk.ids, desk.clock)?);
        Ok(key)
    }
}

fn feedback(kind: &'static str, about: MessageId, by: &Inbound) -> Feedback {
    let sender = by.sender.as_ref().map(|sender| sender.platform_id.as_str());
    Feedback {
        kind,
        message: about,
        key: by.dedup_key.clone(),
        data: json!({"conversation": claw_store::intake::indexable(&by.conversation()), "sender": sender}),
        came_as: None,
    }
}

/// Counts what is ignored because nothing is known of the message that it is about.
fn unknown(what: &str) {
    Counter::MessagesIgnored.add(&["unknown_message"]);
    debug!("ignored: {what}");
}
