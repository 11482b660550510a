//! Gets tokens for one application in one tenant, and keeps them.
//!
//! The one cache, the one memory of refusals, and the one place that sends token requests. What differs
//! between the kinds of credential is in `credential` and in the modules that it names.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Deserializer};
use tokio::sync::{Mutex, OwnedMutexGuard};
use tracing::Instrument as _;

use super::credential::{Credential, form, redemption};
use super::error::{AuthError, AuthFailure};
use super::refresh::StoreError;
use super::{AccessToken, managed_identity};
use crate::clock::Clock;
use crate::graph::throttle::retry_after;
use crate::graph::transport::{Transport, TransportError};
use crate::trace::{self, Span};

/// A token is renewed when less of its life is left than this (the offset of Microsoft's libraries).
const RENEW_BEFORE: Duration = Duration::from_mins(5);
/// A refusal is not asked for again for so long; a changed Secret makes a new source at once.
const REFUSAL_HOLDS: Duration = Duration::from_mins(1);
/// The same for a service that does not answer: callers that wait together share one failure.
const FAILURE_HOLDS: Duration = Duration::from_secs(1);
/// The same while the old token is good, so that nobody is in a hurry (as in Microsoft's libraries).
const EARLY_FAILURE_HOLDS: Duration = Duration::from_secs(30);
/// Deadline of a token request.
pub(super) const DEADLINE: Duration = Duration::from_secs(30);
/// The same while the old token is good; and so long the one who renews it waits for the new one.
const EARLY_DEADLINE: Duration = Duration::from_secs(10);

/// Gets tokens for one application in one tenant, and keeps them.
#[derive(Debug)]
pub struct TokenSource {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    token_url: String,
    tenant: String,
    client_id: String,
    scope: String,
    credential: Credential,
    transport: Arc<dyn Transport>,
    clock: Clock,
    /// Held for moments only, and never over a request.
    state: Mutex<State>,
    /// Held over a request. Nobody who has a usable token waits for it.
    turn: Arc<Mutex<()>>,
}

/// What there is without a request.
enum AtHand {
    Fresh(AccessToken),
    /// Good for a while, and to be renewed.
    Old(AccessToken),
    Nothing,
}

#[derive(Debug, Default)]
struct State {
    cached: Option<Cached>,
    refused: Option<(AuthError, Timestamp)>,
}

#[derive(Debug, Clone)]
struct Cached {
    token: AccessToken,
    renew_at: Timestamp,
    expires_at: Timestamp,
}

#[derive(Deserialize)]
pub(super) struct Answer {
    access_token: SecretString,
    #[serde(default, deserialize_with = "seconds")]
    expires_in: Option<i64>,
    #[serde(default, deserialize_with = "seconds")]
    expires_on: Option<i64>,
    #[serde(default, deserialize_with = "seconds")]
    refresh_in: Option<i64>,
    pub(super) refresh_token: Option<SecretString>,
}

impl TokenSource {
    /// A source for `client_id` in `tenant`, with tokens for the Graph at `endpoint`. A managed
    /// identity needs a transport to the metadata service.
    #[must_use]
    pub fn new(
        (authority, tenant, endpoint): (&str, &str, &str),
        client_id: &str,
        credential: Credential,
        transport: Arc<dyn Transport>,
        clock: Clock,
    ) -> Self {
        let inner = Inner {
            token_url: format!("{authority}/{tenant}/oauth2/v2.0/token"),
            tenant: tenant.to_owned(),
            client_id: client_id.to_owned(),
            scope: credential.scope(endpoint),
            credential,
            transport,
            clock,
            state: Mutex::default(),
            turn: Arc::default(),
        };
        Self { inner: Arc::new(inner) }
    }

    /// A token that is good for some minutes. Callers that come at once share one request.
    ///
    /// # Errors
    /// When the token service refuses or cannot be reached. A refusal is remembered for a minute.
    pub async fn token(&self) -> Result<AccessToken, AuthError> {
        self.get(Duration::MAX).await
    }

    /// Redeems the refresh token, if that has not been done for so long. Other kinds need no care.
    ///
    /// # Errors
    /// As [`Self::token`].
    pub async fn keep_alive(&self, most_idle: Duration) -> Result<(), AuthError> {
        if self.inner.is_idle(most_idle, self.inner.clock.now()) {
            self.get(most_idle).await?;
        }
        Ok(())
    }

    /// Stores a renewed refresh token that could not be stored before. `held`: see
    /// [`super::refresh::RefreshTokenStore::write`].
    ///
    /// # Errors
    /// Why it is in memory alone.
    pub async fn save(&self, held: bool) -> Result<(), StoreError> {
        match &self.inner.credential {
            Credential::RefreshToken { token, .. } => token.save(held).await,
            _ => Ok(()),
        }
    }

    /// Forgets `token`, which Graph has not accepted, so that the next call asks for a new one.
    pub async fn discard(&self, token: &AccessToken) {
        let mut state = self.inner.state.lock().await;
        if state.cached.as_ref().is_some_and(|cached| Arc::ptr_eq(&cached.token, token)) {
            state.cached = None;
        }
    }

