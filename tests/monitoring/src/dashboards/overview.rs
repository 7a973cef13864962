//! Whether people are served, and how much of the error budgets is left.
//!
//! A share is that of the worst of the clusters that were chosen: in a sum over all a small one that serves nobody would not show.

use claw_telemetry::metrics::{Counter, Gauge, Histogram};

use super::BUDGET_DAYS;
use crate::grafana::{Dashboard, Panel, Unit};
use crate::query::Clusters::{Chosen, EachChosen};
use crate::query::INTERVAL;
use crate::rules::{FACTORS, OBJECTIVES, Objective, WINDOWS};

pub(super) fn dashboard() -> Dashboard {
    let mut panels = numbers();
    panels.extend(budgets());
    panels.extend(graphs());
    panels.extend(processes());
    Dashboard { name: "overview", title: "Overview and objectives", panels }
}

fn numbers() -> Vec<Panel> {
    let [accepting, delivering] = OBJECTIVES;
    let met = |objective: Objective| format!("min(1 - {})", objective.failed(EachChosen, "1h"));
    let left =
        |objective: Objective| format!("min({})", objective.left(EachChosen, &format!("{BUDGET_DAYS}d")));
    vec![
        Panel::number(
            "Accepted",
            Unit::Share,
            "Messages of the last hour that were committed; the objective is 99.9 %.",
        )
        .line(met(accepting), ""),
        Panel::number(
            "In time",
            Unit::Share,
            "Messages of the last hour that were handed over within 5 s; the objective is 99 %.",
        )
        .line(met(delivering), ""),
        Panel::number(
            "Accepting: budget left",
            Unit::Share,
            format!("Of the messages of the last {BUDGET_DAYS} days one in a thousand may fail to be committed. Below 0 more did."),
        )
        .line(left(accepting), ""),
        Panel::number(
            "In time: budget left",
            Unit::Share,
            format!("Of the messages of the last {BUDGET_DAYS} days one in a hundred may be handed over later than 5 s. Below 0 more were."),
        )
        .line(left(delivering), ""),
        Panel::number("Leaders", Unit::Number, "One leads in each cluster.")
            .line(Chosen.gauge("sum", Gauge::Leader, &[], &[]), ""),
        Panel::number("Shards nobody attends to", Unit::Number, "Their messages wait.")
            .line(Chosen.gauge("max", Gauge::ClusterUnattended, &[], &[]), ""),
        Panel::number(
            "Messages pending",
            Unit::Number,
            "Those that wait for another attempt included, up to 10,000.",
        )
        .line(Chosen.gauge("max", Gauge::ClusterPending, &[], &[]), ""),
        Panel::number("Oldest ready message", Unit::Seconds, "What nothing keeps from being attempted.")
            .line(Chosen.gauge("max", Gauge::QueueOldest, &[], &[]), ""),
    ]
}

/// What the alerts for burning budgets go by.
fn budgets() -> Vec<Panel> {
    let about = "1 uses it up in 30 days. An alert fires while 1h and 5m are above 14.4, 6h and 30m above 6, or 1d and 2h above 3.";
    let graph = |title, objective: Objective| {
        let panel = Panel::graph(title, Unit::Number, about).marks(&FACTORS);
        WINDOWS.into_iter().fold(panel, |panel, window| {
            panel.line(objective.burn(Chosen, window), format!("{{{{namespace}}}} {{{{job}}}} {window}"))
        })
    };
    let [accepting, delivering] = OBJECTIVES;
    vec![
        graph("Accepting: how fast the budget burns", accepting),
        graph("In time: how fast the budget burns", delivering),
    ]
}

fn graphs() -> Vec<Panel> {
    let latency =
        |q, called| (Chosen.quantile(q, Histogram::DeliveryLatency, &["direction"], &[], INTERVAL), called);
    let (half, most) = (latency(0.5, "{{direction}}, half"), latency(0.99, "{{direction}}, 99 %"));
    vec![
        Panel::graph("Messages accepted", Unit::PerSecond, "By what became of them.")
            .line(Chosen.rate(Counter::Accepts, &["outcome"], &[], INTERVAL), "{{outcome}}"),
        Panel::graph("Messages over", Unit::PerSecond, "By their last state.").line(
            Chosen.rate(Counter::MessagesFinished, &["direction", "state"], &[], INTERVAL),
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
            .line(Chosen.gauge("max", Gauge::ClusterMembers, &["role"], &[]), "{{role}}"),
        Panel::graph("Versions", Unit::Number, "Processes by role and version.")
            .line(Chosen.gauge("sum", Gauge::BuildInfo, &["role", "version"], &[]), "{{role}} {{version}}"),
    ]
}

/// What any program has by these names; only ours are asked for.
fn processes() -> Vec<Panel> {
    let by = ["instance"];
    let highest = |gauge| Chosen.gauge("max", gauge, &by, &[]);
    let files = format!("{} / {}", highest(Gauge::ProcessFds), highest(Gauge::ProcessMaxFds));
    let up = format!("time() - {}", highest(Gauge::ProcessStart));
    vec![
        Panel::graph("CPU", Unit::Number, "Cores in use by each process.")
            .line(Chosen.ours(&Chosen.rate(Counter::ProcessCpu, &by, &[], "5m")), "{{instance}}"),
        Panel::graph("Memory", Unit::Bytes, "Resident memory of each process.")
            .line(Chosen.ours(&highest(Gauge::ProcessMemory)), "{{instance}}"),
        Panel::graph("Open files", Unit::Share, "Of what each process may have; a connection is one.")
            .line(Chosen.ours(&files), "{{instance}}"),
        Panel::graph("Up for", Unit::Seconds, "Since each process began to count.")
            .line(Chosen.ours(&up), "{{instance}}"),
    ]
}
