//! The one retry schedule: exponential, capped, with jitter, bounded in attempts.

use std::time::Duration;

use crate::Random;

/// The part of a wait that may be taken off at random.
const JITTER: f64 = 0.25;

/// How long to wait after the n-th failed attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct Backoff {
    /// The wait after the first failure.
    pub first: Duration,
    /// What each wait is multiplied by.
    pub factor: f64,
    /// No wait is longer.
    pub cap: Duration,
    /// Attempts in all; the last one's failure is final. `u32::MAX` never gives up.
    pub attempts: u32,
}

impl Backoff {
    /// A message's attempts: 1 s, 2 s, 4 s ... capped at an hour, 44 attempts: 24 to 32 hours, 28 on average.
    pub const MESSAGE: Self =
        Self { first: Duration::from_secs(1), factor: 2.0, cap: Duration::from_secs(3600), attempts: 44 };

    /// As [`Self::MESSAGE`], with as many attempts as it takes to go on for `time` on average, two at least.
    pub fn message_for(time: Duration) -> Self {
        let mut schedule = Self { attempts: 2, ..Self::MESSAGE };
        while schedule.lasts() < time {
            schedule.attempts += 1;
        }
        schedule
    }

    /// From the first attempt to the last, on average; for ever is a time that nobody sees the end of.
    pub fn lasts(&self) -> Duration {
        if self.attempts == u32::MAX {
            return Duration::MAX;
        }
        let full: f64 = (1..self.attempts).map(|failed| self.full(failed)).sum();
        Duration::from_secs_f64(full * (1.0 - JITTER / 2.0))
    }

    /// Seconds to wait after `failed` failed attempts, with nothing taken off.
    fn full(&self, failed: u32) -> f64 {
        let exponent = i32::try_from(failed.saturating_sub(1)).unwrap_or(i32::MAX);
        (self.first.as_secs_f64() * self.factor.powi(exponent)).min(self.cap.as_secs_f64())
    }

    /// A send's attempts: 1 s, 2 s, 4 s ... capped at a minute, until the message is too old to be sent.
    pub const SEND: Self =
        Self { first: Duration::from_secs(1), factor: 2.0, cap: Duration::from_secs(60), attempts: u32::MAX };

    /// Reconnecting to something that we can't do without: 100 ms up to 5 s, for ever.
    pub const RECONNECT: Self = Self {
        first: Duration::from_millis(100),
        factor: 2.0,
        cap: Duration::from_secs(5),
        attempts: u32::MAX,
    };

    /// Calls between our own roles: 20 ms up to 500 ms; the caller's deadline ends it.
    pub const RPC: Self = Self {
        first: Duration::from_millis(20),
        factor: 2.0,
        cap: Duration::from_millis(500),
        attempts: u32::MAX,
    };

    /// The wait after `failed` failed attempts (1 = the first), or `None` when that was the last one.
    /// Jitter takes up to a quarter off, so that what failed together does not come back together.
    pub fn wait(&self, failed: u32, random: &dyn Random) -> Option<Duration> {
        if failed >= self.attempts {
            return None;
        }
        Some(Duration::from_secs_f64(self.full(failed) * (1.0 - JITTER * random.unit())))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::SeededRandom;

    proptest! {
        #[test]
        fn a_schedule_goes_on_for_as_long_as_it_is_told_to(hours in 1_u64..=168, seed: u64) {
            let random = SeededRandom::new(seed);
            let schedule = Backoff::message_for(Duration::from_hours(hours));
            let waits: Vec<f64> =
                (1..).map_while(|n| schedule.wait(n, &random)).map(|wait| wait.as_secs_f64()).collect();
            prop_assert_eq!(waits.len() + 1, schedule.attempts as usize);
            let mut full = 1.0_f64;
            for wait in &waits {
                prop_assert!(*wait <= full && *wait >= 0.75 * full, "{wait} of {full}");
                full = (full * 2.0).min(3600.0);
            }
            let (told, total) = (3600.0 * f64::from(u32::try_from(hours).unwrap()), waits.iter().sum::<f64>());
            // An eighth of jitter either way, and the last wait, which may be longer than what was missing.
            prop_assert!(total >= 0.85 * told && total <= 1.15 * (told + 3600.0), "{total} of {told}");
        }
    }

    #[test]
    fn the_default_is_the_one_for_28_hours() {
        assert_eq!(Backoff::message_for(Duration::from_hours(28)), Backoff::MESSAGE);
        assert_eq!(Backoff::SEND.lasts(), Duration::MAX);
    }

    #[test]
    fn a_message_is_tried_for_about_28_hours() {
        let random = SeededRandom::new(7);
        let total: Duration = (1..).map_while(|n| Backoff::MESSAGE.wait(n, &random)).sum();
        let hours = total.as_secs_f64() / 3600.0;
        assert!((26.0..30.0).contains(&hours), "{hours}");
    }

    #[test]
    fn waits_grow_stay_under_the_cap_and_end() {
        let random = SeededRandom::new(7);
        let backoff = Backoff { attempts: 3, ..Backoff::RECONNECT };
        let first = backoff.wait(1, &random).unwrap();
        assert!(first >= Duration::from_millis(75) && first <= Duration::from_millis(100), "{first:?}");
        assert!(backoff.wait(2, &random).unwrap() >= Duration::from_millis(150));
        assert_eq!(backoff.wait(3, &random), None);
        assert!(Backoff::RECONNECT.wait(1_000_000, &random).unwrap() <= Duration::from_secs(5));
    }
}