    async fn get(&self, most_idle: Duration) -> Result<AccessToken, AuthError> {
        match self.inner.at_hand(most_idle).await? {
            AtHand::Fresh(token) => Ok(token),
            AtHand::Old(token) => Ok(self.renew_early(most_idle).await.unwrap_or(token)),
            AtHand::Nothing => {
                let turn = Arc::clone(&self.inner.turn).lock_owned().await;
                self.renew(turn, most_idle, DEADLINE).await
            }
        }
    }

    /// One caller renews. The others go on with the old token at once, and this one after a short while.
    async fn renew_early(&self, most_idle: Duration) -> Option<AccessToken> {
        let turn = Arc::clone(&self.inner.turn).try_lock_owned().ok()?;
        // With the answer to a redemption a refresh token may be lost, so that is never cut short.
        let is_redemption = matches!(self.inner.credential, Credential::RefreshToken { .. });
        let deadline = if is_redemption { DEADLINE } else { EARLY_DEADLINE };
        tokio::time::timeout(EARLY_DEADLINE, self.renew(turn, most_idle, deadline)).await.ok()?.ok()
    }

    /// In a task of its own: what has begun ends even if nobody waits for it any more. The next caller has
    /// the answer, and a renewed refresh token must be stored, since the old one may be worth nothing by then.
    async fn renew(
        &self,
        turn: OwnedMutexGuard<()>,
        most_idle: Duration,
        deadline: Duration,
    ) -> Result<AccessToken, AuthError> {
        let inner = Arc::clone(&self.inner);
        let renewal = async move {
            let result = inner.renew(most_idle, deadline).await;
            drop(turn);
            result
        }
        .in_current_span();
        let renewal = trace::in_current(renewal);
        let task = match &self.inner.credential {
            Credential::RefreshToken { token, .. } => token.spawn(renewal)?,
            _ => tokio::spawn(renewal),
        };
        task.await.unwrap_or_else(|_| {
            Err(AuthError::new(AuthFailure::Unreachable("the request was broken off".to_owned())))
        })
    }
}

impl Inner {
    async fn at_hand(&self, most_idle: Duration) -> Result<AtHand, AuthError> {
        let state = self.state.lock().await;
        let now = self.clock.now();
        let usable = state.usable(now);
        let current = |cached: &&Cached| now < cached.renew_at && !self.is_idle(most_idle, now);
        if let Some(cached) = usable.filter(current) {
            return Ok(AtHand::Fresh(Arc::clone(&cached.token)));
        }
        let usable = usable.map(|cached| Arc::clone(&cached.token));
        match &state.refused {
            Some((error, until)) if now < *until => usable.map(AtHand::Fresh).ok_or_else(|| error.clone()),
            _ => Ok(usable.map_or(AtHand::Nothing, AtHand::Old)),
        }
    }

    /// To be called by whoever has the turn.
    async fn renew(&self, most_idle: Duration, deadline: Duration) -> Result<AccessToken, AuthError> {
        // Whoever had the turn before may have brought it.
        if let AtHand::Fresh(token) = self.at_hand(most_idle).await? {
            return Ok(token);
        }
        let result = self.request(deadline).await;
        let mut state = self.state.lock().await;
        match result {
            Ok(answer) => Ok(state.keep(answer, self.clock.now())),
            Err(error) => state.fail(error, self.clock.now()),
        }
    }

    fn is_idle(&self, most_idle: Duration, now: Timestamp) -> bool {
        match (&self.credential, now.checked_sub(most_idle)) {
            (Credential::RefreshToken { token, .. }, Ok(since)) => token.is_idle_since(since),
            _ => false,
        }
    }

    async fn request(&self, deadline: Duration) -> Result<Answer, AuthError> {
        match &self.credential {
            Credential::RefreshToken { token, client_secret } => {
                let turn = token.turn().await;
                let fields = redemption(turn.newest()?, client_secret.as_ref());
                let mut answer = self.post(fields, deadline).await?;
                let newer = answer.refresh_token.take().filter(|token| !token.expose_secret().is_empty());
                turn.redeemed(newer, self.clock.now()).await;
                Ok(answer)
            }
            Credential::ManagedIdentity { endpoint } => self.ask_the_node(endpoint, deadline).await,
            application => {
                let now = self.clock.wall_now();
                let fields = application.application_fields(&self.client_id, &self.token_url, now).await;
                self.post(fields.inspect_err(|error| tracing::warn!(%error, "no token"))?, deadline).await
            }
        }
    }

