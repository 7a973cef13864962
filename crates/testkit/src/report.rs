//! What a measuring program prints: figures, their bounds, and whether one of them was broken.

use std::fmt;
use std::time::Duration;

/// Prints figures and remembers whether a bound was broken.
#[derive(Default)]
pub struct Report {
    broken: bool,
}

impl Report {
    /// A figure without a bound.
    #[expect(clippy::print_stdout, reason = "the report")]
    pub fn tell(&self, line: &str) {
        println!("{line}");
    }

    /// A figure that must be at most `bound`.
    pub fn at_most<T: Copy + PartialOrd + fmt::Debug>(&mut self, what: &str, figure: T, bound: T) {
        let verdict = self.must(figure <= bound);
        self.tell(&format!("  {what}: {figure:.3?} (at most {bound:?}: {verdict})"));
    }

    /// Something that has to hold; in a word whether it does.
    pub fn must(&mut self, holds: bool) -> &'static str {
        self.broken |= !holds;
        if holds { "holds" } else { "BROKEN" }
    }

    /// Whether something did not hold.
    pub fn is_broken(&self) -> bool {
        self.broken
    }
}

/// Durations in order.
pub struct Spread(Vec<Duration>);

impl Spread {
    /// Of these.
    pub fn of(durations: impl IntoIterator<Item = Duration>) -> Self {
        let mut sorted: Vec<Duration> = durations.into_iter().collect();
        sorted.sort();
        Self(sorted)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The smallest one that `percent` of them do not exceed; zero when there are none.
    pub fn percentile(&self, percent: usize) -> Duration {
        let place = (self.0.len() * percent).div_ceil(100);
        self.0.get(place.saturating_sub(1)).copied().unwrap_or_default()
    }

    /// The longest one.
    pub fn max(&self) -> Duration {
        self.percentile(100)
    }
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
