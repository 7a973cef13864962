//! What the leader shows of the whole cluster, because one process need count it only once; and who leads.
//!
//! A gauge of the cluster is a number only while this process leads. Otherwise it is unknown (NaN): a number that nobody looks
//! after any more would be believed.

use std::sync::Arc;
use std::time::Duration;

use claw_runtime::Lifecycle;
use claw_store::{Census, Lag, Store, chain};
use claw_telemetry::metrics::{Gauge, Role};
use tokio::time::MissedTickBehavior;
use tracing::warn;

use crate::elector::Leadership;

/// How often the leader counts: four small queries.
const EVERY: Duration = Duration::from_secs(5);
/// Messages are counted up to this: whoever has more need not know how many more.
const MOST: i64 = 10_000;

/// Whether this process leads, and which term.
pub(crate) fn leading(term: Option<i64>) {
    Gauge::Leader.set(&[], if term.is_some() { 1.0 } else { 0.0 });
    if let Some(term) = term {
        Gauge::LeaderTerm.set(&[], number(term));
    }
}

/// Counts for the cluster whenever this process leads, until it stops.
pub(crate) async fn run(store: Store, leadership: Arc<Leadership>, lifecycle: Lifecycle) {
    let soft = lifecycle.soft();
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    unknown();
    while soft.run_until_cancelled(tick.tick()).await.is_some() {
        // It may be taken for the leader for as long as its lease is good; who asks Prometheus takes the one number there is.
        if leadership.term().is_none() {
            unknown();
            continue;
        }
        match tokio::try_join!(store.census(), store.lag(MOST)) {
            Ok((census, lag)) => show(&census, lag),
            Err(error) => {
                warn!("counting for the cluster failed: {}", chain(&error));
                unknown();
            }
        }
    }
}

fn show(census: &Census, lag: Lag) {
    Gauge::ClusterShards.set(&[], number(census.shards));
    Gauge::ClusterUnattended.set(&[], number(census.unattended));
    for role in Role::ALL {
        let live = census.members.iter().find(|(name, _)| name == role.as_str()).map_or(0, |(_, live)| *live);
        Gauge::ClusterMembers.set(&[role.as_str()], number(live));
    }
    Gauge::ClusterPending.set(&[], number(lag.pending));
    Gauge::ClusterOldest.set(&[], lag.oldest.as_secs_f64());
    Gauge::CronOverdue.set(&[], census.overdue.as_secs_f64());
}

fn unknown() {
    for gauge in [
        Gauge::ClusterShards,
        Gauge::ClusterUnattended,
        Gauge::ClusterMembers,
        Gauge::ClusterPending,
        Gauge::ClusterOldest,
        Gauge::CronOverdue,
    ] {
        gauge.unknown();
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts below 2^53 are exact")]
fn number(count: i64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use claw_telemetry::metrics;

    use super::*;

    #[test]
    fn who_does_not_lead_knows_no_numbers_of_the_cluster() {
        metrics::begin();
        let census = Census {
            shards: 256,
            unattended: 3,
            members: vec![("worker".to_owned(), 2)],
            overdue: Duration::from_millis(1_500),
        };
        show(&census, Lag { pending: 7, oldest: Duration::from_secs(9) });
        let text = metrics::scrape();
        for line in [
            "claw_cluster_shards 256",
            "claw_cluster_shards_unattended 3",
            "claw_cluster_members{role=\"worker\"} 2",
            "claw_cluster_members{role=\"gateway\"} 0",
            "claw_cluster_pending_messages 7",
            "claw_cluster_pending_oldest_seconds 9",
            "claw_cron_overdue_seconds 1.5",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        unknown();
        let text = metrics::scrape();
        assert!(text.contains("claw_cluster_shards_unattended NaN"), "{text}");
        assert!(text.contains("claw_cluster_members{role=\"worker\"} NaN"), "{text}");
        leading(Some(4));
        leading(None);
        let text = metrics::scrape();
        assert!(text.contains("claw_leader 0") && text.contains("claw_leader_term 4"), "{text}");
    }
}
