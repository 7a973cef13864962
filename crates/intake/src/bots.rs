//! The guard against two programs that answer each other for ever, where a channel listens to programs at all.
//!
//! Counted in the process, not in the database: a channel that polls is in one process, and of several gateways that
//! share one channel's requests each lets so many pass, which still ends a loop.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Messages of programs that pass in one conversation within [`WINDOW`].
pub(crate) const PACE: usize = 20;
pub(crate) const WINDOW: Duration = Duration::from_secs(60);
/// Conversations that are remembered before those that are quiet are forgotten.
const REMEMBERED: usize = 1000;

/// When programs wrote last, by conversation.
#[derive(Debug, Default)]
pub(crate) struct BotGuard(Mutex<HashMap<String, VecDeque<Instant>>>);

impl BotGuard {
    /// Whether another message of a program may pass now.
    pub(crate) fn admits(&self, conversation: &str, now: Instant) -> bool {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= REMEMBERED && !all.contains_key(conversation) {
            all.retain(|_, times| times.back().is_some_and(|at| now.duration_since(*at) < WINDOW));
            if all.len() >= REMEMBERED {
                return false;
            }
        }
        let times = all.entry(conversation.to_owned()).or_default();
        while times.front().is_some_and(|at| now.duration_since(*at) >= WINDOW) {
            times.pop_front();
        }
        let admitted = times.len() < PACE;
        if admitted {
            times.push_back(now);
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_remembers_no_more_than_it_may() {
        let (guard, now) = (BotGuard::default(), Instant::now());
        for n in 0..REMEMBERED {
            assert!(guard.admits(&n.to_string(), now));
        }
        assert!(!guard.admits("one more", now));
        assert!(guard.admits("0", now), "those that are known go on");
        assert!(guard.admits("one more", now + WINDOW), "the quiet ones are forgotten");
    }
}