    async fn post(
        &self,
        mut fields: Vec<(&'static str, SecretString)>,
        deadline: Duration,
    ) -> Result<Answer, AuthError> {
        fields.push(("client_id", self.client_id.as_str().into()));
        fields.push(("scope", self.scope.as_str().into()));
        let answer = ask(&*self.transport, self.clock, &self.token_url, &fields, deadline).await?;
        read_token(&answer.body)
    }

    async fn ask_the_node(&self, endpoint: &str, deadline: Duration) -> Result<Answer, AuthError> {
        let request = managed_identity::request(endpoint, &self.scope, &self.client_id)
            .map_err(|_| not_a_url("the address of the metadata service"))?;
        let response = send(&*self.transport, request, "/metadata/identity/oauth2/token", deadline).await?;
        let status = response.status().as_u16();
        tracing::debug!(status, "asked the metadata service for a token");
        if status != 200 {
            let wait = retry_after(response.headers(), self.clock.wall_now());
            let error = managed_identity::failure(status, wait);
            tracing::warn!(status, %error, "no token");
            return Err(error);
        }
        let answer = read_token(response.body())?;
        managed_identity::check_tenant(&answer.access_token, &self.tenant)?;
        Ok(answer)
    }
}

/// An answer of 200.
pub(super) struct Granted {
    pub(super) body: Bytes,
}

/// Posts a form to the token service, once.
pub(super) async fn ask(
    transport: &dyn Transport,
    clock: Clock,
    url: &str,
    fields: &[(&'static str, SecretString)],
    deadline: Duration,
) -> Result<Granted, AuthError> {
    let client_request_id = uuid::Uuid::new_v4().to_string();
    let request = http::Request::post(url)
        .header(http::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(http::header::ACCEPT, "application/json")
        .header("client-request-id", client_request_id.as_str())
        .body(Bytes::from(form(fields)))
        .map_err(|_| not_a_url("the authority"))?;
    let response = send(transport, request, "/{tenant}/oauth2/v2.0/token", deadline).await?;
    tracing::debug!(client_request_id, status = response.status().as_u16(), "asked for a token");
    if response.status() == http::StatusCode::OK {
        return Ok(Granted { body: response.into_body() });
    }
    let wait = retry_after(response.headers(), clock.wall_now());
    let error = AuthError::from_answer(response.status().as_u16(), response.body(), wait);
    // While somebody signs in, that word is no news.
    if error.word() != Some("authorization_pending") {
        tracing::warn!(client_request_id, correlation_id = error.correlation_id(), %error, "no token");
    }
    Err(error)
}

/// Sends a request within a span.
async fn send(
    transport: &dyn Transport,
    request: http::Request<Bytes>,
    template: &'static str,
    deadline: Duration,
) -> Result<http::Response<Bytes>, AuthError> {
    let span = Span::http(&request, template);
    let result = span.around(transport.send(request, deadline)).await;
    span.answered(&result);
    result.map_err(unreachable)
}

pub(super) fn read_token(body: &Bytes) -> Result<Answer, AuthError> {
    serde_json::from_slice(body).map_err(|_| AuthError::new(AuthFailure::Unavailable(None)))
}

fn not_a_url(what: &str) -> AuthError {
    AuthError::new(AuthFailure::Unreachable(format!("{what} is not a URL")))
}

fn unreachable(error: TransportError) -> AuthError {
    let (TransportError::NotConnected(what) | TransportError::NoAnswer(what)) = error;
    AuthError::new(AuthFailure::Unreachable(what))
}

impl Answer {
    fn life(&self, now: Timestamp) -> Duration {
        let left = self.expires_in.or_else(|| Some(self.expires_on? - now.as_second()));
        Duration::from_secs(left.map_or(3600, |left| u64::try_from(left).unwrap_or(0)))
    }
}

impl State {
    fn usable(&self, now: Timestamp) -> Option<&Cached> {
        self.cached.as_ref().filter(|cached| now < cached.expires_at)
    }

    /// Remembers a failure, which costs nothing while the old token is good.
    fn fail(&mut self, error: AuthError, now: Timestamp) -> Result<AccessToken, AuthError> {
        let holds = if error.is_refusal() { REFUSAL_HOLDS } else { error.wait().unwrap_or(FAILURE_HOLDS) };
        let left = self.usable(now).map(|cached| cached.expires_at.duration_since(now).unsigned_abs());
        let holds = left.map_or(holds, |left| holds.max(EARLY_FAILURE_HOLDS.min(left)));
        self.refused = Some((error.clone(), now.saturating_add(holds).unwrap_or(now)));
        self.usable(now).map(|cached| Arc::clone(&cached.token)).ok_or(error)
    }

    fn keep(&mut self, answer: Answer, now: Timestamp) -> AccessToken {
        let life = answer.life(now);
        // A short life, as tests and some policies have, is used to its half at least.
        let fresh = life.saturating_sub(RENEW_BEFORE).max(life / 2);
        let asked = answer.refresh_in.and_then(|seconds| u64::try_from(seconds).ok()).filter(|s| *s > 0);
        let fresh = asked.map_or(fresh, |seconds| fresh.min(Duration::from_secs(seconds)));
        let token = Arc::new(answer.access_token);
        self.refused = None;
        self.cached = Some(Cached {
            token: Arc::clone(&token),
            renew_at: now.saturating_add(fresh).unwrap_or(now),
            expires_at: now.saturating_add(life).unwrap_or(now),
        });
        token
    }
}

/// A number of seconds, which some token services write as a string. Anything else is no number.
fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    let value = Option::<serde_json::Value>::deserialize(deserializer)?;
    Ok(value.and_then(|value| match value {
        serde_json::Value::Number(number) => number.as_i64(),
        serde_json::Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }))
}
