//! One rate: a generic cell rate algorithm, which is an instant that every call moves on.

use claw_channels::Rate;
use tokio::time::Instant;

/// Where one rate stands: when it will be as if nothing had ever passed.
#[derive(Debug, Default)]
pub(super) struct Pace(Option<Instant>);

impl Pace {
    /// When so many may pass, at `from` the earliest.
    pub(super) fn when(&self, rate: Rate, cost: u32, from: Instant) -> Instant {
        let after = self.moved(rate, cost, from);
        after.checked_sub(rate.every * rate.burst).map_or(from, |at| at.max(from))
    }

    /// When one may pass and leave a place for another one, if the rate lets two pass together at all.
    pub(super) fn when_spare(&self, rate: Rate, from: Instant) -> Instant {
        self.when(rate, rate.burst.min(2), from)
    }

    /// Takes their place: when it is.
    pub(super) fn take(&mut self, rate: Rate, cost: u32, from: Instant) -> Instant {
        let at = self.when(rate, cost, from);
        self.0 = Some(self.moved(rate, cost, from));
        at
    }

    fn moved(&self, rate: Rate, cost: u32, from: Instant) -> Instant {
        self.0.map_or(from, |at| at.max(from)) + rate.every * cost
    }

    /// As if all that pass at once had just passed, but for one.
    pub(super) fn exhaust(&mut self, rate: Rate, at: Instant) {
        self.0 = Some(at + rate.every * rate.burst.saturating_sub(1));
    }

    pub(super) fn is_fresh(&self, now: Instant) -> bool {
        self.0.is_none_or(|at| at <= now)
    }
}

/// A silence that the platform asked for.
#[derive(Debug, Default)]
pub(super) struct Silence {
    until: Option<Instant>,
    /// How often it was asked for: places that were given before the last time are void.
    pub(super) times: u64,
}

impl Silence {
    /// Nothing before `until`; a shorter silence takes nothing back of a longer one. Gives when it ends.
    pub(super) fn keep(&mut self, until: Instant) -> Instant {
        let until = self.until.map_or(until, |already| already.max(until));
        self.until = Some(until);
        self.times += 1;
        until
    }

    /// The first moment from `now` on at which it is over.
    pub(super) fn over(&self, now: Instant) -> Instant {
        self.until.map_or(now, |until| until.max(now))
    }

    pub(super) fn is_over(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| until <= now)
    }
}
