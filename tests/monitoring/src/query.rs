//! Queries in the language of Prometheus, of metrics that are there and labels that they have.

use std::fmt::Write as _;

use claw_telemetry::metrics::{Counter, Gauge, Histogram, Label, Spec, Values};

/// What Grafana puts in for the distance of two points of a graph, at least four scrapes.
pub const INTERVAL: &str = "$__rate_interval";

/// A condition on a label: its name and the value, or a regular expression behind `~`, or behind `!` one that must not match.
pub type Where<'a> = (&'a str, &'a str);

/// How fast a counter grows, each second, by these labels.
pub fn rate(counter: Counter, by: &[&str], conditions: &[Where], window: &str) -> String {
    let series = selector(counter.spec(), "", conditions);
    format!("sum{}(rate({series}[{window}]))", grouping(counter.spec(), by, None))
}

/// By how much a counter has grown within a time, by these labels.
pub fn increase(counter: Counter, by: &[&str], conditions: &[Where], window: &str) -> String {
    let series = selector(counter.spec(), "", conditions);
    format!("sum{}(increase({series}[{window}]))", grouping(counter.spec(), by, None))
}

/// The share of a counter's growth that meets the conditions, among what meets `of`; 0 while nothing grows.
pub fn share(counter: Counter, by: &[&str], conditions: &[Where], of: &[Where], window: &str) -> String {
    let (some, all) = (rate(counter, by, conditions, window), rate(counter, by, of, window));
    format!("{some} / clamp_min({all}, 1e-9)")
}

/// A gauge of several processes as one number, by these labels.
pub fn gauge(how: &str, gauge: Gauge, by: &[&str], conditions: &[Where]) -> String {
    format!("{how}{}({})", grouping(gauge.spec(), by, None), selector(gauge.spec(), "", conditions))
}

/// A gauge as it is in each process.
pub fn each(gauge: Gauge, conditions: &[Where]) -> String {
    selector(gauge.spec(), "", conditions)
}

/// The value that this share of a histogram's observations does not exceed, by these labels.
pub fn quantile(share: f64, histogram: Histogram, by: &[&str], conditions: &[Where], window: &str) -> String {
    let series = selector(histogram.spec(), "_bucket", conditions);
    let sum = format!("sum{}(rate({series}[{window}]))", grouping(histogram.spec(), by, Some("le")));
    format!("histogram_quantile({share}, {sum})")
}

/// How many observations there are each second, by these labels.
pub fn observations(histogram: Histogram, by: &[&str], conditions: &[Where], window: &str) -> String {
    let series = selector(histogram.spec(), "_count", conditions);
    format!("sum{}(rate({series}[{window}]))", grouping(histogram.spec(), by, None))
}

/// The mean of a histogram's observations, by these labels.
pub fn mean(histogram: Histogram, by: &[&str], conditions: &[Where], window: &str) -> String {
    let series = selector(histogram.spec(), "_sum", conditions);
    let sum = format!("sum{}(rate({series}[{window}]))", grouping(histogram.spec(), by, None));
    format!("{sum} / clamp_min({}, 1e-9)", observations(histogram, by, conditions, window))
}

/// The share of a histogram's observations that is above a bound of its buckets; 0 while there are none.
///
/// # Panics
/// When no bucket has that bound.
pub fn share_above(histogram: Histogram, bound: f64, conditions: &[Where], window: &str) -> String {
    assert!(histogram.buckets().contains(&bound), "{histogram:?} has no bucket up to {bound}");
    let le = bound.to_string();
    let mut within = conditions.to_vec();
    within.push(("le", &le));
    let within = selector(histogram.spec(), "_bucket", &within);
    let all = observations(histogram, &[], conditions, window);
    format!("({all} - sum(rate({within}[{window}]))) / clamp_min({all}, 1e-9)")
}

fn grouping(spec: &Spec, by: &[&str], more: Option<&str>) -> String {
    for name in by {
        label(spec, name);
    }
    let by: Vec<&str> = more.into_iter().chain(by.iter().copied()).collect();
    if by.is_empty() { String::new() } else { format!(" by ({}) ", by.join(", ")) }
}

/// A selector of series: `suffix` is `_bucket`, `_sum` or `_count` of a histogram.
pub(crate) fn selector(spec: &Spec, suffix: &str, conditions: &[Where]) -> String {
    let mut text = format!("{}{suffix}", spec.name);
    if conditions.is_empty() {
        return text;
    }
    text.push('{');
    for (at, (name, value)) in conditions.iter().enumerate() {
        let (equals, value) = match value.split_at_checked(1) {
            Some(("~", pattern)) => ("=~", pattern),
            Some(("!", pattern)) => ("!~", pattern),
            _ => ("=", *value),
        };
        if *name != "le" {
            check(label(spec, name), value);
        }
        let comma = if at > 0 { ", " } else { "" };
        // Writing to a string does not fail.
        let _ok = write!(text, "{comma}{name}{equals}\"{value}\"");
    }
    text.push('}');
    text
}

fn label(spec: &Spec, name: &str) -> &'static Label {
    // Of Prometheus itself: which process was scraped.
    static INSTANCE: Label = Label { name: "instance", values: Values::Bounded("there is one a process") };
    if name == INSTANCE.name {
        return &INSTANCE;
    }
    let found = spec.labels.iter().find(|label| label.name == name);
    found.unwrap_or_else(|| panic!("{} has no label {name}", spec.name))
}

/// A value that a label can't have selects nothing, for ever.
fn check(label: &Label, value: &str) {
    if let Values::Fixed(known) = label.values {
        for one in value.split('|') {
            assert!(known.contains(&one), "the label {} is never {one:?}", label.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_written_as_prometheus_reads_them() {
        let attempts = rate(Counter::Attempts, &["direction"], &[("outcome", "again")], "5m");
        assert_eq!(attempts, "sum by (direction) (rate(claw_attempts_total{outcome=\"again\"}[5m]))");
        let p99 = quantile(0.99, Histogram::DeliveryLatency, &[], &[("direction", "~in|out")], "1m");
        let series = "claw_delivery_latency_seconds_bucket{direction=~\"in|out\"}";
        assert_eq!(p99, format!("histogram_quantile(0.99, sum by (le) (rate({series}[1m])))"));
        assert_eq!(gauge("sum", Gauge::Leader, &["instance"], &[]), "sum by (instance) (claw_leader)");
    }

    #[test]
    #[should_panic(expected = "has no label user")]
    fn a_label_that_is_not_there_is_noticed() {
        rate(Counter::Attempts, &["user"], &[], "5m");
    }

    #[test]
    #[should_panic(expected = "is never \"agian\"")]
    fn a_value_that_never_comes_is_noticed() {
        rate(Counter::Attempts, &[], &[("outcome", "agian")], "5m");
    }

    #[test]
    #[should_panic(expected = "has no bucket up to 4")]
    fn an_objective_that_is_no_bound_is_noticed() {
        share_above(Histogram::DeliveryLatency, 4.0, &[], "5m");
    }
}
