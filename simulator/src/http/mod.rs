//! The HTTP face without sockets: a request and a time go in, an answer comes out. Routing, headers, JSON and the
//! request log live here; what the service does is in `model`, listening is in `server`.

mod actions;
mod answer;
mod batch;
mod blob;
mod blob_xml;
mod collections;
mod graph;
mod incoming;
mod items;
mod odata;
mod record;
mod render;
mod render_sync;
mod route;
mod skus;
mod token;

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use jiff::Timestamp;
use serde_json::Value;

use crate::json::Json;
use crate::model::uploads::Verification;
use crate::model::{Generation, Model, Need, PrincipalKind, SyncOutcome};
use crate::settings::Settings;
use answer::{Envelope, GraphError};
use graph::Answer;
use incoming::{Incoming, header, media_type};
pub(crate) use incoming::{Payload, Reading};
pub use record::RecordedRequest;
use record::RequestLog;
use render::Occasion;
use route::{Action, Route};

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
}

/// An answer and what the face needs to know about it.
pub(crate) struct Exchange {
    pub(crate) response: Response<Bytes>,
    /// The log entry; `None` for the simulator's own pages.
    pub(crate) recorded: Option<RecordedRequest>,
    /// Whether a profile was created.
    pub(crate) created: bool,
}

impl Simulator {
    /// A new, empty service.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let inner = Inner {
            model: Model::new(&settings),
            log: RequestLog::new(settings.log_capacity),
            unavailable: None,
        };
        Self { settings, inner: Mutex::new(inner) }
    }

    /// What it was told.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Answers one request at the time `now`. The host of links in the answer is that of the request's URI, or of its
    /// `Host` header.
    #[must_use]
    pub fn handle(&self, request: Request<Bytes>, now: Timestamp) -> Response<Bytes> {
        self.exchange(request.map(Payload::Memory), now).response
    }

    /// All requests the log still has, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<RecordedRequest> {
        self.lock().log.all()
    }

    /// All profiles of all tenants as they are at `now`, with `tenantId` and `createdDateTime`, deleting ones included.
    #[must_use]
    pub fn profiles(&self, now: Timestamp) -> Vec<Value> {
        let all = profiles(&mut self.lock().model, now);
        all.iter().map(|profile| serde_json::to_value(profile).unwrap_or(Value::Null)).collect()
    }

    /// Somebody else creates a profile in the first tenant. The body is a create body in beta spelling.
    ///
    /// # Errors
    /// The sentence with which Graph would refuse the body.
    pub fn plant(&self, body: &Value, now: Timestamp) -> Result<String, String> {
        let created = self.lock().model.create(&self.settings.tenant, body, Generation::Beta, now);
        created.map(|view| view.profile.id).map_err(crate::model::Invalid::into_sentence)
    }

    /// Somebody else deletes a profile, and it is gone at once. False when there was none.
    pub fn remove(&self, id: &str) -> bool {
        self.lock().model.remove(id)
    }

    /// Profiles created from now on with this display name end in `provisioningFailed`.
    pub fn fail_provisioning(&self, display_name: &str) {
        self.lock().model.fail_provisioning(display_name);
    }

    /// Sync runs of profiles with this display name that are begun or scheduled from now on end in this status.
    pub fn set_sync_outcome(&self, display_name: &str, outcome: SyncOutcome) {
        self.lock().model.set_sync_outcome(display_name, outcome);
    }

    /// Sync runs of profiles with this display name that are begun or scheduled from now on find so many errors.
    pub fn set_sync_errors(&self, display_name: &str, count: usize) {
        self.lock().model.set_sync_errors(display_name, count);
    }

    /// Every profile with this id or display name has that many more errors at once, until a reset or its next run.
    /// Answers how many profiles these are. At 15,000 errors a profile is quarantined.
    pub fn plant_errors(&self, profile: &str, count: usize, now: Timestamp) -> usize {
        self.lock().model.plant_errors(profile, count, now)
    }

    /// `Some(status)`: every Graph call answers that status, with the error body documented for it; 429 and 503 carry
    /// `Retry-After` ([`Settings::retry_after`]). The token endpoint goes on working. `None` ends it.
    pub fn set_unavailable(&self, status: Option<u16>) {
        self.lock().unavailable = status;
    }

    /// What to do with a body before it is read: only uploads may be large, and only those that will be taken.
    pub(crate) fn reading(&self, parts: &http::request::Parts, now: Timestamp) -> Reading {
        let Route::Blob(target) = route::route(&parts.method, parts.uri.path()) else {
            return Reading::Memory;
        };
        let incoming = Incoming::new(parts, &[]);
        match blob::admit(&self.lock().model, &target, &incoming, now) {
            Ok(_) => Reading::Spool,
            Err(_) => Reading::Skip,
        }
    }

    /// Verifies files outside the lock, because that may take long. The `start` that follows finds the result; should
    /// anything have changed meanwhile, it verifies again.
    fn verify_ahead(&self, id: &str, incoming: &Incoming<'_>, envelope: &Envelope) {
        let verification = {
            let mut inner = self.lock();
            let Ok(principal) = graph::principal(&inner.model, incoming, envelope) else { return };
            if inner.unavailable.is_some() || !principal.may(Need::Run) {
                return;
            }
            inner.model.verification(&principal.tenant, id, envelope.now)
        };
        let verified = verification.map(Verification::run);
        if let Some(verified) = verified {
            self.lock().model.keep_verified(verified);
        }
    }

    /// As [`Self::handle`], with the log entry.
    pub(crate) fn exchange(&self, request: Request<Payload>, now: Timestamp) -> Exchange {
        let (parts, payload) = request.into_parts();
        let body = if let Payload::Memory(bytes) = &payload { bytes.clone() } else { Bytes::new() };
        let request_id = self.lock().model.guid();
        let client_request_id = header(&parts.headers, "client-request-id").map(str::to_owned);
        let envelope = Envelope {
            now,
            client_request_id: client_request_id.clone().unwrap_or_else(|| request_id.clone()),
            request_id,
        };
        let incoming = Incoming::new(&parts, &body);
        let route = route::route(&parts.method, parts.uri.path());
        if let Route::Graph(Ok(route::GraphCall { action: Action::Start(id), .. })) = &route {
            self.verify_ahead(id, &incoming, &envelope);
        }
        let mut inner = self.lock();
        let answered = match route {
            Route::Blob(target) => inner.blob(&target, &incoming, payload, &envelope),
            Route::Own(page) => {
                let response = inner.own_page(&page, &incoming, &envelope);
                return Exchange { response, recorded: None, created: false };
            }
            Route::Token { tenant } => inner.token(&tenant, &incoming, &envelope),
            Route::Batch(version) => inner.batch(version, &incoming, &envelope),
            Route::Graph(call) => inner.graph(call, &incoming, &envelope),
        };
        let recorded = RecordedRequest {
            number: 0,
            time: now,
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            query: parts.uri.query().map(record::redact_query),
            status: answered.response.status().as_u16(),
            principal: answered.principal,
            grant: answered.grant,
            request_id: envelope.request_id,
            client_request_id,
            body: if self.settings.log_bodies { answered.body } else { None },
        };
        let recorded = Some(inner.log.keep(recorded));
        Exchange { response: answered.response, recorded, created: answered.created }
    }

    /// A panic in another thread leaves nothing half-done that matters here.
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer with what the log wants to know.
struct Answered {
    response: Response<Bytes>,
    principal: Option<PrincipalKind>,
    grant: Option<String>,
    /// The redacted body.
    body: Option<Value>,
    created: bool,
}

