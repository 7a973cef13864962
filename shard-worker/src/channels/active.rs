//! A channel at work, and the only road to its platform: what people can see is called for with a [`Turn`], which only the
//! limiter gives, and the limiter hears of every refusal.
//!
//! Not counted, because platforms limit them elsewhere or not at all: what an adapter asks to receive (polls, the end of a
//! pressed button's waiting sign) and probes.

use std::sync::Arc;

use claw_channels::{Caps, Channel, ChannelError, Draft, Part, Probe, Receipt};
use claw_telemetry::trace::{Kind, Span};
use serde_json::value::RawValue;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::limiter::{Limiter, Priority};
use super::manners::Manners;
use super::measure::{Measured, outcome};

/// Messages of a channel that are being acknowledged at once. What comes while so many are is not.
const ACKS_AT_ONCE: usize = 16;

/// A channel at work, and how fast it may call its platform.
pub(crate) struct Active {
    channel: Arc<dyn Channel>,
    limiter: Limiter,
    manners: Manners,
    measured: Arc<Measured>,
    acks: Arc<Semaphore>,
}

/// The right to one call, now.
#[must_use = "a place was taken for it"]
pub(crate) struct Turn(());

impl Active {
    /// Has called for nothing yet.
    pub(crate) fn new(channel: Arc<dyn Channel>, measured: Arc<Measured>, manners: Manners) -> Self {
        let limiter = Limiter::new(channel.caps().limits);
        Self { channel, limiter, manners, measured, acks: Arc::new(Semaphore::new(ACKS_AT_ONCE)) }
    }

    /// What its people see while they wait.
    pub(crate) fn manners(&self) -> &Manners {
        &self.manners
    }

    /// Room to acknowledge a message, if there is some right now.
    pub(crate) fn ack_room(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.acks).try_acquire_owned().ok()
    }

    /// What the platform can carry.
    pub(crate) fn caps(&self) -> &'static Caps {
        self.channel.caps()
    }

    /// What it can carry into this chat.
    pub(crate) fn caps_in(&self, recipient: &str) -> &'static Caps {
        self.channel.caps_in(recipient)
    }

    /// Waits until a call that counts as `cost` messages may be made into this chat. Dropped, it gives up.
    pub(crate) async fn turn(&self, priority: Priority, recipient: &str, cost: u32) -> Turn {
        self.limiter.turn(priority, recipient, self.channel.is_group(recipient), cost).await;
        Turn(())
    }

    /// The backend is about to be told of this message, as it is stored.
    pub(crate) fn question(&self, message: &RawValue) {
        self.channel.question(message);
    }

    /// Hands one part of a message to the platform.
    ///
    /// # Errors
    /// As [`Channel::send`].
    pub(crate) async fn send(&self, _turn: Turn, part: &Part<'_>) -> Result<Receipt, ChannelError> {
        let mut span = Span::child("send", Kind::Client);
        let began = Instant::now();
        let sent = self.channel.send(part).await;
        if span.is_recorded() {
            span.set("channel.type", self.measured.platform());
            span.set("message.part", u32::try_from(part.index).unwrap_or(u32::MAX));
        }
        if let Some(error) = sent.as_ref().err() {
            span.failed(outcome(error));
        }
        drop(span);
        self.heed(began, part.recipient, sent.as_ref().err());
        sent
    }

    /// Shows what there is of an answer that is still being written.
    ///
    /// # Errors
    /// As [`Channel::draft`].
    pub(crate) async fn draft(&self, _turn: Turn, draft: &Draft<'_>) -> Result<(), ChannelError> {
        let began = Instant::now();
        let shown = self.channel.draft(draft).await;
        self.heed(began, draft.recipient, shown.as_ref().err());
        shown
    }

    /// Shows that an answer is being written; `question` is the platform's id of the message that it answers, where that is known.
    /// `false`: not now, because answers need the platform's pace.
    ///
    /// # Errors
    /// As [`Channel::typing`].
    pub(crate) async fn typing(
        &self,
        recipient: &str,
        thread_id: Option<&str>,
        question: Option<&str>,
    ) -> Result<bool, ChannelError> {
        if self.caps().typing && !self.limiter.may_type(recipient) {
            return Ok(false);
        }
        let began = Instant::now();
        let shown = match question {
            Some(question) => self.channel.answering(recipient, thread_id, question).await,
            None => self.channel.typing(recipient, thread_id).await,
        };
        self.heed(began, recipient, shown.as_ref().err());
        shown.map(|()| true)
    }

    /// Asks the platform whether the channel's credential works.
    ///
    /// # Errors
    /// As [`Channel::probe`].
    pub(crate) async fn probe(&self) -> Result<Probe, ChannelError> {
        self.channel.probe().await
    }

    /// What a call that began at this time came to.
    fn heed(&self, began: Instant, recipient: &str, error: Option<&ChannelError>) {
        self.measured.called(began, error);
        match error {
            Some(ChannelError::RateLimited(wait)) => self.limiter.silence(*wait),
            Some(ChannelError::ChatLimited { wait, told }) => {
                self.limiter.silence_chat(recipient, *wait, *told);
            }
            _ => {}
        }
    }
}
