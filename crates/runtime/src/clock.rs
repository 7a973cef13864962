//! Wall-clock time, injected. Deadlines inside a process use `tokio::time::Instant`, which tests can pause.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};

use chrono::{DateTime, TimeDelta, Utc};

/// Tells the time of day.
pub trait Clock: Send + Sync + 'static {
    /// Now, in UTC.
    fn now(&self) -> DateTime<Utc>;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

/// The machine's clock, corrected by that of somebody whom all processes of a cluster ask: their machines' clocks may
/// differ by hours, and what one signs, dates or lets expire another one has to understand.
#[derive(Debug, Default)]
pub struct SyncedClock {
    /// Added to the machine's time, in milliseconds.
    correction: AtomicI64,
}

/// What is less apart is left alone: it is the way of the answer as much as the clocks.
const CLOSE_MS: i64 = 1_000;

impl SyncedClock {
    /// Takes over `theirs`, which was told between `asked` and now, both by the machine's clock. An answer that took too
    /// long to say anything changes nothing. Tells by how many milliseconds the machine's clock is behind.
    pub fn correct(&self, asked: DateTime<Utc>, theirs: DateTime<Utc>) -> i64 {
        let way = (SystemClock.now() - asked).num_milliseconds();
        if !(0..=CLOSE_MS).contains(&way) {
            return self.correction.load(Ordering::Relaxed);
        }
        let behind = (theirs - asked).num_milliseconds() - way / 2;
        let correction = if behind.abs() < CLOSE_MS { 0 } else { behind };
        self.correction.store(correction, Ordering::Relaxed);
        correction
    }
}

impl Clock for SyncedClock {
    fn now(&self) -> DateTime<Utc> {
        SystemClock.now() + TimeDelta::milliseconds(self.correction.load(Ordering::Relaxed))
    }
}

/// A clock that stands still until told to move.
#[derive(Debug)]
pub struct ManualClock(Mutex<DateTime<Utc>>);

impl ManualClock {
    /// Stands at `at`.
    pub fn new(at: DateTime<Utc>) -> Self {
        Self(Mutex::new(at))
    }

    /// Moves by `by`, backwards too.
    pub fn advance(&self, by: TimeDelta) {
        let mut now = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        *now += by;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_an_hour_off_is_corrected_and_a_close_one_is_left_alone() {
        let clock = SyncedClock::default();
        for hours in [1, -1] {
            let now = SystemClock.now();
            let behind = clock.correct(now, now + TimeDelta::hours(hours));
            assert!((behind - hours * 3_600_000).abs() < CLOSE_MS, "{behind}");
            let off = clock.now() - SystemClock.now() - TimeDelta::hours(hours);
            assert!(off.num_milliseconds().abs() < CLOSE_MS, "{off}");
        }
        // Told long ago: nobody knows when.
        let asked = SystemClock.now() - TimeDelta::seconds(5);
        assert!(clock.correct(asked, asked).abs() > 3_000_000, "the old correction stays");
        let now = SystemClock.now();
        assert_eq!(clock.correct(now, now + TimeDelta::milliseconds(900)), 0);
    }
}
