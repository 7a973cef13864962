//! Making rows of a batch of messages. What the database knows of their groups and senders is asked for once for all of them,
//! and only where a message of the batch needs it.
//!
//! What few messages need is boxed: a future is as large as its largest branch, and is made and moved for every message.

use std::collections::HashMap;

use claw_runtime::{Clock, Ids};
use claw_store::intake::indexable;
use claw_store::pairing::Known;
use claw_store::{
    Channel, GroupContext, NewMessage, Overheard, PairingState, Result, Seen, Store, Stretch, group_context,
};
use claw_types::{Deed, Inbound, Receipts};
use serde_json::Value;

use crate::pairing::{self, Amended, Knocked};
use crate::policy::untold_deletion;
use crate::{Intake, Made, Reason, addressed, ignored};

/// What [`Intake::make`] works with.
#[derive(Clone, Copy)]
pub struct Desk<'a> {
    /// Where context is kept, and who was let in.
    pub store: &'a Store,
    /// New ids.
    pub ids: &'a Ids,
    /// The time.
    pub clock: &'a dyn Clock,
}

type Judged = (Inbound, std::result::Result<(), Reason>);

impl Intake {
    /// Makes rows of the messages that may pass. What was said in a group without addressing the bot goes with the next message
    /// there that does, as `metadata.context`; what nobody addressed it after is kept, in one statement. Strangers and owners
    /// are answered where people are let in.
    ///
    /// # Errors
    /// When that was not kept or can't be read: the platform must send all of them again.
    pub async fn make(&self, desk: Desk<'_>, channel: &Channel, mut messages: Vec<Inbound>) -> Result<Made> {
        for message in &mut messages {
            self.debounce.divide(message);
        }
        self.names.address(&mut messages);
        if self.keeps_context() {
            addressed::address_later_parts(desk.store, channel, &mut messages).await?;
        }
        let mut judged: Vec<Judged> = messages
            .into_iter()
            .map(|mut message| {
                let verdict = match message.deed {
                    Deed::Wrote => self.admit(&message),
                    // Of messages that we sent, so no policy has a say.
                    Deed::Received(_) => Ok(()),
                    _ => self.admit_deed(&mut message),
                };
                (message, verdict)
            })
            .collect();
        let known = known(desk, channel, &judged).await?;
        self.admit_let_in(&known, &mut judged);
        let asking = self.asking(&judged);
        let mut batch = Batch {
            intake: self,
            desk,
            channel,
            contexts: contexts(desk, channel, &asking).await?,
            asking,
            known,
            overheard: Vec::new(),
            made: Made::of(channel.id),
        };
        for (message, verdict) in judged {
            batch.take(message, verdict).await?;
        }
        if !batch.overheard.is_empty() {
            Box::pin(desk.store.context_keep(channel, &batch.overheard)).await?;
        }
        Ok(batch.made)
    }

    /// Admits what people wrote in groups who were let in. Others are left at [`Reason::NotPaired`], and in a group that ends it: a code
    /// would be seen by everybody there.
    fn admit_let_in(&self, known: &Known, judged: &mut [Judged]) {
        let asked = judged.iter_mut().filter(|(message, _)| message.is_group && is_let_in(known, message));
        for (message, verdict) in asked.filter(|(_, verdict)| *verdict == Err(Reason::NotPaired)) {
            let is_written = message.deed == Deed::Wrote;
            *verdict = if is_written { self.policy.admit_addressed(message) } else { Ok(()) };
        }
    }

    /// Whether what was said before belongs to a message.
    fn gets_context(&self, message: &Inbound) -> bool {
        message.is_group && message.mentioned == Some(true) && self.keeps_context()
    }

    /// The conversations whose context a batch needs.
    fn asking(&self, judged: &[Judged]) -> Vec<String> {
        let asking = judged.iter().filter(|(message, verdict)| verdict.is_ok() && self.gets_context(message));
        let mut conversations: Vec<String> = asking.map(|(message, _)| conversation(message)).collect();
        conversations.sort_unstable();
        conversations.dedup();
        conversations
    }
}

