//! The instruments of the table, as the crate for the exposition format has them. Nothing is counted here.

use std::borrow::Cow;
use std::fmt;
use std::sync::atomic::AtomicU64;

use prometheus_client::metrics::counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::histogram;
use prometheus_client::registry::{Registry, Unit};

use super::table::{Kind, Metric};

/// Names and values of the labels of one series.
pub(super) type Labels = Vec<(&'static str, Cow<'static, str>)>;

/// The labels of a metric with these values.
pub(super) fn labels<V: Into<Cow<'static, str>>>(
    metric: &Metric,
    values: impl IntoIterator<Item = V>,
) -> Labels {
    metric.labels.iter().copied().zip(values.into_iter().map(Into::into)).collect()
}

/// A counter of the table.
pub(super) struct Counter {
    metric: &'static Metric,
    family: Family<Labels, counter::Counter<f64, AtomicU64>>,
}

/// A histogram of the table.
pub(super) struct Histogram {
    metric: &'static Metric,
    family: Family<Labels, histogram::Histogram, Buckets>,
}

#[derive(Clone, Copy)]
struct Buckets(&'static [f64]);

impl MetricConstructor<histogram::Histogram> for Buckets {
    fn new_metric(&self) -> histogram::Histogram {
        histogram::Histogram::new(self.0.iter().copied())
    }
}

impl Counter {
    pub(super) fn new(metric: &'static Metric, registry: &mut Registry) -> Self {
        let family = Family::default();
        register(metric, registry, family.clone());
        Self { metric, family }
    }

    /// Adds to the series with these values; 0 lets it begin.
    pub(super) fn add<const N: usize>(&self, values: [&'static str; N], more: f64) {
        self.add_at(&labels(self.metric, values), more);
    }

    pub(super) fn add_at(&self, labels: &Labels, more: f64) {
        self.family.get_or_create(labels).inc_by(more);
    }
}

impl Histogram {
    pub(super) fn new(metric: &'static Metric, registry: &mut Registry) -> Self {
        let Kind::Histogram(buckets) = metric.kind else {
            // Without buckets it still counts and adds up.
            return Self { metric, family: Family::new_with_constructor(Buckets(&[])) };
        };
        let family = Family::new_with_constructor(Buckets(buckets));
        register(metric, registry, family.clone());
        Self { metric, family }
    }

    pub(super) fn observe<const N: usize>(&self, values: [&'static str; N], seconds: f64) {
        self.family.get_or_create(&labels(self.metric, values)).observe(seconds);
    }
}

fn register(
    metric: &'static Metric,
    registry: &mut Registry,
    instrument: impl prometheus_client::registry::Metric,
) {
    match metric.unit() {
        Some(_) => registry.register_with_unit(metric.stem(), metric.help, Unit::Seconds, instrument),
        None => registry.register(metric.stem(), metric.help, instrument),
    }
}

impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.metric.name)
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.metric.name)
    }
}
