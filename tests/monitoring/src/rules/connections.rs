//! What everything stands on.

use claw_telemetry::metrics::{Counter, Gauge};

use super::{Alert, Case, Severity};
use crate::query::Clusters::Each;

pub(super) fn alerts() -> Vec<Alert> {
    vec![pool_exhausted(), nats_away(), open_files()]
}

fn pool_exhausted() -> Alert {
    let timeouts = Counter::PoolTimeouts;
    let case = |values| Case::at("15m").with(timeouts.spec(), &[("instance", "a"), ("pool", "own")], values);
    Alert {
        name: "IiClawDatabasePoolExhausted",
        severity: Severity::Page,
        after: "2m",
        query: format!("{} > 0", Each.increase(timeouts, &["pool"], &[], "5m")),
        summary: "Statements wait for more than 5 s for a connection to the database, and fail",
        effect: "Calls end with errors, and what is not accepted is not delivered.",
        fires: case("0x5 0+3x30").fires(&[("pool", "own")]),
        // That was long ago.
        quiet: case("0 3x30"),
        also: Vec::new(),
    }
}

fn nats_away() -> Alert {
    let connected = Gauge::NatsConnected;
    let case = |values| {
        Case::at("15m").with(connected.spec(), &[("instance", "a"), ("role", "worker")], "1x30").with(
            connected.spec(),
            &[("instance", "b"), ("role", "worker")],
            values,
        )
    };
    Alert {
        name: "IiClawNatsAway",
        severity: Severity::Ticket,
        after: "2m",
        query: format!("{} == 0", Each.gauge("min", connected, &["role"], &[])),
        summary: "A process is not connected to NATS",
        effect: "Messages that come in by a gateway are delivered up to a second later, in busy shards five; web chats show answers late.",
        fires: case("1x5 0x30").fires(&[("role", "worker")]),
        quiet: case("1x14 0 1x20"),
        also: Vec::new(),
    }
}

fn open_files() -> Alert {
    let by = ["instance"];
    let highest = |gauge| Each.gauge("max", gauge, &by, &[]);
    let of = |case: Case, instance, open| {
        case.with(Gauge::ProcessFds.spec(), &[("instance", instance)], open).with(
            Gauge::ProcessMaxFds.spec(),
            &[("instance", instance)],
            "1000x40",
        )
    };
    let case = |ours, other| {
        let info = [("instance", "a"), ("role", "worker"), ("version", "0.1.0")];
        let case = Case::at("30m").with(Gauge::BuildInfo.spec(), &info, "1x40");
        of(of(case, "a", ours), "b", other)
    };
    let full = format!("{} / {} > 0.8", highest(Gauge::ProcessFds), highest(Gauge::ProcessMaxFds));
    Alert {
        name: "IiClawOpenFiles",
        severity: Severity::Ticket,
        after: "10m",
        query: Each.ours(&full),
        summary: "A process has nearly as many open files as it may",
        effect: "Nothing yet. At the limit no connection can be made: channels do not come up, calls are not accepted.",
        fires: case("900x40", "700x40").fires(&[("instance", "a")]),
        // The full one is another program.
        quiet: case("700x40", "900x40"),
        also: Vec::new(),
    }
}