async fn contexts(
    desk: Desk<'_>,
    channel: &Channel,
    asking: &[String],
) -> Result<HashMap<String, GroupContext>> {
    if asking.is_empty() {
        return Ok(HashMap::new());
    }
    Box::pin(desk.store.context_of(channel.id, asking)).await
}

/// The name of a message's conversation in rows.
fn conversation(message: &Inbound) -> String {
    indexable(&message.conversation()).into_owned()
}

/// What is known of those of a batch of whom the policy does not say whether they may write.
async fn known(desk: Desk<'_>, channel: &Channel, judged: &[Judged]) -> Result<Known> {
    let strangers = judged.iter().filter(|(_, verdict)| *verdict == Err(Reason::NotPaired));
    let people: Vec<String> = strangers.filter_map(|(message, _)| pairing::person_id(message)).collect();
    if people.is_empty() {
        return Ok(Known::default());
    }
    Box::pin(desk.store.pairing_known(channel.id, &people)).await
}

fn is_let_in(known: &Known, message: &Inbound) -> bool {
    let standing = pairing::person_id(message).and_then(|id| known.people.get(&id));
    standing.is_some_and(|(state, _)| *state == PairingState::Approved)
}

struct Batch<'a> {
    intake: &'a Intake,
    desk: Desk<'a>,
    channel: &'a Channel,
    /// The conversations that get context, until they did.
    asking: Vec<String>,
    /// What is stored of them.
    contexts: HashMap<String, GroupContext>,
    /// Those of whom the policy does not say whether they may write.
    known: Known,
    /// What was said so far and went with no message.
    overheard: Vec<Overheard>,
    made: Made,
}

