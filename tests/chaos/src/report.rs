//! What chaos says beside plain figures: how long something took each time, and the checker's verdict.

use std::time::Duration;

use claw_testkit::{Report, Spread};

/// All of these durations must be at most `bound`, and there must be some.
pub(crate) fn spread(report: &mut Report, what: &str, spread: &Spread, bound: Duration) {
    let (p50, p99, max) = (spread.percentile(50), spread.percentile(99), spread.max());
    let verdict = report.must(!spread.is_empty() && max <= bound);
    report.tell(&format!(
        "  {what}: {} times, p50 {p50:.2?}, p99 {p99:.2?}, max {max:.2?} (at most {bound:?}: {verdict})",
        spread.len()
    ));
}

/// Every rule must have held.
pub(crate) fn verdict(report: &mut Report, verdict: &claw_checker::Report) {
    report.must(verdict.is_clean());
    report.tell(&format!("  {verdict}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_broken_by_one_that_is_late_and_by_none_at_all() {
        let bound = Duration::from_secs(4);
        let broken = |durations: Vec<Duration>| {
            let mut report = Report::default();
            spread(&mut report, "test", &Spread::of(durations), bound);
            report.is_broken()
        };
        assert!(!broken(vec![bound, Duration::ZERO]));
        assert!(broken(vec![Duration::ZERO, bound + Duration::from_millis(1)]));
        assert!(broken(Vec::new()));
    }
}
