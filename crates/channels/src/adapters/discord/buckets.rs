//! Which of Discord's limits are used up, as its answers tell
//! (<https://docs.discord.com/developers/topics/rate-limits#header-format>).
//!
//! Discord counts calls in buckets. Which calls share one, and how many fit, only answers say, in headers; a bucket is counted for
//! each channel by itself. So what is kept is small: the name of each kind of call's bucket, and until when which of them is empty.
//! A call into an empty bucket is not made: its caller is told the rest of the wait, as if Discord had refused it, and Discord
//! counts no invalid call (10,000 in ten minutes bar the whole address, says the same page).

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use http::HeaderMap;
use tokio::time::Instant;

use crate::kit::answer::PLATFORM_ASKS;

/// The longest wait that an answer can ask for, as with every platform.
const LONGEST: Duration = PLATFORM_ASKS;
/// The shortest: none at all would have us call again without a pause.
const SHORTEST: Duration = Duration::from_millis(50);
/// Empty buckets that are kept before those that have filled again are thrown away.
const MANY: usize = 256;

/// One bot's.
#[derive(Default)]
pub(super) struct Buckets(Mutex<State>);

#[derive(Default)]
struct State {
    /// The bucket of each kind of call.
    names: HashMap<&'static str, String>,
    /// Until when a bucket is empty, by its name and the chat.
    empty: HashMap<(String, String), Instant>,
}

impl Buckets {
    /// How long a call of this kind into this chat has to wait; `None` when it may be made.
    pub(super) fn wait(&self, kind: &'static str, chat: &str) -> Option<Duration> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let name = state.names.get(kind)?;
        let until = state.empty.get(&(name.clone(), chat.to_owned()))?;
        let wait = until.saturating_duration_since(Instant::now());
        (!wait.is_zero()).then_some(wait)
    }

    /// Remembers what an answer's headers say.
    pub(super) fn note(&self, kind: &'static str, chat: &str, headers: &HeaderMap) {
        let text = |name: &str| headers.get(name)?.to_str().ok();
        let Some(name) = text("x-ratelimit-bucket") else { return };
        let is_empty = text("x-ratelimit-remaining") == Some("0");
        let resets = text("x-ratelimit-reset-after").and_then(|text| text.parse().ok()).map(waiting);
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.names.get(kind).is_none_or(|known| known != name) {
            state.names.insert(kind, name.to_owned());
        }
        let key = (name.to_owned(), chat.to_owned());
        match resets.filter(|_| is_empty) {
            Some(wait) => {
                let now = Instant::now();
                if state.empty.len() >= MANY {
                    state.empty.retain(|_, until| *until > now);
                }
                state.empty.insert(key, now + wait);
            }
            None => drop(state.empty.remove(&key)),
        }
    }
}

/// A wait of so many seconds, which Discord tells with a fraction.
pub(super) fn waiting(seconds: f64) -> Duration {
    let asked = Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST);
    asked.clamp(SHORTEST, LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(remaining: &'static str, reset: &'static str) -> HeaderMap {
        let of = |name: &'static str, value: &'static str| (name.parse().unwrap(), value.parse().unwrap());
        HeaderMap::from_iter([
            of("x-ratelimit-bucket", "abcd1234"),
            of("x-ratelimit-remaining", remaining),
            of("x-ratelimit-reset-after", reset),
        ])
    }

    #[tokio::test(start_paused = true)]
    async fn an_empty_bucket_is_left_alone_until_it_fills_again() {
        let buckets = Buckets::default();
        assert_eq!(buckets.wait("send", "1"), None);
        buckets.note("send", "1", &headers("1", "2.5"));
        assert_eq!(buckets.wait("send", "1"), None, "one is left");
        buckets.note("send", "1", &headers("0", "2.5"));
        assert_eq!(buckets.wait("send", "1"), Some(Duration::from_millis(2500)));
        assert_eq!(buckets.wait("send", "2"), None, "another chat's is its own");
        assert_eq!(buckets.wait("edit", "1"), None, "nothing is known of another kind of call");
        buckets.note("edit", "2", &headers("4", "1"));
        assert!(buckets.wait("edit", "1").is_some(), "it turns out to share the bucket");
        tokio::time::advance(Duration::from_millis(2500)).await;
        assert_eq!(buckets.wait("send", "1"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn chats_without_number_do_not_fill_the_memory() {
        let buckets = Buckets::default();
        for chat in 0..10 * MANY {
            buckets.note("send", &chat.to_string(), &headers("0", "1"));
            tokio::time::advance(Duration::from_millis(10)).await;
        }
        assert!(buckets.0.lock().unwrap().empty.len() <= MANY);
    }

    #[test]
    fn a_wait_is_within_bounds_whatever_is_said() {
        assert_eq!(waiting(7.25), Duration::from_millis(7250));
        assert_eq!(waiting(36_000.0), Duration::from_hours(10), "a ban of some hours is obeyed to its end");
        for (said, wait) in
            [(0.0, SHORTEST), (-1.0, LONGEST), (f64::NAN, LONGEST), (1e300, LONGEST), (99_999.0, LONGEST)]
        {
            assert_eq!(waiting(said), wait, "{said}");
        }
    }
}