impl Batch<'_> {
    async fn take(&mut self, mut message: Inbound, verdict: std::result::Result<(), Reason>) -> Result<()> {
        if let Deed::Received(receipts) = &mut message.deed {
            let receipts = std::mem::take(receipts);
            self.received(&message, receipts);
            return Ok(());
        }
        if message.deed != Deed::Wrote {
            return Box::pin(self.deed(message, verdict)).await;
        }
        match verdict {
            Ok(()) if self.intake.policy.heeds(&message) => match pairing::Order::read(&message) {
                Some(order) => {
                    let (id, committed) =
                        Box::pin(pairing::obey(self.desk, self.channel, message, order)).await?;
                    self.made.handled.push(id);
                    self.made.committed.extend(committed);
                    Ok(())
                }
                None => self.pass(message).await,
            },
            Ok(()) => self.pass(message).await,
            Err(Reason::NotPaired) if !message.is_group => Box::pin(self.stranger(message)).await,
            Err(reason) => {
                ignored(reason);
                if reason == Reason::NotAddressed {
                    self.overheard.extend(Overheard::of(&message, self.desk.clock.now())?);
                }
                Ok(())
            }
        }
    }

    /// What arrived of ours.
    fn received(&mut self, by: &Inbound, receipts: Receipts) {
        let Receipts { messages, read, failed } = receipts;
        self.made.receipts.extend(messages.into_iter().map(|message| Seen {
            recipient: by.recipient.clone(),
            conversation: by.conversation(),
            message,
            read,
            failed: failed.clone(),
        }));
    }

    /// What was done to a message, if who did it may write. A stranger may do it to what is held of them, which ends it.
    async fn admitted(
        &mut self,
        message: Inbound,
        verdict: std::result::Result<(), Reason>,
    ) -> Result<Option<Inbound>> {
        let refused = match verdict {
            Ok(()) => return Ok(Some(message)),
            Err(Reason::NotPaired) if is_let_in(&self.known, &message) => return Ok(Some(message)),
            Err(Reason::NotPaired) if !message.is_group => {
                match pairing::amend(self.desk, self.channel, &self.known, message).await? {
                    Amended::Passes(message) => return Ok(Some(*message)),
                    Amended::Handled(held) => {
                        self.made.handled.push(held);
                        return Ok(None);
                    }
                    Amended::Refused => Reason::NotPaired,
                }
            }
            Err(reason) => reason,
        };
        ignored(refused);
        Ok(None)
    }

    /// Whether a deletion by nobody knows whom was of what is held of a stranger.
    async fn taken_back(&mut self, message: &Inbound) -> Result<bool> {
        let Some(key) = untold_deletion(message).filter(|_| !message.is_group) else { return Ok(false) };
        let held = pairing::take_back(self.desk, self.channel, key).await?;
        self.made.handled.extend(held);
        Ok(held.is_some())
    }

    /// What was done to a message: taken from who may write.
    async fn deed(&mut self, message: Inbound, verdict: std::result::Result<(), Reason>) -> Result<()> {
        let Some(message) = self.admitted(message, verdict).await? else { return Ok(()) };
        if self.taken_back(&message).await? {
            return Ok(());
        }
        // It may change what is kept of a group: nothing of that may be in memory only, before or after.
        let overheard = std::mem::take(&mut self.overheard);
        self.desk.store.context_keep(self.channel, &overheard).await?;
        let message = self.intake.done(self.desk, self.channel, message, &mut self.made).await?;
        self.contexts = contexts(self.desk, self.channel, &self.asking).await?;
        match message {
            Some(message) => self.pass(message).await,
            None => Ok(()),
        }
    }

    async fn pass(&mut self, mut message: Inbound) -> Result<()> {
        Intake::replied(self.desk, self.channel, &mut message, &mut self.made).await?;
        let given = if self.intake.gets_context(&message) { self.add_context(&mut message)? } else { None };
        let album = if self.intake.gets_context(&message) { addressed::album(&message) } else { None };
        let debounce_ms = self.intake.debounce.wait_after(&message);
        let message = NewMessage::inbound(self.channel, message, self.desk.ids, self.desk.clock)?;
        self.made.albums.extend(album.zip(message.key.clone()));
        if let Some(given) = given {
            self.made.give(message.id, given);
        }
        self.made.messages.push(NewMessage { debounce_ms, ..message });
        Ok(())
    }

    /// Adds what was said before a message; tells which of it is stored. What was said in this batch is not: when the message is
    /// not committed the platform sends both again, and when it was before, so was this.
    fn add_context(&mut self, message: &mut Inbound) -> Result<Option<Stretch>> {
        let conversation = conversation(message);
        let mut context = self.contexts.remove(&conversation).unwrap_or_default();
        self.asking.retain(|asking| *asking != conversation);
        for said in self.overheard.extract_if(.., |said| said.conversation() == conversation) {
            context.add(&said)?;
        }
        let places = || context.entries.iter().filter_map(|kept| kept.seq);
        let stored = places().min().zip(places().max());
        let superfluous = context.entries.len().saturating_sub(group_context::KEPT);
        let said: Vec<Value> = context.entries.into_iter().skip(superfluous).map(|kept| kept.said).collect();
        if !said.is_empty() {
            message.metadata.insert("context".to_owned(), Value::Array(said));
        }
        Ok(stored.map(|(first, last)| Stretch { conversation, first, last }))
    }

    async fn stranger(&mut self, message: Inbound) -> Result<()> {
        if is_let_in(&self.known, &message) {
            if let Err(reason) = self.intake.admit_at_pace(&message) {
                ignored(reason);
                return Ok(());
            }
            return self.pass(message).await;
        }
        let debounce_ms = self.intake.debounce.wait_after(&message);
        let person = pairing::person_id(&message);
        match pairing::knock(self.desk, self.channel, &self.known, message).await? {
            Knocked::Passes(message) => {
                let message = *message;
                self.made.messages.push(NewMessage { debounce_ms, ..message });
            }
            Knocked::Refused => ignored(Reason::NotPaired),
            Knocked::Handled(id, committed) => {
                // What they did to it may come in the same batch.
                if let Some(person) = person {
                    self.known.people.entry(person).or_insert((PairingState::Pending, 0));
                }
                self.made.handled.push(id);
                self.made.committed.extend(committed);
            }
        }
        Ok(())
    }
}
