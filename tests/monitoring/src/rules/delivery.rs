//! Messages that do not get where they should.

use claw_telemetry::metrics::{Counter, Gauge};

use super::{Alert, Case, Severity};
use crate::query::Clusters::Each;
use crate::query::Where;

/// Not the probes: a gateway that is not ready answers 503 to each, and nobody is sent to it.
const CALLS: Where = ("route", "!/healthz|/readyz");

pub(super) fn alerts() -> Vec<Alert> {
    vec![old_messages(), dead_letters(), backend_away(), channels_failing(), rate_limited(), server_errors()]
}

fn old_messages() -> Alert {
    let oldest = Gauge::QueueOldest;
    Alert {
        name: "IiClawOldMessages",
        severity: Severity::Page,
        after: "5m",
        query: format!("{} > 900", Each.gauge("max", oldest, &[], &[])),
        summary: "A message that nothing keeps from being attempted is a quarter of an hour old",
        effect: "Somebody has written and hears nothing, or an answer does not reach them.",
        fires: Case::at("30m").with(oldest.spec(), &[("instance", "a")], "0+60x60").fires(&[]),
        quiet: Case::at("30m").with(oldest.spec(), &[("instance", "a")], "0+60x16 0+60x60"),
        also: Vec::new(),
    }
}

fn dead_letters() -> Alert {
    let over = Counter::MessagesFinished;
    let case = |values| Case::at("90m").with(over.spec(), &[("direction", "in"), ("state", "dead")], values);
    Alert {
        name: "IiClawDeadLetters",
        severity: Severity::Ticket,
        after: "0m",
        query: format!("{} > 10", Each.increase(over, &["direction"], &[("state", "dead")], "1h")),
        summary: "Messages became dead letters: every attempt at them failed",
        effect: "Their people got no answer and will get none until somebody has them delivered again.",
        fires: case("0x60 0+1x60").fires(&[("direction", "in")]),
        quiet: case("0x60 0+1x5 5x60"),
        also: Vec::new(),
    }
}

fn backend_away() -> Alert {
    let open = Gauge::BreakersOpen;
    let case =
        |operator, user| {
            Case::at("20m")
                .with(open.spec(), &[("instance", "a"), ("destination", "operator")], operator)
                .with(open.spec(), &[("instance", "a"), ("destination", "user")], user)
        };
    Alert {
        name: "IiClawBackendAway",
        severity: Severity::Page,
        after: "5m",
        query: format!("{} > 0", Each.gauge("max", open, &[], &[("destination", "operator")])),
        summary: "The operator's backend does not answer",
        effect: "Nobody without a backend of their own gets an answer. Messages wait in the database for about 28 hours.",
        fires: case("0x5 1x30", "0x30").fires(&[]),
        // Users' own backends are their users' to mend.
        quiet: case("0x18 1x3", "7x30"),
        also: Vec::new(),
    }
}

fn channels_failing() -> Alert {
    let channels = Gauge::Channels;
    let failed = Each.gauge("sum", channels, &["platform"], &[("state", "failed")]);
    let all = Each.gauge("sum", channels, &["platform"], &[]);
    let case = |running, failed| {
        Case::at("30m")
            .with(channels.spec(), &[("platform", "telegram"), ("state", "running")], running)
            .with(channels.spec(), &[("platform", "telegram"), ("state", "failed")], failed)
    };
    Alert {
        name: "IiClawChannelsFailing",
        severity: Severity::Ticket,
        after: "15m",
        query: format!("{failed} / {all} > 0.25 and {failed} > 5"),
        summary: "More than a quarter of a platform's channels do not work",
        effect: "Their people can't reach their agents by this platform.",
        fires: case("10x40", "20x40").fires(&[("platform", "telegram")]),
        quiet: case("2x40", "3x40"),
        also: Vec::new(),
    }
}

fn rate_limited() -> Alert {
    let calls = Counter::PlatformCalls;
    let limited = Each.share(calls, &["platform"], &[("outcome", "rate_limited")], &[], "15m");
    let some = format!("{} * 900 > 50", Each.rate(calls, &["platform"], &[], "15m"));
    let case = |ok, limited| {
        Case::at("60m").with(calls.spec(), &[("platform", "telegram"), ("outcome", "ok")], ok).with(
            calls.spec(),
            &[("platform", "telegram"), ("outcome", "rate_limited")],
            limited,
        )
    };
    Alert {
        name: "IiClawRateLimited",
        severity: Severity::Ticket,
        after: "15m",
        query: format!("{limited} > 0.2 and {some}"),
        summary: "A platform refuses more than a fifth of our calls with 429",
        effect: "Answers by this platform are late, and previews and typing are left out.",
        fires: case("0+60x90", "0+40x90").fires(&[("platform", "telegram")]),
        quiet: case("0+95x90", "0+5x90"),
        also: Vec::new(),
    }
}

fn server_errors() -> Alert {
    let calls = Counter::HttpRequests;
    let case = |good, bad| {
        let of = |status| [("route", "/api/health"), ("method", "GET"), ("status", status)];
        let probe = [("route", "/readyz"), ("method", "GET"), ("status", "5xx")];
        Case::at("20m").with(calls.spec(), &of("2xx"), good).with(calls.spec(), &of("5xx"), bad).with(
            calls.spec(),
            &probe,
            "0+50x30",
        )
    };
    Alert {
        name: "IiClawServerErrors",
        severity: Severity::Page,
        after: "5m",
        query: format!("{} > 0.05", Each.share(calls, &[], &[("status", "5xx"), CALLS], &[CALLS], "5m")),
        summary: "More than a twentieth of the API's calls end with a server error",
        effect: "Platforms' webhooks, the backend's answers and operators' calls fail.",
        fires: case("0+90x30", "0+10x30").fires(&[]),
        quiet: case("0+98x30", "0+2x30"),
        also: Vec::new(),
    }
}
