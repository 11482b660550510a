//! What the token service says when it gives no token, and what a person does about it.
//!
//! Decided by `error`, never by text (Entra docs, "error codes"); the AADSTS number is shown to people.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

/// No token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthError {
    failure: AuthFailure,
    aadsts: Option<u64>,
    correlation_id: Option<String>,
}

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthFailure {
    /// The service does not accept the credential; a person must act.
    Refused {
        /// `error` of the answer, a word of OAuth 2.
        error: String,
    },
    /// The service is busy or broken.
    Unavailable(Option<Duration>),
    /// No whole answer came back.
    Unreachable(String),
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Body {
    error: String,
    error_codes: Vec<u64>,
    correlation_id: Option<String>,
}

impl AuthError {
    /// An error without an answer of the service.
    #[must_use]
    pub const fn new(failure: AuthFailure) -> Self {
        Self { failure, aadsts: None, correlation_id: None }
    }

    /// Reads an answer other than 200.
    #[must_use]
    pub fn from_answer(status: u16, body: &[u8], wait: Option<Duration>) -> Self {
        let body: Body = serde_json::from_slice(body).unwrap_or_default();
        let is_word = |text: &str| {
            !text.is_empty() && text.len() <= 64 && text.chars().all(|c| c.is_ascii_lowercase() || c == '_')
        };
        let busy = status == 429 || status >= 500 || body.error == "temporarily_unavailable";
        let failure = if busy || !is_word(&body.error) {
            AuthFailure::Unavailable(wait)
        } else {
            AuthFailure::Refused { error: body.error }
        };
        let correlation_id = body.correlation_id.filter(|id| uuid::Uuid::parse_str(id).is_ok());
        Self { failure, aadsts: body.error_codes.first().copied(), correlation_id }
    }

    /// Must a person act?
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        matches!(self.failure, AuthFailure::Refused { .. })
    }

    /// How long the service asks to wait.
    #[must_use]
    pub const fn wait(&self) -> Option<Duration> {
        match self.failure {
            AuthFailure::Unavailable(wait) => wait,
            _ => None,
        }
    }

    /// Entra's id of the attempt, for a support case. It is new at each attempt, so it belongs into
    /// the log, not into a status.
    #[must_use]
    pub fn correlation_id(&self) -> Option<&str> {
        self.correlation_id.as_deref()
    }

    /// What a person does about a refusal.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match (self.aadsts, &self.failure) {
            (Some(7_000_215), _) => {
                "the client secret is wrong: put the secret's value (not its id) into the Secret"
            }
            (Some(7_000_222), _) => {
                "the client secret has expired: make a new one and put it into the Secret"
            }
            (Some(7_000_218), _) => "the application is a confidential client: add clientSecretRef",
            (Some(700_016 | 70_001), _) => {
                "the application is not known in this tenant: check clientId and tenantId"
            }
            (Some(7_000_112), _) => "the application is disabled in this tenant: enable it",
            (Some(90_002), _) => "the tenant is not known: check tenantId",
            (Some(65_001 | 90_094), _) => {
                "consent is missing: an administrator of the tenant has to grant it"
            }
            (Some(70_008 | 700_082), _) => {
                "the refresh token has expired: an administrator has to sign in again"
            }
            (_, AuthFailure::Refused { error }) => match error.as_str() {
                "invalid_client" => "the client secret is wrong or has expired",
                "invalid_grant" => {
                    "the refresh token is not valid any more: an administrator has to sign in again"
                }
                "unauthorized_client" => "the application is not known in this tenant, or disabled",
                "interaction_required" => "a policy of the tenant wants an administrator to sign in again",
                _ => "check the connection's credentials",
            },
            _ => "nothing to do: it is tried again",
        }
    }
}

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.failure {
            AuthFailure::Refused { error } => {
                write!(f, "the token service refused the credentials ({error}")?;
            }
            AuthFailure::Unavailable(_) => return f.write_str("the token service is not available"),
            AuthFailure::Unreachable(what) => {
                return write!(f, "the token service cannot be reached: {what}");
            }
        }
        if let Some(number) = self.aadsts {
            write!(f, ", AADSTS{number}")?;
        }
        f.write_str(")")
    }
}

impl std::error::Error for AuthError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_names_its_number_and_its_remedy() {
        let body = br#"{"error":"invalid_client","error_description":"AADSTS7000215: canary","error_codes":[7000215],"correlation_id":"7b9e4c21-6a0d-4f3c-8b52-91e7d4a6c0f8"}"#;
        let error = AuthError::from_answer(401, body, None);
        assert!(error.is_refusal());
        assert!(error.to_string().contains("AADSTS7000215"));
        assert!(error.remedy().contains("secret is wrong"));
        assert!(!format!("{error} {error:?}").contains("canary"));
    }

    #[test]
    fn busy_is_no_refusal() {
        for (status, body) in
            [(429, ""), (503, "<html>"), (400, r#"{"error":"temporarily_unavailable"}"#), (400, "<html>")]
        {
            let error = AuthError::from_answer(status, body.as_bytes(), Some(Duration::from_secs(5)));
            assert!(!error.is_refusal(), "{status} {body}");
            assert_eq!(error.wait(), Some(Duration::from_secs(5)));
        }
    }
}
