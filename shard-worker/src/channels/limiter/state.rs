//! What a limiter knows: where the bot and each chat stand.

use std::collections::HashMap;

use claw_channels::Limits;
use tokio::time::Instant;

use super::pace::{Pace, Silence};

/// Chats that are remembered before those that may send at full rate again are forgotten.
pub(super) const CHATS: usize = 256;

/// A place in time, and how often the platform had asked for silence when it was given: asked once more, it is void.
pub(super) struct Place {
    pub(super) at: Instant,
    pub(super) silences: u64,
}

#[derive(Debug, Default)]
pub(super) struct State {
    bot: Pace,
    bot_silence: Silence,
    pub(super) chats: HashMap<String, Chat>,
    /// The chat that was silenced last by an answer that did not say whether it meant the bot.
    suspect: Option<String>,
    /// So many chats are looked through next.
    look_through: usize,
}

#[derive(Debug, Default)]
pub(super) struct Chat {
    own: Pace,
    group: Pace,
    silence: Silence,
}

impl State {
    /// A place of the chat; taken.
    pub(super) fn chat_place(
        &mut self,
        limits: Option<&Limits>,
        recipient: &str,
        group: bool,
        cost: u32,
    ) -> Place {
        let now = Instant::now();
        let Some(limits) = limits else {
            // Without a pace there is only what the platform asked for.
            let silence = self.chats.get(recipient).map(|chat| &chat.silence);
            let at = silence.map_or(now, |silence| silence.over(now));
            return Place { at, silences: silence.map_or(0, |silence| silence.times) };
        };
        let chat = self.chat(recipient);
        let at = chat.own.take(limits.chat, cost, chat.silence.over(now));
        let at = if group { chat.group.take(limits.group, cost, at) } else { at };
        Place { at, silences: chat.silence.times }
    }

    /// A place of the bot; taken.
    pub(super) fn bot_place(&mut self, limits: Option<&Limits>, cost: u32) -> Place {
        let from = self.bot_silence.over(Instant::now());
        let at = limits.map_or(from, |limits| self.bot.take(limits.bot, cost, from));
        Place { at, silences: self.bot_silence.times }
    }

    pub(super) fn bot_silences(&self) -> u64 {
        self.bot_silence.times
    }

    pub(super) fn chat_silences(&self, recipient: &str) -> u64 {
        self.chats.get(recipient).map_or(0, |chat| chat.silence.times)
    }

    /// When the chat would have a place to spare, that is one beside that of an answer that may come; nothing is taken.
    pub(super) fn chat_spare(&self, limits: Option<&Limits>, recipient: &str, group: bool) -> Instant {
        let now = Instant::now();
        let Some(chat) = self.chats.get(recipient) else { return now };
        let from = chat.silence.over(now);
        let Some(limits) = limits else { return from };
        let at = chat.own.when_spare(limits.chat, from);
        if group { chat.group.when_spare(limits.group, at) } else { at }
    }

    /// When the bot would have a place to spare; nothing is taken.
    pub(super) fn bot_spare(&self, limits: Option<&Limits>) -> Instant {
        let from = self.bot_silence.over(Instant::now());
        limits.map_or(from, |limits| self.bot.when_spare(limits.bot, from))
    }

    /// Nothing of the bot passes before `until`.
    pub(super) fn silence_bot(&mut self, limits: Option<&Limits>, until: Instant) {
        let until = self.bot_silence.keep(until);
        self.suspect = None;
        if let Some(limits) = limits {
            self.bot.exhaust(limits.bot, until);
        }
    }

    /// Nothing passes into this chat before `until`.
    pub(super) fn silence_chat(&mut self, limits: Option<&Limits>, recipient: &str, until: Instant) {
        let chat = self.chat(recipient);
        let until = chat.silence.keep(until);
        if let Some(limits) = limits {
            chat.own.exhaust(limits.chat, until);
            // A burst into a group is over, too: where it was not what the platform counted, this costs one place.
            chat.group.exhaust(limits.group, until);
        }
    }

    /// Whether another chat is silent already because of an answer that may have meant the bot; this one is, from now on.
    pub(super) fn suspects_another(&mut self, recipient: &str) -> bool {
        let now = Instant::now();
        let suspect = self.suspect.replace(recipient.to_owned());
        let silent = |other: &String| self.chats.get(other).is_some_and(|chat| !chat.silence.is_over(now));
        suspect.is_some_and(|other| other != recipient && silent(&other))
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
        self.chats.retain(|_, chat| !chat.is_fresh(now));
        // As many again may come before it is worth looking.
        self.look_through = 2 * self.chats.len();
    }
}

impl Chat {
    fn is_fresh(&self, now: Instant) -> bool {
        self.own.is_fresh(now) && self.group.is_fresh(now) && self.silence.is_over(now)
    }
}
