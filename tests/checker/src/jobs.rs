//! The rule of scheduled jobs: each time that a job's schedule has is seen once, not before it and not much later.
//!
//! When a job is due is computed here, from a plan that the test made up, and not by what is tested. A test tells of its
//! plans and of what receivers got, and asks for the verdict on a span of time at whose end nothing is on its way any
//! more. Times are milliseconds since 1970 by one clock: the receivers' and the database's are the same machine's.
//!
//! Must hold: what a platform shows does not say which time it is for, so such arrivals are taken for the job's times one
//! after the other. A lost one and one too many then still show: the rest comes before its time, or late.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::time::Duration;

use crate::write_faults;

/// The times of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plan {
    /// `anchor + k * every`, k from 1.
    Every {
        /// From where the intervals are counted.
        anchor: i64,
        /// The interval.
        every: i64,
    },
    /// Once.
    At {
        /// When.
        at: i64,
    },
}

/// What a receiver got of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrival {
    /// Which job.
    pub job: u64,
    /// The scheduled time that it says it is for; `None` when it can't say.
    pub due: Option<i64>,
    /// What a receiver goes by to leave out what came before.
    pub key: String,
    /// When it came.
    pub at: i64,
}

/// Takes plans and arrivals and knows what should not have been.
#[derive(Debug, Default)]
pub struct Jobs {
    plans: BTreeMap<u64, Plan>,
    arrivals: BTreeMap<u64, Vec<Arrival>>,
}

/// What is to be said of a span. Each list is of faults in words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Times that the plans have in it.
    pub due: usize,
    /// How late each came that came, in order of lateness.
    pub late: Vec<Duration>,
    /// Arrivals that a receiver leaves out because it had them before: allowed, but each has a cost.
    pub again: usize,
    /// Times for which nothing came.
    pub missed: Vec<String>,
    /// Times for which more than one message came.
    pub twice: Vec<String>,
    /// Messages for a time that the plan does not have, or of a job that is none of the test's.
    pub unplanned: Vec<String>,
    /// Messages that came before their time.
    pub early: Vec<String>,
}

impl Plan {
    /// Plans like the expression `* * * * *`.
    pub const EACH_MINUTE: Self = Self::Every { anchor: 0, every: 60_000 };

    /// Its times after `from` and up to `to`.
    fn times(self, from: i64, to: i64) -> impl Iterator<Item = i64> {
        let (first, step) = match self {
            Self::Every { anchor, every } => {
                let passed = (from - anchor).div_euclid(every).max(0);
                (anchor + (passed + 1) * every, every)
            }
            // One step leads out of every span.
            Self::At { at } => (if at > from { at } else { i64::MAX }, i64::MAX),
        };
        let next = move |time: &i64| time.checked_add(step);
        std::iter::successors(Some(first), next).take_while(move |time| *time <= to)
    }

    fn has(self, time: i64) -> bool {
        self.times(time - 1, time).next().is_some()
    }
}

impl Jobs {
    /// From now on there is a job with this plan.
    pub fn plan(&mut self, job: u64, plan: Plan) {
        self.plans.insert(job, plan);
    }

    /// Takes what a receiver got.
    pub fn arrived(&mut self, arrival: Arrival) {
        self.arrivals.entry(arrival.job).or_default().push(arrival);
    }

    /// How many of the times after `from` and up to `to` have not been seen: what to wait for before the verdict.
    pub fn outstanding(&self, from: i64, to: i64) -> usize {
        self.verdict(from, to).missed.len()
    }

    /// What is to be said of the times after `from` and up to `to`, and of all that came too often or for no reason,
    /// whenever that was. Nothing may have been due before `from`.
    pub fn verdict(&self, from: i64, to: i64) -> Verdict {
        let mut verdict = Verdict::default();
        for (job, plan) in &self.plans {
            let arrivals = self.arrivals.get(job).map(Vec::as_slice).unwrap_or_default();
            judge(*job, *plan, arrivals, (from, to), &mut verdict);
        }
        for (job, arrivals) in &self.arrivals {
            if !self.plans.contains_key(job) {
                verdict
                    .unplanned
                    .push(format!("job {job}, which there is not, came {} times", arrivals.len()));
            }
        }
        verdict.late.sort();
        verdict
    }
}

fn judge(job: u64, plan: Plan, arrivals: &[Arrival], (from, to): (i64, i64), verdict: &mut Verdict) {
    let mut keys = HashSet::new();
    let mut seen: BTreeMap<i64, i64> = BTreeMap::new();
    // Those that can't say it are for one time after the other.
    let mut untold = plan.times(from, i64::MAX);
    for Arrival { due, key, at, .. } in arrivals {
        // Were it for another time, that one would be missed, because a receiver leaves it out.
        if !keys.insert(key.as_str()) {
            verdict.again += 1;
            continue;
        }
        let Some(due) = due.or_else(|| untold.next()) else {
            verdict.unplanned.push(format!("job {job} came once more, {key} at {at}"));
            continue;
        };
        if !plan.has(due) {
            verdict.unplanned.push(format!("job {job} came for {due}, which its plan does not have"));
        } else if let Some(before) = seen.insert(due, *at) {
            verdict.twice.push(format!("job {job} came for {due} at {before} and as {key} at {at}"));
        } else if *at < due {
            verdict.early.push(format!("job {job} came for {due} at {at}, {} ms before", due - at));
        }
    }
    for due in plan.times(from, to) {
        verdict.due += 1;
        match seen.get(&due) {
            Some(at) => verdict.late.push(Duration::from_millis(u64::try_from(at - due).unwrap_or(0))),
            None => verdict.missed.push(format!("job {job} at {due}")),
        }
    }
}

impl Verdict {
    /// Whether each time was seen once, and nothing else was.
    pub fn is_clean(&self) -> bool {
        self.due > 0 && self.kinds().iter().all(|(_, faults)| faults.is_empty())
    }

    fn kinds(&self) -> [(&'static str, &[String]); 4] {
        [
            ("missed", &self.missed),
            ("twice", &self.twice),
            ("unplanned", &self.unplanned),
            ("early", &self.early),
        ]
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} times due, {} seen ({} again)", self.due, self.late.len(), self.again)?;
        write_faults(f, &self.kinds())
    }
}

#[cfg(test)]
mod tests;
