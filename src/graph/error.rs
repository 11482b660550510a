//! What can go wrong with a call, and the one classification of it.
//!
//! The question that decides everything is whether a request that failed may have been carried out.
//! No text that Graph wrote is kept: `error.message` may name pupils.

use std::fmt;
use std::time::Duration;

use super::transport::TransportError;
use crate::auth::AuthError;

/// The two ids by which Microsoft's support and our log find a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallIds {
    /// Graph's `request-id`, when there was an answer.
    pub request_id: Option<String>,
    /// The `client-request-id` that we sent.
    pub client_request_id: String,
}

impl fmt::Display for CallIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "client-request-id {}", self.client_request_id)?;
        match &self.request_id {
            Some(id) => write!(f, ", request-id {id}"),
            None => Ok(()),
        }
    }
}

/// A call that did not succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// There is no token to call with.
    #[error("no token: {0}")]
    NoToken(AuthError),
    /// Graph asked to wait, and the time is not over. Nothing was sent.
    #[error("Graph asked to wait {} s more", .0.as_secs())]
    Waiting(Duration),
    /// No connection came about, so nothing was sent.
    #[error("Graph cannot be reached: {0}")]
    NotConnected(String),
    /// 429: Graph turned the request away before acting on it.
    #[error("Graph is throttling this application ({ids})")]
    Throttled {
        /// How long Graph asks to wait, when it says so.
        retry_after: Option<Duration>,
        /// Ids of the call.
        ids: CallIds,
    },
    /// A definite no.
    #[error("Graph refused the request: HTTP {status}{} ({ids})", code.as_ref().map(|code| format!(" {code}")).unwrap_or_default())]
    Refused {
        /// HTTP status.
        status: u16,
        /// `error.code`, when it has the form of one.
        code: Option<String>,
        /// Ids of the call.
        ids: CallIds,
    },
    /// The collection is not there any more: the API has been taken away.
    #[error("the API is gone: HTTP {status} ({ids})")]
    Retired {
        /// HTTP status.
        status: u16,
        /// Ids of the call.
        ids: CallIds,
    },
    /// The request may or may not have been carried out.
    #[error("the outcome is unknown: {what} ({ids})")]
    Unknown {
        /// What was seen instead of an answer.
        what: UnknownOutcome,
        /// How long Graph asks to wait, when it says so.
        retry_after: Option<Duration>,
        /// Ids of the call.
        ids: CallIds,
    },
}

/// What was seen instead of a clear answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UnknownOutcome {
    /// A status that does not say whether the request was carried out.
    Status(u16),
    /// No answer within the deadline, or the connection broke.
    NoAnswer(String),
    /// An answer of success that cannot be read.
    Unreadable(&'static str),
}

impl fmt::Display for UnknownOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "HTTP {status}"),
            Self::NoAnswer(what) => f.write_str(what),
            Self::Unreadable(what) => write!(f, "unreadable answer: {what}"),
        }
    }
}

/// May a request that failed have been carried out?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certainty {
    /// It was not, and will not be when repeated as it is.
    No,
    /// It was not; it can be repeated, not before the duration when there is one.
    Later(Option<Duration>),
    /// Nobody knows.
    Unknown,
}

impl GraphError {
    /// The classification that decides what may be done next.
    ///
    /// A 4xx other than 408, 409, 425 and 429 is a definite no, 429 and "not sent" are a definite
    /// later; everything else is unknown (platform contract: no idempotency key exists).
    #[must_use]
    pub const fn certainty(&self) -> Certainty {
        match self {
            Self::NoToken(_) | Self::NotConnected(_) => Certainty::Later(None),
            Self::Waiting(duration) => Certainty::Later(Some(*duration)),
            Self::Throttled { retry_after, .. } => Certainty::Later(*retry_after),
            Self::Refused { .. } | Self::Retired { .. } => Certainty::No,
            Self::Unknown { .. } => Certainty::Unknown,
        }
    }

    /// The class in one word, for counting.
    #[must_use]
    pub const fn class(&self) -> &'static str {
        match self {
            Self::NoToken(_) => "no_token",
            Self::Waiting(_) => "waiting",
            Self::NotConnected(_) => "not_connected",
            Self::Throttled { .. } => "throttled",
            Self::Refused { .. } => "refused",
            Self::Retired { .. } => "retired",
            Self::Unknown { .. } => "unknown",
        }
    }

    /// How long Graph asks to wait, when it does.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Waiting(wait) => Some(*wait),
            Self::NoToken(error) => error.wait(),
            Self::Throttled { retry_after, .. } | Self::Unknown { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// What a person does about it. A sentence without a full stop.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::NoToken(error) => error.remedy(),
            Self::Retired { .. } => {
                "nothing answers at this endpoint any more: Microsoft retired the API on 2024-12-31"
            }
            Self::Refused { status: 401, code: Some(code), .. } if code == "insufficient_claims" => {
                "a policy of the tenant (Conditional Access) asks for more: an administrator has to sign in again, or exempt the application"
            }
            Self::Refused { status: 401, .. } => {
                "Graph does not accept the token: check the tenant, the authority and the credentials"
            }
            Self::Refused { status: 403, .. } => {
                "an administrator of the tenant has to grant EduAdministration.ReadWrite; to create, change and delete profiles a signed-in administrator is needed"
            }
            Self::Refused { status: 404, .. } => "there is no such profile any more: check its id",
            Self::Refused { status: 412, .. } => "somebody else changed the profile meanwhile: look again",
            Self::Refused { .. } => "correct the request: it is refused again as it is",
            Self::Unknown { what: UnknownOutcome::Status(409), .. } => {
                "an earlier request is still worked on: wait and try again"
            }
            Self::Unknown { .. } | Self::NotConnected(_) => {
                "try again; if it stays so, check the way to Graph and the service health of the tenant"
            }
            Self::Waiting(_) | Self::Throttled { .. } => {
                "nothing: it is tried again after the time Graph asked for"
            }
        }
    }

    /// HTTP status of a definite answer.
    #[must_use]
    pub const fn status(&self) -> Option<u16> {
        match self {
            Self::Refused { status, .. } | Self::Retired { status, .. } => Some(*status),
            Self::Throttled { .. } => Some(429),
            _ => None,
        }
    }
}

