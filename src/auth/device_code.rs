//! The device code flow: an administrator signs in with a browser anywhere, and a refresh token comes of it.
//!
//! A state over the transport port: it never sleeps. Between two polls whoever uses it waits
//! [`DeviceLogin::interval`], or hands [`DeviceLogin::finish`] a function that does.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;
use serde::Deserialize;

use super::credential::delegated_scope;
use super::error::{AuthError, AuthFailure};
use super::source::{DEADLINE, ask, read_token};
use crate::clock::Clock;
use crate::graph::transport::Transport;

/// The grant, in the words of RFC 8628.
const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// Time between two polls, where the service names none (RFC 8628).
const INTERVAL: u64 = 5;
/// So much longer is waited after `slow_down` (RFC 8628).
const SLOWER: Duration = Duration::from_secs(5);

/// A sign-in that has begun.
#[derive(Debug)]
pub struct DeviceLogin {
    prompt: Prompt,
    device_code: SecretString,
    interval: Duration,
    token_url: String,
    client_id: String,
    /// Of a confidential client, which shows it with each request (RFC 8628, 3.1 and 3.4). Entra's page about this
    /// flow has public clients only; its error AADSTS7000218 asks the others for the secret.
    client_secret: Option<SecretString>,
    transport: Arc<dyn Transport>,
    clock: Clock,
}

/// What the administrator has to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// The code to type in.
    pub user_code: String,
    /// Where to type it in.
    pub verification_uri: String,
    /// Both in one sentence, in the service's own words.
    pub message: String,
    /// When the code is over.
    pub expires_at: Timestamp,
}

/// How a sign-in stands.
#[derive(Debug)]
pub enum Poll {
    /// Nobody has signed in yet: poll again after [`DeviceLogin::interval`].
    Pending,
    /// The administrator signed in.
    Done(SecretString),
    /// The administrator said no.
    Declined,
    /// Nobody signed in in time: begin again.
    Expired,
}

#[derive(Deserialize)]
struct Begun {
    device_code: SecretString,
    user_code: String,
    verification_uri: String,
    #[serde(default)]
    message: String,
    expires_in: u64,
    interval: Option<u64>,
}

impl DeviceLogin {
    /// Asks for a code.
    ///
    /// # Errors
    /// When the token service refuses, or cannot be reached.
    pub async fn begin(
        (authority, tenant, endpoint): (&str, &str, &str),
        (client_id, client_secret): (&str, Option<SecretString>),
        transport: Arc<dyn Transport>,
        clock: Clock,
    ) -> Result<Self, AuthError> {
        let mut fields =
            vec![("client_id", client_id.into()), ("scope", SecretString::from(delegated_scope(endpoint)))];
        fields.extend(client_secret.clone().map(|secret| ("client_secret", secret)));
        let url = format!("{authority}/{tenant}/oauth2/v2.0/devicecode");
        let answer = ask(&*transport, clock, &url, &fields, DEADLINE).await?;
        let begun: Begun = serde_json::from_slice(&answer.body)
            .map_err(|_| AuthError::new(AuthFailure::Unavailable(None)))?;
        let now = clock.now();
        Ok(Self {
            prompt: Prompt {
                user_code: begun.user_code,
                verification_uri: begun.verification_uri,
                message: begun.message,
                expires_at: now.saturating_add(Duration::from_secs(begun.expires_in)).unwrap_or(now),
            },
            device_code: begun.device_code,
            interval: Duration::from_secs(begun.interval.unwrap_or(INTERVAL).max(1)),
            token_url: format!("{authority}/{tenant}/oauth2/v2.0/token"),
            client_id: client_id.to_owned(),
            client_secret,
            transport,
            clock,
        })
    }

    /// What the administrator has to be shown.
    #[must_use]
    pub const fn prompt(&self) -> &Prompt {
        &self.prompt
    }

    /// How long to wait before the next poll.
    #[must_use]
    pub const fn interval(&self) -> Duration {
        self.interval
    }

    /// Asks once whether the administrator has signed in.
    ///
    /// # Errors
    /// When the token service refuses for another reason than those of the flow. One that is busy or
    /// does not answer is [`Poll::Pending`], and is asked less often.
    pub async fn poll(&mut self) -> Result<Poll, AuthError> {
        if self.clock.now() >= self.prompt.expires_at {
            return Ok(Poll::Expired);
        }
        let mut fields = vec![
            ("grant_type", GRANT.into()),
            ("client_id", self.client_id.as_str().into()),
            ("device_code", self.device_code.clone()),
        ];
        fields.extend(self.client_secret.clone().map(|secret| ("client_secret", secret)));
        let error = match ask(&*self.transport, self.clock, &self.token_url, &fields, DEADLINE).await {
            Ok(answer) => {
                let token = read_token(&answer.body)?.refresh_token;
                return token.map(Poll::Done).ok_or_else(|| AuthError::new(AuthFailure::Unavailable(None)));
            }
            Err(error) => error,
        };
        match error.word() {
            Some("authorization_pending") => Ok(Poll::Pending),
            Some("slow_down") => {
                self.interval += SLOWER;
                Ok(Poll::Pending)
            }
            Some("authorization_declined" | "access_denied") => Ok(Poll::Declined),
            Some("expired_token" | "code_expired") => Ok(Poll::Expired),
            Some(_) => Err(error),
            None => {
                self.interval = (self.interval + SLOWER).max(error.wait().unwrap_or_default());
                Ok(Poll::Pending)
            }
        }
    }

    /// Polls until something comes of it. `wait` is called before each poll, with how long to wait; it
    /// is the only place where time passes.
    ///
    /// # Errors
    /// As [`Self::poll`].
    pub async fn finish(&mut self, wait: impl AsyncFn(Duration)) -> Result<Poll, AuthError> {
        loop {
            wait(self.interval).await;
            match self.poll().await? {
                Poll::Pending => {}
                end => return Ok(end),
            }
        }
    }
}
