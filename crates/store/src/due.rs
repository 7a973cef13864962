//! When a job is due next: the same for those who store it and for the leader who fires it.

use chrono::{DateTime, Utc};
use claw_runtime::Random;
use claw_schedule::{Bounds, Schedule, ScheduleError};
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

/// How many of a schedule's next runs are looked at for the shortest time between two.
const LOOKED_AT: usize = 10;

/// Checks that a run which is late by its jitter begins before the next one: else the two are one, and runs are lost without a word.
///
/// # Errors
/// [`ScheduleError::Jitter`] when two of the next runs after `now` are too close for it.
pub fn check_jitter(plan: &Schedule, options: &Options, now: DateTime<Utc>) -> Result<(), ScheduleError> {
    if options.jitter_secs == 0 {
        return Ok(());
    }
    let runs = bounds(options).preview(plan, LOOKED_AT, now);
    let gaps = runs.iter().zip(runs.iter().skip(1)).map(|(run, next)| (*next - *run).num_seconds());
    match gaps.min() {
        Some(gap) if i64::from(options.jitter_secs) >= gap => Err(ScheduleError::Jitter { gap }),
        _ => Ok(()),
    }
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
    use claw_schedule::Cron;

    use super::*;

    #[test]
    fn jitter_is_shorter_than_the_time_between_two_runs() {
        let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
        let check = |plan: &Schedule, jitter_secs, max_runs| {
            check_jitter(plan, &Options { jitter_secs, max_runs, ..Options::default() }, now)
        };
        let cron = |expr| Schedule::Cron(Box::new(Cron::parse(expr, "Europe/Berlin").unwrap()));
        let minutely = Schedule::Every { every_secs: 60 };
        for (plan, gap) in [(&minutely, 60), (&cron("0 9,11 * * *"), 7_200), (&cron("0 9 * * 1-5"), 86_400)] {
            let just = u32::try_from(gap).unwrap();
            assert_eq!(check(plan, just, None), Err(ScheduleError::Jitter { gap }), "{plan:?}");
            assert_eq!(check(plan, just - 1, None), Ok(()), "{plan:?}");
        }
        assert_eq!(check(&minutely, 0, None), Ok(()));
        assert_eq!(check(&minutely, 3_600, Some(1)), Ok(()), "there is no run after it");
        assert_eq!(check(&Schedule::At { at: now + chrono::TimeDelta::days(1) }, 3_600, None), Ok(()));
        let said = check(&minutely, 3_600, None).unwrap_err().to_string();
        assert_eq!(
            said,
            "\"jitter_secs\" must be less than the shortest time between two runs, which is 60 s"
        );
    }

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
