//! New sessions of the gateway: as few as possible, as Discord resets the token of a bot that begins more than about a thousand in
//! a day (<https://docs.discord.com/developers/events/gateway#identifying>).
//!
//! How many are left is asked of Discord before each one (<https://docs.discord.com/developers/events/gateway#get-gateway-bot>):
//! its number counts the whole cluster's, and whatever else uses the token. The last of them are not used: they are for whoever
//! has to start the bot by hand.
//!
//! A bot's shards are of groups, of which each may begin one session in five seconds, one shard after the other in their order
//! (<https://docs.discord.com/developers/events/gateway#sharding-max-concurrency>). So they come through one door, and who is
//! inside stays until its session was asked for.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use claw_runtime::{Backoff, Random};
use serde::Deserialize;
use tokio::time::Instant;

use crate::ChannelError;

/// Sessions that are never begun, of the thousand or so.
const RESERVE: u64 = 50;
/// At most this part of the whole is kept back, as some bots have few.
const RESERVED_PART: u64 = 20;
/// In this time `max_concurrency` sessions may begin, each of another group
/// (<https://docs.discord.com/developers/events/gateway#session-start-limit-object>).
const WINDOW: Duration = Duration::from_secs(5);
/// A session that began so long ago has nothing to do with the next one; longer than any pause between two.
const STEADY: Duration = Duration::from_mins(30);
/// Sessions that are lost again and again are begun ever more seldom, every quarter of an hour in the end: 96 in a day.
const SEEDY: Backoff =
    Backoff { first: WINDOW, factor: 2.0, cap: Duration::from_mins(15), attempts: u32::MAX };

/// What Discord says of new sessions.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) struct StartLimit {
    pub(crate) total: u64,
    pub(crate) remaining: u64,
    /// Milliseconds.
    pub(crate) reset_after: u64,
    pub(crate) max_concurrency: u64,
}

impl StartLimit {
    /// Refuses a new session that would use what is kept back.
    pub(crate) fn allow(&self) -> Result<(), ChannelError> {
        if self.remaining > RESERVE.min(self.total / RESERVED_PART) && self.max_concurrency > 0 {
            return Ok(());
        }
        // Discord's own number counts down while this is waited for.
        Err(ChannelError::RateLimited(
            Duration::from_millis(self.reset_after).clamp(WINDOW, Duration::from_hours(1)),
        ))
    }
}

/// When this process began sessions of one bot.
#[derive(Default)]
pub(crate) struct Budget {
    /// It lets in whoever asked first.
    door: tokio::sync::Mutex<()>,
    began: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Of each shard, the last one.
    shards: HashMap<usize, Began>,
    /// Of each group.
    groups: HashMap<u64, Instant>,
}

#[derive(Clone, Copy)]
struct Began {
    at: Instant,
    /// How many in a row, none of which lasted.
    row: u32,
}

/// The permission to begin one session. Nobody else has it meanwhile.
pub(crate) struct Permit<'a> {
    budget: &'a Budget,
    shard: usize,
    group: u64,
    _door: tokio::sync::MutexGuard<'a, ()>,
}

impl Budget {
    /// How long the next session of a shard has to wait because of those before.
    pub(crate) fn pause(&self, shard: usize, random: &dyn Random) -> Duration {
        let Some(began) = self.state().shards.get(&shard).copied() else {
            return Duration::ZERO;
        };
        let passed = began.at.elapsed();
        if passed >= STEADY {
            return Duration::ZERO;
        }
        let pause = SEEDY.wait(began.row, random).unwrap_or(SEEDY.cap).max(WINDOW);
        pause.saturating_sub(passed)
    }

    /// Waits until nobody else of the bot's is about to begin one. Who has a [`Self::pause`] to make makes it before.
    pub(crate) async fn enter(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.door.lock().await
    }

    /// Waits until a session of the shard's group may begin.
    pub(crate) async fn permit<'a>(
        &'a self,
        door: tokio::sync::MutexGuard<'a, ()>,
        shard: usize,
        limit: &StartLimit,
    ) -> Permit<'a> {
        let group = u64::try_from(shard).unwrap_or_default() % limit.max_concurrency.max(1);
        let last = self.state().groups.get(&group).copied();
        if let Some(last) = last {
            tokio::time::sleep_until(last + WINDOW).await;
        }
        Permit { budget: self, shard, group, _door: door }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.began.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit<'_> {
    /// The session begins now.
    pub(crate) fn begins(&self) {
        let mut state = self.budget.state();
        let last = state.shards.get(&self.shard).filter(|began| began.at.elapsed() < STEADY);
        let row = last.map_or(0, |began| began.row) + 1;
        let at = Instant::now();
        state.shards.insert(self.shard, Began { at, row });
        state.groups.insert(self.group, at);
    }
}

#[cfg(test)]
mod tests {
    use claw_runtime::SeededRandom;

    use super::*;

    fn limit(total: u64, remaining: u64) -> StartLimit {
        StartLimit { total, remaining, reset_after: 14_400_000, max_concurrency: 1 }
    }

    #[test]
    fn the_last_sessions_are_not_begun() {
        assert_eq!(limit(1000, 999).allow(), Ok(()));
        assert_eq!(limit(1000, 51).allow(), Ok(()));
        let later = Err(ChannelError::RateLimited(Duration::from_hours(1)));
        assert_eq!(limit(1000, 50).allow(), later);
        assert_eq!(limit(1000, 0).allow(), later);
        assert_eq!(limit(100, 6).allow(), Ok(()));
        assert_eq!(limit(100, 5).allow(), later);
        let soon = StartLimit { reset_after: 60_000, ..limit(1000, 0) };
        assert_eq!(soon.allow(), Err(ChannelError::RateLimited(Duration::from_mins(1))));
    }

    async fn begin(budget: &Budget, shard: usize, concurrency: u64) {
        let limit = StartLimit { max_concurrency: concurrency, ..limit(1000, 999) };
        budget.permit(budget.enter().await, shard, &limit).await.begins();
    }

    #[tokio::test(start_paused = true)]
    async fn sessions_that_do_not_last_are_begun_ever_more_seldom() {
        let (budget, random) = (Budget::default(), SeededRandom::new(1));
        assert_eq!(budget.pause(0, &random), Duration::ZERO);
        let (mut began, from) = (0, Instant::now());
        while from.elapsed() < Duration::from_hours(24) {
            tokio::time::advance(budget.pause(0, &random)).await;
            begin(&budget, 0, 1).await;
            assert!(budget.pause(0, &random) >= WINDOW * 3 / 4);
            began += 1;
        }
        assert!(began < 300, "{began} in a day");
        assert_eq!(budget.pause(1, &random), Duration::ZERO, "another shard's are its own");
        tokio::time::advance(STEADY).await;
        assert_eq!(budget.pause(0, &random), Duration::ZERO, "one that lasted is forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn each_group_of_shards_begins_one_session_at_a_time() {
        for (concurrency, waits) in [(1, [0, 5, 10, 15]), (2, [0, 0, 5, 5]), (16, [0, 0, 0, 0])] {
            let (budget, from) = (Budget::default(), Instant::now());
            for (shard, wait) in waits.into_iter().enumerate() {
                begin(&budget, shard, concurrency).await;
                assert_eq!(from.elapsed().as_secs(), wait, "shard {shard} of {concurrency} at once");
            }
        }
    }
}
