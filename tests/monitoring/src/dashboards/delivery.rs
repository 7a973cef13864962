//! What happens to messages: how long they wait, what attempts come to, what the backend answers.

use claw_telemetry::metrics::{Counter, Gauge, Histogram};

use crate::grafana::{Dashboard, Panel, Unit};
use crate::query::Clusters::Chosen;
use crate::query::INTERVAL;

pub(super) fn dashboard() -> Dashboard {
    let mut panels = messages();
    panels.extend(backend());
    Dashboard { name: "delivery", title: "Delivery", panels }
}

fn messages() -> Vec<Panel> {
    let latency = |q| Chosen.quantile(q, Histogram::DeliveryLatency, &["direction"], &[], INTERVAL);
    vec![
        Panel::graph(
            "From acceptance to hand-over",
            Unit::Seconds,
            "in: until the webhook is posted; out: until the platform has it.",
        )
        .line(latency(0.5), "{{direction}}, half")
        .line(latency(0.9), "{{direction}}, 90 %")
        .line(latency(0.99), "{{direction}}, 99 %"),
        Panel::graph(
            "Conversations in memory",
            Unit::Number,
            "Waiting ones failed and are tried again, or gather a burst.",
        )
        .line(Chosen.gauge("sum", Gauge::QueueMessages, &["state"], &[]), "{{state}}"),
        Panel::graph(
            "Oldest message",
            Unit::Seconds,
            "Ready: nothing keeps it from being attempted. Pending: waits for another attempt, too.",
        )
        .line(Chosen.gauge("max", Gauge::QueueOldest, &[], &[]), "ready")
        .line(Chosen.gauge("max", Gauge::ClusterOldest, &[], &[]), "pending"),
        Panel::graph("Messages pending", Unit::Number, "In the database, counted up to 10,000.")
            .line(Chosen.gauge("max", Gauge::ClusterPending, &[], &[]), "pending"),
        Panel::graph("Attempts", Unit::PerSecond, "again: it failed and is tried again.").line(
            Chosen.rate(Counter::Attempts, &["direction", "outcome"], &[], INTERVAL),
            "{{direction}} {{outcome}}",
        ),
        Panel::graph(
            "Dead letters and losses",
            Unit::Number,
            "Messages that did not end well, within an hour.",
        )
        .line(
            Chosen.increase(
                Counter::MessagesFinished,
                &["direction", "state"],
                &[("state", "~dead|failed|expired|uncertain")],
                "1h",
            ),
            "{{direction}} {{state}}",
        ),
    ]
}

fn backend() -> Vec<Panel> {
    vec![
        Panel::graph("Webhooks", Unit::PerSecond, "How backends took them.").line(
            Chosen.observations(Histogram::BackendDuration, &["outcome"], &[], INTERVAL),
            "{{outcome}}",
        ),
        Panel::graph("Time to the backend's answer", Unit::Seconds, "Until it began.")
            .line(
                Chosen.quantile(0.5, Histogram::BackendDuration, &["outcome"], &[], INTERVAL),
                "{{outcome}}, half",
            )
            .line(
                Chosen.quantile(0.99, Histogram::BackendDuration, &["outcome"], &[], INTERVAL),
                "{{outcome}}, 99 %",
            ),
        Panel::graph(
            "Breakers open",
            Unit::Number,
            "Destinations that do not answer, as each worker sees them.",
        )
        .line(Chosen.gauge("max", Gauge::BreakersOpen, &["destination"], &[]), "{{destination}}"),
        Panel::graph("Breakers' changes", Unit::Number, "Within 5 minutes.").line(
            Chosen.increase(Counter::BreakerChanges, &["destination", "to"], &[], "5m"),
            "{{destination}} {{to}}",
        ),
    ]
}
