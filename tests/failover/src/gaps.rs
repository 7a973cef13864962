//! What the platform saw of hand-overs.

use claw_testkit::Report;
use claw_testkit::platform::{End, Gap, Platform};
use tokio::time::Instant;

/// No bot may have been polled twice at a time.
pub(crate) fn no_overlap(report: &mut Report, platform: &Platform) {
    let conflicts = platform.conflicts();
    report.at_most("polls of a bot that another one polled at the time", conflicts.len(), 0);
    for conflict in conflicts.iter().take(5) {
        report.tell(&format!("    {conflict:?}"));
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
