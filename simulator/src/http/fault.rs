//! Carries faults out: what they do to the world around a call, to its answer, and to the connection. Which faults
//! strike is decided in `crate::fault`; the call itself is carried out elsewhere.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Response, StatusCode};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::answer::{Envelope, GraphError};
use super::dispatch::Travel;
use super::graph::{self, Answer};
use super::operation::Named;
use super::route::{GraphCall, Lost};
use super::{Answered, Incoming, Inner, Service, blob, record};
use crate::fault::{Call, Fault, Kind, Operation, RetryAfter, Strike};
use crate::json::Json;
use crate::model::{BadToken, Generation, Model, Principal, TokenRefusal};

/// What a gateway in between answers. No JSON.
const HTML: &str = "<!DOCTYPE html>\n<html><head><title>502 - Web server received an invalid response while acting as a gateway or proxy server.</title></head><body><h2>502 - Web server received an invalid response while acting as a gateway or proxy server.</h2></body></html>\n";

/// How a connection ends before the answer is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Cut {
    /// Reset, without a byte of the answer.
    Reset,
    /// Closed after the first half of the answer's body.
    Half,
}

impl Cut {
    /// Its name in the log and on the page.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Reset => "reset",
            Self::Half => "half",
        }
    }
}

/// An answer, and how it travels.
pub(super) struct Served {
    pub(super) answered: Answered,
    pub(super) travel: Travel,
    /// Whether a fault has changed more than this answer.
    pub(super) changed: bool,
}

impl Inner {
    /// Carries out one call, with the faults that strike it.
    pub(super) fn serve(
        &mut self,
        service: Service,
        named: &Named,
        incoming: &Incoming<'_>,
        envelope: &Envelope,
    ) -> Served {
        let strike = self.strike(named, incoming, envelope.now);
        let mut answered = match &strike.instead {
            Some(fault) => self.instead(fault, named.operation, incoming, envelope),
            None => self.carry_out(service, named, incoming, envelope, &strike),
        };
        let mut travel = Travel { faults: strike.written(), ..Travel::default() };
        let replacing = strike.instead.as_ref().or(strike.lost.as_ref());
        if let Some(fault) = &strike.lost {
            self.lose(fault, named.operation, envelope, &mut answered.response);
        }
        match replacing.map(|fault| fault.kind) {
            Some(Kind::Reset { .. }) => travel.cut = Some(Cut::Reset),
            // Without a body there is no half of it.
            Some(Kind::Half) => {
                travel.cut = Some(if answered.response.body().len() < 2 { Cut::Reset } else { Cut::Half });
            }
            _ => {}
        }
        for fault in &strike.after {
            match fault.kind {
                Kind::Slow => travel.delay = travel.delay.max(Some(fault.lasting())),
                Kind::LowerInnerError => {
                    respell(&mut answered.response, "\"innerError\":", "\"innererror\":");
                }
                Kind::RequestIdKey => respell(&mut answered.response, "\"request-id\":", "\"requestId\":"),
                Kind::TypeWithoutHash => {
                    replace(&mut answered.response, "\"@odata.type\":\"#", "\"@odata.type\":\"");
                }
                _ => {}
            }
        }
        travel.join(std::mem::take(&mut answered.items));
        let changed = strike.all().any(|fault| fault.kind.changes_the_world());
        Served { answered, travel, changed }
    }

    fn strike(&mut self, named: &Named, incoming: &Incoming<'_>, now: Timestamp) -> Strike {
        let Self { model, faults, .. } = self;
        with_call(model, named, incoming, |call| faults.strike(call, now))
    }

    /// Whether faults keep this call from happening. Nothing is counted.
    pub(super) fn stops(&self, named: &Named, incoming: &Incoming<'_>, now: Timestamp) -> bool {
        with_call(&self.model, named, incoming, |call| self.faults.stops(call, now))
    }

    /// The answer of a call that is not carried out.
    fn instead(
        &mut self,
        fault: &Fault,
        operation: Operation,
        incoming: &Incoming<'_>,
        envelope: &Envelope,
    ) -> Answered {
        let known = operation.is_graph().then(|| graph::principal(&self.model, incoming, envelope).ok());
        let principal = known.flatten().map(|principal| principal.kind);
        let body = operation.is_graph().then(|| record::redact_json(incoming.body)).flatten();
        let response = match fault.kind {
            Kind::TokenExpired | Kind::TokenRevoked => {
                let revoked = fault.kind == Kind::TokenRevoked;
                let why = if revoked { BadToken::Revoked } else { BadToken::Expired };
                if let Some(token) = graph::bearer(incoming) {
                    self.model.end_tokens(Some(token), why);
                }
                envelope.error(graph::bad_token(why, envelope.now))
            }
            Kind::Retired(status) => envelope.error(GraphError::retired(status)),
            Kind::Aadsts(number) => envelope.token_error(&TokenRefusal::of(number)),
            Kind::Status { status, .. } => self.status(status, fault, operation, envelope),
            _ => envelope.empty(StatusCode::GATEWAY_TIMEOUT),
        };
        Answered { response, principal, body, ..Answered::default() }
    }

