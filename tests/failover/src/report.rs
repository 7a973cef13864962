//! Figures and their bounds.

use std::fmt;
use std::time::Duration;

use claw_testkit::platform::{End, Gap, Platform};
use tokio::time::Instant;

/// Prints figures and remembers whether a bound was broken.
#[derive(Default)]
pub(crate) struct Report {
    broken: bool,
}

impl Report {
    /// A figure without a bound.
    #[expect(clippy::print_stdout, clippy::unused_self, reason = "the report")]
    pub(crate) fn tell(&self, line: &str) {
        println!("{line}");
    }

    /// A figure that must be at most `bound`.
    pub(crate) fn at_most<T: Copy + PartialOrd + fmt::Debug>(&mut self, what: &str, figure: T, bound: T) {
        let holds = figure <= bound;
        self.broken |= !holds;
        let verdict = if holds { "holds" } else { "BROKEN" };
        self.tell(&format!("  {what}: {figure:.3?} (at most {bound:?}: {verdict})"));
    }

    /// No bot may have been polled twice at a time.
    pub(crate) fn no_overlap(&mut self, platform: &Platform) {
        let conflicts = platform.conflicts();
        self.at_most("polls of a bot that another one polled at the time", conflicts.len(), 0);
        for conflict in conflicts.iter().take(5) {
            self.tell(&format!("    {conflict:?}"));
        }
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.broken
    }
}

/// Durations, one of each channel.
pub(crate) struct Spread(Vec<Duration>);

impl Spread {
    pub(crate) fn of(durations: impl IntoIterator<Item = Duration>) -> Self {
        let mut sorted: Vec<Duration> = durations.into_iter().collect();
        sorted.sort();
        Self(sorted)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The smallest one that `percent` of them do not exceed; zero when there are none.
    pub(crate) fn percentile(&self, percent: usize) -> Duration {
        let place = (self.0.len() * percent).div_ceil(100);
        self.0.get(place.saturating_sub(1)).copied().unwrap_or_default()
    }

    pub(crate) fn max(&self) -> Duration {
        self.percentile(100)
    }
}

/// The longest time that each of the bots 1 to `count` was not polled after `since` because a worker let it go; those that
/// stayed where they were are left out.
pub(crate) fn let_go(platform: &Platform, count: u32, since: Instant) -> Vec<Gap> {
    let longest =
        |n| platform.gaps(n).into_iter().filter(|gap| was_let_go(gap, since)).max_by_key(|g| g.lasted);
    (1..=count).filter_map(longest).collect()
}

/// A gap that a closed connection began, or one between two polls in which the worker ended.
fn was_let_go(gap: &Gap, since: Instant) -> bool {
    let (began, over) = (gap.began, gap.began + gap.lasted);
    over > since && (gap.end == End::Closed || began <= since)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_durations_themselves() {
        let spread = Spread::of((1..=200).rev().map(Duration::from_millis));
        let millis = |percent| spread.percentile(percent).as_millis();
        assert_eq!([millis(50), millis(99), spread.max().as_millis()], [100, 198, 200]);
        assert_eq!(Spread::of([]).percentile(50), Duration::ZERO);
        assert_eq!(Spread::of([Duration::from_secs(3)]).percentile(50), Duration::from_secs(3));
    }

    #[test]
    fn a_broken_bound_is_remembered() {
        let mut report = Report::default();
        report.at_most("as much", 1, 1);
        assert!(!report.is_broken());
        report.at_most("more", 2, 1);
        report.at_most("less", 0, 1);
        assert!(report.is_broken());
    }
}
