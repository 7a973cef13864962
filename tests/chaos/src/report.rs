//! Figures, bounds and verdicts, and whether one of them was broken.

use std::time::Duration;

/// Prints and remembers.
#[derive(Default)]
pub(crate) struct Report {
    broken: bool,
}

impl Report {
    #[expect(clippy::print_stdout, clippy::unused_self, reason = "the report")]
    pub(crate) fn tell(&self, line: &str) {
        println!("{line}");
    }

    /// All of these durations must be at most `bound`, and there must be some.
    pub(crate) fn spread(&mut self, what: &str, spread: &Spread, bound: Duration) {
        let (p50, p99, max) = (spread.percentile(50), spread.percentile(99), spread.percentile(100));
        let holds = !spread.0.is_empty() && max <= bound;
        self.broken |= !holds;
        let verdict = if holds { "holds" } else { "BROKEN" };
        self.tell(&format!(
            "  {what}: {} times, p50 {p50:.2?}, p99 {p99:.2?}, max {max:.2?} (at most {bound:?}: {verdict})",
            spread.0.len()
        ));
    }

    pub(crate) fn verdict(&mut self, verdict: &claw_checker::Report) {
        self.broken |= !verdict.is_clean();
        self.tell(&format!("  {verdict}"));
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.broken
    }
}

/// Durations in order.
pub(crate) struct Spread(Vec<Duration>);

impl Spread {
    pub(crate) fn of(mut durations: Vec<Duration>) -> Self {
        durations.sort();
        Self(durations)
    }

    /// The smallest one that `percent` of them do not exceed; zero when there are none.
    fn percentile(&self, percent: usize) -> Duration {
        let place = (self.0.len() * percent).div_ceil(100);
        self.0.get(place.saturating_sub(1)).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_broken_by_one_that_is_late_and_by_none_at_all() {
        let bound = Duration::from_secs(4);
        let broken = |durations: Vec<Duration>| {
            let mut report = Report::default();
            report.spread("test", &Spread::of(durations), bound);
            report.is_broken()
        };
        assert!(!broken(vec![bound, Duration::ZERO]));
        assert!(broken(vec![Duration::ZERO, bound + Duration::from_millis(1)]));
        assert!(broken(Vec::new()));
    }
}