    /// Replaces the answer of a call that was carried out.
    fn lose(&self, fault: &Fault, operation: Operation, envelope: &Envelope, response: &mut Response<Bytes>) {
        match fault.kind {
            Kind::Status { status, .. } => *response = self.status(status, fault, operation, envelope),
            Kind::NotJson => *response.body_mut() = Bytes::from_static(HTML.as_bytes()),
            Kind::Empty => *response.body_mut() = Bytes::new(),
            _ => {}
        }
    }

    fn status(
        &self,
        status: u16,
        fault: &Fault,
        operation: Operation,
        envelope: &Envelope,
    ) -> Response<Bytes> {
        let mut response = match operation {
            _ if status == 502 => {
                let mut page = envelope.empty(StatusCode::BAD_GATEWAY);
                *page.body_mut() = Bytes::from_static(HTML.as_bytes());
                page.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
                page
            }
            Operation::Token | Operation::DeviceCode => envelope.token_error(&TokenRefusal::busy(status)),
            Operation::Identity => {
                let refusal = TokenRefusal::busy(status);
                envelope.identity_error(status, "server_error", &refusal.sentence)
            }
            Operation::Blob => blob::ordered(status, envelope),
            _ => envelope.error(GraphError::unavailable(status)),
        };
        let usual = || {
            let seconds = self.model.settings().retry_after.as_millis().div_ceil(1000);
            matches!(status, 429 | 503).then(|| RetryAfter::Text(seconds.to_string()))
        };
        let form = fault.retry_after.clone().or_else(usual);
        if let Some(value) = form.and_then(|form| HeaderValue::from_str(&form.value(envelope.now)?).ok()) {
            response.headers_mut().insert(RETRY_AFTER, value);
        }
        response
    }

    /// One Graph call in a world where things happen.
    pub(super) fn troubled(
        &mut self,
        principal: &Principal,
        route: Result<GraphCall, Lost>,
        named: &Named,
        incoming: &Incoming<'_>,
        envelope: &Envelope,
        strike: &Strike,
    ) -> Result<Answer, GraphError> {
        if named.id.as_deref().is_some_and(|id| self.faults.is_hidden(id, envelope.now)) {
            return Err(GraphError::not_found());
        }
        for fault in &strike.before {
            self.meddle(fault, principal, named, incoming, envelope);
        }
        self.model.ignore_updates(strike.before.iter().any(|fault| fault.kind == Kind::Ignored));
        let mut answer = self.at_its_time(principal, route, incoming, envelope, strike);
        self.model.ignore_updates(false);
        let Ok(good) = &mut answer else { return answer };
        let created = created_id(good);
        for fault in &strike.after {
            match (fault.kind, created.as_deref(), named.id.as_deref()) {
                (Kind::NotFound, Some(id), _) => {
                    let until = envelope.now.checked_add(fault.lasting()).unwrap_or(Timestamp::MAX);
                    self.faults.hide(id.to_owned(), until);
                }
                (Kind::ProvisioningFailed, Some(id), _) => self.model.spoil_provisioning(id),
                (Kind::TwinAfter, Some(_), _) => self.twin(principal, incoming, envelope.now),
                (Kind::DeletionFailed, _, Some(id)) => self.model.spoil_deletion(id),
                (Kind::UnknownState, ..) => rename(good, "state", fault),
                (Kind::UnknownStatus, ..) => rename(good, "status", fault),
                _ => {}
            }
        }
        answer
    }

    fn meddle(
        &mut self,
        fault: &Fault,
        principal: &Principal,
        named: &Named,
        incoming: &Incoming<'_>,
        envelope: &Envelope,
    ) {
        match fault.kind {
            Kind::TwinBefore => self.twin(principal, incoming, envelope.now),
            Kind::DeletedByOther => {
                let doomed = match (&named.id, &fault.name) {
                    (Some(id), _) => vec![id.clone()],
                    (None, Some(name)) => self.model.named(name),
                    (None, None) => Vec::new(),
                };
                for id in doomed {
                    self.model.remove(&id);
                }
            }
            _ => {}
        }
    }

