//! Traces to a collector by OTLP over HTTP, if somebody asks for them: the exporter behind [`crate::trace`].
//!
//! The standard variables of OpenTelemetry hold (`OTEL_…`). Spans are sent by a thread of the SDK through a transport
//! of our own, so that there is one HTTP client and one TLS in the process. A collector that is away costs a warning
//! once in a while, and the spans; never a pass.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use opentelemetry::{KeyValue, global};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tokio::runtime::Handle;
use tokio::time::Instant;

use super::Instance;
use crate::graph::transport::{HttpTransport, Transport as _};

/// Where spans go by default (OpenTelemetry, "OTLP Exporter Configuration").
const DEFAULT_ENDPOINT: &str = "http://localhost:4318";
/// A collector that does not answer for so long does not get these spans.
const DEADLINE: Duration = Duration::from_secs(10);
/// The last spans are waited for at the end; shorter than what is left of a pod's life after the passes.
const FLUSH: Duration = Duration::from_secs(5);
/// A collector that is away is named again after this time.
const AGAIN: Duration = Duration::from_mins(10);

/// The exporter, while it runs.
#[derive(Debug)]
pub struct Traces(SdkTracerProvider);

impl Traces {
    /// Begins to export, if `--otlp-endpoint` or the environment asks for it. What is wrong with the settings is said
    /// in the log, and the operator goes on without: traces are never worth a standstill.
    #[must_use]
    pub fn begin(flag: Option<&str>, instance: &Instance, namespace: &str, runtime: &Handle) -> Option<Self> {
        let wanted = wanted(flag, |name| std::env::var(name).ok().filter(|value| !value.is_empty()));
        let begun = match wanted {
            Ok(None) => return None,
            Ok(Some(endpoint)) => {
                start(&endpoint, instance, namespace, runtime).map(|traces| (traces, endpoint))
            }
            Err(error) => Err(error),
        };
        match begun {
            Ok((traces, endpoint)) => {
                tracing::info!(endpoint = origin(&endpoint), "sending traces");
                Some(traces)
            }
            Err(error) => {
                tracing::warn!(error, "no traces are sent");
                None
            }
        }
    }

    /// Sends what is left.
    pub fn end(&self) {
        if let Err(error) = self.0.shutdown_with_timeout(FLUSH) {
            tracing::debug!(%error, "the last spans were not sent");
        }
    }
}

