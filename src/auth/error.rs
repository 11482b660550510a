//! What the token service says when it gives no token, and what a person does about it.
//!
//! Decided by `error`, never by text (Entra docs, "error codes"); the AADSTS number is shown to people.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use super::remedy;

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
    /// The credential cannot be used, and nothing was asked for, or taken; a person must act.
    Unusable(Unusable),
    /// The service is busy or broken.
    Unavailable(Option<Duration>),
    /// No whole answer came back.
    Unreachable(String),
}

/// Why a credential cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// The operator has no file with a federated token: nobody told it of one.
    NoTokenFile,
    /// The file with the federated token cannot be read.
    TokenFile {
        /// Its path.
        path: String,
        /// What the system says.
        why: String,
    },
    /// The certificate is over.
    CertificateExpired(Timestamp),
    /// The key does not sign.
    CannotSign,
    /// The node does not have this managed identity.
    IdentityNotAssigned,
    /// The managed identity lives in another tenant.
    IdentityOfOtherTenant,
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

    pub(super) const fn unusable(why: Unusable) -> Self {
        Self::new(AuthFailure::Unusable(why))
    }

    /// Reads an answer other than 200.
    #[must_use]
    pub fn from_answer(status: u16, body: &[u8], wait: Option<Duration>) -> Self {
        let body: Body = serde_json::from_slice(body).unwrap_or_default();
        let is_word = |text: &str| {
            !text.is_empty() && text.len() <= 64 && text.chars().all(|c| c.is_ascii_lowercase() || c == '_')
        };
        let busy = status == 429
            || status >= 500
            || body.error == "temporarily_unavailable"
            || body.error_codes.iter().any(|number| remedy::is_transient(*number));
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
        matches!(self.failure, AuthFailure::Refused { .. } | AuthFailure::Unusable(_))
    }

    /// The word of OAuth 2 that the service refused with.
    #[must_use]
    pub fn word(&self) -> Option<&str> {
        match &self.failure {
            AuthFailure::Refused { error } => Some(error),
            _ => None,
        }
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
        match &self.failure {
            AuthFailure::Unusable(why) => why.remedy(),
            AuthFailure::Refused { error } => {
                self.aadsts.and_then(remedy::of_number).unwrap_or_else(|| remedy::of_word(error))
            }
            AuthFailure::Unavailable(_) | AuthFailure::Unreachable(_) => "nothing to do: it is tried again",
        }
    }
}

impl Unusable {
    const fn remedy(&self) -> &'static str {
        match self {
            Self::NoTokenFile | Self::TokenFile { .. } => {
                "the operator's administrator labels its pods azure.workload.identity/use: \"true\" (podLabels in the chart), so that the webhook of Azure Workload Identity gives them the file"
            }
            Self::CertificateExpired(_) => {
                "renew the certificate, upload the new one to the application in Entra, and put it into the Secret"
            }
            Self::CannotSign => "put an RSA key of 2048 bits at least, and its certificate, into the Secret",
            Self::IdentityNotAssigned => {
                "assign the user-assigned identity with this clientId to the nodes that the operator runs on"
            }
            Self::IdentityOfOtherTenant => {
                "correct tenantId (make a new connection), or use another credential: a managed identity serves only the tenant that it lives in"
            }
        }
    }
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoTokenFile => f.write_str(
                "the operator has no federated token (neither --federated-token-file nor AZURE_FEDERATED_TOKEN_FILE is set)",
            ),
            Self::TokenFile { path, why } => {
                write!(f, "the operator cannot read its federated token from {path}: {why}")
            }
            Self::CertificateExpired(end) => write!(f, "the certificate expired at {end}"),
            Self::CannotSign => f.write_str("nothing can be signed with the key of the certificate"),
            Self::IdentityNotAssigned => {
                f.write_str("the node that the operator runs on does not have this managed identity")
            }
            Self::IdentityOfOtherTenant => {
                f.write_str("the managed identity belongs to another tenant than the connection's tenantId")
            }
        }
    }
}

impl fmt::Display for AuthError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.failure {
            AuthFailure::Refused { error } => {
                write!(f, "the token service refused the credentials ({error}")?;
            }
            AuthFailure::Unusable(why) => return why.fmt(f),
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

    fn numbered(number: u64) -> AuthError {
        let body = format!(r#"{{"error":"invalid_request","error_codes":[{number}]}}"#);
        AuthError::from_answer(400, body.as_bytes(), None)
    }

    #[test]
    fn transient_numbers_are_no_refusal_whatever_else_stands_there() {
        for number in [90_006, 90_012, 90_024, 90_033, 50_033, 90_055] {
            assert!(!numbered(number).is_refusal(), "{number}");
        }
    }

    #[test]
    fn every_number_of_the_table_has_a_remedy_of_its_own() {
        let vague = numbered(1).remedy();
        for number in [
            70_021, 700_211, 700_212, 700_213, 7_002_137, 7_002_138, 90_061, 7_000_215, 7_000_222, 700_027,
            700_030, 50_013, 500_133, 7_000_218, 900_144, 700_016, 7_000_112, 70_001, 90_002, 90_038,
            900_382, 500_011, 70_011, 700_022, 65_001, 90_094, 70_008, 700_082, 70_000,
        ] {
            let error = numbered(number);
            assert!(error.is_refusal(), "{number}");
            assert_ne!(error.remedy(), vague, "{number}");
            assert!(error.to_string().contains(&format!("AADSTS{number}")));
        }
    }
}
