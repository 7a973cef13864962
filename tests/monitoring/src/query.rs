//! Queries in the language of Prometheus, of metrics that are there and labels that they have.
//!
//! One Prometheus may watch several clusters. What tells them apart are two labels of its own: `namespace`, which only Kubernetes
//! gives, and `job`. A rule sums up within each pair of them, because in a sum over all a small cluster that is dead vanishes beside
//! a large one; a dashboard asks for what its reader chose. So no query is made without saying which clusters it is of. A label that
//! is absent is like an empty one to Prometheus, so all of it holds outside Kubernetes, too.

use std::fmt::Write as _;

use claw_telemetry::metrics::{Counter, Gauge, Histogram, Label, Spec, Values};

/// What Grafana puts in for the distance of two points of a graph, at least four scrapes.
pub const INTERVAL: &str = "$__rate_interval";
/// What tells the clusters apart.
pub(crate) const CLUSTER: [&str; 2] = ["namespace", "job"];
/// The dashboards' variables, by which their reader chooses clusters.
pub const VARIABLES: [Variable; 2] =
    [Variable { name: CLUSTER[0], within: &[] }, Variable { name: CLUSTER[1], within: &[CHOSEN[0]] }];

/// The series that the reader of a dashboard chose.
const CHOSEN: [Where; 2] = [(CLUSTER[0], "~$namespace"), (CLUSTER[1], "~$job")];

/// A variable of dashboards: values of a label.
#[derive(Debug, Clone, Copy)]
pub struct Variable {
    /// The label's name, and the variable's.
    pub name: &'static str,
    /// Series with values that can be chosen.
    within: &'static [Where<'static>],
}

impl Variable {
    /// The regular expression for all values: also where the label is absent.
    pub const ALL: &'static str = ".*";

    /// As queries name it.
    pub fn placeholder(&self) -> String {
        format!("${}", self.name)
    }

    /// What asks for its values.
    pub(crate) fn values(&self) -> String {
        format!("label_values({}, {})", selector(Gauge::BuildInfo.spec(), "", self.within), self.name)
    }
}

/// A condition on a label: its name and the value, or a regular expression behind `~`, or behind `!` one that must not match.
pub type Where<'a> = (&'a str, &'a str);

/// Which clusters a query is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clusters {
    /// All, each by itself: for rules.
    Each,
    /// Those that the reader of a dashboard chose, together.
    Chosen,
    /// Those that the reader of a dashboard chose, each by itself.
    EachChosen,
}

impl Clusters {
    /// How fast a counter grows, each second, by these labels.
    pub fn rate(self, counter: Counter, by: &[&str], conditions: &[Where], window: &str) -> String {
        let series = self.series(counter.spec(), "", conditions);
        format!("sum{}(rate({series}[{window}]))", self.grouping(counter.spec(), by, None))
    }

    /// By how much a counter has grown within a time, by these labels.
    pub fn increase(self, counter: Counter, by: &[&str], conditions: &[Where], window: &str) -> String {
        let series = self.series(counter.spec(), "", conditions);
        format!("sum{}(increase({series}[{window}]))", self.grouping(counter.spec(), by, None))
    }

    /// The share of a counter's growth that meets the conditions, among what meets `of`; 0 while nothing grows.
    pub fn share(
        self,
        counter: Counter,
        by: &[&str],
        conditions: &[Where],
        of: &[Where],
        window: &str,
    ) -> String {
        let (some, all) = (self.rate(counter, by, conditions, window), self.rate(counter, by, of, window));
        format!("{some} / clamp_min({all}, 1e-9)")
    }

    /// A gauge of several processes as one number, by these labels.
    pub fn gauge(self, how: &str, gauge: Gauge, by: &[&str], conditions: &[Where]) -> String {
        let series = self.series(gauge.spec(), "", conditions);
        format!("{how}{}({series})", self.grouping(gauge.spec(), by, None))
    }

    /// A gauge as it is in each process.
    pub fn process(self, gauge: Gauge, conditions: &[Where]) -> String {
        self.series(gauge.spec(), "", conditions)
    }

    /// What a rule asked in advance, under its name.
    pub fn recorded(self, name: &str) -> String {
        let conditions: Vec<String> = self.conditions(&[]).into_iter().map(written).collect();
        if conditions.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", conditions.join(", ")) }
    }

