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
use crate::query::Clusters::{self, Each};
use crate::query::Where;

/// A delivery that takes longer, in seconds, is late.
const LATENCY_BOUND: f64 = 5.0;
/// The deliveries that people wait for.
const PEOPLE: &[Where] = &[("direction", "~in|out")];
/// Fewer messages an hour than this say nothing.
const SOME: f64 = 20.0;
/// What is asked in advance.
pub(crate) const WINDOWS: [&str; 6] = ["5m", "30m", "1h", "2h", "6h", "1d"];
/// How many times as fast as the budget allows is told: in a day, in six hours and in an hour.
pub(crate) const FACTORS: [f64; 3] = [3.0, 6.0, 14.4];

/// What is promised of messages.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Objective {
    /// In the names of what is asked in advance.
    name: &'static str,
    /// The share of messages that may fail it.
    budget: f64,
    /// The share that fails it, within a time.
    failed: fn(Clusters, &str) -> String,
    /// How many it is about, each second of the last hour.
    all: fn(Clusters) -> String,
}

const ACCEPTING: Objective = Objective {
    name: "accepts_failed",
    budget: 0.001,
    failed: |of, window| of.share(Counter::Accepts, &[], &[("outcome", "failed")], &[], window),
    all: |of| of.rate(Counter::Accepts, &[], &[], "1h"),
};
const DELIVERING: Objective = Objective {
    name: "deliveries_late",
    budget: 0.01,
    failed: |of, window| of.share_above(Histogram::DeliveryLatency, LATENCY_BOUND, PEOPLE, window),
    all: |of| of.observations(Histogram::DeliveryLatency, &[], PEOPLE, "1h"),
};
/// All, in the order above.
pub(crate) const OBJECTIVES: [Objective; 2] = [ACCEPTING, DELIVERING];

impl Objective {
    /// The share of messages that fails it, within a time.
    pub(crate) fn failed(self, of: Clusters, window: &str) -> String {
        (self.failed)(of, window)
    }

    /// How many times as fast as it allows its budget is burnt, as rules asked in advance.
    pub(crate) fn burn(self, of: Clusters, window: &str) -> String {
        format!("{} / {}", of.recorded(&self.recorded(window)), self.budget)
    }

    /// The part of a budget for this time that is left; below 0 more is gone than there was.
    pub(crate) fn left(self, of: Clusters, window: &str) -> String {
        format!("1 - {} / {}", self.failed(of, window), self.budget)
    }

    fn recorded(self, window: &str) -> String {
        format!("claw:{}:ratio_rate{window}", self.name)
    }

    fn record(self, window: &str) -> Record {
        Record { name: self.recorded(window), query: self.failed(Each, window) }
    }

    /// Both windows burn faster than `times` the budget.
    fn burns(self, times: f64, long: &str, short: &str) -> String {
        // Rounded, or the threshold would have a tail of digits that mean nothing.
        let limit = (times * self.budget * 1e6).round() / 1e6;
        let [long, short] = [long, short].map(|window| Each.recorded(&self.recorded(window)));
        format!("({long} > {limit} and {short} > {limit})")
    }

    fn burns_fast(self) -> String {
        let [_, six, most] = FACTORS;
        let (hour, hours) = (self.burns(most, "1h", "5m"), self.burns(six, "6h", "30m"));
        format!("({hour} or {hours}) and {}", self.says_something())
    }

    fn burns_slowly(self) -> String {
        let [three, _, _] = FACTORS;
        format!("{} and {}", self.burns(three, "1d", "2h"), self.says_something())
    }

    fn says_something(self) -> String {
        format!("{} * 3600 > {SOME}", (self.all)(Each))
    }
}

pub(super) fn group() -> Group {
    let records = OBJECTIVES.into_iter().flat_map(|one| WINDOWS.map(|window| one.record(window)));
    Group {
        name: "objectives",
        records: records.collect(),
        alerts: vec![accept_fast(), accept_slow(), delivery_fast(), delivery_slow()],
    }
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
        query: ACCEPTING.burns_fast(),
        summary: "Messages are not accepted: the month's error budget is gone within days",
        effect: "Platforms and callers get errors. Platforms send again for some time; callers may not.",
        fires: accepts("70m", "0+95x80", "0+5x80").fires(&[]),
        quiet: accepts("70m", "0+9995x80", "0+5x80"),
        also: Vec::new(),
    }
}

fn accept_slow() -> Alert {
    Alert {
        name: "IiClawAcceptSlowBurn",
        severity: Severity::Ticket,
        after: "15m",
        query: ACCEPTING.burns_slowly(),
        summary: "Some messages are not accepted, more than the objective allows",
        effect: "A few callers in a thousand get errors, again and again.",
        fires: accepts("4h", "0+995x300", "0+5x300").fires(&[]),
        quiet: accepts("4h", "0+998x300", "0+2x300"),
        also: Vec::new(),
    }
}

fn delivery_fast() -> Alert {
    Alert {
        name: "IiClawDeliveryFastBurn",
        severity: Severity::Page,
        after: "2m",
        query: DELIVERING.burns_fast(),
        summary: "Messages are handed over late: the month's error budget is gone within days",
        effect: "People wait for more than 5 s before the agent even hears of them, or for its answer to reach them.",
        fires: deliveries("70m", "0+80x80", "0+100x80").fires(&[]),
        quiet: deliveries("70m", "0+97x80", "0+100x80"),
        also: Vec::new(),
    }
}

fn delivery_slow() -> Alert {
    Alert {
        name: "IiClawDeliverySlowBurn",
        severity: Severity::Ticket,
        after: "15m",
        query: DELIVERING.burns_slowly(),
        summary: "Some messages are handed over late, more than the objective allows",
        effect: "Some people in a hundred wait for more than 5 s, again and again.",
        fires: deliveries("4h", "0+95x300", "0+100x300").fires(&[]),
        quiet: deliveries("4h", "0+98x300", "0+100x300"),
        also: Vec::new(),
    }
}
