//! The series whose labels' values are known beforehand, by their places: finding one costs a few comparisons, no map and no lock.

use std::sync::OnceLock;

use super::spec::Spec;
use super::{Counter, Gauge, Histogram};

/// A kind's series: for each metric, in the order of `ALL`, one slot for each combination of values.
struct Slots<H>(Vec<Vec<OnceLock<H>>>);

impl<H> Slots<H> {
    fn of(specs: impl Iterator<Item = &'static Spec>) -> Self {
        let slots = |spec: &'static Spec| (0..spec.series().unwrap_or(0)).map(|_| OnceLock::new()).collect();
        Self(specs.map(slots).collect())
    }
}

struct Table {
    counters: Slots<::metrics::Counter>,
    gauges: Slots<::metrics::Gauge>,
    histograms: Slots<::metrics::Histogram>,
}

static TABLE: OnceLock<Table> = OnceLock::new();

/// From now on there is somebody to count for.
pub(super) fn open() {
    TABLE.get_or_init(|| Table {
        counters: Slots::of(Counter::ALL.iter().map(|counter| counter.spec())),
        gauges: Slots::of(Gauge::ALL.iter().map(|gauge| gauge.spec())),
        histograms: Slots::of(Histogram::ALL.iter().map(|histogram| histogram.spec())),
    });
}

/// What both the table and who keeps a series by itself have in common for a kind of metric.
macro_rules! series {
    ($kind:ident, $handle:ty, $slots:ident, $register:ident, $describe:ident) => {
        impl $kind {
            /// The series with these labels' values, registered: for labels whose values are not known beforehand. Keep it, for
            /// finding it again takes a look into a map that everybody uses.
            pub fn handle(self, values: &[&str]) -> $handle {
                ::metrics::$register!(self.name(), self.spec().labelled(values))
            }

            /// The series with these labels' values, which are known beforehand.
            fn series(self, values: &[&str]) -> Option<&'static $handle> {
                let slots = TABLE.get()?.$slots.0.get(self as usize)?;
                let place = self.spec().place(values);
                debug_assert!(place.is_some(), "{} has no series {values:?}", self.name());
                Some(slots.get(place?)?.get_or_init(|| self.handle(values)))
            }

            /// Registers all series that are known beforehand.
            pub(super) fn expose(self) {
                for place in 0..self.spec().series().unwrap_or(0) {
                    self.series(&self.spec().values(place));
                }
            }

            pub(super) fn describe(self) {
                let spec = self.spec();
                ::metrics::$describe!(spec.name, spec.unit, spec.help);
            }
        }
    };
}

series!(Counter, ::metrics::Counter, counters, counter, describe_counter);
series!(Gauge, ::metrics::Gauge, gauges, gauge, describe_gauge);
series!(Histogram, ::metrics::Histogram, histograms, histogram, describe_histogram);

impl Counter {
    /// Counts one.
    pub fn add(self, values: &[&str]) {
        self.add_many(values, 1);
    }

    /// Counts so many.
    pub fn add_many(self, values: &[&str], count: u64) {
        if let Some(series) = self.series(values) {
            series.increment(count);
        }
    }

    /// What somebody else has counted so far.
    pub fn set(self, values: &[&str], counted: u64) {
        if let Some(series) = self.series(values) {
            series.absolute(counted);
        }
    }
}

impl Gauge {
    /// It is this now.
    pub fn set(self, values: &[&str], now: f64) {
        if let Some(series) = self.series(values) {
            series.set(now);
        }
    }

    /// Nobody in this process knows it now: it is none of the numbers.
    pub fn unknown(self) {
        for place in 0..self.spec().series().unwrap_or(0) {
            self.set(&self.spec().values(place), f64::NAN);
        }
    }
}

impl Histogram {
    /// Observes a value, in the unit of [`Spec`].
    pub fn observe(self, values: &[&str], value: f64) {
        if let Some(series) = self.series(values) {
            series.record(value);
        }
    }
}
