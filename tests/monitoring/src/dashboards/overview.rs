//! Whether people are served, and how much of the error budgets is left.

use claw_telemetry::metrics::{Counter, Gauge, Histogram};

use crate::grafana::{Dashboard, Panel, Unit};
use crate::query::{INTERVAL, gauge, quantile, rate, share, share_above};
use crate::rules::{LATENCY_BOUND, PEOPLE};

pub(super) fn dashboard() -> Dashboard {
    let mut panels = numbers();
    panels.extend(graphs());
    Dashboard { name: "overview", title: "Overview and objectives", panels }
}

fn numbers() -> Vec<Panel> {
    let failed = share(Counter::Accepts, &[], &[("outcome", "failed")], &[], "1h");
    let slow = share_above(Histogram::DeliveryLatency, LATENCY_BOUND, PEOPLE, "1h");
    vec![
        Panel::number(
            "Accepted",
            Unit::Share,
            "Messages of the last hour that were committed; the objective is 99.9 %.",
        )
        .line(format!("1 - {failed}"), ""),
        Panel::number(
            "In time",
            Unit::Share,
            "Messages of the last hour that were handed over within 5 s; the objective is 99 %.",
        )
        .line(format!("1 - {slow}"), ""),
        Panel::number("Leaders", Unit::Number, "One leads.").line(gauge("sum", Gauge::Leader, &[], &[]), ""),
        Panel::number("Shards nobody attends to", Unit::Number, "Their messages wait.")
            .line(gauge("max", Gauge::ClusterUnattended, &[], &[]), ""),
        Panel::number(
            "Messages pending",
            Unit::Number,
            "Those that wait for another attempt included, up to 10,000.",
        )
        .line(gauge("max", Gauge::ClusterPending, &[], &[]), ""),
        Panel::number("Oldest ready message", Unit::Seconds, "What nothing keeps from being attempted.")
            .line(gauge("max", Gauge::QueueOldest, &[], &[]), ""),
    ]
}

fn graphs() -> Vec<Panel> {
    let latency =
        |q, called| (quantile(q, Histogram::DeliveryLatency, &["direction"], &[], INTERVAL), called);
    let (half, most) = (latency(0.5, "{{direction}}, half"), latency(0.99, "{{direction}}, 99 %"));
    vec![
        Panel::graph("Messages accepted", Unit::PerSecond, "By what became of them.")
            .line(rate(Counter::Accepts, &["outcome"], &[], INTERVAL), "{{outcome}}"),
        Panel::graph("Messages over", Unit::PerSecond, "By their last state.").line(
            rate(Counter::MessagesFinished, &["direction", "state"], &[], INTERVAL),
            "{{direction}} {{state}}",
        ),
        Panel::graph(
            "From acceptance to hand-over",
            Unit::Seconds,
            "in: until the webhook is posted; out: until the platform has it.",
        )
        .line(half.0, half.1)
        .line(most.0, most.1),
        Panel::graph("Members", Unit::Number, "Live ones by role, as the leader sees them.")
            .line(gauge("max", Gauge::ClusterMembers, &["role"], &[]), "{{role}}"),
        Panel::graph("Versions", Unit::Number, "Processes by role and version.")
            .line(gauge("sum", Gauge::BuildInfo, &["role", "version"], &[]), "{{role}} {{version}}"),
        Panel::graph("CPU", Unit::Number, "Cores in use by each process.")
            .line(rate(Counter::ProcessCpu, &["instance"], &[], "5m"), "{{instance}}"),
        Panel::graph("Memory", Unit::Bytes, "Resident memory of each process.")
            .line(gauge("max", Gauge::ProcessMemory, &["instance"], &[]), "{{instance}}"),
        Panel::graph("Open files", Unit::Share, "Of what each process may have; a connection is one.").line(
            format!(
                "{} / {}",
                gauge("max", Gauge::ProcessFds, &["instance"], &[]),
                gauge("max", Gauge::ProcessMaxFds, &["instance"], &[]),
            ),
            "{{instance}}",
        ),
        Panel::graph("Up for", Unit::Seconds, "Since each process began to count.").line(
            format!("time() - {}", gauge("max", Gauge::ProcessStart, &["instance"], &[])),
            "{{instance}}",
        ),
    ]
}
