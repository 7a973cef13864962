//! What promtool tries an alert with: series that were scraped, and which alerts they make.

use claw_telemetry::metrics::Spec;

use crate::query::{CLUSTER, Where, selector};

/// A label and its value.
type Labelled = (&'static str, &'static str);

/// What Prometheus has scraped, once a minute, and what it then says.
#[derive(Debug, Clone)]
pub struct Case {
    /// What was scraped.
    series: Vec<Series>,
    /// When it is looked at.
    pub at: &'static str,
    /// The alerts that fire, each by its labels but for the severity: none, and all is quiet.
    pub alerts: Vec<Vec<Labelled>>,
}

#[derive(Debug, Clone)]
struct Series {
    spec: &'static Spec,
    /// `_bucket`, `_sum` or `_count` of a histogram.
    part: &'static str,
    labels: Vec<Labelled>,
    /// In promtool's notation: `0+5x30` begins at 0 and grows by 5 thirty times.
    values: &'static str,
}

impl Case {
    pub(super) fn at(at: &'static str) -> Self {
        Self { series: Vec::new(), at, alerts: Vec::new() }
    }

    pub(super) fn with(self, spec: &'static Spec, labels: &[Labelled], values: &'static str) -> Self {
        self.with_part(spec, "", labels, values)
    }

    pub(super) fn with_part(
        mut self,
        spec: &'static Spec,
        part: &'static str,
        labels: &[Labelled],
        values: &'static str,
    ) -> Self {
        self.series.push(Series { spec, part, labels: labels.to_vec(), values });
        self
    }

    /// An alert with these labels fires.
    pub(super) fn fires(mut self, labels: &[Labelled]) -> Self {
        self.alerts.push(labels.to_vec());
        self
    }

    /// Selectors of the series, and their values.
    pub fn series(&self) -> impl Iterator<Item = (String, &'static str)> {
        self.series.iter().map(|series| {
            let conditions: Vec<Where> = series.labels.clone();
            (selector(series.spec, series.part, &conditions), series.values)
        })
    }

    /// The same of this cluster; `cluster` are the values of [`CLUSTER`].
    pub(super) fn of_cluster(mut self, cluster: [&'static str; 2]) -> Self {
        let labels: Vec<Labelled> = CLUSTER.into_iter().zip(cluster).collect();
        for series in &mut self.series {
            series.labels.extend(&labels);
        }
        for alert in &mut self.alerts {
            alert.extend(&labels);
        }
        self
    }

    /// Both at once, when this one is looked at.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.series.extend(other.series);
        self.alerts.extend(other.alerts);
        self
    }
}

/// A case of one cluster while two others are quiet: one of another job in its namespace, one of its job in another namespace.
pub(super) fn beside_quiet_ones(case: &Case, quiet: &Case) -> Case {
    let of = |case: &Case, cluster| case.clone().of_cluster(cluster);
    of(case, ["chat", "one"]).and(of(quiet, ["chat", "two"])).and(of(quiet, ["other", "one"]))
}
