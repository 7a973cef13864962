//! What a person sees of an answer that is being written: a placeholder, which takes on more and more of it.
//!
//! Sent like any message, by the conversation's lane, so it is in order, retried, and remembered as placeholders are. From then
//! on its text is changed from here, past the lane: it is for this moment, and not stored.
//!
//! Where the platform is a page that reads what we store, a message that stood for another would be seen beside it. There the
//! page shows a draft, which is nowhere but on the page, until the answer names it; what was shown at once is taken away by the answer.
//!
//! Must hold: it has a key made of the question's id, so however often the backend is asked, one is sent; nothing is changed
//! once an answer took its place ([`placeholder::Edits`]), nor without the lease, nor for a user who was erased.

use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use claw_channels::kit::plan::{Content, Piece, Text};
use claw_channels::{Caps, ChannelError, Draft, Part, plan};
use claw_store::{NewMessage, chain};
use claw_types::{MessageId, Outbound, Placeholder, ReplyTo, WebhookBody, Work};
use futures::FutureExt as _;
use serde_json::value::RawValue;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout};
use tracing::debug;

use super::pace::Screen;
use crate::channels::Lookup;
use crate::channels::active::{Active, Turn};
use crate::channels::limiter::Priority;
use crate::channels::manners::Placeholder as Manner;
use crate::core::Core;
use crate::deliver::answer::{self, MAX_REPLIES, STANDS};
use crate::deliver::placeholder::{self, Seen};
use crate::shard::Shard;

/// Where the preview is, when what was shown at once stays.
const PREVIEW: usize = MAX_REPLIES + 2;

/// No change may take longer. Adapters end their calls sooner: this is for one that does not.
const CALL_LIMIT: Duration = Duration::from_mins(1);

/// The preview of the answer to one message.
pub(super) struct Preview<'a> {
    core: &'a Arc<Core>,
    shard: &'a Arc<Shard>,
    work: &'a Work,
    /// When the backend was.
    asked: Instant,
    /// Who asked, and what stands for the answer; `None` when nobody did.
    to: Option<(ReplyTo, Placeholder)>,
    /// Our message that the answer takes the place of.
    pub(super) stands: Option<MessageId>,
    /// What of the backend's can't be shown.
    pub(super) trouble: Option<String>,
    seen: Option<Seen>,
    /// What the platform shows, as far as we know.
    shows: Option<Text>,
}

impl<'a> Preview<'a> {
    /// Nothing is shown yet.
    pub(super) fn new(core: &'a Arc<Core>, shard: &'a Arc<Shard>, work: &'a Work, asked: Instant) -> Self {
        let to = serde_json::from_str::<WebhookBody>(work.payload.get()).ok();
        let to = to.and_then(|question| {
            let stands = answer::stands(work, &question);
            Some((question.reply_to?, stands))
        });
        Self { core, shard, work, asked, to, stands: None, trouble: None, seen: None, shows: None }
    }

    /// The channel, where it shows previews.
    fn active(&self) -> Option<Arc<Active>> {
        match self.shard.channels.lookup(self.work.channel_id) {
            Lookup::Running(active) => {
                let caps = active.caps();
                (caps.drafts || caps.placeholders && caps.edit).then_some(active)
            }
            _ => None,
        }
    }

    /// Commits a message of the answer's; tells its id, of whichever attempt it is.
    async fn commit(&self, index: usize, message: &Outbound) -> Option<MessageId> {
        if self.core.erased.has(self.work) {
            return None;
        }
        let accepted = match NewMessage::answer(self.work, index, message, &self.core.ids) {
            Ok(message) => self.core.accept_known(self.shard, message).await,
            Err(error) => Err(error),
        };
        match accepted {
            Ok(id) => Some(id),
            Err(error) => {
                debug!(message.id = %self.work.id, "a preview was not stored: {}", chain(&error));
                None
            }
        }
    }

    async fn show_at_once(&mut self, reply: &RawValue) -> Result<(), String> {
        let manner = placeholder::manner_of(self.shard, self.work.channel_id);
        let Some((to, stands)) = self.to.as_ref().filter(|_| manner != Manner::Off) else { return Ok(()) };
        let Some(mut message) = answer::one(reply, to, self.core.deps.http.allows_private())? else {
            return Ok(());
        };
        message.placeholder = Some(stands.clone());
        let replaced = manner == Manner::Replace;
        if replaced {
            let Some(behind) = self.unanswered(&message).await else { return Ok(()) };
            message.placeholder = Some(Placeholder { behind: Some(behind), ..stands.clone() });
        }
        let becomes = replaced && !self.shows_drafts();
        self.stands = self.commit(STANDS, &message).await.filter(|_| becomes);
        Ok(())
    }

    fn shows_drafts(&self) -> bool {
        self.active().is_some_and(|active| active.caps().drafts)
    }

    /// Up to which place the backend has sent no answer since it was asked. Not knowing it, nothing is to be shown behind one.
    async fn unanswered(&self, shown: &Outbound) -> Option<i64> {
        let unanswered = answer::unanswered(self.core, self.work, shown, self.asked).await;
        unanswered.unwrap_or_else(|error| {
            debug!(message.id = %self.work.id, "what was sent meanwhile is not known: {}", chain(&error));
            None
        })
    }

