//! The HTTP face without sockets: a request and a time go in, an answer comes out. Routing, headers, JSON and the
//! request log live here; what the service does is in `model`, listening is in `server`.

mod answer;
mod graph;
mod record;
mod render;
mod route;
mod token;

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use jiff::Timestamp;
use serde_json::Value;

use crate::json::Json;
use crate::model::{Generation, Model, PrincipalKind};
use crate::settings::Settings;
use answer::{Envelope, GraphError};
use graph::Answer;
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
}

/// One request, as far as the calls look at it.
pub(crate) struct Incoming<'a> {
    method: &'a Method,
    query: Option<&'a str>,
    headers: &'a HeaderMap,
    body: &'a [u8],
    /// Host and port the caller used; links in answers start with it.
    authority: String,
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
        self.exchange(request, now).response
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

    /// `Some(status)`: every Graph call answers that status, with the error body documented for it; 429 and 503 carry
    /// `Retry-After` ([`Settings::retry_after`]). The token endpoint goes on working. `None` ends it.
    pub fn set_unavailable(&self, status: Option<u16>) {
        self.lock().unavailable = status;
    }

    /// As [`Self::handle`], with the log entry.
    pub(crate) fn exchange(&self, request: Request<Bytes>, now: Timestamp) -> Exchange {
        let (parts, body) = request.into_parts();
        let mut inner = self.lock();
        let request_id = inner.model.guid();
        let client_request_id = header(&parts.headers, "client-request-id").map(str::to_owned);
        let envelope = Envelope {
            now,
            client_request_id: client_request_id.clone().unwrap_or_else(|| request_id.clone()),
            request_id,
        };
        let incoming = Incoming {
            method: &parts.method,
            query: parts.uri.query(),
            headers: &parts.headers,
            body: &body,
            authority: authority(&parts),
        };
        let answered = match route::route(&parts.method, parts.uri.path()) {
            Route::Own(page) => {
                let response = inner.own_page(&page, &incoming, &envelope);
                return Exchange { response, recorded: None, created: false };
            }
            Route::Token { tenant } => inner.token(&tenant, &incoming, &envelope),
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

impl Inner {
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
            Ok(Answer::Empty(status)) => envelope.empty(status),
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
