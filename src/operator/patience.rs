//! No request to Kubernetes waits for ever for the beginning of its answer: a layer of the client.
//!
//! Most calls have a deadline of their own, which is shorter. This is for those of kube-runtime, which has none for a list
//! and for the opening of a watch: an API server that takes requests and says nothing would stop them, and nobody would
//! hear of anything any more while the lease is renewed.

use std::io;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use tower::{BoxError, Layer, Service};

/// Longer than the API server takes for a request itself before it says that it is too much for it (60 s).
pub const PATIENCE: Duration = Duration::from_secs(70);

/// Ends requests whose answers do not begin in time.
#[derive(Clone, Copy, Debug)]
pub struct PatienceLayer;

/// See [`PatienceLayer`].
#[derive(Clone, Debug)]
pub struct Patient<S>(S);

impl<S> Layer<S> for PatienceLayer {
    type Service = Patient<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Patient(inner)
    }
}

impl<S, R> Service<R> for Patient<S>
where
    S: Service<R>,
    S::Future: Send + 'static,
    S::Error: Into<BoxError>,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<S::Response, BoxError>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.0.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: R) -> Self::Future {
        let answer = tokio::time::timeout(PATIENCE, self.0.call(request));
        Box::pin(async move {
            let sentence = || format!("Kubernetes has not answered within {} s", PATIENCE.as_secs());
            answer.await.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, sentence()))?.map_err(Into::into)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tower::{ServiceExt as _, service_fn};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_does_not_begin_is_not_waited_for() {
        let silent = PatienceLayer.layer(service_fn(|()| std::future::pending::<Result<(), Infallible>>()));
        let began = tokio::time::Instant::now();
        let error = silent.oneshot(()).await.unwrap_err();
        assert_eq!(began.elapsed(), PATIENCE);
        assert_eq!(error.to_string(), "Kubernetes has not answered within 70 s");
        let prompt = PatienceLayer.layer(service_fn(|()| std::future::ready(Ok::<_, Infallible>(7))));
        assert_eq!(prompt.oneshot(()).await.unwrap(), 7);
    }
}
