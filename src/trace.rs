//! Spans: what edusync tells a collector of traces (OpenTelemetry). Nobody listens unless `operator::traces` has begun.
//!
//! Spans are made by hand, apart from those of the log: nothing is in a trace that is not set here by name. So no text
//! of a log line, no display name, no body and no whole URL can come into one. What may be set: namespaces and names of
//! resources, ids, states, codes, hosts, and paths without what differs.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Mutex, PoisonError};

use opentelemetry::trace::{FutureExt as _, SpanKind, Status, TraceContextExt as _, Tracer as _};
use opentelemetry::{Context, KeyValue, Value, global};

use crate::poller::Follower;

/// Where a span comes from: what it may be linked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause(opentelemetry::trace::SpanContext);

impl Default for Cause {
    fn default() -> Self {
        Self(opentelemetry::trace::SpanContext::empty_context())
    }
}

/// A span that has begun. It ends when it is dropped.
#[derive(Clone, Debug)]
pub struct Span(Context);

impl Span {
    /// A span with no other above it.
    #[must_use]
    pub fn root(name: impl Into<String>) -> Self {
        Self::begin(name.into(), SpanKind::Internal, &Context::new())
    }

    /// A request to another service, below the span that is current.
    #[must_use]
    pub fn request(name: impl Into<String>) -> Self {
        Self::begin(name.into(), SpanKind::Client, &Context::current())
    }

    /// The same by the conventions of OpenTelemetry for HTTP clients. `template` stands for the URL, which may hold a
    /// name.
    #[must_use]
    pub fn http<B>(request: &http::Request<B>, template: impl Into<String>) -> Self {
        let (method, uri, template) = (request.method().as_str(), request.uri(), template.into());
        let span = Self::request(format!("{method} {template}"));
        span.set("http.request.method", method.to_owned());
        span.set("url.template", template);
        span.set("server.address", uri.host().unwrap_or_default().to_owned());
        let usual = if uri.scheme_str() == Some("http") { 80 } else { 443 };
        span.set("server.port", i64::from(uri.port_u16().unwrap_or(usual)));
        span
    }

    /// Says what came of a request over HTTP.
    pub fn answered<B>(&self, result: &Result<http::Response<B>, impl std::fmt::Debug>) {
        match result {
            Err(error) => self.fail(variant(error)),
            Ok(response) => {
                let status = response.status();
                self.set("http.response.status_code", i64::from(status.as_u16()));
                if status.is_client_error() || status.is_server_error() {
                    self.fail(status.as_str());
                }
            }
        }
    }

    fn begin(name: String, kind: SpanKind, parent: &Context) -> Self {
        let tracer = global::tracer("edusync");
        let span = tracer.span_builder(name).with_kind(kind).start_with_context(&tracer, parent);
        Self(parent.with_span(span))
    }

    /// Sets an attribute.
    pub fn set(&self, key: &'static str, value: impl Into<Value>) {
        self.0.span().set_attribute(KeyValue::new(key, value));
    }

    /// Says that it did not go well, by one word or a code.
    pub fn fail(&self, kind: impl Into<String>) {
        self.set("error.type", kind.into());
        self.0.span().set_status(Status::error(""));
    }

    /// Says what brought it about, beside the span above it.
    pub fn link_to(&self, cause: &Cause) {
        if cause.0.is_valid() {
            self.0.span().add_link(cause.0.clone(), Vec::new());
        }
    }

    /// This span as what another one is linked to.
    #[must_use]
    pub fn cause(&self) -> Cause {
        Cause(self.0.span().span_context().clone())
    }

    /// Runs a piece of work within the span.
    pub fn around<F: Future>(&self, work: F) -> impl Future<Output = F::Output> {
        work.with_context(self.0.clone())
    }
}

/// Lets a piece of work that goes on in another task stay within the span that is current now.
pub fn in_current<F: Future>(work: F) -> impl Future<Output = F::Output> {
    work.with_context(Context::current())
}

/// Sets an attribute of the span that is current.
pub fn set(key: &'static str, value: impl Into<Value>) {
    Context::current().span().set_attribute(KeyValue::new(key, value));
}

/// The ids of the trace and the span that are current, if somebody records them.
#[must_use]
pub fn ids() -> Option<(String, String)> {
    Context::map_current(|context| {
        let span = context.span();
        let context = span.span_context();
        context.is_valid().then(|| (context.trace_id().to_string(), context.span_id().to_string()))
    })
}

/// The name of a variant, without what is in it.
#[must_use]
pub fn variant(value: &impl std::fmt::Debug) -> String {
    let text = format!("{value:?}");
    text.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or_default().to_owned()
}

/// Why a resource is to be looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wake {
    /// One word.
    pub reason: &'static str,
    /// The span that found it out.
    pub cause: Cause,
}

/// Why resources that wait for their pass are to be looked at: the last reason of each.
#[derive(Debug, Default)]
pub struct Wakes(Mutex<HashMap<Follower, Wake>>);

impl Wakes {
    /// Notes a reason.
    pub fn note(&self, who: Follower, reason: &'static str, cause: Cause) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(who, Wake { reason, cause });
    }

    /// Begins the span of a pass. A pass for which no reason was noted comes because its time has come.
    #[must_use]
    pub fn begin(&self, kind: &'static str, who: &Follower) -> Span {
        let wake = self.take(who);
        let span = Span::root(format!("reconcile {kind}"));
        span.set("k8s.namespace.name", who.namespace.clone());
        span.set("edusync.resource.kind", kind);
        span.set("edusync.resource.name", who.name.clone());
        span.set("edusync.wake", wake.as_ref().map_or("timer", |wake| wake.reason));
        if let Some(wake) = wake {
            span.link_to(&wake.cause);
        }
        span
    }

    /// Forgets who is gone.
    pub fn forget(&self, who: &Follower) {
        self.take(who);
    }

    fn take(&self, who: &Follower) -> Option<Wake> {
        let mut wakes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let wake = wakes.remove(who);
        if wakes.is_empty() {
            // All resources wait at once after a start, and hardly one ever after.
            wakes.shrink_to_fit();
        }
        wake
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_name_of_a_variant_is_told() {
        #[derive(Debug)]
        #[expect(dead_code, reason = "only printed")]
        enum Action {
            Nothing,
            Bind { id: &'static str },
            Adopt(&'static str),
        }
        for (action, name) in [
            (Action::Nothing, "Nothing"),
            (Action::Bind { id: "Anna Example" }, "Bind"),
            (Action::Adopt("Anna Example"), "Adopt"),
        ] {
            assert_eq!(variant(&action), name);
        }
    }

    #[test]
    fn without_a_listener_there_are_no_ids() {
        let span = Span::root("reconcile");
        assert_eq!(span.cause(), Cause::default());
        assert_eq!(ids(), None);
    }
}
