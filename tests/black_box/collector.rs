//! A collector of traces, as OpenTelemetry has them: it takes OTLP over HTTP, and keeps what comes.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use http::HeaderMap;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

/// A request, as it came.
pub type Taken = (HeaderMap, Bytes);

/// A collector.
pub struct Collector {
    address: SocketAddr,
    taken: Arc<Mutex<Vec<Taken>>>,
}

impl Collector {
    /// Listens.
    pub async fn begin() -> Self {
        let taken: Arc<Mutex<Vec<Taken>>> = Arc::default();
        let keep = async |State(taken): State<Arc<Mutex<Vec<Taken>>>>, headers: HeaderMap, body: Bytes| {
            taken.lock().unwrap().push((headers, body));
        };
        let app = axum::Router::new().route("/v1/traces", post(keep)).with_state(Arc::clone(&taken));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, taken }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All requests so far.
    pub fn taken(&self) -> Vec<Taken> {
        self.taken.lock().unwrap().clone()
    }

    fn requests(&self) -> Vec<ExportTraceServiceRequest> {
        self.taken()
            .iter()
            .map(|(_, body)| ExportTraceServiceRequest::decode(body.clone()).unwrap())
            .collect()
    }

    /// What the spans are of.
    pub fn resource(&self) -> BTreeMap<String, String> {
        let mut all: Vec<_> =
            self.requests().into_iter().flat_map(|request| request.resource_spans).collect();
        attributes(&all.remove(0).resource.unwrap().attributes)
    }

    /// All spans so far.
    pub fn spans(&self) -> Vec<Span> {
        let resources = self.requests().into_iter().flat_map(|request| request.resource_spans);
        resources.flat_map(|spans| spans.scope_spans).flat_map(|scope| scope.spans).collect()
    }
}

/// Attributes as text.
pub fn attributes(pairs: &[KeyValue]) -> BTreeMap<String, String> {
    pairs.iter().map(|pair| (pair.key.clone(), text(pair.value.as_ref()))).collect()
}

fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.clone()) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => panic!("{other:?}"),
    }
}

/// A span and those below it, a line each, as they began. What differs from run to run is left out.
pub fn tree(spans: &[Span], root: &Span) -> String {
    let mut lines = String::new();
    branch(spans, root, 0, &mut lines);
    lines
}

fn branch(spans: &[Span], span: &Span, depth: usize, lines: &mut String) {
    let shown: Vec<_> = attributes(&span.attributes)
        .into_iter()
        .map(|(key, value)| if differs(&key) { key } else { format!("{key}={value}") })
        .collect();
    let failed = span.status.as_ref().is_some_and(|status| status.code == 2);
    let mark = if failed { " FAILED" } else { "" };
    writeln!(lines, "{}{}{mark} [{}]", "  ".repeat(depth), span.name, shown.join(" ")).unwrap();
    let mut below: Vec<&Span> = spans.iter().filter(|other| other.parent_span_id == span.span_id).collect();
    below.sort_by_key(|span| span.start_time_unix_nano);
    for span in below {
        branch(spans, span, depth + 1, lines);
    }
}

fn differs(key: &str) -> bool {
    matches!(
        key,
        "edusync.graph.client_request_id" | "edusync.graph.request_id" | "server.port" | "k8s.namespace.name"
    )
}
