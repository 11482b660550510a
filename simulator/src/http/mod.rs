//! The HTTP face without sockets: a request and a time go in, an answer comes out. Routing, headers, JSON and the
//! request log live here; what the service does is in `model`, listening is in `server`.

mod actions;
mod answer;
mod batch;
mod blob;
mod blob_xml;
mod collections;
mod control;
mod dispatch;
mod fault;
mod graph;
mod identity;
mod incoming;
mod items;
mod odata;
mod operation;
mod own;
mod page;
mod platform;
mod record;
mod render;
mod render_sync;
mod route;
mod skus;
mod token;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use jiff::Timestamp;
use serde_json::Value;

use crate::clock::Clock;
use crate::fault::{FaultList, Operation};
use crate::model::uploads::Verification;
use crate::model::{Generation, Model, Need, SyncOutcome};
use crate::settings::Settings;
use answer::{Envelope, GraphError};
use dispatch::{Answered, profiles};
pub use fault::Cut;
use incoming::{Incoming, header, media_type};
pub(crate) use incoming::{Payload, Reading};
use operation::Named;
pub(crate) use platform::SavedSimulator;
pub use record::RecordedRequest;
use record::RequestLog;
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
    /// The blob host, with what is uploaded.
    Blob(blob::Target, Payload),
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

    /// All profiles of all tenants as they are at `now`, with `tenantId`, `createdDateTime` and `setUpDateTime` (when the
    /// last set-up ends), deleting ones included.
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
    pub fn remove(&self, id: &str, now: Timestamp) -> bool {
        let mut inner = self.change();
        let now = inner.clock.at(now);
        let removed = inner.model.remove(id);
        inner.remember(now);
        removed
    }

    /// Profiles created from now on with this display name end in `provisioningFailed`.
    pub fn fail_provisioning(&self, display_name: &str) {
        self.change().model.fail_provisioning(display_name);
    }

    /// Sync runs of profiles with this display name that are begun or scheduled from now on end in this status.
    pub fn set_sync_outcome(&self, display_name: &str, outcome: SyncOutcome) {
        self.change().model.set_sync_outcome(display_name, outcome);
    }

    /// Sync runs of profiles with this display name that are begun or scheduled from now on find so many errors.
    pub fn set_sync_errors(&self, display_name: &str, count: usize) {
        self.change().model.set_sync_errors(display_name, count);
    }

    /// Every profile with this id or display name has that many more errors at once, until a reset or its next run.
    /// Answers how many profiles these are. At 15,000 errors a profile is quarantined.
    pub fn plant_errors(&self, profile: &str, count: usize, now: Timestamp) -> usize {
        let mut inner = self.change();
        let now = inner.clock.at(now);
        inner.model.plant_errors(profile, count, now)
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
        let mut inner = self.lock();
        let now = inner.clock.at(now);
        match blob::admit(&inner.model, &target, &incoming, now) {
            Ok(_) => Reading::Spool,
            Err(_) => Reading::Skip,
        }
    }

    /// Verifies files outside the lock, because that may take long. The `start` that follows finds the result; should
    /// anything have changed meanwhile, it verifies again.
    fn verify_ahead(&self, id: &str, incoming: &Incoming<'_>, envelope: &Envelope) {
        let start = Named { operation: Operation::Start, id: Some(id.to_owned()) };
        let verification = {
            let mut inner = self.lock();
            if inner.stops(&start, incoming, envelope.now) {
                return;
            }
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

    /// As [`Self::handle`], with what happens to the answer on its way.
    #[must_use]
    pub fn exchange(&self, request: Request<Bytes>, now: Timestamp) -> Outcome {
        self.exchange_payload(request.map(Payload::Memory), now)
    }

    /// As [`Self::exchange`], for bodies that may be in a file.
    pub(crate) fn exchange_payload(&self, request: Request<Payload>, real: Timestamp) -> Outcome {
        let (parts, payload) = request.into_parts();
        let body = if let Payload::Memory(bytes) = &payload { bytes.clone() } else { Bytes::new() };
        let mut envelope = self.envelope(&parts, real);
        let incoming = Incoming::new(&parts, &body);
        let reads = parts.method == Method::GET && !incoming.path.starts_with("/metadata/");
        if let Some(own) = own::route(&parts.method, incoming.path) {
            let mut inner = if reads { self.lock() } else { self.change() };
            let controlled = inner.control(&own, &incoming, &envelope, real);
            return Outcome { save: controlled.save, ..Outcome::answer(controlled.response) };
        }
        let service = Service::of(&parts.method, incoming.path, payload);
        for id in service.starts(&incoming) {
            self.verify_ahead(&id, &incoming, &envelope);
        }
        let mut inner = if reads { self.lock() } else { self.change() };
        // Others may have been served since it arrived, and later than then.
        let now = inner.clock.at(real);
        envelope.now = now;
        let named = operation::name(&parts.method, incoming.path, incoming.query);
        // Asked before a fault may take the token back.
        let principal = graph::principal(&inner.model, &incoming, &envelope);
        let served = inner.serve(service, &named, &incoming, &envelope);
        // Some reads change something: a permission to upload is kept, and a fault may end a token or a profile.
        let changed = named.operation == Operation::UploadUrl || served.changed;
        if reads && changed {
            inner.changes += 1;
        }
        if !reads || changed {
            inner.remember(now);
        }
        let answered = served.answered;
        let recorded = RecordedRequest {
            cut: served.travel.cut,
            faults: served.travel.faults,
            principal: answered.principal,
            tenant: principal.ok().map(|principal| principal.tenant),
            grant: answered.grant,
            body: if self.settings.log_bodies { answered.body } else { None },
            ..RecordedRequest::of(&parts, answered.response.status(), &named, envelope)
        };
        let recorded = Some(inner.log.keep(recorded));
        let (delay, cut, created) = (served.travel.delay, served.travel.cut, answered.created);
        Outcome { delay, cut, recorded, created, ..Outcome::answer(answered.response) }
    }

    /// Refuses a request whose body is too large to be read. The connection ends with it: the rest of the body may
    /// still be on its way.
    pub(crate) fn refuse_large(&self, parts: &http::request::Parts, real: Timestamp) -> Outcome {
        let envelope = self.envelope(parts, real);
        let error = GraphError::unavailable(StatusCode::PAYLOAD_TOO_LARGE.as_u16());
        let mut response = envelope.error(error);
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        let own = own::route(&parts.method, parts.uri.path()).is_some();
        let named = operation::name(&parts.method, parts.uri.path(), parts.uri.query());
        let recorded = RecordedRequest::of(parts, response.status(), &named, envelope);
        let recorded = (!own).then(|| self.lock().log.keep(recorded));
        Outcome { recorded, ..Outcome::answer(response) }
    }

    fn envelope(&self, parts: &http::request::Parts, real: Timestamp) -> Envelope {
        let mut inner = self.lock();
        let (now, request_id) = (inner.clock.at(real), inner.model.guid());
        let client_request_id = header(&parts.headers, "client-request-id").map(str::to_owned);
        Envelope {
            now,
            client_request_id: client_request_id.unwrap_or_else(|| request_id.clone()),
            request_id,
        }
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
