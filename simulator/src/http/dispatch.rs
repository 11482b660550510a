//! One call, carried out: which part of the face answers it, and what the log wants to know of it. Faults come before
//! this, in `fault`; what a call does is in `graph`, `token`, `blob` and their like.

use std::time::Duration;

use bytes::Bytes;
use http::{Response, StatusCode};
use jiff::Timestamp;
use serde_json::Value;

use super::answer::{Envelope, GraphError};
use super::fault::Cut;
use super::graph::{self, Answer};
use super::operation::Named;
use super::render::{self, Occasion};
use super::route::{self, Route};
use super::{Incoming, Inner, Payload, Service, answer, batch, blob, identity, record, render_sync, token};
use crate::fault::Strike;
use crate::json::Json;
use crate::model::{Generation, Model, PrincipalKind};

/// An answer with what the log wants to know.
#[derive(Default)]
pub(super) struct Answered {
    pub(super) response: Response<Bytes>,
    pub(super) principal: Option<PrincipalKind>,
    pub(super) grant: Option<String>,
    /// The redacted body.
    pub(super) body: Option<Value>,
    pub(super) created: bool,
    /// For a batch: what becomes of the whole by the faults of its items.
    pub(super) items: Travel,
}

/// How an answer travels, and the faults that did it.
#[derive(Default)]
pub(super) struct Travel {
    pub(super) delay: Option<Duration>,
    pub(super) cut: Option<Cut>,
    /// As they are written.
    pub(super) faults: Vec<String>,
}

impl Travel {
    /// Several answers that travel as one: it is as late as the latest, and as broken as the worst.
    pub(super) fn join(&mut self, other: Self) {
        self.delay = self.delay.max(other.delay);
        self.cut = if self.cut == Some(Cut::Reset) { self.cut } else { other.cut.or(self.cut) };
        self.faults.extend(other.faults);
    }
}

impl Answered {
    /// An answer about which the log wants to know nothing else.
    pub(super) fn only(response: Response<Bytes>) -> Self {
        Self { response, ..Self::default() }
    }
}

impl Inner {
    /// A batch needs a token itself; each item is then a call of its own.
    fn batch(&mut self, version: &str, incoming: &Incoming<'_>, envelope: &Envelope) -> Answered {
        let principal = graph::principal(&self.model, incoming, envelope);
        let kind = principal.as_ref().ok().map(|principal| principal.kind);
        let answer = principal.and_then(|_| batch::answer(self, version, incoming, envelope));
        let body = record::redact_json(incoming.body);
        match answer {
            Ok(done) => {
                let response = envelope.graph(StatusCode::OK, &done.body);
                let (created, items) = (done.created, done.items);
                Answered { response, principal: kind, grant: None, body, created, items }
            }
            Err(error) => Answered { principal: kind, body, ..Answered::only(envelope.error(error)) },
        }
    }

    /// Carries out one call, as far as `strike` leaves it to happen.
    pub(super) fn carry_out(
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
            Service::Blob(target, payload) => self.blob(&target, incoming, payload, envelope),
            Service::Other(Route::Batch(version)) => self.batch(version, incoming, envelope),
            Service::Other(Route::Token { tenant }) => self.token(&tenant, incoming, envelope),
            Service::Other(Route::Graph(call)) => self.graph(call, named, incoming, envelope, strike),
            // Own addresses were answered before, and uploads have a service of their own.
            Service::Other(Route::Own(_) | Route::Blob(_)) => {
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
            ..Answered::default()
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
            Ok(Answer::Preferred(status, body)) => envelope.preferred(status, &body),
            Ok(Answer::Empty(status)) => envelope.empty(status),
            Ok(Answer::Text(text)) => envelope.text(text),
            Err(error) => envelope.error(error),
        };
        if matches!(self.unavailable, Some(429 | 503)) {
            answer::retry_after(&mut response, self.model.settings().retry_after);
        }
        let body = record::redact_json(incoming.body);
        Answered { response, principal: kind, body, created, ..Answered::default() }
    }
}

/// Every profile with what only the simulator knows of it.
pub(super) fn profiles(model: &mut Model, now: Timestamp) -> Vec<Json> {
    let set_up = model.settings().provisioning_time;
    let all = model.everything(now).into_iter();
    all.map(|(tenant, view)| {
        let mut members = vec![
            ("tenantId", Json::from(tenant)),
            ("createdDateTime", Json::from(view.profile.created.to_string())),
            ("setUpDateTime", Json::from(view.profile.set_up_at(set_up).to_string())),
        ];
        members.extend(render::profile(&view, Generation::Beta, Occasion::Read));
        if let Some(status) = &view.status {
            members
                .push(("profileStatus", Json::Object(render_sync::status(&view.profile.id, status, true))));
        }
        Json::Object(members)
    })
    .collect()
}
