//! How fast a platform takes calls, as its adapter declares it. The channel's owner keeps to it.

use std::time::Duration;

/// How fast a platform takes calls of one bot: in all, into one chat, and into one chat of many people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// All calls of the bot.
    pub bot: Rate,
    /// Calls for one chat.
    pub chat: Rate,
    /// Messages into one chat of many people ([`crate::Channel::is_group`]); beside `chat`.
    pub group: Rate,
}

/// So many at once when there was silence before, then one at a time.
///
/// Within any time `t` at most `burst + t / every` pass, so a platform's "n in t" is a burst and a pace that make n
/// together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// The time in which one more may pass.
    pub every: Duration,
    /// How many pass at once; at least 1.
    pub burst: u32,
}