    /// Shows a draft, where that may still be.
    async fn draft(&self, active: &Active, turn: Turn, text: &Text) {
        let Some((to, _)) = &self.to else { return };
        if !self.core.lease.holds() || self.core.erased.has(self.work) {
            return;
        }
        let draft = Draft {
            question: self.work.id,
            recipient: &to.recipient,
            thread_id: to.thread_id.as_deref(),
            text,
        };
        self.told(timeout(CALL_LIMIT, active.draft(turn, &draft)).await);
    }

    /// Changes our message that stands for the answer, where that may still be.
    async fn edit(&self, active: &Active, turn: Turn, text: &Text) {
        let (Some(seen), Some((to, _))) = (&self.seen, &self.to) else { return };
        let Some(_editing) = seen.edits.begin().await else { return };
        if !self.core.lease.holds() || self.core.erased.has(self.work) {
            return;
        }
        let content = Content::Edit { message_id: seen.platform_id.clone(), text: Some(text.clone()) };
        let part = Part {
            message_id: seen.message,
            seq: seen.seq,
            index: 0,
            recipient: &to.recipient,
            thread_id: to.thread_id.as_deref(),
            piece: &Piece { content, reply_to: None, buttons: Vec::new() },
            accepted_at: DateTime::from_timestamp_millis(self.work.accepted_at_ms).unwrap_or_default(),
            replaces: None,
        };
        self.told(timeout(CALL_LIMIT, active.send(turn, &part)).await);
    }

    /// One that failed is not made again: the next one says more.
    fn told<T>(&self, made: Result<Result<T, ChannelError>, Elapsed>) {
        match made {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => debug!(message.id = %self.work.id, "a preview was not changed: {error}"),
            Err(_) => debug!(message.id = %self.work.id, "a preview was not changed: no answer"),
        }
    }

    /// The first words as a message, and what the platform shows of it. None when that would not be one text.
    fn first(&self, text: &str, caps: &Caps) -> Option<(Outbound, Text)> {
        let (to, stands) = self.to.as_ref()?;
        // Whatever the platform counts, and in what encoding, so many fit one message.
        let beginning: String = text.chars().take(caps.max_text / 4).collect();
        let mut message = answer::text(beginning, to).ok()?;
        message.placeholder = Some(Placeholder { begins: Some(self.work.id), ..stands.clone() });
        match plan(&message, caps).ok()?.parts.as_slice() {
            [Piece { content: Content::Text(text), .. }] => {
                let text = text.clone();
                Some((message, text))
            }
            _ => None,
        }
    }
}

impl Screen for Preview<'_> {
    type Turn = (Arc<Active>, Turn);
    type Change = Text;

    async fn at_once(&mut self, reply: &RawValue) {
        if let Err(why) = self.show_at_once(reply).await {
            self.trouble = Some(format!("immediate_reply: {why}"));
        }
    }

    async fn begin(&mut self, text: &str) -> bool {
        let Some(active) = self.active().filter(|_| self.core.lease.holds()) else { return false };
        if active.caps().drafts {
            let Some((_, text)) = self.first(text, active.caps()) else { return false };
            // Without a turn at once, the first change shows them.
            let turn = self.turn().now_or_never().flatten();
            if let Some((active, turn)) = turn {
                self.draft(&active, turn, &text).await;
                self.shows = Some(text);
            }
            return true;
        }
        if self.stands.is_none() {
            let Some((message, shown)) = self.first(text, active.caps()) else { return false };
            let replaced = placeholder::manner_of(self.shard, self.work.channel_id) == Manner::Replace;
            self.stands = self.commit(if replaced { STANDS } else { PREVIEW }, &message).await;
            self.shows = Some(shown);
        }
        self.stands.is_some()
    }

    async fn seen(&mut self) {
        if self.shows_drafts() {
            return;
        }
        let Some(message) = self.stands else { return std::future::pending().await };
        self.seen = Some(self.shard.placeholders.seen(self.work, message).await);
    }

    fn change(&self, text: &str) -> Option<Text> {
        let active = self.active()?;
        let (to, _) = self.to.as_ref()?;
        // Of a long text only the beginning stays in this message; several times that leaves room for markup.
        let beginning: String = text.chars().take(4 * active.caps().max_text).collect();
        let parts = plan(&answer::text(beginning, to).ok()?, active.caps()).ok()?.parts;
        match parts.into_iter().next()?.content {
            Content::Text(text) if self.shows.as_ref() != Some(&text) => Some(text),
            _ => None,
        }
    }

    async fn turn(&self) -> Option<Self::Turn> {
        let (active, (to, _)) = (self.active()?, self.to.as_ref()?);
        let turn = active.turn(Priority::Preview, &to.recipient, 1).await;
        Some((active, turn))
    }

    async fn make(&mut self, (active, turn): Self::Turn, text: Text) {
        if active.caps().drafts {
            self.draft(&active, turn, &text).await;
        } else {
            self.edit(&active, turn, &text).await;
        }
        self.shows = Some(text);
    }
}
