//! The HTTP face without sockets: a request and a time go in, an answer comes out. Routing, headers, JSON and the
//! request log live here; what the service does is in `model`, listening is in `server`.

mod answer;
mod control;
mod fault;
mod graph;
mod identity;
mod operation;
mod own;
mod page;
mod platform;
mod record;
mod render;
mod route;
mod token;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderMap, Method, Request, Response};
use jiff::Timestamp;
use serde_json::Value;

use crate::clock::Clock;
use crate::fault::{FaultList, Strike};
use crate::json::Json;
use crate::model::{Generation, Model, PrincipalKind};
use crate::settings::Settings;
use answer::{Envelope, GraphError};
pub use fault::Cut;
use graph::Answer;
use operation::Named;
pub(crate) use platform::SavedSimulator;
pub use record::RecordedRequest;
use record::RequestLog;
use render::Occasion;
use route::Route;

/// A simulated Microsoft Graph and token endpoint, in process. It needs no runtime and reads no clock; a test may let
/// a century pass between two calls. [`crate::Server`] puts TLS and a port in front of it.
pub struct Simulator {
    settings: Settings,
    inner: Mutex<Inner>,
}

struct Inner {
    model: Model,
    log: RequestLog,
    unavailable: Option<u16>,
    faults: FaultList,
    clock: Clock,
    /// Counts what may have changed the state.
    changes: u64,
}

/// One request, as far as the calls look at it.
pub(crate) struct Incoming<'a> {
    method: &'a Method,
    path: &'a str,
    query: Option<&'a str>,
    headers: &'a HeaderMap,
    body: &'a [u8],
    /// Host and port the caller used; links in answers start with it.
    authority: String,
}

/// What became of a request: an answer, and how it travels. [`crate::Server`] carries this out for real; a transport in
/// process may model it.
#[non_exhaustive]
pub struct Outcome {
    /// The answer. With a [`Cut`], at most a part of it arrives.
    pub response: Response<Bytes>,
    /// How long to wait before answering.
    pub delay: Option<Duration>,
    /// How the connection ends before the answer is complete.
    pub cut: Option<Cut>,
    /// The log entry; `None` for the simulator's own pages.
    pub(crate) recorded: Option<RecordedRequest>,
    /// Whether a profile was created.
    pub(crate) created: bool,
    /// Whether the state is to be saved before the answer goes out.
    pub(crate) save: bool,
}

/// Which service of Microsoft's a request is for.
enum Service {
    DeviceCode(String),
    Identity,
    Other(Route),
}

impl Simulator {
    /// A new, empty service.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let mut inner = Inner {
            model: Model::new(&settings),
            log: RequestLog::new(settings.log_capacity),
            unavailable: None,
            faults: FaultList::new(settings.seed),
            clock: Clock::default(),
            changes: 0,
        };
        settings.faults.iter().for_each(|fault| _ = inner.faults.add(fault.clone()));
        inner.remember(Timestamp::MIN);
        Self { settings, inner: Mutex::new(inner) }
    }

    /// What it was told.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Answers one request at the time `now`. The host of links in the answer is that of the request's URI, or of its
    /// `Host` header. An answer that would be cut on its way is a 504 here; see [`Self::exchange`].
    #[must_use]
    pub fn handle(&self, request: Request<Bytes>, now: Timestamp) -> Response<Bytes> {
        self.exchange(request, now).whole()
    }

    /// All requests the log still has, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.lock().log.all()
    }

    /// All profiles of all tenants as they are at `now`, with `tenantId` and `createdDateTime`, deleting ones included.
    #[must_use]
    pub fn profiles(&self, now: Timestamp) -> Vec<Value> {
        let mut inner = self.lock();
        let now = inner.clock.at(now);
        let all = profiles(&mut inner.model, now);
        all.iter().map(|profile| serde_json::to_value(profile).unwrap_or(Value::Null)).collect()
    }

    /// Somebody else creates a profile in the first tenant. The body is a create body in beta spelling.
    ///
    /// # Errors
    /// The sentence with which Graph would refuse the body.
    pub fn plant(&self, body: &Value, now: Timestamp) -> Result<String, String> {
        let mut inner = self.change();
        let now = inner.clock.at(now);
        let created = inner.model.create(&self.settings.tenant, body, Generation::Beta, now);
        inner.remember(now);
        created.map(|view| view.profile.id).map_err(crate::model::Invalid::into_sentence)
    }

    /// Somebody else deletes a profile, and it is gone at once. False when there was none.
    pub fn remove(&self, id: &str) -> bool {
        self.change().model.remove(id)
    }

    /// Profiles created from now on with this display name end in `provisioningFailed`.
    pub fn fail_provisioning(&self, display_name: &str) {
        self.change().model.fail_provisioning(display_name);
    }

    /// `Some(status)`: every Graph call answers that status, with the error body documented for it; 429 and 503 carry
    /// `Retry-After` ([`Settings::retry_after`]). The token endpoint goes on working. `None` ends it.
    pub fn set_unavailable(&self, status: Option<u16>) {
        self.lock().unavailable = status;
    }

    /// As [`Self::handle`], with what happens to the answer on its way.
    #[must_use]
    pub fn exchange(&self, request: Request<Bytes>, now: Timestamp) -> Outcome {
        let (parts, body) = request.into_parts();
        let mut inner = self.lock();
        let real = now;
        let now = inner.clock.at(real);
        let request_id = inner.model.guid();
        let client_request_id = header(&parts.headers, "client-request-id").map(str::to_owned);
        let envelope = Envelope {
            now,
            client_request_id: client_request_id.clone().unwrap_or_else(|| request_id.clone()),
            request_id,
        };
        let incoming = Incoming {
            method: &parts.method,
            path: parts.uri.path(),
            query: parts.uri.query(),
            headers: &parts.headers,
            body: &body,
            authority: authority(&parts),
        };
        let reads = parts.method == Method::GET && !incoming.path.starts_with("/metadata/");
        inner.changes += u64::from(!reads);
        if let Some(own) = own::route(&parts.method, incoming.path) {
            let controlled = inner.control(&own, &incoming, &envelope, real);
            return Outcome { save: controlled.save, ..Outcome::answer(controlled.response) };
        }
        let named = operation::name(&parts.method, incoming.path, incoming.query);
        let service = Service::of(&parts.method, incoming.path);
        let served = inner.serve(service, &named, &incoming, &envelope);
        if !reads {
            inner.remember(now);
        }
        let answered = served.answered;
        let recorded = RecordedRequest {
            number: 0,
            time: now,
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().map(record::redact_query),
            status: answered.response.status().as_u16(),
            operation: named.operation.as_str(),
            faults: served.faults,
            principal: answered.principal,
            grant: answered.grant,
            request_id: envelope.request_id,
            client_request_id,
            body: if self.settings.log_bodies { answered.body } else { None },
        };
        let recorded = Some(inner.log.keep(recorded));
        let (delay, cut, created) = (served.delay, served.cut, answered.created);
        Outcome { delay, cut, recorded, created, ..Outcome::answer(answered.response) }
    }

    /// As [`Self::lock`], for what changes the state.
    fn change(&self) -> MutexGuard<'_, Inner> {
        let mut inner = self.lock();
        inner.changes += 1;
        inner
    }

    /// A panic in another thread leaves nothing half-done that matters here.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer with what the log wants to know.
