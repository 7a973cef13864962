//! When a job is due next: the same for those who store it and for the leader who fires it.

use chrono::{DateTime, Utc};
use claw_runtime::Random;
use claw_schedule::{Bounds, Schedule};
use claw_types::job::Options;

/// The bounds that a job puts on its schedule.
pub fn bounds(options: &Options) -> Bounds {
    Bounds { starts_at: options.starts_at, ends_at: options.ends_at, max_runs: options.max_runs }
}

/// The first scheduled time strictly after `after`, of a job that has had `runs` and whose intervals are counted from
/// `anchor`; `None` when it is over. The jitter comes on top, see [`jitter_ms`].
pub fn next_due(
    plan: &Schedule,
    options: &Options,
    after: DateTime<Utc>,
    anchor: DateTime<Utc>,
    runs: u64,
) -> Option<DateTime<Utc>> {
    bounds(options).next_after(plan, after, anchor, runs)
}

/// By how many milliseconds a run is later than its scheduled time: 0 to the job's `jitter_secs`, each as likely. To be
/// drawn whenever a next time is set.
pub fn jitter_ms(options: &Options, random: &dyn Random) -> i32 {
    if options.jitter_secs == 0 {
        return 0;
    }
    let mut bytes = [0; 4];
    random.fill(&mut bytes);
    let many = u64::from(options.jitter_secs) * 1_000 + 1;
    i32::try_from((u64::from(u32::from_le_bytes(bytes)) * many) >> 32).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use claw_runtime::SeededRandom;

    use super::*;

    #[test]
    fn jitter_is_drawn_anew_up_to_its_bound() {
        let random = SeededRandom::new(1);
        let drawn = |secs| jitter_ms(&Options { jitter_secs: secs, ..Options::default() }, &random);
        assert_eq!(drawn(0), 0);
        let some: Vec<i32> = (0..1_000).map(|_| drawn(2)).collect();
        assert!(some.iter().all(|ms| (0..=2_000).contains(ms)));
        assert!(some.iter().any(|ms| *ms < 100) && some.iter().any(|ms| *ms > 1_900), "all of the range");
        assert!((0..1_000).all(|_| drawn(86_400) <= 86_400_000));
    }
}