impl Answered {
    /// An answer about which the log wants to know nothing else.
    fn only(response: Response<Bytes>) -> Self {
        Self { response, principal: None, grant: None, body: None, created: false }
    }
}

impl Inner {
    /// A batch needs a token itself; each item is then a call of its own.
    fn batch(&mut self, version: &str, incoming: &Incoming<'_>, envelope: &Envelope) -> Answered {
        let principal = graph::principal(&self.model, incoming, envelope);
        let kind = principal.as_ref().ok().map(|principal| principal.kind);
        let answer = principal.and_then(|_| batch::answer(self, version, incoming, envelope));
        let (response, created) = match answer {
            Ok((body, created)) => (envelope.graph(StatusCode::OK, &body), created),
            Err(error) => (envelope.error(error), false),
        };
        Answered { response, principal: kind, grant: None, body: record::redact_json(incoming.body), created }
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

    /// Bodies of uploads hold personal data, and are never kept for the log.
    fn blob(
        &mut self,
        target: &blob::Target,
        incoming: &Incoming<'_>,
        payload: Payload,
        envelope: &Envelope,
    ) -> Answered {
        Answered::only(blob::answer(&mut self.model, target, incoming, payload, envelope))
    }

    fn graph(
        &mut self,
        call: Result<route::GraphCall, route::Lost>,
        incoming: &Incoming<'_>,
        envelope: &Envelope,
    ) -> Answered {
        let principal = graph::principal(&self.model, incoming, envelope);
        let kind = principal.as_ref().ok().map(|principal| principal.kind);
        let answer = match (self.unavailable, principal) {
            (Some(status), _) => Err(GraphError::unavailable(status)),
            (None, Err(error)) => Err(error),
            (None, Ok(principal)) => graph::call(&mut self.model, &principal, call, incoming, envelope),
        };
        let created = matches!(answer, Ok(Answer::Created(..)));
        let mut response = match answer {
            Ok(Answer::Body(status, body) | Answer::Created(status, body)) => envelope.graph(status, &body),
            Ok(Answer::Preferred(status, body)) => envelope.preferred(status, &body),
            Ok(Answer::Empty(status)) => envelope.empty(status),
            Ok(Answer::Text(text)) => envelope.text(text),
            Err(error) => envelope.error(error),
        };
        if matches!(self.unavailable, Some(429 | 503)) {
            answer::retry_after(&mut response, self.model.settings().retry_after);
        }
        Answered { response, principal: kind, grant: None, body: record::redact_json(incoming.body), created }
    }

    /// The simulator's own pages. They need no token.
    fn own_page(&mut self, page: &str, incoming: &Incoming<'_>, envelope: &Envelope) -> Response<Bytes> {
        let body = match (incoming.method.as_str(), page) {
            ("GET", "requests") => serde_json::to_vec(&self.log.all()).unwrap_or_default(),
            ("GET", "profiles") => Json::List(profiles(&mut self.model, envelope.now)).to_bytes(),
            _ => {
                let sentence =
                    "The simulator's own pages are GET /_simulator/requests and GET /_simulator/profiles.";
                let body = Json::Object(vec![("error", Json::from(sentence))]);
                return envelope.own(StatusCode::NOT_FOUND, body.to_bytes());
            }
        };
        envelope.own(StatusCode::OK, body)
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
