//! What is read when Prometheus asks, and not counted before: samples of gauges. A series whose resource is gone is
//! not there any more, since nobody gives a sample of it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

use super::instruments::labels;
use super::table::{ALL, Metric};

/// One value now.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Of which metric.
    pub metric: &'static Metric,
    /// Values of its labels, in the order of the table.
    pub labels: Vec<String>,
    /// The value.
    pub value: f64,
}

/// Somebody who knows values.
pub trait Source: Send + Sync {
    /// All of them, now. It must not wait for anything.
    fn samples(&self) -> Vec<Sample>;
}

/// All sources.
#[derive(Clone, Default)]
pub(super) struct Sources(Arc<Mutex<Vec<Arc<dyn Source>>>>);

impl Sample {
    /// A sample.
    pub fn new<L: Into<String>>(
        metric: &'static Metric,
        labels: impl IntoIterator<Item = L>,
        value: f64,
    ) -> Self {
        Self { metric, labels: labels.into_iter().map(Into::into).collect(), value }
    }
}

impl Sources {
    pub(super) fn add(&self, source: Arc<dyn Source>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(source);
    }

    fn samples(&self) -> Vec<Sample> {
        // A copy, so that nobody who adds one waits for those who read.
        let sources = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        sources.iter().flat_map(|source| source.samples()).collect()
    }
}

impl Collector for Sources {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut by_name: BTreeMap<&str, BTreeMap<Vec<String>, f64>> = BTreeMap::new();
        for Sample { metric, labels, value } in self.samples() {
            // One series twice would make the whole answer worthless.
            by_name.entry(metric.name).or_default().insert(labels, value);
        }
        for metric in ALL {
            let Some(series) = by_name.remove(metric.name) else { continue };
            let unit = metric.unit().map(|_| Unit::Seconds);
            let help = format!("{}.", metric.help);
            let mut encoder =
                encoder.encode_descriptor(metric.stem(), &help, unit.as_ref(), MetricType::Gauge)?;
            for (values, value) in series {
                ConstGauge::new(value).encode(encoder.encode_family(&labels(metric, values))?)?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sources").finish_non_exhaustive()
    }
}