    /// Somebody else creates the same. A body that Graph refuses gives nobody a profile.
    fn twin(&mut self, principal: &Principal, incoming: &Incoming<'_>, now: Timestamp) {
        let generation =
            if incoming.path.starts_with("/testEduApi") { Generation::Preview } else { Generation::Beta };
        if let Ok(body) = serde_json::from_slice(incoming.body) {
            let _ = self.model.create(&principal.tenant, &body, generation, now);
        }
    }

    /// Carries out the call, in the past if a fault says so.
    fn at_its_time(
        &mut self,
        principal: &Principal,
        route: Result<GraphCall, Lost>,
        incoming: &Incoming<'_>,
        envelope: &Envelope,
        strike: &Strike,
    ) -> Result<Answer, GraphError> {
        let shown = strike.before.iter().find_map(|fault| {
            let then = envelope.now.checked_sub(fault.lasting()).unwrap_or(Timestamp::MIN);
            match fault.kind {
                Kind::EmptyList => Some((envelope.now, self.model.snapshot().emptied())),
                Kind::Stale => self.faults.past(then),
                Kind::Lag => {
                    let (then, past) = self.faults.past(then)?;
                    Some((envelope.now, self.model.lagging(&past, then, envelope.now)))
                }
                _ => None,
            }
        });
        let Some((then, mut snapshot)) = shown else {
            return graph::call(&mut self.model, principal, route, incoming, envelope);
        };
        let past = Envelope { now: then, ..envelope.clone() };
        self.model.swap(&mut snapshot);
        let answer = graph::call(&mut self.model, principal, route, incoming, &past);
        self.model.swap(&mut snapshot);
        answer
    }

    /// Lets lists look back to this moment, should a fault want to.
    pub(super) fn remember(&mut self, now: Timestamp) {
        if self.faults.looks_back() {
            self.faults.remember(self.model.snapshot(), now);
        }
    }
}

/// A call, as far as faults can choose it.
fn with_call<T>(
    model: &Model,
    named: &Named,
    incoming: &Incoming<'_>,
    ask: impl FnOnce(&Call<'_>) -> T,
) -> T {
    let body: Option<Value> = match named.operation {
        Operation::Create | Operation::Update => serde_json::from_slice(incoming.body).ok(),
        _ => None,
    };
    let sent = body.as_ref().and_then(|body| body.get("displayName")?.as_str());
    let kept = named.id.as_deref().and_then(|id| model.display_name(id));
    ask(&Call {
        operation: named.operation,
        id: named.id.as_deref(),
        names: sent.into_iter().chain(kept).collect(),
    })
}

impl Strike {
    fn written(&self) -> Vec<String> {
        self.all().map(ToString::to_string).collect()
    }

    fn all(&self) -> impl Iterator<Item = &Fault> {
        self.instead.iter().chain(&self.before).chain(&self.lost).chain(&self.after)
    }
}

fn body_mut(answer: &mut Answer) -> Option<&mut Json> {
    match answer {
        Answer::Body(_, body) | Answer::Created(_, body) | Answer::Preferred(_, body) => Some(body),
        Answer::Empty(_) | Answer::Text(_) => None,
    }
}

fn created_id(answer: &Answer) -> Option<String> {
    let Answer::Created(_, Json::Object(members)) = answer else { return None };
    members.iter().find_map(|(name, value)| match value {
        Json::Text(id) if *name == "id" => Some(id.clone()),
        _ => None,
    })
}

/// Writes a made-up enum member, in the entity itself or in each one of a list.
fn rename(answer: &mut Answer, member: &str, fault: &Fault) {
    let value = fault.value.as_deref().unwrap_or("reorganizing");
    if let Some(body) = body_mut(answer) {
        rename_in(body, member, value, 2);
    }
}

fn rename_in(json: &mut Json, member: &str, value: &str, depth: u8) {
    match json {
        Json::Object(members) => {
            for (name, inner) in members {
                if *name == member && matches!(inner, Json::Text(_)) {
                    *inner = Json::from(value);
                } else if depth > 0 && matches!(*name, "value" | "profileStatus") {
                    rename_in(inner, member, value, depth - 1);
                }
            }
        }
        Json::List(items) => items.iter_mut().for_each(|item| rename_in(item, member, value, depth)),
        _ => {}
    }
}

/// Writes a member's name otherwise, in an error.
fn respell(response: &mut Response<Bytes>, from: &str, to: &str) {
    if response.status().is_client_error() || response.status().is_server_error() {
        replace(response, from, to);
    }
}

/// Writes part of a body otherwise. A name with its quotes and colon cannot occur inside a JSON string.
fn replace(response: &mut Response<Bytes>, from: &str, to: &str) {
    let text = String::from_utf8_lossy(response.body()).replace(from, to);
    *response.body_mut() = Bytes::from(text);
}
