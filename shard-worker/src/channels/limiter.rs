//! How fast one bot calls its platform: one limiter for all that a channel sends (ADR 6).
//!
//! A bot belongs to one channel and a channel to one owner, so the limiter lives with the running channel and knows of
//! every call. An answer takes its place at once and sleeps until it comes, so a thousand that wait cost a thousand
//! wake-ups, not a million.
//!
//! Answers go first. A preview ("Processing...", or another text for a message that is still being written) takes no place ahead: it passes
//! when one is free, and only where it leaves one for an answer, so an answer that comes a moment later does not wait for it.
//! Typing is for this moment: it passes at once or not at all, and not before a preview that waits.
//!
//! Must hold: nobody waits for the bot's place while it waits for its chat's, so a busy chat takes nothing from others;
//! after a silence nobody passes on a place that was given before it; who gives up waiting leaves at most its place unused.

mod pace;
mod state;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use claw_channels::Limits;
use tokio::time::{Instant, sleep_until};

use self::state::State;

/// Who goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Priority {
    /// What somebody waits for: messages, and what is done to them.
    Answer,
    /// What the next one makes worthless: "Processing...", or another text for a message that is still being written; and an emoji on a
    /// person's message, which nobody waits for.
    Preview,
}

/// The limiter of one running channel.
#[derive(Debug)]
pub(crate) struct Limiter {
    limits: Option<&'static Limits>,
    state: Mutex<State>,
    /// Held by the one preview that waits for the bot, so that the others don't all wake for the same place.
    preview: tokio::sync::Mutex<()>,
}

impl Limiter {
    /// Nothing has passed.
    pub(crate) fn new(limits: Option<&'static Limits>) -> Self {
        Self { limits, state: Mutex::default(), preview: tokio::sync::Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a call that the platform counts as `cost` messages may be made into this chat. Dropped, it gives up.
    pub(crate) async fn turn(&self, priority: Priority, recipient: &str, group: bool, cost: u32) {
        match priority {
            Priority::Answer => self.answer(recipient, group, cost).await,
            Priority::Preview => self.preview(recipient, group).await,
        }
    }

    async fn answer(&self, recipient: &str, group: bool, cost: u32) {
        loop {
            let chat = self.state().chat_place(self.limits, recipient, group, cost);
            sleep_until(chat.at).await;
            if self.state().chat_silences(recipient) == chat.silences {
                self.bot(cost).await;
            }
            // The platform may have asked for silence in this chat meanwhile.
            if self.state().chat_silences(recipient) == chat.silences {
                return;
            }
        }
    }

    async fn bot(&self, cost: u32) {
        loop {
            let bot = self.state().bot_place(self.limits, cost);
            sleep_until(bot.at).await;
            if self.state().bot_silences() == bot.silences {
                return;
            }
        }
    }

    async fn preview(&self, recipient: &str, group: bool) {
        loop {
            let at = self.state().chat_spare(self.limits, recipient, group);
            sleep_until(at).await;
            let _first = self.preview.lock().await;
            loop {
                let at = self.state().bot_spare(self.limits);
                if at <= Instant::now() {
                    break;
                }
                sleep_until(at).await;
            }
            if self.pass(recipient, group) {
                return;
            }
            // An answer came into this chat meanwhile: others need not wait for that.
        }
    }

    /// Whether somebody may be shown, right now, that an answer is being written. It is no message: a group's own rate
    /// does not count it.
    pub(crate) fn may_type(&self, recipient: &str) -> bool {
        self.preview.try_lock().is_ok() && self.pass(recipient, false)
    }

    /// Takes a place of chat and bot if both have one to spare right now.
    fn pass(&self, recipient: &str, group: bool) -> bool {
        let mut state = self.state();
        let spare = state.chat_spare(self.limits, recipient, group).max(state.bot_spare(self.limits));
        // What is free from now on is free from the moment at which it was asked, so that is looked at first.
        let free = spare <= Instant::now();
        if free {
            state.chat_place(self.limits, recipient, group, 1);
            state.bot_place(self.limits, 1);
        }
        free
    }

    /// The platform asked for this long a silence: nothing of the bot passes until then, whatever its place.
    pub(crate) fn silence(&self, wait: Duration) {
        self.state().silence_bot(self.limits, Instant::now() + wait);
    }

    /// The platform asked for this long a silence when it was called into this chat. Unless it was `told` that the chat is
    /// meant, the bot is when a second chat gets such an answer while the first is still silent.
    pub(crate) fn silence_chat(&self, recipient: &str, wait: Duration, told: bool) {
        let mut state = self.state();
        let until = Instant::now() + wait;
        if !told && state.suspects_another(recipient) {
            state.silence_bot(self.limits, until);
        }
        state.silence_chat(self.limits, recipient, until);
    }
}

#[cfg(test)]
mod tests;
