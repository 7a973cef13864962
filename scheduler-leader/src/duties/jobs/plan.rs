//! What becomes of a job that is due: for which of its times it runs now, and when it is due next. Pure.
//!
//! One time at a time: where several are made up for, the job stays due until the last of them, so each has a statement of its
//! own, in order, and whoever takes over goes on where the former leader was.

use std::collections::VecDeque;
use std::iter;

use chrono::{DateTime, TimeDelta, Utc};
use claw_runtime::Random;
use claw_schedule::Schedule;
use claw_store::Over;
use claw_store::due::{jitter_ms, next_due};
use claw_types::job::{Misfire, Options, Overlap};

/// A time that is later than this was missed.
const GRACE: TimeDelta = TimeDelta::seconds(60);
/// A run that waits for an earlier one is put off by an eighth of how long it has waited, at least so long at a time. The end of the
/// earlier one puts it forward; this is for what nobody tells, such as a message that is handed over late.
const LEAST_QUEUED: TimeDelta = TimeDelta::seconds(1);
/// At most so long.
pub(super) const MOST_QUEUED: TimeDelta = TimeDelta::seconds(60);
/// As `jitter_ms`: the run has waited for longer than that can hold, so its timer has to be moved by itself. No jitter is as long.
pub(super) const LONGEST: i32 = i32::MAX;
/// Where the search for the latest times begins: as far back as most jobs' interval.
const WINDOW: TimeDelta = TimeDelta::seconds(60);

/// A job that is due, read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Due<'a> {
    pub(super) schedule: &'a Schedule,
    pub(super) options: &'a Options,
    pub(super) one_shot: bool,
    /// From where the intervals of an `every` are counted.
    pub(super) anchor: DateTime<Utc>,
    /// The first time that nothing was done about.
    pub(super) time: DateTime<Utc>,
    /// By how much its run is later.
    pub(super) jitter_ms: i32,
    /// Scheduled runs so far.
    pub(super) runs: u64,
    /// Whether an earlier run goes on.
    pub(super) busy: bool,
}

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verdict {
    /// The time for which it runs now.
    pub(super) run: Option<DateTime<Utc>>,
    /// Its next time; none: it is over.
    pub(super) next: Option<DateTime<Utc>>,
    /// By how much it is due later than that.
    pub(super) jitter_ms: i32,
    /// Whether a time is passed over because an earlier run goes on.
    pub(super) overlapped: bool,
    /// What became of its last time, if it has no next one.
    pub(super) over: Option<Over>,
}

impl Due<'_> {
    /// Decides, at `now`.
    pub(super) fn verdict(&self, now: DateTime<Utc>, random: &dyn Random) -> Verdict {
        if self.busy && self.options.overlap == Overlap::Queue {
            let waited = now - self.time;
            let more = (waited / 8).clamp(LEAST_QUEUED, MOST_QUEUED);
            let jitter_ms = i32::try_from((waited + more).num_milliseconds()).unwrap_or(LONGEST);
            return Verdict { run: None, next: Some(self.time), jitter_ms, overlapped: false, over: None };
        }
        let overlapped = self.busy && self.options.overlap == Overlap::Skip;
        let until = self.until(now);
        let (run, after) = if overlapped { (None, self.last(until)) } else { self.choose(until) };
        let runs = self.runs + u64::from(run.is_some());
        let spent = self.one_shot && run.is_some();
        let next = if spent { None } else { self.after(after, runs) };
        let last = match run {
            Some(_) => Over::Ran,
            None if overlapped => Over::Overlap,
            None => Over::Missed,
        };
        let late = next.is_some_and(|next| next <= now);
        let jitter_ms = if late { 0 } else { jitter_ms(self.options, random) };
        Verdict { run, next, jitter_ms, overlapped, over: next.is_none().then_some(last) }
    }

    /// Up to when times have come. What jitter made wait has not been missed.
    fn until(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        let drawn = TimeDelta::milliseconds(self.jitter_ms.into());
        let most = TimeDelta::seconds(self.options.jitter_secs.into());
        (now - drawn.min(most)).max(self.time)
    }

    /// Whether an earlier run has put it off, by more than jitter could: so it was not missed. By less, it is no later than jitter
    /// allows.
    fn was_queued(&self) -> bool {
        self.options.overlap == Overlap::Queue
            && i64::from(self.jitter_ms) > i64::from(self.options.jitter_secs) * 1_000
    }

    /// The time to run for, and up to which times are done with then.
    fn choose(&self, until: DateTime<Utc>) -> (Option<DateTime<Utc>>, DateTime<Utc>) {
        match self.options.misfire {
            Misfire::All => {
                let most = self.options.misfire_limit.unwrap_or(Options::MISFIRE_LIMIT);
                let first = self.latest(until, most.try_into().unwrap_or(usize::MAX))[0];
                (Some(first), first)
            }
            Misfire::Skip if !self.was_queued() => {
                let last = self.last(until);
                (Some(last).filter(|last| until - *last <= GRACE), last)
            }
            Misfire::Skip | Misfire::Once => {
                let last = self.last(until);
                (Some(last), last)
            }
        }
    }

    fn last(&self, until: DateTime<Utc>) -> DateTime<Utc> {
        self.latest(until, 1)[0]
    }

    /// The latest times up to `until`, at most `most` and at least one, in order. An outage may have been long and the schedule
    /// fast: only as much of it is looked at as has that many.
    fn latest(&self, until: DateTime<Utc>, most: usize) -> VecDeque<DateTime<Utc>> {
        let mut window = WINDOW;
        loop {
            let from = (until - window).max(self.time);
            let mut found = VecDeque::new();
            // The time itself has come, whatever the schedule says by now.
            if from == self.time {
                found.push_back(self.time);
            }
            let times = iter::successors(self.after(from, self.runs), |time| self.after(*time, self.runs));
            for time in times.take_while(|time| *time <= until) {
                if found.len() == most {
                    found.pop_front();
                }
                found.push_back(time);
            }
            if found.len() >= most || from == self.time {
                return found;
            }
            window = window * 2;
        }
    }

    fn after(&self, time: DateTime<Utc>, runs: u64) -> Option<DateTime<Utc>> {
        next_due(self.schedule, self.options, time, self.anchor, runs)
    }
}

#[cfg(test)]
mod tests;
