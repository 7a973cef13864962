//! The platforms: which channels work, and how each platform answers.

use claw_telemetry::metrics::{Counter, Gauge, Histogram};

use crate::grafana::{Dashboard, Panel, Unit};
use crate::query::Clusters::Chosen;
use crate::query::INTERVAL;

pub(super) fn dashboard() -> Dashboard {
    let panels = vec![
        Panel::graph("Channels", Unit::Number, "By platform and whether they work.")
            .line(Chosen.gauge("sum", Gauge::Channels, &["platform", "state"], &[]), "{{platform}} {{state}}"),
        Panel::graph(
            "Reconnects",
            Unit::Number,
            "Within 5 minutes: channels that stopped receiving and were started again.",
        )
        .line(Chosen.increase(Counter::ChannelReconnects, &["platform"], &[], "5m"), "{{platform}}"),
        Panel::graph("Calls", Unit::PerSecond, "That people can see: messages, drafts, typing.").line(
            Chosen.rate(Counter::PlatformCalls, &["platform", "outcome"], &[], INTERVAL),
            "{{platform}} {{outcome}}",
        ),
        Panel::graph("Rate limited", Unit::Share, "The share of calls that a platform answered with 429.")
            .line(
                Chosen.share(Counter::PlatformCalls, &["platform"], &[("outcome", "rate_limited")], &[], INTERVAL),
                "{{platform}}",
            ),
        Panel::graph("Time to the platform's answer", Unit::Seconds, "")
            .line(
                Chosen.quantile(0.5, Histogram::PlatformDuration, &["platform"], &[], INTERVAL),
                "{{platform}}, half",
            )
            .line(
                Chosen.quantile(0.99, Histogram::PlatformDuration, &["platform"], &[], INTERVAL),
                "{{platform}}, 99 %",
            ),
        Panel::graph("Messages ignored", Unit::PerSecond, "What channels' policies do not take.")
            .line(Chosen.rate(Counter::MessagesIgnored, &["reason"], &[], INTERVAL), "{{reason}}"),
        Panel::graph(
            "Webhooks refused",
            Unit::PerSecond,
            "Requests at channels' addresses; bad_signature: forged, replayed, or of a platform that signs with another secret.",
        )
        .line(Chosen.rate(Counter::WebhooksRefused, &["platform", "reason"], &[], INTERVAL), "{{platform}} {{reason}}"),
    ];
    Dashboard { name: "channels", title: "Channels and platforms", panels }
}
