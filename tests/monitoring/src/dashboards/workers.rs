//! Who owns what, and whether the leases hold.

use claw_telemetry::metrics::{Counter, Gauge, Histogram};

use crate::grafana::{Dashboard, Panel, Unit};
use crate::query::Clusters::Chosen;
use crate::query::INTERVAL;

pub(super) fn dashboard() -> Dashboard {
    let by = ["instance"];
    let panels = vec![
        Panel::graph("Shards held", Unit::Number, "By each worker, those that it is giving back included.")
            .line(Chosen.gauge("max", Gauge::ShardsOwned, &by, &[]), "{{instance}}"),
        Panel::graph("Shards wanted", Unit::Number, "What is each worker's by the present members.")
            .line(Chosen.gauge("max", Gauge::ShardsWanted, &by, &[]), "{{instance}}"),
        Panel::graph(
            "Shards held, wanted and there",
            Unit::Number,
            "Any that is held by an older claim has two owners.",
        )
        .line(Chosen.gauge("sum", Gauge::ShardsOwned, &[], &[]), "held")
        .line(Chosen.gauge("sum", Gauge::ShardsWanted, &[], &[]), "wanted")
        .line(Chosen.gauge("max", Gauge::ClusterShards, &[], &[]), "there are")
        .line(Chosen.gauge("max", Gauge::ClusterUnattended, &[], &[]), "nobody attends to")
        .line(Chosen.gauge("sum", Gauge::ShardsDisputed, &[], &[]), "held by an older claim"),
        Panel::graph("Claims", Unit::Number, "Within 5 minutes, by whom the shards were taken from.")
            .line(Chosen.increase(Counter::ShardClaims, &["reason"], &[], "5m"), "{{reason}}")
            .line(Chosen.increase(Counter::ShardReleases, &[], &[], "5m"), "given back"),
        Panel::graph("Lease renewal", Unit::Seconds, "A worker stops everything when it takes 2 s.")
            .line(Chosen.quantile(0.5, Histogram::LeaseRenew, &[], &[], INTERVAL), "half")
            .line(Chosen.quantile(0.99, Histogram::LeaseRenew, &by, &[], INTERVAL), "{{instance}}, 99 %"),
        Panel::graph("Leases lost, writes fenced", Unit::Number, "Within 5 minutes.")
            .line(Chosen.increase(Counter::LeaseLosses, &by, &[], "5m"), "{{instance}} lost its lease")
            .line(
                Chosen.increase(Counter::FencedWrites, &["instance", "write"], &[], "5m"),
                "{{instance}} was fenced: {{write}}",
            ),
        Panel::graph("Workers with a lease", Unit::Number, "1 while a worker may act.")
            .line(Chosen.gauge("max", Gauge::LeaseHeld, &by, &[]), "{{instance}}"),
        Panel::graph("Shards that catch up", Unit::Number, "Their backlog is read from the database.")
            .line(Chosen.gauge("max", Gauge::ShardsCatchingUp, &by, &[]), "{{instance}}"),
    ];
    Dashboard { name: "workers", title: "Workers and shards", panels }
}
