//! What everything stands on: NATS and Postgres, as our processes see them.

use claw_telemetry::metrics::{Counter, Gauge, Histogram};

use crate::grafana::{Dashboard, Panel, Unit};
use crate::query::Clusters::Chosen;
use crate::query::INTERVAL;

pub(super) fn dashboard() -> Dashboard {
    let mut panels = postgres();
    panels.extend(nats());
    panels.push(traces());
    Dashboard { name: "services", title: "NATS and Postgres", panels }
}

fn postgres() -> Vec<Panel> {
    let used = Chosen.process(Gauge::PoolConnections, &[("state", "used")]);
    let used = format!("{used} / ignoring (state) {}", Chosen.process(Gauge::PoolMax, &[]));
    vec![
        Panel::graph("Connections", Unit::Number, "Open ones of each process.").line(
            Chosen.gauge("sum", Gauge::PoolConnections, &["role", "pool", "state"], &[]),
            "{{role}} {{pool}} {{state}}",
        ),
        Panel::graph("Pools in use", Unit::Share, "Of the connections that a process may have.")
            .line(format!("max by (role, pool) ({used})"), "{{role}} {{pool}}"),
        Panel::graph("Waiting for a connection, 99 %", Unit::Seconds, "After 5 s a statement fails.")
            .line(Chosen.quantile(0.99, Histogram::PoolAcquire, &["pool"], &[], INTERVAL), "{{pool}}"),
        Panel::graph("No connection in time", Unit::Number, "Statements within 5 minutes.")
            .line(Chosen.increase(Counter::PoolTimeouts, &["pool"], &[], "5m"), "{{pool}}"),
        Panel::graph("Statements", Unit::PerSecond, "Connections that were asked for.")
            .line(Chosen.observations(Histogram::PoolAcquire, &["pool"], &[], INTERVAL), "{{pool}}"),
        Panel::graph("Group commits", Unit::PerSecond, "")
            .line(Chosen.observations(Histogram::BatchSize, &["batch"], &[], INTERVAL), "{{batch}}"),
        Panel::graph("Writes in a group commit", Unit::Number, "On average: more under load.")
            .line(Chosen.mean(Histogram::BatchSize, &["batch"], &[], INTERVAL), "{{batch}}"),
        Panel::graph("Time of a group commit", Unit::Seconds, "")
            .line(
                Chosen.quantile(0.5, Histogram::BatchDuration, &["batch"], &[], INTERVAL),
                "{{batch}}, half",
            )
            .line(
                Chosen.quantile(0.99, Histogram::BatchDuration, &["batch"], &[], INTERVAL),
                "{{batch}}, 99 %",
            ),
        Panel::graph(
            "Lease renewal, 99 %",
            Unit::Seconds,
            "Three small statements on a connection that nothing else uses.",
        )
        .line(Chosen.quantile(0.99, Histogram::LeaseRenew, &["instance"], &[], INTERVAL), "{{instance}}"),
    ]
}

fn nats() -> Vec<Panel> {
    vec![
        Panel::graph("Connected to NATS", Unit::Number, "The least of each role's processes.")
            .line(Chosen.gauge("min", Gauge::NatsConnected, &["role"], &[]), "{{role}}"),
        Panel::graph(
            "Published",
            Unit::PerSecond,
            "Messages handed to NATS, and dropped ones, which sweeps find.",
        )
        .line(Chosen.rate(Counter::NatsPublished, &[], &[], INTERVAL), "published")
        .line(Chosen.rate(Counter::NatsDropped, &["reason"], &[], INTERVAL), "dropped: {{reason}}"),
        Panel::graph("NATS trouble", Unit::Number, "Within 5 minutes.")
            .line(Chosen.increase(Counter::NatsDisconnects, &[], &[], "5m"), "disconnects")
            .line(Chosen.increase(Counter::NatsSlowConsumer, &[], &[], "5m"), "slow consumers"),
    ]
}

fn traces() -> Panel {
    Panel::graph("Spans of traces", Unit::PerSecond, "Exported, and dropped ones; none without a collector.")
        .line(Chosen.rate(Counter::SpansExported, &[], &[], INTERVAL), "exported")
        .line(Chosen.rate(Counter::SpansDropped, &["reason"], &[], INTERVAL), "dropped: {{reason}}")
}
