//! The public face of faults, tokens, devices, time and state: what a test may do that no client of Graph can. Thin;
//! the doing is in `crate::fault`, `crate::clock` and the model.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::answer::{Envelope, GraphError};
use super::route::{self, Action, Route};
use super::{Incoming, Outcome, Payload, Service, Simulator, batch};
use crate::clock::Clock;
use crate::fault::{ActiveFault, Fault};
use crate::model::{BadToken, SavedModel};

/// What outlives the process. Faults do not: they come with the command line.
#[derive(Serialize, Deserialize)]
pub(crate) struct SavedSimulator {
    #[serde(default)]
    clock: Clock,
    model: SavedModel,
}

/// Faults, tokens, devices, time.
impl Simulator {
    /// Sets a fault; answers its number.
    pub fn add_fault(&self, fault: Fault, now: Timestamp) -> u64 {
        let mut inner = self.lock();
        let now = inner.clock.at(now);
        inner.add_fault(fault, now)
    }

    /// All faults, with how often they have struck.
    #[must_use]
    pub fn faults(&self, now: Timestamp) -> Vec<ActiveFault> {
        let mut inner = self.lock();
        let now = inner.clock.at(now);
        inner.faults.all(now)
    }

    /// Removes a fault. False when there is none with this number.
    pub fn remove_fault(&self, number: u64) -> bool {
        self.lock().faults.remove(number)
    }

    /// Removes all faults, and what is left of them: hidden profiles, throttle windows.
    pub fn clear_faults(&self) {
        self.lock().faults.clear();
    }

    /// Takes back all access tokens: they are refused with a claims challenge. Answers how many there were.
    pub fn revoke_tokens(&self) -> usize {
        self.change().model.end_tokens(None, BadToken::Revoked)
    }

    /// Takes back one access token. False when it is not known.
    pub fn revoke_token(&self, token: &str) -> bool {
        self.change().model.end_tokens(Some(token), BadToken::Revoked) > 0
    }

    /// A person approves a device code, or declines. False when no such code is waiting.
    pub fn judge_device(&self, user_code: &str, approve: bool, now: Timestamp) -> bool {
        let mut inner = self.change();
        let now = inner.clock.at(now);
        inner.model.judge_device(user_code, approve, now)
    }

    /// Lets time pass at once, for every later call.
    pub fn advance(&self, by: Duration) {
        self.change().clock.advance(by);
    }

    /// The simulator's time when it is `now` outside.
    #[must_use]
    pub fn time(&self, now: Timestamp) -> Timestamp {
        self.lock().clock.at(now)
    }
}

/// State.
impl Simulator {
    /// Grows with everything that may have changed the state.
    pub(crate) fn changes(&self) -> u64 {
        self.lock().changes
    }

    pub(crate) fn save(&self) -> SavedSimulator {
        let inner = self.lock();
        SavedSimulator { clock: inner.clock, model: inner.model.save() }
    }

    /// Goes on where another process has stopped. `real` is the time outside.
    pub(crate) fn restore(&self, saved: SavedSimulator, real: Timestamp) {
        let mut inner = self.change();
        inner.clock = saved.clock;
        if !self.settings().time_control {
            // Nobody could start a clock that was saved as stopped.
            inner.clock.stop(false, real);
        }
        inner.model.restore(saved.model);
        // For lists that look back the past is what was restored, not the empty service before it.
        inner.faults.forget_past();
        inner.remember(Timestamp::MIN);
    }
}

impl Outcome {
    pub(super) fn answer(response: Response<Bytes>) -> Self {
        Self { response, delay: None, cut: None, recorded: None, created: false, save: false }
    }

    /// The answer, or a 504 when none would arrive in one piece.
    pub(super) fn whole(self) -> Response<Bytes> {
        if self.cut.is_none() {
            return self.response;
        }
        let text = |name: &str| {
            let value = self.response.headers().get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        let envelope = Envelope {
            now: self.recorded.as_ref().map_or(Timestamp::UNIX_EPOCH, |recorded| recorded.time),
            request_id: text("request-id"),
            client_request_id: text("client-request-id"),
        };
        envelope.error(GraphError::unavailable(StatusCode::GATEWAY_TIMEOUT.as_u16()))
    }
}

impl Service {
    /// The profiles that the call starts: one, or those of a batch.
    pub(super) fn starts(&self, incoming: &Incoming<'_>) -> Vec<String> {
        match self {
            Self::Other(Route::Graph(Ok(route::GraphCall { action: Action::Start(id), .. }))) => {
                vec![id.clone()]
            }
            Self::Other(Route::Batch(version)) => batch::starts(version, incoming.body),
            _ => Vec::new(),
        }
    }

    pub(super) fn of(method: &Method, path: &str, payload: Payload) -> Self {
        let segments: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        match segments.as_slice() {
            ["metadata", "identity", "oauth2", "token"] => Self::Identity,
            [tenant, "oauth2", "v2.0", "devicecode"] => Self::DeviceCode(route::decode(tenant)),
            _ => match route::route(method, path) {
                Route::Blob(target) => Self::Blob(target, payload),
                other => Self::Other(other),
            },
        }
    }
}