    /// Those of a query's answers, by `instance`, that are of our processes: any program may have metrics called `process_...`.
    pub fn ours(self, query: &str) -> String {
        let cluster: &[&str] = if self.is_by_cluster() { &CLUSTER } else { &[] };
        let on: Vec<&str> = cluster.iter().copied().chain(["instance"]).collect();
        format!("{query} and on ({}) {}", on.join(", "), self.process(Gauge::BuildInfo, &[]))
    }

    /// The value that this share of a histogram's observations does not exceed, by these labels.
    pub fn quantile(
        self,
        share: f64,
        histogram: Histogram,
        by: &[&str],
        conditions: &[Where],
        window: &str,
    ) -> String {
        let series = self.series(histogram.spec(), "_bucket", conditions);
        let sum = format!("sum{}(rate({series}[{window}]))", self.grouping(histogram.spec(), by, Some("le")));
        format!("histogram_quantile({share}, {sum})")
    }

    /// How many observations there are each second, by these labels.
    pub fn observations(
        self,
        histogram: Histogram,
        by: &[&str],
        conditions: &[Where],
        window: &str,
    ) -> String {
        let series = self.series(histogram.spec(), "_count", conditions);
        format!("sum{}(rate({series}[{window}]))", self.grouping(histogram.spec(), by, None))
    }

    /// The mean of a histogram's observations, by these labels.
    pub fn mean(self, histogram: Histogram, by: &[&str], conditions: &[Where], window: &str) -> String {
        let series = self.series(histogram.spec(), "_sum", conditions);
        let sum = format!("sum{}(rate({series}[{window}]))", self.grouping(histogram.spec(), by, None));
        format!("{sum} / clamp_min({}, 1e-9)", self.observations(histogram, by, conditions, window))
    }

    /// The share of a histogram's observations that is above a bound of its buckets; 0 while there are none.
    ///
    /// # Panics
    /// When no bucket has that bound.
    pub fn share_above(self, histogram: Histogram, bound: f64, conditions: &[Where], window: &str) -> String {
        assert!(histogram.buckets().contains(&bound), "{histogram:?} has no bucket up to {bound}");
        let le = bound.to_string();
        let mut within = conditions.to_vec();
        within.push(("le", &le));
        let within = self.series(histogram.spec(), "_bucket", &within);
        let within = format!("sum{}(rate({within}[{window}]))", self.grouping(histogram.spec(), &[], None));
        let all = self.observations(histogram, &[], conditions, window);
        format!("({all} - {within}) / clamp_min({all}, 1e-9)")
    }

    fn is_by_cluster(self) -> bool {
        matches!(self, Self::Each | Self::EachChosen)
    }

    /// With those that choose the clusters.
    fn conditions<'a>(self, conditions: &[Where<'a>]) -> Vec<Where<'a>> {
        let chosen: &[Where<'a>] = if self == Self::Each { &[] } else { &CHOSEN };
        chosen.iter().chain(conditions).copied().collect()
    }

    fn series(self, spec: &Spec, suffix: &str, conditions: &[Where]) -> String {
        selector(spec, suffix, &self.conditions(conditions))
    }

    fn grouping(self, spec: &Spec, by: &[&str], more: Option<&str>) -> String {
        for name in by {
            label(spec, name);
        }
        let cluster: &[&str] = if self.is_by_cluster() { &CLUSTER } else { &[] };
        let by: Vec<&str> =
            more.into_iter().chain(cluster.iter().copied()).chain(by.iter().copied()).collect();
        if by.is_empty() { String::new() } else { format!(" by ({}) ", by.join(", ")) }
    }
}

/// A selector of series: `suffix` is `_bucket`, `_sum` or `_count` of a histogram.
pub(crate) fn selector(spec: &Spec, suffix: &str, conditions: &[Where]) -> String {
    let mut text = format!("{}{suffix}", spec.name);
    if conditions.is_empty() {
        return text;
    }
    for (at, condition) in conditions.iter().enumerate() {
        let (name, value) = *condition;
        if name != "le" {
            check(label(spec, name), value.trim_start_matches(['~', '!']));
        }
        // Writing to a string does not fail.
        let _ok = write!(text, "{}{}", if at > 0 { ", " } else { "{" }, written(*condition));
    }
    text.push('}');
    text
}

