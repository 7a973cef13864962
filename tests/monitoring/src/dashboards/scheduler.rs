//! Who leads, and whether jobs run at their times.

use claw_telemetry::metrics::{Counter, Gauge, Histogram};

use crate::grafana::{Dashboard, Panel, Unit};
use crate::query::Clusters::Chosen;
use crate::query::INTERVAL;

pub(super) fn dashboard() -> Dashboard {
    let panels = vec![
        Panel::graph("Leaders", Unit::Number, "One leads.")
            .line(Chosen.gauge("sum", Gauge::Leader, &["instance"], &[]), "{{instance}}"),
        Panel::graph(
            "Terms",
            Unit::Number,
            "The last one that each scheduler led, and elections within an hour.",
        )
        .line(Chosen.gauge("max", Gauge::LeaderTerm, &["instance"], &[]), "{{instance}}")
        .line(Chosen.increase(Counter::Elections, &[], &[], "1h"), "elections"),
        Panel::graph(
            "How late runs begin",
            Unit::Seconds,
            "After their scheduled time and what jitter drew.",
        )
        .line(Chosen.quantile(0.5, Histogram::CronLag, &[], &[], INTERVAL), "half")
        .line(Chosen.quantile(0.99, Histogram::CronLag, &[], &[], INTERVAL), "99 %"),
        Panel::graph("First due timer", Unit::Seconds, "For how long it has not been fired.")
            .line(Chosen.gauge("max", Gauge::CronOverdue, &[], &[]), "overdue"),
        Panel::graph("Runs and wake-ups", Unit::PerSecond, "What the leader fires.")
            .line(Chosen.rate(Counter::CronRuns, &[], &[], INTERVAL), "runs of jobs")
            .line(Chosen.rate(Counter::TimersFired, &[], &[], INTERVAL), "wake-ups"),
        Panel::graph(
            "Times without a run",
            Unit::Number,
            "Within an hour: missed, or passed over because an earlier run went on.",
        )
        .line(Chosen.increase(Counter::CronPassed, &["reason"], &[], "1h"), "{{reason}}"),
        Panel::graph(
            "Duplicates prevented",
            Unit::Number,
            "Within an hour: jobs that somebody fired or changed between a look and the write.",
        )
        .line(Chosen.increase(Counter::CronDuplicates, &[], &[], "1h"), "prevented"),
        Panel::graph("Runs out of time", Unit::Number, "Within an hour.")
            .line(Chosen.increase(Counter::CronTimeouts, &[], &[], "1h"), "timed out"),
    ];
    Dashboard { name: "scheduler", title: "Scheduler", panels }
}
