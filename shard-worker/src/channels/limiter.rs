//! How fast one bot calls its platform: one limiter for all that a channel sends (ADR 6).
//!
//! A bot belongs to one channel and a channel to one owner, so the limiter lives with the running channel and knows of
//! every call. Each rate is a generic cell rate algorithm: an instant that every call moves on. A caller takes its place
//! at once and sleeps until it comes, so a thousand that wait cost a thousand wake-ups, not a million.
//!
//! Must hold: nobody waits for the bot's place while it waits for its chat's, so a busy chat takes nothing from others;
//! after a pause nobody passes on a place that was given before it; who gives up waiting leaves at most its place unused.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use claw_channels::{Limits, Rate};
use tokio::time::{Instant, sleep_until};

/// Chats that are remembered before those that may send at full rate again are forgotten.
const CHATS: usize = 256;

/// The limiter of one running channel.
#[derive(Debug)]
pub(crate) struct Limiter {
    limits: Option<&'static Limits>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    bot: Pace,
    chats: HashMap<String, Chat>,
    /// Until when the platform wants no call at all.
    paused_until: Option<Instant>,
    /// How often it asked; places that were given before the last time are void.
    pauses: u64,
    /// So many chats are looked through next.
    look_through: usize,
}

#[derive(Debug, Default)]
struct Chat {
    own: Pace,
    group: Pace,
}

/// Where one rate stands: when it will be as if nothing had ever passed.
#[derive(Debug, Default)]
struct Pace(Option<Instant>);

impl Pace {
    /// When so many may pass, at `from` the earliest.
    fn when(&self, rate: Rate, cost: u32, from: Instant) -> Instant {
        let after = self.moved(rate, cost, from);
        after.checked_sub(rate.every * rate.burst).map_or(from, |at| at.max(from))
    }

    /// Takes their place: when it is.
    fn take(&mut self, rate: Rate, cost: u32, from: Instant) -> Instant {
        let at = self.when(rate, cost, from);
        self.0 = Some(self.moved(rate, cost, from));
        at
    }

    fn moved(&self, rate: Rate, cost: u32, from: Instant) -> Instant {
        self.0.map_or(from, |at| at.max(from)) + rate.every * cost
    }

    /// As if all that pass at once had just passed, but for one.
    fn exhaust(&mut self, rate: Rate, at: Instant) {
        self.0 = Some(at + rate.every * rate.burst.saturating_sub(1));
    }

    fn is_fresh(&self, now: Instant) -> bool {
        self.0.is_none_or(|at| at <= now)
    }
}

impl Limiter {
    /// Nothing has passed.
    pub(crate) fn new(limits: Option<&'static Limits>) -> Self {
        Self { limits, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a call that the platform counts as `cost` messages may be made into this chat. Dropped, it gives up.
    pub(crate) async fn turn(&self, recipient: &str, group: bool, cost: u32) {
        if let Some(limits) = self.limits {
            let at = self.state().chat(recipient).take(limits, group, cost, Instant::now());
            sleep_until(at).await;
        }
        loop {
            let (at, pauses) = self.state().bot_place(self.limits, cost);
            sleep_until(at).await;
            // The platform may have asked for silence meanwhile.
            if self.state().pauses == pauses {
                return;
            }
        }
    }

    /// The platform asked for this long a silence: nothing of the bot passes until then, whatever its place.
    pub(crate) fn pause(&self, wait: Duration) {
        let mut state = self.state();
        let until = Instant::now() + wait;
        let until = state.paused_until.map_or(until, |already| already.max(until));
        state.paused_until = Some(until);
        state.pauses += 1;
        if let Some(limits) = self.limits {
            state.bot.exhaust(limits.bot, until);
        }
    }
}

impl State {
    /// When the bot may make the call, and how often it had been paused when this was said.
    fn bot_place(&mut self, limits: Option<&Limits>, cost: u32) -> (Instant, u64) {
        let now = Instant::now();
        let from = self.paused_until.map_or(now, |until| until.max(now));
        (limits.map_or(from, |limits| self.bot.take(limits.bot, cost, from)), self.pauses)
    }

    fn chat(&mut self, recipient: &str) -> &mut Chat {
        if !self.chats.contains_key(recipient) {
            self.forget_fresh();
        }
        self.chats.entry(recipient.to_owned()).or_default()
    }

    fn forget_fresh(&mut self) {
        if self.chats.len() < self.look_through.max(CHATS) {
            return;
        }
        let now = Instant::now();
        self.chats.retain(|_, chat| !(chat.own.is_fresh(now) && chat.group.is_fresh(now)));
        // As many again may come before it is worth looking.
        self.look_through = 2 * self.chats.len();
    }
}

impl Chat {
    fn take(&mut self, limits: &Limits, group: bool, cost: u32, now: Instant) -> Instant {
        let at = self.own.take(limits.chat, cost, now);
        if group { self.group.take(limits.group, cost, at) } else { at }
    }
}

#[cfg(test)]
mod tests;
