//! The two objectives, and alerts for burning their error budgets (multi-window, multi-burn-rate:
//! <https://sre.google/workbook/alerting-on-slos/>).
//!
//! - **Accepting**: 99.9 % of the messages that get as far as the database are committed.
//! - **Delivering**: 99 % of the messages are handed over within 5 s: posted to the backend, or taken by the platform.
//!
//! A budget is for 30 days. Burning 14.4 times as fast takes 2 % of it in an hour, 6 times 5 % in six hours, 3 times 10 % in a day.
//! The short window beside the long one ends an alert soon after its cause. With few messages a share says nothing, so there must
//! have been some.

use claw_telemetry::metrics::{Counter, Histogram};

use super::{Alert, Case, Group, Record, Severity};
use crate::query::{Where, observations, rate, share, share_above};

/// A delivery that takes longer, in seconds, is late.
pub const LATENCY_BOUND: f64 = 5.0;
/// The deliveries that people wait for.
pub const PEOPLE: &[Where] = &[("direction", "~in|out")];

/// The share of messages that may fail to be accepted.
const ACCEPT_BUDGET: f64 = 0.001;
/// The share of deliveries that may be late.
const LATENCY_BUDGET: f64 = 0.01;
/// Fewer messages an hour than this say nothing.
const SOME: f64 = 20.0;
/// What is asked in advance.
const WINDOWS: [&str; 6] = ["5m", "30m", "1h", "2h", "6h", "1d"];

pub(super) fn group() -> Group {
    let failed = |window: &str| Record {
        name: accept_ratio(window),
        query: share(Counter::Accepts, &[], &[("outcome", "failed")], &[], window),
    };
    let late = |window: &str| Record {
        name: late_ratio(window),
        query: share_above(Histogram::DeliveryLatency, LATENCY_BOUND, PEOPLE, window),
    };
    let records =
        WINDOWS.iter().map(|window| failed(window)).chain(WINDOWS.iter().map(|window| late(window)));
    Group {
        name: "objectives",
        records: records.collect(),
        alerts: vec![accept_fast(), accept_slow(), delivery_fast(), delivery_slow()],
    }
}

fn accept_ratio(window: &str) -> String {
    format!("claw:accepts_failed:ratio_rate{window}")
}

fn late_ratio(window: &str) -> String {
    format!("claw:deliveries_late:ratio_rate{window}")
}

/// Both windows burn faster than `times` the budget.
fn burns(ratio: fn(&str) -> String, budget: f64, times: f64, long: &str, short: &str) -> String {
    // Rounded, or the threshold would have a tail of digits that mean nothing.
    let limit = (times * budget * 1e6).round() / 1e6;
    format!("({} > {limit} and {} > {limit})", ratio(long), ratio(short))
}

fn fast(ratio: fn(&str) -> String, budget: f64, enough: &str) -> String {
    let (hour, hours) = (burns(ratio, budget, 14.4, "1h", "5m"), burns(ratio, budget, 6.0, "6h", "30m"));
    format!("({hour} or {hours}) and {enough}")
}

fn enough_accepts() -> String {
    format!("{} * 3600 > {SOME}", rate(Counter::Accepts, &[], &[], "1h"))
}

fn enough_deliveries() -> String {
    format!("{} * 3600 > {SOME}", observations(Histogram::DeliveryLatency, &[], PEOPLE, "1h"))
}

fn accepts(at: &'static str, new: &'static str, failed: &'static str) -> Case {
    let spec = Counter::Accepts.spec();
    Case::at(at).with(spec, &[("outcome", "new")], new).with(spec, &[("outcome", "failed")], failed)
}

fn deliveries(at: &'static str, in_time: &'static str, all: &'static str) -> Case {
    let spec = Histogram::DeliveryLatency.spec();
    Case::at(at).with_part(spec, "_bucket", &[("direction", "in"), ("le", "5")], in_time).with_part(
        spec,
        "_count",
        &[("direction", "in")],
        all,
    )
}

fn accept_fast() -> Alert {
    Alert {
        name: "IiClawAcceptFastBurn",
        severity: Severity::Page,
        after: "2m",
        query: fast(accept_ratio, ACCEPT_BUDGET, &enough_accepts()),
        summary: "Messages are not accepted: the month's error budget is gone within days",
        effect: "Platforms and callers get errors. Platforms send again for some time; callers may not.",
        fires: accepts("70m", "0+95x80", "0+5x80"),
        quiet: accepts("70m", "0+9995x80", "0+5x80"),
    }
}

fn accept_slow() -> Alert {
    let burns = burns(accept_ratio, ACCEPT_BUDGET, 3.0, "1d", "2h");
    Alert {
        name: "IiClawAcceptSlowBurn",
        severity: Severity::Ticket,
        after: "15m",
        query: format!("{burns} and {}", enough_accepts()),
        summary: "Some messages are not accepted, more than the objective allows",
        effect: "A few callers in a thousand get errors, again and again.",
        fires: accepts("4h", "0+995x300", "0+5x300"),
        quiet: accepts("4h", "0+998x300", "0+2x300"),
    }
}

fn delivery_fast() -> Alert {
    Alert {
        name: "IiClawDeliveryFastBurn",
        severity: Severity::Page,
        after: "2m",
        query: fast(late_ratio, LATENCY_BUDGET, &enough_deliveries()),
        summary: "Messages are handed over late: the month's error budget is gone within days",
        effect: "People wait for more than 5 s before the agent even hears of them, or for its answer to reach them.",
        fires: deliveries("70m", "0+80x80", "0+100x80"),
        quiet: deliveries("70m", "0+97x80", "0+100x80"),
    }
}

fn delivery_slow() -> Alert {
    let burns = burns(late_ratio, LATENCY_BUDGET, 3.0, "1d", "2h");
    Alert {
        name: "IiClawDeliverySlowBurn",
        severity: Severity::Ticket,
        after: "15m",
        query: format!("{burns} and {}", enough_deliveries()),
        summary: "Some messages are handed over late, more than the objective allows",
        effect: "Some people in a hundred wait for more than 5 s, again and again.",
        fires: deliveries("4h", "0+95x300", "0+100x300"),
        quiet: deliveries("4h", "0+98x300", "0+100x300"),
    }
}