/// Sorts an answer that is not a success.
#[must_use]
pub fn from_answer(status: u16, body: &[u8], retry_after: Option<Duration>, ids: CallIds) -> GraphError {
    match status {
        429 => GraphError::Throttled { retry_after, ids },
        408 | 409 | 425 => GraphError::Unknown { what: UnknownOutcome::Status(status), retry_after, ids },
        400..=499 => GraphError::Refused { status, code: error_code(body), ids },
        _ => GraphError::Unknown { what: UnknownOutcome::Status(status), retry_after, ids },
    }
}

/// The class of what succeeded, beside those of [`GraphError::class`].
pub const SUCCESS: &str = "success";

/// The class of what came back for a request, in one word, for counting: the status of an answer, or why there is none.
#[must_use]
pub fn class_of(came_back: Result<u16, &TransportError>) -> &'static str {
    match came_back {
        Ok(200..=299) => SUCCESS,
        Ok(status) => from_answer(status, b"", None, CallIds::default()).class(),
        Err(error) => from_transport(error.clone(), CallIds::default()).class(),
    }
}

/// Sorts what came instead of an answer.
#[must_use]
pub fn from_transport(error: TransportError, ids: CallIds) -> GraphError {
    match error {
        TransportError::NotConnected(what) => GraphError::NotConnected(what),
        TransportError::NoAnswer(what) => {
            GraphError::Unknown { what: UnknownOutcome::NoAnswer(what), retry_after: None, ids }
        }
    }
}

/// The most detailed code of Graph's error body (Graph docs, "error responses": codes nest in
/// `innerError`). Only what looks like a code counts: a word, not a sentence, and not a status again.
pub(super) fn error_code(body: &[u8]) -> Option<String> {
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    let mut found = None;
    let mut level = body.get("error");
    // Deeper than this no document goes.
    for _ in 0..8 {
        let Some(error) = level else { break };
        if let Some(code) = error.get("code").and_then(|code| code.as_str()).filter(|code| is_code(code)) {
            found = Some(code.to_owned());
        }
        level = error.get("innerError").or_else(|| error.get("innererror"));
    }
    found
}

fn is_code(text: &str) -> bool {
    text.len() <= 64
        && text.chars().next().is_some_and(|first| first.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

/// Does a refusal of the LIST mean that the API is gone? 404, 410 and 501 on the collection, or a
/// 400 that does not know the segment (inferred: no document says what the retired service answers).
#[must_use]
pub fn retired(status: u16, body: &[u8]) -> bool {
    let unknown_segment =
        || String::from_utf8_lossy(body).to_ascii_lowercase().contains("resource not found for the segment");
    matches!(status, 404 | 410 | 501) || (status == 400 && unknown_segment())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classify(status: u16) -> Certainty {
        from_answer(status, b"", None, CallIds::default()).certainty()
    }

    #[test]
    fn every_status_has_its_certainty() {
        for status in 400..500 {
            let expected = match status {
                429 => Certainty::Later(None),
                408 | 409 | 425 => Certainty::Unknown,
                _ => Certainty::No,
            };
            assert_eq!(classify(status), expected, "{status}");
        }
        for status in [301, 302, 307, 308, 500, 501, 502, 503, 504, 507, 599] {
            assert_eq!(classify(status), Certainty::Unknown, "{status}");
        }
    }

    #[test]
    fn what_came_back_has_one_class() {
        for (status, class) in
            [(201, "success"), (302, "unknown"), (404, "refused"), (429, "throttled"), (503, "unknown")]
        {
            assert_eq!(class_of(Ok(status)), class, "{status}");
        }
        assert_eq!(class_of(Err(&TransportError::NotConnected(String::new()))), "not_connected");
        assert_eq!(class_of(Err(&TransportError::NoAnswer(String::new()))), "unknown");
    }

    #[test]
    fn only_a_word_passes_for_a_code() {
        let body = |code: &str| serde_json::json!({"error": {"code": code}}).to_string().into_bytes();
        assert_eq!(error_code(&body("BadRequest")).as_deref(), Some("BadRequest"));
        assert_eq!(error_code(&body("Pupil Anna Smith is unknown")), None);
        assert_eq!(error_code(&body("")), None);
        assert_eq!(error_code(b"<html>"), None);
    }

    #[test]
    fn the_most_detailed_code_is_taken() {
        let code = |body: serde_json::Value| error_code(body.to_string().as_bytes());
        let nested = serde_json::json!({"error": {"code": "BadRequest", "innerError": {"code": "invalidQueryOption", "innererror": {"date": "x"}}}});
        assert_eq!(code(nested).as_deref(), Some("invalidQueryOption"));
        let status_again =
            serde_json::json!({"error": {"code": "TooManyRequests", "innerError": {"code": "429"}}});
        assert_eq!(code(status_again).as_deref(), Some("TooManyRequests"));
    }

    #[test]
    fn a_retired_api_is_known_in_its_four_forms() {
        assert!(retired(404, b"") && retired(410, b"") && retired(501, b""));
        assert!(retired(
            400,
            b"{\"error\":{\"message\":\"Resource not found for the segment 'synchronizationProfiles'.\"}}"
        ));
        assert!(!retired(400, b"{}") && !retired(403, b"") && !retired(500, b""));
    }
}
