//! A transport that counts what goes to the token service.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use tokio::time::Instant;

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
            let began = Instant::now();
            let result = self.inner.send(request, deadline).await;
            let status = result.as_ref().map(|response| response.status().as_u16());
            self.metrics.token_request(class_of(status), began.elapsed());
            result
        })
    }
}