fn written((name, value): Where) -> String {
    let (equals, value) = match value.split_at_checked(1) {
        Some(("~", pattern)) => ("=~", pattern),
        Some(("!", pattern)) => ("!~", pattern),
        _ => ("=", value),
    };
    format!("{name}{equals}\"{value}\"")
}

fn label(spec: &Spec, name: &str) -> &'static Label {
    // Of Prometheus itself: which process was scraped, and of which cluster.
    static OWN: [Label; 3] = [
        Label { name: "instance", values: Values::Bounded("there is one a process") },
        Label { name: CLUSTER[0], values: Values::Bounded("there are a few clusters") },
        Label { name: CLUSTER[1], values: Values::Bounded("there are a few clusters") },
    ];
    let found = spec.labels.iter().chain(&OWN).find(|label| label.name == name);
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
    use super::Clusters::{Chosen, Each, EachChosen};
    use super::*;

    #[test]
    fn queries_are_written_as_prometheus_reads_them() {
        let attempts = Each.rate(Counter::Attempts, &["direction"], &[("outcome", "again")], "5m");
        assert_eq!(
            attempts,
            "sum by (namespace, job, direction) (rate(claw_attempts_total{outcome=\"again\"}[5m]))"
        );
        let p99 = Each.quantile(0.99, Histogram::DeliveryLatency, &[], &[("direction", "~in|out")], "1m");
        let series = "claw_delivery_latency_seconds_bucket{direction=~\"in|out\"}";
        assert_eq!(
            p99,
            format!("histogram_quantile(0.99, sum by (le, namespace, job) (rate({series}[1m])))")
        );
        assert_eq!(
            Each.gauge("sum", Gauge::Leader, &["instance"], &[]),
            "sum by (namespace, job, instance) (claw_leader)"
        );
    }

    #[test]
    fn dashboards_ask_for_what_was_chosen() {
        let chosen = "namespace=~\"$namespace\", job=~\"$job\"";
        assert_eq!(Chosen.gauge("sum", Gauge::Leader, &[], &[]), format!("sum(claw_leader{{{chosen}}})"));
        assert_eq!(
            EachChosen.rate(Counter::Accepts, &[], &[("outcome", "failed")], "1h"),
            format!("sum by (namespace, job) (rate(claw_accepts_total{{{chosen}, outcome=\"failed\"}}[1h]))")
        );
        assert_eq!(Chosen.recorded("claw:a:b"), format!("claw:a:b{{{chosen}}}"));
        assert_eq!(Each.recorded("claw:a:b"), "claw:a:b");
    }

    #[test]
    fn what_is_chosen_are_the_variables() {
        let variables = VARIABLES.map(|variable| (variable.name, format!("~{}", variable.placeholder())));
        assert_eq!(variables, CHOSEN.map(|(label, value)| (label, value.to_owned())));
        assert_eq!(VARIABLES[0].values(), "label_values(claw_build_info, namespace)");
        assert_eq!(VARIABLES[1].values(), "label_values(claw_build_info{namespace=~\"$namespace\"}, job)");
    }

    #[test]
    fn other_programs_are_left_out() {
        let files = Each.gauge("max", Gauge::ProcessFds, &["instance"], &[]);
        assert_eq!(
            Each.ours(&files),
            "max by (namespace, job, instance) (process_open_fds) and on (namespace, job, instance) claw_build_info"
        );
    }

    #[test]
    #[should_panic(expected = "has no label user")]
    fn a_label_that_is_not_there_is_noticed() {
        Each.rate(Counter::Attempts, &["user"], &[], "5m");
    }

    #[test]
    #[should_panic(expected = "is never \"agian\"")]
    fn a_value_that_never_comes_is_noticed() {
        Each.rate(Counter::Attempts, &[], &[("outcome", "agian")], "5m");
    }

    #[test]
    #[should_panic(expected = "has no bucket up to 4")]
    fn an_objective_that_is_no_bound_is_noticed() {
        Each.share_above(Histogram::DeliveryLatency, 4.0, &[], "5m");
    }
}
