//! What is counted and measured. Every metric's name stands here, once, and nowhere else: dashboards, rules and tests take it
//! from [`Counter`], [`Gauge`] and [`Histogram`].
//!
//! - Names follow Prometheus (base units, `_total` for counters: <https://prometheus.io/docs/practices/naming/>).
//! - Labels have few values: never a user, a channel or an address. What bounds each label says [`Values`].
//! - Messages are counted on their way, so a count must cost next to nothing. A series whose labels' values are
//!   [known beforehand](Values::Fixed) is looked up by its place in a table; the others are registered once, by
//!   [`Counter::handle`] and its like, and kept by who counts.
//! - What a [role](Role) may count is exposed from its start, as 0: a rate has two points to go by, and what is absent is broken.
//! - Histograms have fixed buckets: those of several processes can be added up, quantiles can't.
//!
//! Nothing is counted before [`begin`]: library code counts without asking whether anybody wants to know.

#[macro_use]
mod spec;
mod counters;
mod gauges;
mod histograms;
mod labels;
mod table;

use std::sync::OnceLock;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

pub use counters::Counter;
pub use gauges::Gauge;
pub use histograms::Histogram;
pub use labels::{Label, Values, rpc_code};
pub use spec::{Role, Spec};

/// A series of a [`Counter`] that somebody keeps.
pub type CounterHandle = ::metrics::Counter;
/// A series of a [`Gauge`] that somebody keeps.
pub type GaugeHandle = ::metrics::Gauge;
/// A series of a [`Histogram`] that somebody keeps.
pub type HistogramHandle = ::metrics::Histogram;

/// The name of the format of [`scrape`] (<https://prometheus.io/docs/instrumenting/exposition_formats/>).
pub const FORMAT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Begins to count, for the whole process; doing so again changes nothing.
pub fn begin() {
    handle();
}

/// Begins to count, and shows everything that this role may count, at 0 for now.
pub fn expose(role: Role) {
    begin();
    for counter in Counter::ALL.iter().filter(|counter| counter.spec().is_of(role)) {
        counter.expose();
    }
    for gauge in Gauge::ALL.iter().filter(|gauge| gauge.spec().is_of(role)) {
        gauge.expose();
    }
    for histogram in Histogram::ALL.iter().filter(|histogram| histogram.spec().is_of(role)) {
        histogram.expose();
    }
    Gauge::BuildInfo.handle(&[env!("CARGO_PKG_VERSION"), role.as_str()]).set(1.0);
}

/// What the process has counted since [`begin`], in Prometheus' text format.
pub fn scrape() -> String {
    handle().render()
}

/// What was observed for histograms goes into their buckets. Until then each observation takes some bytes, so somebody has to
/// call this every few seconds, whether or not anybody scrapes.
pub fn settle() {
    handle().run_upkeep();
}

fn handle() -> &'static PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| {
        let mut builder = PrometheusBuilder::new();
        for histogram in Histogram::ALL {
            let matcher = Matcher::Full(histogram.name().to_owned());
            builder = match builder.set_buckets_for_metric(matcher, histogram.buckets()) {
                Ok(builder) => builder,
                // Only an empty list is refused, and a test sees to it that there is none.
                Err(error) => {
                    tracing::error!(%error, "{} has no buckets: {error}", histogram.name());
                    PrometheusBuilder::new()
                }
            };
        }
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        if let Err(error) = ::metrics::set_global_recorder(recorder) {
            tracing::error!(%error, "nothing is counted: {error}");
        }
        for counter in Counter::ALL {
            counter.describe();
        }
        for gauge in Gauge::ALL {
            gauge.describe();
        }
        for histogram in Histogram::ALL {
            histogram.describe();
        }
        table::open();
        handle
    })
}

#[cfg(test)]
mod tests;