/// Where spans are to be sent; none: nowhere.
fn wanted(flag: Option<&str>, variable: impl Fn(&str) -> Option<String>) -> Result<Option<String>, String> {
    let is = |name: &str, value: &str| variable(name).is_some_and(|set| set.eq_ignore_ascii_case(value));
    if is("OTEL_SDK_DISABLED", "true") {
        return Ok(None);
    }
    let exporter = variable("OTEL_TRACES_EXPORTER");
    match exporter.as_deref() {
        None | Some("otlp") => {}
        Some("none") => return Ok(None),
        Some(other) => {
            return Err(format!("OTEL_TRACES_EXPORTER={other}: edusync knows otlp and none"));
        }
    }
    let below = |base: &str| format!("{}/v1/traces", base.trim_end_matches('/'));
    let endpoint = flag
        .map(below)
        .or_else(|| variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"))
        .or_else(|| variable("OTEL_EXPORTER_OTLP_ENDPOINT").map(|base| below(&base)))
        .or_else(|| exporter.map(|_| below(DEFAULT_ENDPOINT)));
    let protocol =
        variable("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL").or_else(|| variable("OTEL_EXPORTER_OTLP_PROTOCOL"));
    match (&endpoint, protocol.as_deref()) {
        (Some(_), Some(other)) if other != "http/protobuf" => Err(format!(
            "OTEL_EXPORTER_OTLP_PROTOCOL={other}: edusync sends http/protobuf, which collectors take at port 4318"
        )),
        _ => Ok(endpoint),
    }
}

fn start(endpoint: &str, instance: &Instance, namespace: &str, runtime: &Handle) -> Result<Traces, String> {
    // As it was checked, and not as it was written: the SDK's words for an address that it cannot read would have all of it.
    let endpoint = url::Url::parse(endpoint).map_err(|error| format!("the collector's address: {error}"))?;
    let client = Collector {
        transport: HttpTransport::to_collector(endpoint.as_str())?,
        runtime: runtime.clone(),
        complaints: Arc::default(),
    };
    let exporter = SpanExporter::builder()
        .with_http()
        .with_endpoint(endpoint.as_str())
        .with_protocol(Protocol::HttpBinary)
        .with_http_client(client)
        .build()
        .map_err(|_| "the collector's address cannot be used".to_owned())?;
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_resource(resource(instance, namespace))
        .build();
    global::set_tracer_provider(provider.clone());
    Ok(Traces(provider))
}

/// What every span is of. What the variables of OpenTelemetry say goes before.
fn resource(instance: &Instance, namespace: &str) -> Resource {
    let mut own = vec![KeyValue::new("service.version", env!("CARGO_PKG_VERSION"))];
    if let Some(uid) = &instance.pod_uid {
        own.push(KeyValue::new("k8s.namespace.name", namespace.to_owned()));
        own.push(KeyValue::new("k8s.pod.name", instance.name.clone()));
        own.push(KeyValue::new("k8s.pod.uid", uid.clone()));
    }
    let told = Resource::builder().build();
    let is_named = told
        .iter()
        .any(|(key, value)| key.as_str() == "service.name" && !value.as_str().starts_with("unknown_service"));
    if !is_named {
        own.push(KeyValue::new("service.name", "edusync"));
    }
    own.retain(|pair| pair.key.as_str() == "service.name" || told.get_ref(&pair.key).is_none());
    Resource::builder().with_attributes(own).build()
}

/// Scheme, host and port: a path or a query may hold a key.
fn origin(endpoint: &str) -> String {
    url::Url::parse(endpoint).map(|url| url.origin().ascii_serialization()).unwrap_or_default()
}

/// The way to the collector. The SDK sends from a thread of its own, and requests need the runtime.
#[derive(Debug)]
struct Collector {
    transport: HttpTransport,
    runtime: Handle,
    complaints: Arc<Mutex<Option<Instant>>>,
}

type Sending<'a> = Pin<Box<dyn Future<Output = Result<http::Response<Bytes>, HttpError>> + Send + 'a>>;

impl HttpClient for Collector {
    fn send_bytes<'life, 'sending>(&'life self, request: http::Request<Bytes>) -> Sending<'sending>
    where
        'life: 'sending,
        Self: 'sending,
    {
        let (transport, complaints) = (self.transport.clone(), Arc::clone(&self.complaints));
        let sending = self.runtime.spawn(async move {
            let result = transport.send(request, DEADLINE).await;
            let wrong = match &result {
                Ok(response) if response.status().is_success() => None,
                Ok(response) => Some(format!("it answered with HTTP {}", response.status().as_u16())),
                Err(error) => Some(error.to_string()),
            };
            complain(&complaints, wrong);
            result
        });
        Box::pin(async move { Ok(sending.await??) })
    }
}

/// Says once in a while that the collector does not take spans.
fn complain(last: &Mutex<Option<Instant>>, wrong: Option<String>) {
    let Some(error) = wrong else { return };
    let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
    if last.is_none_or(|at| at.elapsed() >= AGAIN) {
        *last = Some(Instant::now());
        tracing::warn!(error, "the collector does not take traces, and spans are lost; all else goes on");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wants(flag: Option<&str>, variables: &[(&str, &str)]) -> Result<Option<String>, String> {
        wanted(flag, |name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn nothing_is_sent_unless_somebody_asks() {
        assert_eq!(wants(None, &[]), Ok(None));
        assert_eq!(wants(None, &[("OTEL_SERVICE_NAME", "a")]), Ok(None));
        let at = |endpoint: &str| Ok(Some(endpoint.to_owned()));
        assert_eq!(wants(Some("http://a:4318/"), &[]), at("http://a:4318/v1/traces"));
        assert_eq!(wants(None, &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://b")]), at("http://b/v1/traces"));
        assert_eq!(
            wants(None, &[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c/own")]),
            at("http://c/own")
        );
        assert_eq!(wants(None, &[("OTEL_TRACES_EXPORTER", "otlp")]), at("http://localhost:4318/v1/traces"));
        for off in [("OTEL_TRACES_EXPORTER", "none"), ("OTEL_SDK_DISABLED", "true")] {
            assert_eq!(wants(Some("http://a"), &[off]), Ok(None), "{off:?}");
        }
    }

    #[test]
    fn what_edusync_cannot_do_is_said() {
        let grpc = [("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")];
        assert!(wants(Some("http://a"), &grpc).unwrap_err().contains("port 4318"));
        assert_eq!(wants(None, &grpc), Ok(None));
        assert!(wants(None, &[("OTEL_TRACES_EXPORTER", "zipkin")]).unwrap_err().contains("otlp and none"));
    }

    #[test]
    fn a_key_in_an_address_is_not_shown() {
        assert_eq!(origin("https://collector.example/v1?key=canary"), "https://collector.example");
    }
}
