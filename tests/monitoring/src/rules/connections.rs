//! What everything stands on.

use claw_telemetry::metrics::{Counter, Gauge};

use super::{Alert, Case, Severity};
use crate::query::{gauge, increase};

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
        query: format!("{} > 0", increase(timeouts, &["pool"], &[], "5m")),
        summary: "Statements wait for more than 5 s for a connection to the database, and fail",
        effect: "Calls end with errors, and what is not accepted is not delivered.",
        fires: case("0x5 0+3x30").of("pool", "own"),
        // That was long ago.
        quiet: case("0 3x30"),
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
        query: format!("{} == 0", gauge("min", connected, &["role"], &[])),
        summary: "A process is not connected to NATS",
        effect: "Messages that come in by a gateway are delivered up to a second later, in busy shards five; web chats show answers late.",
        fires: case("1x5 0x30").of("role", "worker"),
        quiet: case("1x14 0 1x20"),
    }
}

fn open_files() -> Alert {
    let (open, most) = (Gauge::ProcessFds, Gauge::ProcessMaxFds);
    let by = ["instance"];
    let case = |values| {
        Case::at("30m").with(open.spec(), &[("instance", "a")], values).with(
            most.spec(),
            &[("instance", "a")],
            "1000x40",
        )
    };
    Alert {
        name: "IiClawOpenFiles",
        severity: Severity::Ticket,
        after: "10m",
        query: format!("{} / {} > 0.8", gauge("max", open, &by, &[]), gauge("max", most, &by, &[])),
        summary: "A process has nearly as many open files as it may",
        effect: "Nothing yet. At the limit no connection can be made: channels do not come up, calls are not accepted.",
        fires: case("900x40").of("instance", "a"),
        quiet: case("700x40"),
    }
}
