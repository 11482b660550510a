//! A transport that counts what goes to the token service.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;

use super::Metrics;
use crate::graph::error::class_of;
use crate::graph::transport::{Transport, TransportError};

/// Sends requests for tokens, and counts them.
#[derive(Debug)]
pub struct CountedTransport {
    /// Sends them.
    pub inner: Arc<dyn Transport>,
    /// Counts them.
    pub metrics: Arc<Metrics>,
}

impl Transport for CountedTransport {
    fn send(
        &self,
        request: http::Request<Bytes>,
        deadline: Duration,
    ) -> BoxFuture<'_, Result<http::Response<Bytes>, TransportError>> {
        Box::pin(async move {
            let counted = self.metrics.token_request();
            let result = self.inner.send(request, deadline).await;
            let status = result.as_ref().map(|response| response.status().as_u16());
            counted.end(class_of(status));
            result
        })
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    /// It never answers.
    #[derive(Debug)]
    struct Silence;

    impl Transport for Silence {
        fn send(
            &self,
            _request: http::Request<Bytes>,
            _deadline: Duration,
        ) -> BoxFuture<'_, Result<http::Response<Bytes>, TransportError>> {
            futures::future::pending().boxed()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_is_broken_off_is_counted() {
        let metrics = Arc::new(Metrics::default());
        let counted = CountedTransport { inner: Arc::new(Silence), metrics: Arc::clone(&metrics) };
        let request = counted.send(http::Request::default(), Duration::from_secs(30));
        assert!(tokio::time::timeout(Duration::from_secs(2), request).await.is_err());
        let text = metrics.text().unwrap();
        for line in ["_count{class=\"abandoned\"} 1", "_sum{class=\"abandoned\"} 2.0"] {
            let line = format!("edusync_token_request_duration_seconds{line}");
            assert!(text.lines().any(|found| found == line), "{line}:\n{text}");
        }
    }
}
