//! Credentials into tokens: one request form, one cache, one reading of the token service's errors.
//!
//! The credential kinds differ in a few form fields only, so they share everything else. Secrets
//! are held in types that cannot be printed or serialised; nothing here logs a body.

mod error;

pub use error::{AuthError, AuthFailure};

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::clock::Clock;
use crate::graph::throttle::retry_after;
use crate::graph::transport::{Transport, TransportError};

/// A token is renewed when less of its life is left than this (the offset of Microsoft's libraries).
const RENEW_BEFORE: Duration = Duration::from_mins(5);
/// A refusal is not asked for again for so long; a changed Secret makes a new source at once.
const REFUSAL_HOLDS: Duration = Duration::from_mins(1);
/// The same for a service that does not answer: callers that wait together share one failure.
const FAILURE_HOLDS: Duration = Duration::from_secs(1);
/// Deadline of a token request.
const DEADLINE: Duration = Duration::from_secs(30);

/// What is shown to the token service.
#[derive(Clone)]
pub enum Credential {
    /// The application itself, with a client secret.
    ClientSecret(SecretString),
    /// An administrator who signed in once.
    RefreshToken {
        /// The newest refresh token that is known.
        token: SecretString,
        /// Client secret of a confidential client.
        client_secret: Option<SecretString>,
    },
}

impl std::fmt::Debug for Credential {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::ClientSecret(_) => "ClientSecret",
            Self::RefreshToken { .. } => "RefreshToken",
        })
    }
}

/// An access token. It cannot be printed.
pub type AccessToken = Arc<SecretString>;

/// Gets tokens for one application in one tenant, and keeps them.
#[derive(Debug)]
pub struct TokenSource {
    token_url: String,
    client_id: String,
    scope: String,
    transport: Arc<dyn Transport>,
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    credential: Credential,
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
struct Answer {
    access_token: SecretString,
    expires_in: Option<u64>,
    refresh_token: Option<SecretString>,
}

impl TokenSource {
    /// A source for `client_id` in `tenant`, with tokens for the Graph at `endpoint`.
    #[must_use]
    pub fn new(
        (authority, tenant, endpoint): (&str, &str, &str),
        client_id: &str,
        credential: Credential,
        transport: Arc<dyn Transport>,
        clock: Clock,
    ) -> Self {
        let scope = match credential {
            Credential::ClientSecret(_) => format!("{endpoint}/.default"),
            Credential::RefreshToken { .. } => {
                format!("{endpoint}/EduAdministration.ReadWrite offline_access")
            }
        };
        Self {
            token_url: format!("{authority}/{tenant}/oauth2/v2.0/token"),
            client_id: client_id.to_owned(),
            scope,
            transport,
            clock,
            state: Mutex::new(State { credential, cached: None, refused: None }),
        }
    }

    /// A token that is good for some minutes. Callers that come at once share one request.
    ///
    /// # Errors
    /// When the token service refuses or cannot be reached. A refusal is remembered for a minute.
    pub async fn token(&self) -> Result<AccessToken, AuthError> {
        let mut state = self.state.lock().await;
        let now = self.clock.now();
        if let Some(cached) = state.cached.as_ref().filter(|cached| now < cached.renew_at) {
            return Ok(Arc::clone(&cached.token));
        }
        let usable = state.cached.clone().filter(|cached| now < cached.expires_at);
        if let Some((error, until)) = &state.refused
            && now < *until
        {
            return usable.map(|cached| cached.token).ok_or_else(|| error.clone());
        }
        match self.request(&state.credential).await {
            Ok(answer) => Ok(state.keep(answer, self.clock.now())),
            Err(error) => {
                let holds =
                    if error.is_refusal() { REFUSAL_HOLDS } else { error.wait().unwrap_or(FAILURE_HOLDS) };
                let until = self.clock.now().saturating_add(holds).unwrap_or(now);
                state.refused = Some((error.clone(), until));
                // An early renewal that fails costs nothing while the old token is good.
                usable.map(|cached| cached.token).ok_or(error)
            }
        }
    }

    /// Forgets `token`, which Graph has not accepted, so that the next call asks for a new one.
    pub async fn discard(&self, token: &AccessToken) {
        let mut state = self.state.lock().await;
        if state.cached.as_ref().is_some_and(|cached| Arc::ptr_eq(&cached.token, token)) {
            state.cached = None;
        }
    }

    async fn request(&self, credential: &Credential) -> Result<Answer, AuthError> {
        let client_request_id = uuid::Uuid::new_v4().to_string();
        let request = http::Request::post(&self.token_url)
            .header(http::header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(http::header::ACCEPT, "application/json")
            .header("client-request-id", client_request_id.as_str())
            .body(Bytes::from(self.form(credential)))
            .map_err(|_| AuthError::new(AuthFailure::Unreachable("the authority is not a URL".to_owned())))?;
        let response = self.transport.send(request, DEADLINE).await.map_err(|error| {
            let (TransportError::NotConnected(what) | TransportError::NoAnswer(what)) = error;
            AuthError::new(AuthFailure::Unreachable(what))
        })?;
        tracing::debug!(client_request_id, status = response.status().as_u16(), "asked for a token");
        if response.status() == http::StatusCode::OK {
            return serde_json::from_slice(response.body())
                .map_err(|_| AuthError::new(AuthFailure::Unavailable(None)));
        }
        let wait = retry_after(response.headers(), self.clock.now());
        let error = AuthError::from_answer(response.status().as_u16(), response.body(), wait);
        tracing::warn!(client_request_id, correlation_id = error.correlation_id(), %error, "no token");
        Err(error)
    }

    fn form(&self, credential: &Credential) -> String {
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        form.append_pair("client_id", &self.client_id).append_pair("scope", &self.scope);
        match credential {
            Credential::ClientSecret(secret) => {
                form.append_pair("grant_type", "client_credentials")
                    .append_pair("client_secret", secret.expose_secret());
            }
            Credential::RefreshToken { token, client_secret } => {
                form.append_pair("grant_type", "refresh_token")
                    .append_pair("refresh_token", token.expose_secret());
                if let Some(secret) = client_secret {
                    form.append_pair("client_secret", secret.expose_secret());
                }
            }
        }
        form.finish()
    }
}

impl State {
    fn keep(&mut self, answer: Answer, now: Timestamp) -> AccessToken {
        let life = Duration::from_secs(answer.expires_in.unwrap_or(3600));
        // A short life, as tests and some policies have, is used to its half at least.
        let fresh = life.saturating_sub(RENEW_BEFORE).max(life / 2);
        if let (Credential::RefreshToken { token, .. }, Some(newer)) =
            (&mut self.credential, answer.refresh_token)
        {
            *token = newer;
        }
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