#[derive(Default)]
struct Answered {
    response: Response<Bytes>,
    principal: Option<PrincipalKind>,
    grant: Option<String>,
    /// The redacted body.
    body: Option<Value>,
    created: bool,
}

impl Inner {
    /// Carries out one call, as far as `strike` leaves it to happen.
    fn carry_out(
        &mut self,
        service: Service,
        named: &Named,
        incoming: &Incoming<'_>,
        envelope: &Envelope,
        strike: &Strike,
    ) -> Answered {
        match service {
            Service::DeviceCode(tenant) => {
                let response = token::device(&mut self.model, &tenant, incoming, envelope);
                let body = Some(record::redact_form(&token::fields(incoming)));
                Answered { response, body, ..Answered::default() }
            }
            Service::Identity => identity::answer(&mut self.model, incoming, envelope),
            Service::Other(Route::Token { tenant }) => self.token(&tenant, incoming, envelope),
            Service::Other(Route::Graph(call)) => self.graph(call, named, incoming, envelope, strike),
            // Own addresses were answered before; what is left of them is nowhere.
            Service::Other(Route::Own(_)) => {
                Answered { response: envelope.error(GraphError::not_found()), ..Answered::default() }
            }
        }
    }

    fn token(&mut self, tenant: &str, incoming: &Incoming<'_>, envelope: &Envelope) -> Answered {
        let answer = token::answer(&mut self.model, tenant, incoming, envelope);
        Answered {
            response: answer.response,
            principal: answer.principal,
            grant: answer.grant,
            body: Some(record::redact_form(&token::fields(incoming))),
            created: false,
        }
    }

    fn graph(
        &mut self,
        call: Result<route::GraphCall, route::Lost>,
        named: &Named,
        incoming: &Incoming<'_>,
        envelope: &Envelope,
        strike: &Strike,
    ) -> Answered {
        let principal = graph::principal(&self.model, incoming, envelope);
        let kind = principal.as_ref().ok().map(|principal| principal.kind);
        let answer = match (self.unavailable, principal) {
            (Some(status), _) => Err(GraphError::unavailable(status)),
            (None, Err(error)) => Err(error),
            (None, Ok(principal)) => self.troubled(&principal, call, named, incoming, envelope, strike),
        };
        let created = matches!(answer, Ok(Answer::Created(..)));
        let mut response = match answer {
            Ok(Answer::Body(status, body) | Answer::Created(status, body)) => envelope.graph(status, &body),
            Ok(Answer::Empty(status)) => envelope.empty(status),
            Err(error) => envelope.error(error),
        };
        if matches!(self.unavailable, Some(429 | 503)) {
            answer::retry_after(&mut response, self.model.settings().retry_after);
        }
        Answered { response, principal: kind, grant: None, body: record::redact_json(incoming.body), created }
    }
}

/// Every profile with what only the simulator knows of it.
fn profiles(model: &mut Model, now: Timestamp) -> Vec<Json> {
    let all = model.everything(now).into_iter();
    all.map(|(tenant, view)| {
        let mut members = vec![
            ("tenantId", Json::from(tenant)),
            ("createdDateTime", Json::from(view.profile.created.to_string())),
        ];
        members.extend(render::profile(&view, Generation::Beta, Occasion::Read));
        Json::Object(members)
    })
    .collect()
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok()).filter(|value| !value.is_empty())
}

/// The media type of the body in lower case, without parameters.
fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    value.split(';').next().map(|essence| essence.trim().to_ascii_lowercase())
}

/// Host and port the caller used. It ends up in links, so anything that is no authority is not repeated.
fn authority(parts: &http::request::Parts) -> String {
    let host = parts.headers.get(HOST).and_then(|value| value.to_str().ok());
    let parsed = host.and_then(|host| host.parse::<http::uri::Authority>().ok());
    let found = parts.uri.authority().cloned().or(parsed);
    found.map_or_else(|| "localhost".to_owned(), |authority| authority.to_string())
}
