//! Counts requests to Kubernetes, as the audit log of the API server would: by verb, resource and status.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use http::{Method, Request, Response};
use tower::{Layer, Service};

use super::Metrics;
use super::under_way::UnderWay;

/// A layer of the client for Kubernetes that counts its requests.
#[derive(Clone, Debug)]
pub struct CountRequests(pub Arc<Metrics>);

/// What [`CountRequests`] makes of a service.
#[derive(Clone, Debug)]
pub struct Counted<S> {
    inner: S,
    metrics: Arc<Metrics>,
}

impl<S> Layer<S> for CountRequests {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Counted { inner, metrics: Arc::clone(&self.0) }
    }
}

impl<S, A, B> Service<Request<A>> for Counted<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let asked = Asked::of(request.method(), request.uri());
        let metrics = Arc::clone(&self.metrics);
        let counted = UnderWay::counted_by(move |code: String, _| {
            metrics.kubernetes_request(asked.verb, asked.resource.clone(), code);
        });
        let answer = self.inner.call(request);
        Box::pin(async move {
            let result = answer.await;
            let code = |answer: &Response<B>| answer.status().as_u16().to_string();
            counted.end(result.as_ref().map_or_else(|_| "error".to_owned(), code));
            result
        })
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Asked {
    verb: &'static str,
    resource: String,
}

impl Asked {
    /// Reads `/apis/GROUP/VERSION/namespaces/NAMESPACE/RESOURCE/NAME/SUBRESOURCE`, or `/api/VERSION/…`.
    fn of(method: &Method, uri: &http::Uri) -> Self {
        let mut parts: Vec<&str> = uri.path().split('/').filter(|part| !part.is_empty()).collect();
        let before = match parts.first() {
            Some(&"apis") => 3,
            Some(&"api") => 2,
            // Such as /version.
            _ => return Self { verb: "get", resource: "other".to_owned() },
        };
        parts.drain(..before.min(parts.len()));
        if parts.len() > 2 && parts.first() == Some(&"namespaces") {
            parts.drain(..2);
        }
        let (name, subresource) = (parts.get(1), parts.get(2));
        let watches =
            uri.query().is_some_and(|query| query.contains("watch=true") || query.contains("watch=1"));
        let verb = match (method, name) {
            (&Method::GET, Some(_)) => "get",
            (&Method::GET, None) if watches => "watch",
            (&Method::GET, None) => "list",
            (&Method::POST, _) => "create",
            (&Method::PUT, _) => "update",
            (&Method::PATCH, _) => "patch",
            (&Method::DELETE, _) => "delete",
            _ => "other",
        };
        let resource = parts.first().copied().unwrap_or("other");
        let resource = subresource.map_or_else(|| resource.to_owned(), |sub| format!("{resource}/{sub}"));
        Self { verb, resource }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::Duration;

    use tower::service_fn;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_request_is_counted_once_however_it_ends() {
        let metrics = Arc::new(Metrics::default());
        let answers = |status: Option<u16>| {
            let ours = service_fn(move |_: Request<()>| async move {
                // Dropped before that, as by a deadline or at the end of the process.
                let wait = if status.is_some() { Duration::ZERO } else { Duration::from_hours(1) };
                tokio::time::sleep(wait).await;
                let answer = Response::builder().status(status.unwrap_or(200)).body(());
                Ok::<_, Infallible>(answer.unwrap())
            });
            CountRequests(Arc::clone(&metrics)).layer(ours)
        };
        for status in [Some(409), None] {
            let request = Request::put("/api/v1/namespaces/school/secrets/graph").body(()).unwrap();
            let answer = tokio::time::timeout(Duration::from_secs(10), answers(status).call(request)).await;
            assert_eq!(answer.is_ok(), status.is_some());
        }
        let text = metrics.text().unwrap();
        let counted: Vec<&str> = text.lines().filter(|line| line.contains("verb=")).collect();
        let line = |code: &str| {
            format!(
                "edusync_kubernetes_requests_total{{verb=\"update\",resource=\"secrets\",code=\"{code}\"}} 1.0"
            )
        };
        assert_eq!(counted.len(), 2, "{counted:?}");
        for code in ["409", "abandoned"] {
            assert!(counted.contains(&line(code).as_str()), "{code}: {counted:?}");
        }
    }

    #[test]
    fn a_request_is_named_as_the_audit_log_names_it() {
        let ours = "/apis/edusync.dev/v1alpha1";
        for (method, uri, verb, resource) in [
            (
                Method::GET,
                format!("{ours}/educationsyncprofiles?watch=true&resourceVersion=7"),
                "watch",
                "educationsyncprofiles",
            ),
            (
                Method::GET,
                format!("{ours}/namespaces/school/graphconnections?limit=500"),
                "list",
                "graphconnections",
            ),
            (Method::GET, "/api/v1/namespaces/school/secrets/graph".to_owned(), "get", "secrets"),
            (
                Method::PUT,
                format!("{ours}/namespaces/school/educationsyncprofiles/contoso/status?"),
                "update",
                "educationsyncprofiles/status",
            ),
            (
                Method::PATCH,
                format!("{ours}/namespaces/school/educationsyncprofiles/contoso?"),
                "patch",
                "educationsyncprofiles",
            ),
            (Method::POST, "/apis/events.k8s.io/v1/namespaces/school/events?".to_owned(), "create", "events"),
            (
                Method::GET,
                "/apis/coordination.k8s.io/v1/namespaces/edusync-system/leases/edusync".to_owned(),
                "get",
                "leases",
            ),
            (Method::GET, "/api/v1/namespaces/school".to_owned(), "get", "namespaces"),
            (Method::GET, "/version".to_owned(), "get", "other"),
        ] {
            let asked = Asked::of(&method, &uri.parse().unwrap());
            assert_eq!(asked, Asked { verb, resource: resource.to_owned() }, "{method} {uri}");
        }
    }
}
