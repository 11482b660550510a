//! Metrics for Prometheus: instruments, and where they can be read. What there is stands in [`table`].
//!
//! Nothing is decided by a metric, and nothing pure knows of one. Instruments stand at the edges: passes are counted
//! where their outcome is known ([`crate::operator::passes`]), requests to Graph where they are sent, requests to
//! Kubernetes in its client. How the resources stand is read from them when Prometheus asks.

mod instruments;
mod kubernetes;
mod pass;
pub mod resources;
mod samples;
mod serve;
pub mod table;
mod transport;
mod under_way;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use crate::graph::GraphError;
use crate::graph::error::SUCCESS;
use instruments::{Counter, Histogram, labels};
pub use kubernetes::CountRequests;
use pass::Work;
pub use pass::{Passing, ResourceKind};
use samples::Sources;
pub use samples::{Sample, Source};
pub use serve::serve;
pub use transport::CountedTransport;
use under_way::UnderWay;

/// Everything that is counted.
pub struct Metrics {
    registry: Registry,
    sources: Sources,
    work: Arc<Work>,
    passes: Histogram,
    graph_requests: Histogram,
    token_requests: Histogram,
    lists: Counter,
    throttled: Counter,
    kubernetes_requests: Counter,
    ready: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let (sources, work) = (Sources::default(), Arc::new(Work::default()));
        sources.add(Arc::new(Build));
        sources.add(Arc::clone(&work) as _);
        let metrics = Self {
            passes: Histogram::new(&table::PASS_DURATION, &mut registry),
            graph_requests: Histogram::new(&table::GRAPH_REQUESTS, &mut registry),
            token_requests: Histogram::new(&table::TOKEN_REQUESTS, &mut registry),
            lists: Counter::new(&table::LISTS, &mut registry),
            throttled: Counter::new(&table::THROTTLED, &mut registry),
            kubernetes_requests: Counter::new(&table::KUBERNETES_REQUESTS, &mut registry),
            ready: Histogram::new(&table::READY_DURATION, &mut registry),
            work,
            sources: sources.clone(),
            registry,
        };
        metrics.begin(sources)
    }
}

impl Metrics {
    /// What can be foreseen begins at 0: of a counter that begins at 1 nobody sees that it has grown.
    fn begin(mut self, sources: Sources) -> Self {
        self.registry.register_collector(Box::new(sources));
        self.throttled.add([], 0.0);
        self.lists.add([SUCCESS], 0.0);
        self
    }

    /// Asks this one too from now on.
    pub fn watch(&self, source: Arc<dyn Source>) {
        self.sources.add(source);
    }

    /// Counts a request to Graph, which begins now, by the class of its end.
    pub fn graph_request(
        &self,
        operation: &'static str,
    ) -> UnderWay<&'static str, impl Fn(&'static str, Duration)> {
        UnderWay::counted_by(move |class, took| {
            self.graph_requests.observe([operation, class], took.as_secs_f64());
        })
    }

    /// Counts a request for a token, which begins now, by the class of its end.
    pub fn token_request(&self) -> UnderWay<&'static str, impl Fn(&'static str, Duration)> {
        UnderWay::counted_by(|class, took| self.token_requests.observe([class], took.as_secs_f64()))
    }

    /// Graph asks to wait for so much longer than it did before.
    pub fn throttled(&self, more: Duration) {
        self.throttled.add([], more.as_secs_f64());
    }

    /// A list has come completely, or not.
    pub fn listed<T>(&self, result: &Result<T, GraphError>) {
        self.lists.add([result.as_ref().map_or_else(GraphError::class, |_| SUCCESS)], 1.0);
    }

    /// A profile has become Ready after so long.
    pub fn ready(&self, after: Duration) {
        self.ready.observe([], after.as_secs_f64());
    }

    fn kubernetes_request(&self, verb: &'static str, resource: String, code: String) {
        let values: [std::borrow::Cow<'static, str>; 3] = [verb.into(), resource.into(), code.into()];
        self.kubernetes_requests.add_at(&labels(&table::KUBERNETES_REQUESTS, values), 1.0);
    }

    /// All of it in the text format of `OpenMetrics`.
    ///
    /// # Errors
    /// When a source gives what the format does not have.
    pub fn text(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

/// What is running.
#[derive(Debug)]
struct Build;

impl Source for Build {
    fn samples(&self) -> Vec<Sample> {
        vec![Sample::new(&table::BUILD_INFO, [env!("CARGO_PKG_VERSION")], 1.0)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Two;

    impl Source for Two {
        fn samples(&self) -> Vec<Sample> {
            let sample = |value| Sample::new(&table::LAST_LIST, ["school", "a \"quoted\" name"], value);
            vec![sample(1.0), sample(2.0)]
        }
    }

    #[test]
    fn counters_begin_at_zero_and_have_the_names_of_the_table() {
        let metrics = Metrics::default();
        metrics.graph_request("list").end("success");
        metrics.throttled(Duration::from_millis(1500));
        let text = metrics.text().unwrap();
        for line in [
            "edusync_graph_throttled_seconds_total{} 1.5",
            "edusync_graph_lists_total{class=\"success\"} 0.0",
            "edusync_graph_request_duration_seconds_count{operation=\"list\",class=\"success\"} 1",
            "edusync_graph_request_duration_seconds_bucket{le=\"0.025\",operation=\"list\",class=\"success\"} 1",
            "# TYPE edusync_graph_throttled_seconds counter",
        ] {
            assert!(text.lines().any(|found| found == line), "{line}:\n{text}");
        }
        assert!(text.ends_with("# EOF\n"), "{text}");
    }

    #[test]
    fn a_series_that_comes_twice_is_told_once() {
        let metrics = Metrics::default();
        metrics.watch(Arc::new(Two));
        let text = metrics.text().unwrap();
        let series: Vec<&str> = text.lines().filter(|line| line.contains("quoted")).collect();
        let name = r#"edusync_connection_last_list_timestamp_seconds{resource_namespace="school",name="a \"quoted\" name"}"#;
        assert_eq!(series, [format!("{name} 2.0")]);
    }
}
