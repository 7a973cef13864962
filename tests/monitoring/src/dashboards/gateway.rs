//! The API: how much is asked, what is answered, and how fast; and the calls between roles.

use claw_telemetry::metrics::{Counter, Gauge, Histogram};

use crate::grafana::{Dashboard, Panel, Unit};
use crate::query::Clusters::Chosen;
use crate::query::INTERVAL;

pub(super) fn dashboard() -> Dashboard {
    let p99 = |histogram, by: &[&str]| Chosen.quantile(0.99, histogram, by, &[], INTERVAL);
    let panels = vec![
        Panel::graph("Calls", Unit::PerSecond, "By the class of the answer's status.")
            .line(Chosen.rate(Counter::HttpRequests, &["status"], &[], INTERVAL), "{{status}}"),
        Panel::graph(
            "Server errors",
            Unit::Share,
            "The share of each route's calls that was answered with 5xx.",
        )
        .line(
            Chosen.share(Counter::HttpRequests, &["route"], &[("status", "5xx")], &[], INTERVAL),
            "{{route}}",
        ),
        Panel::graph("Calls by route", Unit::PerSecond, "").line(
            Chosen.rate(Counter::HttpRequests, &["method", "route"], &[], INTERVAL),
            "{{method}} {{route}}",
        ),
        Panel::graph("Time to answer, 99 %", Unit::Seconds, "Until the answer began.")
            .line(p99(Histogram::HttpDuration, &["method", "route"]), "{{method}} {{route}}"),
        Panel::graph("Open connections", Unit::Number, "Event streams and sockets of web chats.")
            .line(Chosen.gauge("sum", Gauge::OpenStreams, &["kind"], &[]), "{{kind}}"),
        Panel::graph(
            "Without a good key",
            Unit::PerSecond,
            "Calls without a good key or secret, and those of them that had to wait.",
        )
        .line(Chosen.rate(Counter::AuthFailures, &["of"], &[], INTERVAL), "{{of}}")
        .line(Chosen.rate(Counter::AuthThrottled, &["of"], &[], INTERVAL), "{{of}}, throttled"),
        Panel::graph("Messages ignored", Unit::PerSecond, "What channels' policies do not take.")
            .line(Chosen.rate(Counter::MessagesIgnored, &["reason"], &[], INTERVAL), "{{reason}}"),
        Panel::graph("Internal calls", Unit::PerSecond, "By who serves them and how they ended.").line(
            Chosen.rate(Counter::RpcRequests, &["method", "code"], &[], INTERVAL),
            "{{method}} {{code}}",
        ),
        Panel::graph("Internal calls, 99 %", Unit::Seconds, "AwaitDelivery waits for a message's delivery.")
            .line(p99(Histogram::RpcDuration, &["method"]), "{{method}}"),
        Panel::graph("Internal calls by method", Unit::PerSecond, "")
            .line(Chosen.observations(Histogram::RpcDuration, &["method"], &[], INTERVAL), "{{method}}"),
    ];
    Dashboard { name: "gateway", title: "Gateway", panels }
}
